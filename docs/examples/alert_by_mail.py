import smtplib
from email.message import EmailMessage

from airflow.sdk import DAG

from airflow_cbr.notifications import failure_text
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator


def mail(context):
    message = EmailMessage()
    message["From"], message["To"] = "airflow@example.com", "backup-team@example.com"
    message["Subject"] = f"CBR: {context['ti'].dag_id}.{context['ti'].task_id} failed"
    message.set_content(failure_text(context))
    with smtplib.SMTP("mail.example.com", timeout=20) as server:
        server.send_message(message)


with DAG("alert_by_mail", schedule=None) as dag:
    CbrReplicateCheckpointOperator(
        task_id="replicate",
        vault_id="3b5816b5-f29c-4172-9d9a-76c719a659ce",
        destination_region="cn-shenzhen-1",
        destination_project_id="68589cac08274b82b4e254268a3862d8",
        destination_vault_id="0ca3eb86-8800-46da-9c37-9d657a825274",
        on_failure_callback=mail,
    )

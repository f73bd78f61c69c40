import os

from airflow.sdk import DAG

from airflow_cbr.notifications import failure_text
from airflow_cbr.operators.cbr import CbrVerifyReplicationOperator


def ping_success(context):
    import requests

    requests.post(os.environ["HEALTH_CHECK_URL"], timeout=20).raise_for_status()


def ping_failure(context):
    import requests

    url = f"{os.environ['HEALTH_CHECK_URL']}/fail"
    requests.post(url, data=failure_text(context).encode(), timeout=20).raise_for_status()


with DAG("ping_health_check", schedule=None) as dag:
    CbrVerifyReplicationOperator(
        task_id="verify",
        vault_id="3b5816b5-f29c-4172-9d9a-76c719a659ce",
        destination_region="cn-shenzhen-1",
        destination_project_id="68589cac08274b82b4e254268a3862d8",
        destination_vault_id="0ca3eb86-8800-46da-9c37-9d657a825274",
        on_success_callback=ping_success,
        on_failure_callback=ping_failure,
    )

import os

from airflow.sdk import DAG

from airflow_cbr.notifications import failure_text
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator


def post_to_slack(context):
    import requests

    url = os.environ["SLACK_WEBHOOK_URL"]
    requests.post(url, json={"text": failure_text(context)}, timeout=20).raise_for_status()


with DAG("alert_by_slack", schedule=None) as dag:
    CbrReplicateCheckpointOperator(
        task_id="replicate",
        vault_id="3b5816b5-f29c-4172-9d9a-76c719a659ce",
        destination_region="cn-shenzhen-1",
        destination_project_id="68589cac08274b82b4e254268a3862d8",
        destination_vault_id="0ca3eb86-8800-46da-9c37-9d657a825274",
        on_failure_callback=post_to_slack,
    )

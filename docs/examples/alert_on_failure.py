from airflow.sdk import DAG

from airflow_cbr.exceptions import CbrError, CbrReplicationTimeoutError
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator


def report(context):
    error = context["exception"]
    error = error if isinstance(error, CbrError) else error.__cause__
    if isinstance(error, CbrReplicationTimeoutError):
        print("still running:", error.running)
    elif isinstance(error, CbrError):
        print("for support:", error.error_code, error.request_id)


with DAG("with_callback", schedule=None) as dag:
    CbrReplicateCheckpointOperator(
        task_id="replicate",
        vault_id="3b5816b5-f29c-4172-9d9a-76c719a659ce",
        destination_region="cn-shenzhen-1",
        destination_project_id="68589cac08274b82b4e254268a3862d8",
        destination_vault_id="0ca3eb86-8800-46da-9c37-9d657a825274",
        on_failure_callback=report,
    )

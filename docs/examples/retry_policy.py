# Airflow 3.3 and newer
from datetime import timedelta

from airflow.sdk import DAG, ExceptionRetryPolicy, RetryRule

from airflow_cbr.exceptions import CbrReplicationFailedError, CbrThrottledError
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator

with DAG("with_retry_policy", schedule=None) as dag:
    CbrReplicateCheckpointOperator(
        task_id="replicate",
        vault_id="3b5816b5-f29c-4172-9d9a-76c719a659ce",
        destination_region="cn-shenzhen-1",
        destination_project_id="68589cac08274b82b4e254268a3862d8",
        destination_vault_id="0ca3eb86-8800-46da-9c37-9d657a825274",
        retries=3,
        retry_policy=ExceptionRetryPolicy(
            rules=[
                RetryRule(exception=CbrThrottledError, retry_delay=timedelta(minutes=10)),
                RetryRule(exception=CbrReplicationFailedError, retry_delay=timedelta(minutes=30)),
            ]
        ),
    )

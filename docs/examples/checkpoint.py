from airflow.sdk import DAG

from airflow_cbr.operators.cbr import CbrCreateCheckpointOperator

with DAG("cbr_backup", schedule="@daily", catchup=False, max_active_runs=1) as dag:
    CbrCreateCheckpointOperator(
        task_id="checkpoint",
        vault_id="3b5816b5-f29c-4172-9d9a-76c719a659ce",
        retries=3,
    )

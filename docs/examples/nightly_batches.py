from airflow.sdk import DAG, task

from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator

ROUTE = {
    "vault_id": "3b5816b5-f29c-4172-9d9a-76c719a659ce",
    "destination_region": "cn-shenzhen-1",
    "destination_project_id": "68589cac08274b82b4e254268a3862d8",
    "destination_vault_id": "0ca3eb86-8800-46da-9c37-9d657a825274",
}

with DAG("batches", schedule="0 3 * * *", catchup=False, max_active_runs=1, default_args=ROUTE) as dag:
    replicate = CbrReplicateCheckpointOperator(task_id="replicate", retries=3)

    @task
    def batches(record_ids: list[str]) -> list[list[str]]:
        return [record_ids[start : start + 100] for start in range(0, len(record_ids), 100)]

    CbrVerifyReplicationOperator.partial(task_id="verify").expand(replication_record_ids=batches(replicate.output))

from airflow.sdk import DAG, task_group

from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator

VAULTS = {
    "3b5816b5-f29c-4172-9d9a-76c719a659ce": "0ca3eb86-8800-46da-9c37-9d657a825274",
    "a9f1bde0-0b54-4dc2-8a55-1f7d4e2f0c11": "b71c2d1e-5a3f-4b0c-9c7e-6d2f8e4a9b22",
}
THERE = {"destination_region": "cn-shenzhen-1", "destination_project_id": "68589cac08274b82b4e254268a3862d8"}

with DAG("many_vaults", schedule="0 3 * * *", catchup=False, max_active_runs=1, max_active_tasks=16, default_args={"retries": 3}) as dag:

    @task_group(prefix_group_id=False)
    def vault(vault_id: str, destination_vault_id: str) -> None:
        replicate = CbrReplicateCheckpointOperator(
            task_id="replicate",
            vault_id=vault_id,
            destination_vault_id=destination_vault_id,
            deferrable=True,
            map_index_template="{{ task.pair }}",
            **THERE,
        )
        verify = CbrVerifyReplicationOperator(
            task_id="verify",
            vault_id=vault_id,
            destination_vault_id=destination_vault_id,
            replication_record_ids=[],
            trigger_rule="all_done",
            map_index_template="{{ task.pair }}",
            **THERE,
        )
        replicate >> verify

    vault.expand_kwargs([{"vault_id": source, "destination_vault_id": destination} for source, destination in VAULTS.items()])

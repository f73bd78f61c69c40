from airflow.sdk import DAG, task

from airflow_cbr.assets import vault_asset
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator

route = {
    "vault_id": "3b5816b5-f29c-4172-9d9a-76c719a659ce",
    "destination_region": "cn-shenzhen-1",
    "destination_project_id": "68589cac08274b82b4e254268a3862d8",
    "destination_vault_id": "0ca3eb86-8800-46da-9c37-9d657a825274",
}
replicas = vault_asset(route["destination_region"], route["destination_project_id"], route["destination_vault_id"])

with DAG("nightly", schedule="@daily", default_args=route) as nightly:
    copies = CbrReplicateCheckpointOperator(task_id="replicate")
    CbrVerifyReplicationOperator(task_id="verify", replication_record_ids=copies.output, outlets=[replicas])

with DAG("after_verified", schedule=replicas) as after_verified:

    @task
    def tell(triggering_asset_events=None):
        for event in triggering_asset_events[replicas]:
            print(event.extra["source"]["vault_id"], event.extra["counts"], event.extra["verified_at"])

    tell()

from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_cbr.operators.cbr import CbrVerifyReplicationOperator
from airflow_cbr.triggers.cbr import CbrReplicationEndedTrigger

vault = {"region": "cn-north-4", "project_id": "4229d7a45436489f8c3dc2b1d35d4987", "vault_id": "3b5816b5-f29c-4172-9d9a-76c719a659ce"}
destination = {
    "destination_region": "cn-shenzhen-1",
    "destination_project_id": "68589cac08274b82b4e254268a3862d8",
    "destination_vault_id": "0ca3eb86-8800-46da-9c37-9d657a825274",
}
copies = Asset("policy_copies", watchers=[AssetWatcher(name="policy_copies", trigger=CbrReplicationEndedTrigger(**vault, **destination))])

with DAG("verify_copies", schedule=copies) as dag:
    CbrVerifyReplicationOperator(task_id="verify", **vault, **destination)

from airflow.sdk import DAG

from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator
from airflow_cbr.sensors.cbr import CbrReplicationSensor

VAULT = "3b5816b5-f29c-4172-9d9a-76c719a659ce"

with DAG("start_and_wait", schedule=None) as dag:
    start = CbrReplicateCheckpointOperator(
        task_id="start",
        vault_id=VAULT,
        destination_region="cn-shenzhen-1",
        destination_project_id="68589cac08274b82b4e254268a3862d8",
        destination_vault_id="0ca3eb86-8800-46da-9c37-9d657a825274",
        wait_for_completion=False,
    )
    CbrReplicationSensor(
        task_id="wait", vault_id=VAULT, replication_record_ids=start.output, mode="reschedule", poke_interval=120, timeout=20 * 3600
    )

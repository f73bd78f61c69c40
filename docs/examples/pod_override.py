from datetime import timedelta

from airflow.sdk import DAG
from kubernetes.client import models as k8s

from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator

ROUTE = {
    "vault_id": "3b5816b5-f29c-4172-9d9a-76c719a659ce",
    "destination_region": "cn-shenzhen-1",
    "destination_project_id": "68589cac08274b82b4e254268a3862d8",
    "destination_vault_id": "0ca3eb86-8800-46da-9c37-9d657a825274",
}
READ_ONLY = k8s.V1Pod(spec=k8s.V1PodSpec(service_account_name="airflow-reader", containers=[k8s.V1Container(name="base")]))

with DAG("least", schedule="0 3 * * *", catchup=False, max_active_runs=1, default_args={**ROUTE, "retries": 3}) as dag:
    replicate = CbrReplicateCheckpointOperator(task_id="replicate", timeout=20 * 3600, retry_delay=timedelta(minutes=5), deferrable=True)
    CbrVerifyReplicationOperator(
        task_id="verify",
        replication_record_ids=replicate.output,
        report_path="/opt/airflow/reports/{{ ds }}.json",
        executor_config={"pod_override": READ_ONLY},
    )

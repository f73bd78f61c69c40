from airflow.sdk import DAG

from airflow_cbr.operators.cbr import CbrPruneOperator

with DAG("prune", schedule="@monthly", catchup=False, max_active_runs=1) as dag:
    CbrPruneOperator(
        task_id="prune",
        vault_id="3b5816b5-f29c-4172-9d9a-76c719a659ce",
        destination_region="cn-shenzhen-1",
        destination_project_id="68589cac08274b82b4e254268a3862d8",
        destination_vault_id="0ca3eb86-8800-46da-9c37-9d657a825274",
        keep_last=3,
        keep_daily=14,
        keep_monthly=12,
        time_zone="Asia/Shanghai",
    )

from airflow.sdk import DAG

from airflow_cbr.operators.cbr import CbrPreflightOperator

with DAG("cbr_first_look", schedule=None) as dag:
    CbrPreflightOperator(
        task_id="preflight",
        vault_id="3b5816b5-f29c-4172-9d9a-76c719a659ce",
        destination_region="cn-shenzhen-1",
        destination_project_id="68589cac08274b82b4e254268a3862d8",
        destination_vault_id="0ca3eb86-8800-46da-9c37-9d657a825274",
    )

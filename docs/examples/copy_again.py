from airflow.sdk import DAG, Param

from airflow_cbr.operators.cbr import CbrReplicateBackupOperator

with DAG("cbr_copy_again", schedule=None, params={"backup_id": Param("", type="string", minLength=1)}) as dag:
    CbrReplicateBackupOperator(
        task_id="copy_again",
        backup_id="{{ params.backup_id }}",
        destination_region="cn-shenzhen-1",
        destination_project_id="68589cac08274b82b4e254268a3862d8",
        destination_vault_id="0ca3eb86-8800-46da-9c37-9d657a825274",
    )

from airflow.sdk import DAG

from airflow_cbr.operators.cbr import CbrVerifyReplicationOperator

with DAG("audit_with_evidence", schedule="0 8 * * *", catchup=False, max_active_runs=1) as dag:
    CbrVerifyReplicationOperator(
        task_id="audit",
        vault_id="3b5816b5-f29c-4172-9d9a-76c719a659ce",
        destination_region="cn-shenzhen-1",
        destination_project_id="68589cac08274b82b4e254268a3862d8",
        destination_vault_id="0ca3eb86-8800-46da-9c37-9d657a825274",
        max_age=24 * 3600,
        evidence_path="/srv/backup-evidence",
        evidence_conn_id="backup_evidence_key",
        retries=2,
    )

"""Replicate a vault every night, and verify the copies.

1. `replicate` looks at the source vault, asks CBR to copy what has no copy yet, and follows each copy to its end. It is safe to retry, to
   clear and to kill: before anything is sent, it looks at what the service has done already.
2. `verify` runs even if `replicate` failed, and reads both regions: every copy must be recorded as a success at the source and must
   exist at the destination. When nothing was copied tonight, it checks the newest backup of each resource.
3. `batches` and `verify_batch` do the same check in batches of at most 100 record ids, one mapped task each, so that a long night can be
   read, and retried, in parts. Mapping over batches also stays below Airflow's limit for mapped lists (`[core] max_map_length`).

To run it against your own vaults, set the connection `huaweicloud_cbr_default` and the params; nothing else needs to change.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param, task

from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator

BATCH_SIZE = 100
# The form of an id, and of a region's, as the service writes them.
ID = "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"
REGION = "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"

with DAG(
    dag_id="cbr_nightly_replication",
    dag_display_name="CBR: replicate and verify a vault",
    doc_md=__doc__,
    description="Replicate the backups of a CBR vault to another region and verify the copies.",
    # Every night, after the backups are made. The task's `timeout` is below this interval: one night never meets the next.
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # CBR replicates a vault once at a time.
    max_active_runs=1,
    default_args={
        "owner": "backup",
        "retries": 3,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
        "cbr_conn_id": "huaweicloud_cbr_default",
    },
    # Change these for your vaults; one run may be given others in the form of "Trigger Dag".
    params={
        "vault_id": Param(
            "3b5816b5-f29c-4172-9d9a-76c719a659ce",
            type="string",
            title="Source vault",
            pattern=ID,
            description="Id of the vault whose backups are copied.",
        ),
        "destination_region": Param(
            "cn-shenzhen-1",
            type="string",
            title="Destination region",
            pattern=REGION,
            description="Id of the region that the copies go to, for example cn-shenzhen-1.",
        ),
        "destination_project_id": Param(
            "68589cac08274b82b4e254268a3862d8",
            type="string",
            title="Destination project",
            pattern=ID,
            description="Id of the project in the destination region.",
        ),
        "destination_vault_id": Param(
            "0ca3eb86-8800-46da-9c37-9d657a825274",
            type="string",
            title="Destination vault",
            pattern=ID,
            description="Id of the replication vault in that project.",
        ),
    },
    tags=["backup", "cbr", "cbr:replicate", "cbr:verify"],
) as dag:
    replicate = CbrReplicateCheckpointOperator(
        task_id="replicate",
        doc_md="One replicate call for the vault, then wait. `return_value`: the replication record ids of this run.",
        vault_id="{{ params.vault_id }}",
        destination_region="{{ params.destination_region }}",
        destination_project_id="{{ params.destination_project_id }}",
        destination_vault_id="{{ params.destination_vault_id }}",
        timeout=20 * 3600,
    )

    verify = CbrVerifyReplicationOperator(
        task_id="verify",
        doc_md="Both sides, all records of this run. Fails when a copy is missing, even if `replicate` failed half-way.",
        replication_record_ids=replicate.output,
        vault_id="{{ params.vault_id }}",
        destination_region="{{ params.destination_region }}",
        destination_project_id="{{ params.destination_project_id }}",
        destination_vault_id="{{ params.destination_vault_id }}",
        trigger_rule="all_done",
    )

    @task
    def batches(record_ids: list[str]) -> list[list[str]]:
        """Cut the record ids into batches; an empty night has no batch, and its mapped task is skipped."""
        return [record_ids[start : start + BATCH_SIZE] for start in range(0, len(record_ids), BATCH_SIZE)]

    verify_batch = CbrVerifyReplicationOperator.partial(
        task_id="verify_batch",
        doc_md="The same check, one mapped task for each batch of record ids.",
        vault_id="{{ params.vault_id }}",
        destination_region="{{ params.destination_region }}",
        destination_project_id="{{ params.destination_project_id }}",
        destination_vault_id="{{ params.destination_vault_id }}",
    ).expand(replication_record_ids=batches(replicate.output))  # type: ignore[arg-type]

"""The whole night of one vault: preflight, checkpoint, replicate, verify.

1. `preflight` reads both regions and reports, before anything is started or paid for, everything that would make the night fail, and how
   much will be copied, tonight's backups among it.
2. `checkpoint` backs up the vault and waits until every backup is available. A retry finds the checkpoint again and makes no second one;
   a resource that the service skipped fails the task.
3. `replicate` copies what has no copy yet, tonight's backups among them.
4. `verify` runs even if another task failed, and judges both sides: the records of this run, their replicas, whether every resource of
   the vault has a verified replica of its newest backup, how old that is, and whether the destination has room for the next night.

All of them wait deferred. Where CBR's own backup policy makes the backups, use `cbr_nightly_replication` instead: it has no checkpoint.

To run it against your own vaults, set the connection `huaweicloud_cbr_default` and the params; nothing else needs to change.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param, chain

from airflow_cbr.operators.cbr import (
    CbrCreateCheckpointOperator,
    CbrPreflightOperator,
    CbrReplicateCheckpointOperator,
    CbrVerifyReplicationOperator,
)

DAY = 24 * 3600
# The form of an id, and of a region's, as the service writes them.
ID = "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"
REGION = "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"

with DAG(
    dag_id="cbr_nightly_chain",
    dag_display_name="CBR: back up, replicate and verify a vault",
    doc_md=__doc__,
    description="Back up a CBR vault, replicate it to another region, and verify the copies.",
    schedule="0 1 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # CBR backs up and replicates a vault once at a time.
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
    tags=["backup", "cbr", "cbr:checkpoint", "cbr:replicate", "cbr:verify"],
) as dag:
    preflight = CbrPreflightOperator(
        task_id="preflight",
        doc_md="Reads only. Fails with everything that would be refused; says how many GB would be copied, tonight's backups among them.",
        vault_id="{{ params.vault_id }}",
        destination_region="{{ params.destination_region }}",
        destination_project_id="{{ params.destination_project_id }}",
        destination_vault_id="{{ params.destination_vault_id }}",
        # The next task makes one backup of each resource, and the copy takes these too: what is said here is what is paid for.
        with_checkpoint=True,
    )

    checkpoint = CbrCreateCheckpointOperator(
        task_id="checkpoint",
        doc_md="One backup of each resource. `return_value`: the checkpoint's id.",
        vault_id="{{ params.vault_id }}",
        deferrable=True,
        timeout=6 * 3600,
    )

    replicate = CbrReplicateCheckpointOperator(
        task_id="replicate",
        doc_md="One replicate call for the vault, then wait. `return_value`: the replication record ids of this run.",
        vault_id="{{ params.vault_id }}",
        destination_region="{{ params.destination_region }}",
        destination_project_id="{{ params.destination_project_id }}",
        destination_vault_id="{{ params.destination_vault_id }}",
        deferrable=True,
        timeout=16 * 3600,
    )

    verify = CbrVerifyReplicationOperator(
        task_id="verify",
        doc_md="Both sides. Fails when a copy is missing; too little room for the next night is a warning.",
        vault_id="{{ params.vault_id }}",
        destination_region="{{ params.destination_region }}",
        destination_project_id="{{ params.destination_project_id }}",
        destination_vault_id="{{ params.destination_vault_id }}",
        replication_record_ids=replicate.output,
        levels={"record": "fail", "replica": "fail", "coverage": "fail", "rpo": "fail", "vault": "warn"},
        # Tonight's backup may be a day old before the next night's is copied.
        max_age=2 * DAY,
        deferrable=True,
        trigger_rule="all_done",
    )

    chain(preflight, checkpoint, replicate, verify)

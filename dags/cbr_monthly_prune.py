"""Verify the replicas of a vault, then delete the backups and replicas that no keep rule keeps.

`verify` judges every backup of the vault and its replica. Only if all is well does `prune` run. It verifies once more by itself, makes a
plan, and, as long as the param `plan_only` is true, logs it and deletes nothing: read the lines of `prune`, and then set `plan_only` to
false, in the form of "Trigger Dag" or below.

What is kept: of each resource the newest backup of each of the last days, weeks, months and years, by the calendar of the time zone.
Whatever these rules say, a backup without a verified replica stays, and so does the last verified replica of a resource.

To run it against your own vaults, set the connection `huaweicloud_cbr_default` and the params; nothing else needs to change.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param

from airflow_cbr.operators.cbr import CbrPruneOperator, CbrVerifyReplicationOperator

# The form of an id, and of a region's, as the service writes them.
ID = "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"
REGION = "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"

with DAG(
    dag_id="cbr_monthly_prune",
    dag_display_name="CBR: prune a vault and its replicas",
    doc_md=__doc__,
    description="Verify the replicas of a CBR vault, then delete what no keep rule keeps; plan first.",
    # On the first of each month, after the night's copies.
    schedule="0 12 1 * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "backup", "retries": 2, "retry_delay": timedelta(minutes=15), "cbr_conn_id": "huaweicloud_cbr_default"},
    params={
        "vault_id": Param(
            "3b5816b5-f29c-4172-9d9a-76c719a659ce", type="string", title="Source vault", pattern=ID, description="Source vault."
        ),
        "destination_region": Param(
            "cn-shenzhen-1", type="string", title="Destination region", pattern=REGION, description="Region of the replicas."
        ),
        "destination_project_id": Param(
            "68589cac08274b82b4e254268a3862d8",
            type="string",
            title="Destination project",
            pattern=ID,
            description="Project in that region.",
        ),
        "destination_vault_id": Param(
            "0ca3eb86-8800-46da-9c37-9d657a825274",
            type="string",
            title="Destination vault",
            pattern=ID,
            description="Replication vault there.",
        ),
        "plan_only": Param(True, type="boolean", title="Plan only", description="True: say what would be deleted, and delete nothing."),
        "keep_daily": Param(14, type="integer", minimum=0, title="Days", description="Days of which the newest backup stays."),
        "keep_weekly": Param(8, type="integer", minimum=0, title="Weeks", description="Weeks of which the newest backup stays."),
        "keep_monthly": Param(12, type="integer", minimum=0, title="Months", description="Months of which the newest backup stays."),
        "keep_yearly": Param(3, type="integer", minimum=0, title="Years", description="Years of which the newest backup stays."),
        "time_zone": Param(
            "Asia/Shanghai",
            type="string",
            title="Time zone",
            pattern="^[A-Za-z0-9_+/-]+$",
            description="Where days, weeks, months and years begin.",
        ),
    },
    tags=["backup", "cbr", "cbr:verify", "cbr:prune"],
) as dag:
    where: dict[str, Any] = {
        "vault_id": "{{ params.vault_id }}",
        "destination_region": "{{ params.destination_region }}",
        "destination_project_id": "{{ params.destination_project_id }}",
        "destination_vault_id": "{{ params.destination_vault_id }}",
    }
    verify = CbrVerifyReplicationOperator(
        task_id="verify",
        doc_md="Every backup of the vault, at both sides. Fails when one has no good replica: then nothing is pruned.",
        scope="all",
        **where,
    )
    prune = CbrPruneOperator(
        task_id="prune",
        doc_md="What no keep rule keeps. With `plan_only` nothing is deleted; the XCom `prune` says what would be.",
        plan_only="{{ params.plan_only }}",
        keep_last=3,
        keep_daily="{{ params.keep_daily }}",
        keep_weekly="{{ params.keep_weekly }}",
        keep_monthly="{{ params.keep_monthly }}",
        keep_yearly="{{ params.keep_yearly }}",
        time_zone="{{ params.time_zone }}",
        # Younger than a week: whatever the rules say, it stays.
        min_age=timedelta(days=7),
        max_deletions=500,
        **where,
    )
    verify >> prune

"""Judge the copies of many vaults, without replicating anything.

`audit` is mapped over the param `vaults`. It needs no record ids: it reads each source vault and its destination, and judges what is
there, whoever copied it: this package, CBR's own replication policy, or a person. Every backup gets a verdict, and every resource of the
vault must have a verified replica that is not older than `max_age_hours`.

What a violation does is set by level. Here a vault that is not locked, or has no room for another night, is a warning; everything else
fails the task. The report of each vault is in its XCom `verification`, or, of more than 1,000 backups, in the file that is named there.

To run it against your own vaults, set the connection `huaweicloud_cbr_default` and the param `vaults`; nothing else needs to change.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task

from airflow_cbr.operators.cbr import CbrVerifyReplicationOperator

# The form of an id, and of a region's, as the service writes them.
ID = "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"
REGION = "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"

with DAG(
    dag_id="cbr_audit",
    dag_display_name="CBR: audit the replicas of many vaults",
    doc_md=__doc__,
    description="Judge the replicas of many CBR vaults: complete, recent enough, and in a suitable vault.",
    # In the morning, when the night's copies have ended.
    schedule="0 8 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    # How many vaults are read at once; a deferred task is not among them.
    max_active_tasks=8,
    default_args={"owner": "backup", "retries": 2, "retry_delay": timedelta(minutes=5), "cbr_conn_id": "huaweicloud_cbr_default"},
    # Change these for your vaults; one run may be given others in the form of "Trigger Dag".
    params={
        "vaults": Param(
            [
                {
                    "vault_id": "3b5816b5-f29c-4172-9d9a-76c719a659ce",
                    "destination_region": "cn-shenzhen-1",
                    "destination_project_id": "68589cac08274b82b4e254268a3862d8",
                    "destination_vault_id": "0ca3eb86-8800-46da-9c37-9d657a825274",
                }
            ],
            type="array",
            minItems=1,
            # `[core] max_map_length` is the most that Airflow maps over.
            maxItems=1024,
            items={
                "type": "object",
                "required": ["vault_id", "destination_region", "destination_project_id", "destination_vault_id"],
                "properties": {
                    "vault_id": {"type": "string", "pattern": ID},
                    "destination_region": {"type": "string", "pattern": REGION},
                    "destination_project_id": {"type": "string", "pattern": ID},
                    "destination_vault_id": {"type": "string", "pattern": ID},
                },
                "additionalProperties": {"type": "string"},
            },
            title="Vaults",
            description="Source vaults with their destinations; an entry may name region, project_id and connections of its own too.",
        ),
        "max_age_hours": Param(
            36,
            type="number",
            exclusiveMinimum=0,
            title="Greatest age in hours",
            description="How old the newest verified replica of each resource may be.",
        ),
    },
    tags=["backup", "cbr", "cbr:audit", "cbr:many-vaults"],
) as dag:

    @task(retries=0)
    def targets() -> list[dict[str, Any]]:
        """Return the arguments of each audit: its vaults, and the greatest age in seconds."""
        params = get_current_context()["params"]
        return [{**vault, "max_age": params["max_age_hours"] * 3600} for vault in params["vaults"]]

    audit = CbrVerifyReplicationOperator.partial(
        task_id="audit",
        doc_md="Every backup of the vault, at both sides. Fails when one has no good replica, or a resource's newest is too old.",
        map_index_template="{{ task.pair }}",
        levels={"record": "fail", "replica": "fail", "coverage": "fail", "rpo": "fail", "vault": "warn"},
        scope="all",
        require_locked=True,
    ).expand_kwargs(targets())

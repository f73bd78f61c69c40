"""Replicate many vaults every night, each in its own instance of a mapped task group.

The group `vault` is mapped over the param `vaults`, a list with one entry per source vault. For each of them:

1. `replicate` makes one replicate call for the vault and waits *deferred*: it holds no worker slot while the copies run.
2. `verify` follows its own `replicate`, not those of the other vaults. It runs even if that failed, and checks at both sides the newest
   eligible backup of each resource.

CBR replicates a vault once at a time, and answers a second call with an error; so does a destination vault that is full. Two settings
respect that:

- `max_active_runs=1`: last night's run and tonight's never replicate the same vault together.
- `max_active_tasks` limits how many tasks of the run look and call at the same moment. On every supported Airflow it does not count a
  deferred task, so all vaults wait together. (`max_active_tis_per_dag` would: from Airflow 3.2 on it counts deferred tasks, and only so
  many vaults would copy at once.) To limit it over several Dags, give both tasks a pool whose `include_deferred` is off.

No vault may be in the list twice: `check_vaults` fails before anything is sent if one is.

To run it against your own vaults, set the connection `huaweicloud_cbr_default` and the param `vaults`; nothing else needs to change.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task, task_group

from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator

# What an entry of the list names, and what it may leave out.
REQUIRED = ["vault_id", "destination_region", "destination_project_id", "destination_vault_id"]
DEFAULTS = {"cbr_conn_id": "huaweicloud_cbr_default", "destination_conn_id": None, "region": None, "project_id": None}
# The form of an id, and of a region's, as the service writes them.
ID = "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"
REGION = "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"

with DAG(
    dag_id="cbr_many_vaults",
    dag_display_name="CBR: replicate and verify many vaults",
    doc_md=__doc__,
    description="Replicate many CBR vaults to other regions, deferred, and verify the copies.",
    # Every night, after the backups are made. The tasks' `timeout` is below this interval: one night never meets the next.
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    max_active_tasks=16,
    default_args={
        "owner": "backup",
        "retries": 3,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
    },
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
                "required": REQUIRED,
                "properties": {
                    "vault_id": {"type": "string", "pattern": ID},
                    "destination_region": {"type": "string", "pattern": REGION},
                    "destination_project_id": {"type": "string", "pattern": ID},
                    "destination_vault_id": {"type": "string", "pattern": ID},
                    **{name: {"type": "string"} for name in DEFAULTS},
                },
                "additionalProperties": False,
            },
            title="Vaults",
            description="Source vaults with their destinations; an entry may name region, project_id and cbr_conn_id of its source too, "
            "and destination_conn_id.",
        )
    },
    tags=["backup", "cbr", "cbr:replicate", "cbr:verify", "cbr:many-vaults"],
) as dag:

    @task(retries=0)
    def check_vaults() -> list[dict[str, Any]]:
        """Return the vaults with all that a task takes of them; none may be there twice."""
        vaults: list[dict[str, Any]] = get_current_context()["params"]["vaults"]
        ids = [vault["vault_id"] for vault in vaults]
        twice = sorted({vault_id for vault_id in ids if ids.count(vault_id) > 1})
        if twice:
            raise ValueError(f"These vaults are in the list more than once: {', '.join(twice)}")
        return [{**DEFAULTS, **vault} for vault in vaults]

    @task_group(group_id="vault", prefix_group_id=False)
    def vault(
        vault_id: str,
        destination_region: str,
        destination_project_id: str,
        destination_vault_id: str,
        cbr_conn_id: str,
        destination_conn_id: str | None,
        region: str | None,
        project_id: str | None,
    ) -> None:
        """Replicate one vault, and verify it."""
        way: dict[str, Any] = {
            "vault_id": vault_id,
            "destination_region": destination_region,
            "destination_project_id": destination_project_id,
            "destination_vault_id": destination_vault_id,
            "cbr_conn_id": cbr_conn_id,
            "destination_conn_id": destination_conn_id,
            "region": region,
            "project_id": project_id,
        }
        replicate = CbrReplicateCheckpointOperator(
            task_id="replicate",
            doc_md="One replicate call for the vault, then a deferred wait. `return_value`: the replication record ids of this run.",
            map_index_template="{{ task.pair }}",
            deferrable=True,
            timeout=20 * 3600,
            **way,
        )
        verify = CbrVerifyReplicationOperator(
            task_id="verify",
            doc_md="Both sides, the newest eligible backup of each resource. Fails when a copy is missing, even if `replicate` failed.",
            map_index_template="{{ task.pair }}",
            replication_record_ids=[],
            trigger_rule="all_done",
            **way,
        )
        replicate >> verify

    vault.expand_kwargs(check_vaults())

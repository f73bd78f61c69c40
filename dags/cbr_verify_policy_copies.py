"""Verify what a replication policy of CBR has copied, as soon as the copies have ended.

Nothing here replicates. CBR's own policy, or whoever else, copies the vault when it likes; a watcher in the triggerer looks at the vault
every five minutes and notices when copies have ended. Then this Dag runs:

1. `ended` takes the replication records out of the events that started the run.
2. `verify` judges them at both sides, and fails when a copy failed, or when its replica is not there or not right.

A run that is started by hand has no events; it verifies the newest backup of each resource.

`verify` names the replica vault as its outlet. A Dag that is scheduled on `replicas` runs when copies *were verified*. That must be another
asset than the one that is watched, or this Dag would start itself.

To run it against your own vaults, set the connection `huaweicloud_cbr_default` and the ids below, and then unpause the Dag. The ids are no
params: the triggerer watches whether or not a run exists.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_cbr.assets import vault_asset
from airflow_cbr.operators.cbr import CbrVerifyReplicationOperator
from airflow_cbr.triggers.cbr import CbrReplicationEndedTrigger

# Change these for your vaults.
REGION = "cn-north-4"
PROJECT_ID = "4229d7a45436489f8c3dc2b1d35d4987"
VAULT_ID = "3b5816b5-f29c-4172-9d9a-76c719a659ce"
DESTINATION_REGION = "cn-shenzhen-1"
DESTINATION_PROJECT_ID = "68589cac08274b82b4e254268a3862d8"
DESTINATION_VAULT_ID = "0ca3eb86-8800-46da-9c37-9d657a825274"

watcher = AssetWatcher(
    name="cbr_policy_copies",
    trigger=CbrReplicationEndedTrigger(
        cbr_conn_id="huaweicloud_cbr_default",
        region=REGION,
        project_id=PROJECT_ID,
        vault_id=VAULT_ID,
        destination_region=DESTINATION_REGION,
        destination_project_id=DESTINATION_PROJECT_ID,
        destination_vault_id=DESTINATION_VAULT_ID,
    ),
)
copies = Asset("cbr_policy_copies", watchers=[watcher])
replicas = vault_asset(DESTINATION_REGION, DESTINATION_PROJECT_ID, DESTINATION_VAULT_ID)

with DAG(
    dag_id="cbr_verify_policy_copies",
    dag_display_name="CBR: verify what a policy copied",
    doc_md=__doc__,
    description="Verify the copies that a replication policy of CBR has made, when they have ended.",
    schedule=copies,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # As long as it is paused, nothing is watched.
    is_paused_upon_creation=True,
    default_args={"owner": "backup", "retries": 3, "retry_delay": timedelta(minutes=5), "cbr_conn_id": "huaweicloud_cbr_default"},
    tags=["backup", "cbr", "cbr:verify"],
) as dag:

    @task(doc_md="The records whose end started this run; none when a person did.")
    def ended(triggering_asset_events: Any = None) -> list[str]:
        """Return the replication records that the events name."""
        events = [event for of_asset in (triggering_asset_events or {}).values() for event in of_asset]
        return [record for event in events for record in event.extra.get("payload", {}).get("replication_record_ids", [])]

    verify = CbrVerifyReplicationOperator(
        task_id="verify",
        doc_md="Each copy at both sides. Fails when one has no good replica.",
        vault_id=VAULT_ID,
        replication_record_ids=ended(),
        destination_region=DESTINATION_REGION,
        destination_project_id=DESTINATION_PROJECT_ID,
        destination_vault_id=DESTINATION_VAULT_ID,
        region=REGION,
        project_id=PROJECT_ID,
        deferrable=True,
        outlets=[replicas],
    )

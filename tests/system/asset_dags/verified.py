"""Dags of the test of assets: one verifies what somebody else copied, the other runs when copies were verified."""

from __future__ import annotations

import json
import os
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_cbr.assets import vault_asset
from airflow_cbr.emulator.world import SOURCE_PROJECT
from airflow_cbr.operators.cbr import CbrVerifyReplicationOperator
from airflow_cbr.triggers.cbr import CbrReplicationEndedTrigger

route: dict[str, Any] = json.loads(os.environ["CBR_ROUTE"])
source: dict[str, Any] = {"region": "cn-north-4", "project_id": SOURCE_PROJECT, "cbr_conn_id": "cbr_assets"}

trigger = CbrReplicationEndedTrigger(**source, **route, poll_interval=1, hold=120)
copies = Asset("copies", watchers=[AssetWatcher(name="copies", trigger=trigger)])
replicas = vault_asset(route["destination_region"], route["destination_project_id"], route["destination_vault_id"])

with DAG("verify_copies", schedule=copies):

    @task
    def ended(triggering_asset_events: Any = None) -> list[str]:
        """Return the records of the events."""
        events = [event for of_asset in triggering_asset_events.values() for event in of_asset]
        return [record for event in events for record in event.extra["payload"]["replication_record_ids"]]

    CbrVerifyReplicationOperator(
        task_id="verify",
        **source,
        **route,
        replication_record_ids=ended(),
        deferrable=True,
        settle_timeout=2,
        poll_interval=1,
        outlets=[replicas],
    )

with DAG("after_verified", schedule=replicas):

    @task
    def told(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        """Return what the events say."""
        return [event.extra for of_asset in triggering_asset_events.values() for event in of_asset]

    told()

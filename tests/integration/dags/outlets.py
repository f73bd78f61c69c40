"""Tasks with outlets: with a replication before them, and without one."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, AssetAlias

from airflow_cbr.assets import vault_asset
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator
from tests.support.task_run import IDS

REPLICAS = vault_asset(IDS["destination_region"], IDS["destination_project_id"], IDS["destination_vault_id"])


def verifications() -> list[CbrVerifyReplicationOperator]:
    """Return one that fails without replicas, and one that only warns."""
    aliased = [REPLICAS, AssetAlias("replicas")]
    return [
        CbrVerifyReplicationOperator(task_id="verify", **IDS, outlets=[REPLICAS]),
        CbrVerifyReplicationOperator(task_id="warns", **IDS, outlets=aliased, levels={"replica": "warn"}),
    ]


with DAG("outlets_without_copies", schedule=None) as without_copies:
    verifications()

with DAG("outlets_with_copies", schedule=None) as with_copies:
    quick: dict[str, Any] = {"poll_interval": 0.1, "max_poll_interval": 0.2, "settle_time": 1.0}
    CbrReplicateCheckpointOperator(task_id="replicate", **IDS, **quick, outlets=[REPLICAS]) >> verifications()

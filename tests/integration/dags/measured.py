"""A task of each kind that sends metrics, with intervals that suit short copies. The ids are those of the emulator's default world."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import DAG

from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator
from airflow_cbr.sensors.cbr import CbrReplicationSensor

VAULT = "3b5816b5-f29c-4172-9d9a-76c719a659ce"
THERE: dict[str, Any] = {
    "destination_region": "cn-shenzhen-1",
    "destination_project_id": "68589cac08274b82b4e254268a3862d8",
    "destination_vault_id": "0ca3eb86-8800-46da-9c37-9d657a825274",
}

with DAG("measured", schedule=None):
    CbrReplicateCheckpointOperator(
        task_id="replicate", vault_id=VAULT, **THERE, poll_interval=0.1, max_poll_interval=0.2, settle_time=1, retries=0
    )
    CbrVerifyReplicationOperator(task_id="verify", vault_id=VAULT, **THERE)
    CbrReplicationSensor(
        task_id="wait", vault_id=VAULT, replication_record_ids=os.environ.get("RECORDS", "").split(), poke_interval=0.1, timeout=60
    )

"""The rehearsal of the tutorial: a reader's own vault pair on the emulator comes to a verified copy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_cbr.emulator.server import connection_json
from airflow_cbr.emulator.world import load_world
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator
from tests.support.emulator import EmulatorServer
from tests.support.task_run import TaskRun

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ["tutorial/first-vault.md", "zh/quick-start.md"]


def given_ids(page: str) -> dict[str, Any]:
    """Return the params that the page runs the Dag with."""
    (params,) = re.findall(r"airflow dags test cbr_nightly_replication --conf '(\{.*?\})'", (DOCS / page).read_text(), re.DOTALL)
    ids: dict[str, Any] = json.loads(params)
    return ids


@pytest.mark.parametrize("page", PAGES)
def test_the_readers_own_vaults_are_copied_once_and_verified(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = load_world(DOCS / "examples/my-vaults.json")
    world.switches.queue_seconds = world.switches.copy_seconds = 0.1
    ids = given_ids(page)
    with EmulatorServer(world) as emulator:
        monkeypatch.setenv("AIRFLOW_CONN_HUAWEICLOUD_CBR_DEFAULT", connection_json(world, emulator.url))
        quick: dict[str, Any] = {"poll_interval": 0.1, "max_poll_interval": 0.2, "settle_time": 1.0, "timeout": 60.0}
        replicate = TaskRun(CbrReplicateCheckpointOperator(task_id="replicate", **ids, **quick))
        records = replicate.attempt()
        verdict = TaskRun(CbrVerifyReplicationOperator(task_id="verify", **ids, replication_record_ids=records)).attempt()

        assert "4 of 4 eligible backups are there: 4 copied now" in replicate.lines[-1]
        assert (verdict["verdict"], verdict["verified"]) == ("verified", 4)
        again = TaskRun(CbrReplicateCheckpointOperator(task_id="replicate", **ids, **quick))
        assert again.attempt() == []
        assert len(emulator.control.ledger()["replications"]) == 4

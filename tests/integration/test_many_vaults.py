"""The example Dag that maps over many vaults, unchanged but for its intervals, through ``dag.test()``."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.world import DESTINATION_PROJECT, SOURCE_PROJECT
from airflow_cbr.waiting import watch
from tests.integration.test_example_dag import Ran, load
from tests.support.task_run import IDS

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from tests.support.emulator import EmulatorServer

pytestmark = pytest.mark.db

EXAMPLE = Path(__file__).resolve().parents[2] / "dags" / "cbr_many_vaults.py"


@pytest.fixture
def dag(monkeypatch: pytest.MonkeyPatch) -> DAG:
    """Return the example Dag with intervals that suit short copies."""
    monkeypatch.setattr(watch, "FIRST_LOOK_AFTER", 0.2)
    monkeypatch.setattr(watch, "_SPREAD", 0.1)
    monkeypatch.setattr(watch, "SHORTEST_GAP", 0.1)
    dag: DAG = load(EXAMPLE).dag
    replicate: Any = dag.get_task("replicate")
    replicate.poll_interval, replicate.max_poll_interval, replicate.settle_time = 0.2, 0.4, 1.0
    for task_id in ("replicate", "verify"):
        task = dag.get_task(task_id)
        task.retries, task.retry_delay = 0, timedelta(0)
    return dag


def pairs(emulator: EmulatorServer, count: int) -> list[dict[str, str]]:
    """Make vaults of two backups each, with a destination each."""
    made = []
    for _ in range(count):
        source = emulator.control.add_vault(project_id=SOURCE_PROJECT, generate={"count": 2, "size": 1})["id"]
        destination = emulator.control.add_vault(project_id=DESTINATION_PROJECT, protect_type="replication")["id"]
        made.append(IDS | {"vault_id": source, "destination_vault_id": destination})
    return made


def test_every_vault_is_replicated_once_waited_for_deferred_and_verified(
    emulator: EmulatorServer, dag: DAG, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator.control.switch(copy_seconds=1.5)
    vaults = pairs(emulator, 3)
    night = Ran(dag, vaults=vaults)
    assert night.state() == "success"
    assert night.states("replicate") == ["success"] * 3
    ledger = emulator.control.ledger()
    assert Counter(call["vault_id"] for call in ledger["calls"]) == dict.fromkeys([vault["vault_id"] for vault in vaults], 1)
    assert len(ledger["replications"]) == 6
    assert ledger["duplicates"] == []
    for place, vault in enumerate(vaults):
        assert len(night.xcom("replicate", map_index=place)) == 2
        assert night.xcom("replicate", "replication", map_index=place)["source"]["vault_id"] == vault["vault_id"]
        assert night.xcom("verify", map_index=place)["verified"] == 2
    assert "Deferring the task. These replication records keep running in CBR" in capsys.readouterr().out


@pytest.mark.full
def test_one_bad_vault_does_not_hold_up_the_others(emulator: EmulatorServer, dag: DAG) -> None:
    vaults = pairs(emulator, 2)
    emulator.control.fault("copy_fails", vault_id=vaults[0]["vault_id"], count=None)
    night = Ran(dag, vaults=vaults)
    assert night.state() == "failed"
    assert night.states("replicate") == ["failed", "success"]
    assert night.states("verify") == ["failed", "success"]
    assert night.xcom("verify", map_index=1)["verified"] == 2


def test_a_vault_that_is_there_twice_sends_nothing(emulator: EmulatorServer, dag: DAG) -> None:
    (vault,) = pairs(emulator, 1)
    night = Ran(dag, vaults=[vault, vault])
    assert night.states("check_vaults") == ["failed"]
    assert emulator.control.ledger()["calls"] == []


def test_the_example_respects_what_the_service_can_take() -> None:
    module = load(EXAMPLE)
    dag: DAG = module.dag
    replicate: Any = dag.get_task("replicate")
    assert (dag.max_active_runs, dag.catchup, dag.doc_md) == (1, False, module.__doc__)
    assert dag.max_active_tasks == 16
    assert replicate.deferrable is True
    assert replicate.timeout < timedelta(days=1).total_seconds()
    for one in dag.tasks:
        # From Airflow 3.2 on these count deferred tasks, and would let only so many vaults wait at once.
        assert (one.max_active_tis_per_dag, one.max_active_tis_per_dagrun) == (None, None)
    assert dag.params["vaults"] == [IDS]

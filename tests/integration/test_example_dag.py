"""The example Dag, unchanged but for its intervals, through ``dag.test()``: Airflow renders, maps, passes XComs and retries for real."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.world import BACKUPS, SOURCE_PROJECT
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator
from tests.support.task_run import IDS, set_connection, set_password_connection

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from tests.support.emulator import EmulatorServer

pytestmark = pytest.mark.db

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent.parent / "dags" / "cbr_nightly_replication.py"
MAPPED = HERE / "dags" / "mapped_replication.py"


def load(file: Path = EXAMPLE) -> Any:
    """Import a Dag file anew, as the Dag processor does."""
    spec = importlib.util.spec_from_file_location(f"loaded_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def dag() -> DAG:
    """Return the example Dag with intervals that suit short copies."""
    dag: DAG = load().dag
    replicate = dag.get_task("replicate")
    assert isinstance(replicate, CbrReplicateCheckpointOperator)
    replicate.poll_interval, replicate.max_poll_interval, replicate.settle_time = 0.1, 0.2, 1.0
    for task in dag.tasks:
        task.retry_delay = timedelta(seconds=0)
    return dag


class Ran:
    """A finished run of a Dag.

    :param dag: the Dag.
    :param conf: Dag params that differ.
    """

    def __init__(self, dag: DAG, **conf: Any) -> None:
        self.run = dag.test(run_conf=conf or None)

    def state(self) -> str:
        """Return the state of the run."""
        return str(self.run.state)

    def states(self, task_id: str) -> list[str]:
        """Return the state of each mapped instance of a task."""
        instances = sorted((ti for ti in self.run.get_task_instances() if ti.task_id == task_id), key=lambda ti: ti.map_index)
        return [str(ti.state) for ti in instances]

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return an XCom as another task of the run would get it."""
        (ti,) = [one for one in self.run.get_task_instances() if (one.task_id, one.map_index) == (task_id, map_index)]
        return ti.xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)


def copies(emulator: EmulatorServer) -> Counter[str]:
    return Counter(entry["backup_id"] for entry in emulator.control.ledger()["replications"])


# --- the example ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["key", pytest.param("password", marks=pytest.mark.full)])
def test_a_night_and_the_next(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, dag: DAG, by: str) -> None:
    (set_connection if by == "key" else set_password_connection)(monkeypatch, emulator.url)
    night = Ran(dag)
    assert night.state() == "success"
    record_ids = night.xcom("replicate")
    assert sorted(record_ids) == sorted(entry["record_id"] for entry in emulator.control.ledger()["replications"])
    assert night.xcom("replicate", "replication")["succeeded"] == 3
    assert night.xcom("verify") == {"verdict": "verified", "verified": 3, "failed": 0, "missing": 0, "skipped": 0}
    assert night.states("verify_batch") == ["success"]
    assert night.xcom("verify_batch", map_index=0)["verified"] == 3
    link = night.xcom("replicate", "_link_CbrVaultLink")
    assert link == "https://console.huaweicloud.com/cbr/?region=cn-north-4"
    if by == "password":
        return
    emulator.control.advance(24 * 3600)
    second = Ran(dag)
    assert second.state() == "success"
    assert second.xcom("replicate") == []
    assert second.states("verify_batch") == ["skipped"]
    assert second.xcom("verify")["verified"] == 3, "given no records it checks the newest backup of each resource"
    assert copies(emulator) == dict.fromkeys(BACKUPS, 1)


def test_a_copy_that_fails_once_is_made_good_by_airflows_own_retry(emulator: EmulatorServer, dag: DAG) -> None:
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0])
    night = Ran(dag)
    assert night.state() == "success"
    assert copies(emulator) == dict.fromkeys(BACKUPS, 1) | {BACKUPS[0]: 2}
    assert night.xcom("verify")["verified"] == 3


def test_a_copy_that_fails_for_good_makes_the_night_red_and_the_others_are_verified(emulator: EmulatorServer, dag: DAG) -> None:
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0], count=None)
    dag.get_task("replicate").retries = 0
    dag.get_task("verify").retries = 0
    night = Ran(dag)
    assert night.state() == "failed"
    assert night.states("replicate") == ["failed"]
    assert len(night.xcom("replicate")) == 3, "the record ids outlive the failure"
    assert night.states("verify") == ["failed"], "the summary runs whatever became of the copies"
    assert night.xcom("verify") == {"verdict": "failed", "verified": 2, "failed": 1, "missing": 0, "skipped": 0}
    assert night.states("verify_batch") == ["upstream_failed"]


def test_params_name_another_vault(emulator: EmulatorServer, dag: DAG) -> None:
    other = emulator.control.add_vault(project_id=SOURCE_PROJECT, generate={"count": 250, "size": 1})["id"]
    emulator.control.switch(copies_at_once=None)
    night = Ran(dag, vault_id=other)
    assert night.state() == "success"
    assert len(night.xcom("replicate")) == 250
    assert night.states("verify_batch") == ["success"] * 3, "batches of at most 100"
    assert [night.xcom("verify_batch", map_index=place)["verified"] for place in range(3)] == [100, 100, 50]
    assert set(copies(emulator)).isdisjoint(BACKUPS)


def test_a_param_that_is_no_id_sends_nothing(emulator: EmulatorServer, dag: DAG) -> None:
    with pytest.raises(Exception, match=r"vault_id: 'x@evil/' does not match"):
        Ran(dag, vault_id="x@evil/")
    assert emulator.control.requests() == {}


def test_the_example_is_what_the_documentation_promises() -> None:
    module = load()
    dag: DAG = module.dag
    replicate = dag.get_task("replicate")
    assert isinstance(replicate, CbrReplicateCheckpointOperator)
    assert (dag.max_active_runs, dag.catchup) == (1, False)
    assert isinstance(replicate.timeout, int)
    assert replicate.timeout < timedelta(days=1).total_seconds(), "below the schedule's interval"
    assert all(task.retries == 3 and task.retry_exponential_backoff for task in dag.tasks)
    assert dag.get_task("verify").trigger_rule == "all_done"
    assert dag.doc_md == module.__doc__
    assert all(task.doc_md for task in dag.tasks if task.task_id != "batches")
    assert {name: dag.params[name] for name in IDS} == IDS


# --- mapping ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mapped() -> Any:
    """Return the module of the mapped Dags."""
    return load(MAPPED)


def test_both_operators_can_be_mapped_over_vaults(emulator: EmulatorServer, mapped: Any) -> None:
    emulator.control.add_vault(id=mapped.SECOND_VAULT, project_id=SOURCE_PROJECT, generate={"count": 2, "size": 1})
    ran = Ran(mapped.over_vaults)
    assert ran.state() == "success"
    assert [len(ran.xcom("replicate", map_index=place)) for place in range(2)] == [3, 2]
    assert ran.xcom("replicate", "replication", map_index=1)["source"]["vault_id"] == mapped.SECOND_VAULT
    # Each resource's newest backup: the second vault has two of them.
    assert [ran.xcom("verify", map_index=place)["verified"] for place in range(2)] == [3, 2]


@pytest.mark.full
def test_the_output_of_replicate_can_be_mapped_over_one_by_one(emulator: EmulatorServer, mapped: Any) -> None:
    ran = Ran(mapped.over_records)
    assert ran.state() == "success"
    assert ran.states("verify") == ["success"] * 3
    assert [ran.xcom("verify", map_index=place)["verified"] for place in range(3)] == [1, 1, 1]
    assert copies(emulator) == dict.fromkeys(BACKUPS, 1)

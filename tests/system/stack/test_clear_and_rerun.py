"""What people do to a task, by hand or by a second run: nothing that CBR has taken on is asked for twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AIRFLOW_VERSION
from airflow_cbr.demo.waiting import wait_until
from airflow_cbr.replication.steps import Step
from tests.support.airflow_batches import connection, trigger_together
from tests.support.airflow_rest import DagRun, trigger
from tests.support.emulated_vaults import make_vaults
from tests.support.emulator import EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.stack import AirflowStack
    from tests.support.emulated_vaults import VaultPair

#: What the request to clear a task may say of the task state store; before Airflow 3.4 it has no say, and the store stays as it is.
# In virtual time: tests/unit/replication/test_cleared_store.py and tests/unit/checkpoints/test_cleared_store.py.
pytestmark = pytest.mark.full

CLEARS: list[dict[str, bool]] = [{}] if AIRFLOW_VERSION < (3, 4) else [{"keep_task_state": False}, {"keep_task_state": True}]
every_clear = pytest.mark.parametrize("clear", CLEARS, ids=str)

NO_CANCEL = "CBR cannot cancel copies; these replication records keep running: "


@pytest.fixture
def slow_vaults(vaults: Callable[..., VaultPair]) -> VaultPair:
    """Return vaults whose copies begin only after a while."""
    pair = vaults(backups=2)
    pair.control.fault("copy_waits", seconds=20, count=None, vault_id=pair.source)
    return pair


def params_of(pair: VaultPair, tmp_path: Path, **more: Any) -> dict[str, Any]:
    return {**pair.params(), "cbr_conn_id": "cbr_aksk", "scars": str(tmp_path / "scars"), **more}


def published(run: DagRun, stack: AirflowStack) -> list[str]:
    """Wait for the record ids, which are there as soon as the service has answered."""
    records: list[str] = wait_until(lambda: run.xcom("replicate"), limit=90, what="the record ids are published", check=stack.check)
    return records


def line_of(text: str, log: str) -> str | None:
    """Return the line of a log that says something, if one does."""
    return next((line for line in log.splitlines() if text in line), None)


def has_noticed_the_end(run: DagRun) -> bool:
    """Return whether Airflow knows that the first attempt has ended."""
    row = run.task("replicate")
    return bool(row["state"] == "up_for_retry" or row["try_number"] > 1)


def check_copied_once(pair: VaultPair, run: DagRun) -> None:
    assert pair.posts() == 1
    assert pair.copied() == pair.backups
    assert sorted(run.xcom("replicate")) == sorted(entry["record_id"] for entry in pair.ledger()["replications"])


@every_clear
@pytest.mark.parametrize("dag_id", ["killed_replication", "killed_replication_deferrable"])
def test_clearing_a_finished_task_sends_nothing(
    dag_id: str, clear: dict[str, bool], api: AirflowApi, vaults: Callable[..., VaultPair], tmp_path: Path
) -> None:
    pair = vaults(backups=2)
    run = trigger(api, dag_id, params_of(pair, tmp_path))
    assert run.wait() == "success"

    run.clear("replicate", **clear)

    assert run.wait() == "success"
    assert run.task("replicate")["try_number"] == 2
    check_copied_once(pair, run)
    assert run.xcom("replicate", "replication")["adopted"] == 2


@every_clear
def test_clearing_a_task_that_waits_on_a_worker_makes_it_wait_again_for_the_same_copies(
    clear: dict[str, bool], stack: AirflowStack, api: AirflowApi, slow_vaults: VaultPair, tmp_path: Path
) -> None:
    run = trigger(api, "killed_replication", params_of(slow_vaults, tmp_path))
    records = published(run, stack)
    run.wait_for_task("replicate", "running")

    run.clear("replicate", **clear)

    assert run.wait(limit=240) == "success"
    assert run.task("replicate")["try_number"] == 2
    assert sorted(run.xcom("replicate")) == sorted(records)
    check_copied_once(slow_vaults, run)


@every_clear
def test_clearing_a_task_that_died_with_its_call_on_the_way_sends_nothing(
    clear: dict[str, bool], stack: AirflowStack, tmp_path: Path
) -> None:
    """The service would copy twice if it were asked twice, and does not show yet that it has been asked."""
    conn_id = f"cbr_cleared_{clear.get('keep_task_state')}".lower()
    with EmulatorServer() as emulator, connection(stack.api, conn_id, emulator.url):
        emulator.control.switch(careless=True, record_delay=15, operation_log_delay=15)
        pair = make_vaults(emulator.control, backups=2)
        scars = tmp_path / "scars"
        killed = {"cbr_conn_id": conn_id, "scars": str(scars), "kills": [f"after {Step.REPLICATE_VAULT} 1"]}
        run = trigger(stack.api, "killed_replication", {**pair.params(), **killed})
        wait_until(scars.exists, limit=90, what="the task dies after its call", check=stack.check)
        # A clear beside the scheduler's own handling of that death can crash it: both write the same row of the task's history.
        wait_until(lambda: has_noticed_the_end(run), limit=90, what="Airflow notices that the task has died", check=stack.check, every=0.3)

        run.clear("replicate", **clear)

        assert run.wait(limit=240) == "success"
        check_copied_once(pair, run)


def test_a_running_task_that_is_marked_failed_says_what_goes_on_and_can_be_picked_up(
    stack: AirflowStack, api: AirflowApi, slow_vaults: VaultPair, tmp_path: Path
) -> None:
    run = trigger(api, "killed_replication", params_of(slow_vaults, tmp_path))
    records = published(run, stack)

    run.mark("replicate", "failed")

    line = wait_until(lambda: line_of(NO_CANCEL, run.log("replicate", tries=1)), limit=60, what="on_kill logs", every=0.5)
    assert sorted(line.partition(NO_CANCEL)[2].split(", ")) == sorted(records)
    assert run.wait() == "failed"
    assert slow_vaults.posts() == 1

    run.clear("replicate")

    assert run.wait(limit=240) == "success"
    check_copied_once(slow_vaults, run)


def test_two_runs_that_send_at_the_same_moment_copy_once(api: AirflowApi, vaults: Callable[..., VaultPair], tmp_path: Path) -> None:
    pair = vaults(backups=2)
    order = ("meeting_replication", {**pair.params(), "cbr_conn_id": "cbr_aksk", "meeting": str(tmp_path)})

    runs = trigger_together(api, [order, order])

    assert [run.wait(limit=240) for run in runs] == ["success", "success"]
    assert {run.task("replicate")["try_number"] for run in runs} == {1}
    assert pair.posts() == 2
    assert pair.copied() == pair.backups
    assert sorted(runs[0].xcom("replicate")) == sorted(runs[1].xcom("replicate"))


def test_two_mapped_tasks_that_send_at_the_same_moment_copy_once(api: AirflowApi, vaults: Callable[..., VaultPair], tmp_path: Path) -> None:
    pair = vaults(backups=2)

    run = trigger(api, "mapped_replication", {**pair.params(), "cbr_conn_id": "cbr_aksk", "meeting": str(tmp_path)})

    assert run.wait(limit=240) == "success"
    assert run.task_states() == {"replicate[0]": "success", "replicate[1]": "success"}
    assert pair.posts() == 2
    assert pair.copied() == pair.backups
    assert sorted(run.xcom("replicate", map_index=0)) == sorted(run.xcom("replicate", map_index=1))


@pytest.mark.parametrize("dag_id", ["forgetful_replication", "forgetful_replication_deferrable"])
def test_without_durability_a_second_attempt_warns_and_copies_twice(dag_id: str, stack: AirflowStack, tmp_path: Path) -> None:
    with EmulatorServer() as emulator, connection(stack.api, f"cbr_{dag_id}", emulator.url) as conn_id:
        emulator.control.switch(careless=True)
        pair = make_vaults(emulator.control, backups=2)
        killed = {"cbr_conn_id": conn_id, "scars": str(tmp_path / "scars"), "kills": [f"after {Step.PUBLISH} 1"]}

        run = trigger(stack.api, dag_id, {**pair.params(), **killed})

        assert run.wait(limit=240) == "success"
        assert run.task("replicate")["try_number"] == 2
        assert "may be started, and billed, again" not in run.log("replicate", tries=1)
        assert "may be started, and billed, again" in run.log("replicate", tries=2)
        assert pair.posts() == 2
        assert pair.copied() == sorted(pair.backups * 2)

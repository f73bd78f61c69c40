"""A task notices its own timeout, whatever the service does to each of its calls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException, AirflowSensorTimeout
from airflow_cbr.checkpoints.state import CheckpointState
from airflow_cbr.checkpoints.steps import CheckpointStep
from airflow_cbr.emulator.world import SOURCE_PROJECT
from airflow_cbr.exceptions import CbrCheckpointTimeoutError, CbrPreflightError, CbrReplicationTimeoutError, CbrTransportError
from airflow_cbr.operators.cbr import CbrCreateCheckpointOperator, CbrReplicateCheckpointOperator
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.replication.steps import Step
from tests.support.slow_relay import SlowRelay, slow_relay
from tests.support.task_run import checkpointing, replicating, set_connection, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import EmulatorServer

RECORD = "474f3e40-7544-46d0-8154-bcd3ca422a5a"


@pytest.fixture
def relay(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowRelay]:
    for module in ("operators.base", "sensors.cbr"):
        monkeypatch.setattr(f"airflow_cbr.{module}.LAST_LOOK", 0.5)
    with slow_relay(emulator.url) as relay:
        # The project is given: what looks it up comes before a task has begun.
        set_connection(monkeypatch, relay.url, project_id=SOURCE_PROJECT)
        yield relay


def dribbling_from(relay: SlowRelay, cls: type[Any], step: Any, nth: int) -> type[Any]:
    """Return an operator before whose step, when it comes for the nth time, answers begin to dribble."""

    class Watched(cls):  # type: ignore[misc]
        reached = 0

        def at_step(self, reached: Any, moment: str) -> None:
            self.reached += (reached, moment) == (step, "before")
            if self.reached == nth:
                relay.dribbling.set()

    return Watched


@pytest.mark.parametrize(
    ("changes", "error"), [({}, CbrTransportError), ({"preflight": True}, CbrPreflightError)], ids=["look", "preflight"]
)
@pytest.mark.parametrize("project_id", [SOURCE_PROJECT, None])
def test_a_task_whose_first_call_dribbles_ends_with_its_timeout(
    relay: SlowRelay, monkeypatch: pytest.MonkeyPatch, project_id: str | None, changes: dict[str, Any], error: type[Exception]
) -> None:
    set_connection(monkeypatch, relay.url, project_id=project_id)
    relay.dribbling.set()
    with pytest.raises(error):
        replicating(timeout=1, **changes).attempt()
    assert not relay.outlasted


@pytest.mark.parametrize(("step", "nth"), [(Step.LOOK, 2), (Step.REPLICATE_VAULT, 1)])
def test_a_replication_whose_calls_dribble_ends_with_its_timeout(relay: SlowRelay, emulator: EmulatorServer, step: Step, nth: int) -> None:
    emulator.control.switch(copy_seconds=3600)
    with pytest.raises(AirflowFailException) as caught:
        replicating(dribbling_from(relay, CbrReplicateCheckpointOperator, step, nth), timeout=3).attempt()
    assert isinstance(caught.value.__cause__, CbrReplicationTimeoutError)
    assert not relay.outlasted
    assert len(emulator.control.ledger()["replications"]) == 3


def test_a_checkpoint_whose_calls_dribble_ends_with_its_timeout(relay: SlowRelay, emulator: EmulatorServer) -> None:
    emulator.control.switch(checkpoint_seconds=3600)
    with pytest.raises(AirflowFailException) as caught:
        checkpointing(dribbling_from(relay, CbrCreateCheckpointOperator, CheckpointStep.LOOK, 2), timeout=3).attempt()
    assert isinstance(caught.value.__cause__, CbrCheckpointTimeoutError)
    assert not relay.outlasted


def test_a_sensor_whose_looks_dribble_ends_with_its_timeout(relay: SlowRelay) -> None:
    relay.dribbling.set()
    with pytest.raises(AirflowSensorTimeout):
        waiting([RECORD], timeout=1).attempt()
    assert not relay.outlasted


# --- after a deferral -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "state", "error"),
    [
        (replicating, ReplicationState(deadline=time.time() - 1, as_of=time.time() - 60), CbrReplicationTimeoutError),
        (checkpointing, CheckpointState(deadline=time.time() - 1, has_looked=True), CbrCheckpointTimeoutError),
    ],
    ids=["replicate", "checkpoint"],
)
def test_a_leg_that_begins_after_the_deadline_takes_one_short_look(relay: SlowRelay, run: Any, state: Any, error: type[Exception]) -> None:
    relay.dribbling.set()
    task_run = run(deferrable=True)
    with pytest.raises(AirflowFailException) as caught:
        task_run.task.execute_complete(task_run.context(), {"wake": "resume", "memory": state.dump()})
    assert isinstance(caught.value.__cause__, error)
    assert not relay.outlasted


def test_a_leg_that_begins_after_the_deadline_still_finds_what_has_ended(emulator: EmulatorServer) -> None:
    done = replicating().attempt()
    run = replicating(deferrable=True)
    state = ReplicationState(deadline=time.time() - 1, adopted=dict.fromkeys(done, ""), as_of=time.time())
    assert run.task.execute_complete(run.context(), {"wake": "deadline", "memory": state.dump()}) == done

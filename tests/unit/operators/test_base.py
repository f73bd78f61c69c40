"""What the operators share: parameters that each names itself, and one loop that waits or defers."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.api.deadline import seconds_left
from airflow_cbr.exceptions import CbrProtocolError, CbrUnavailableError
from airflow_cbr.once.state import AttemptState
from airflow_cbr.once.steps import Pause
from airflow_cbr.operators import base, cbr
from airflow_cbr.sensors.cbr import CbrReplicationSensor
from tests.support.airflow_errors import TaskDeferred

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = 1_700_000_000.0
CLASSES: list[Any] = [*(one for name in cbr.__all__ if inspect.isclass(one := getattr(cbr, name))), CbrReplicationSensor]
OWN_WORDS = {"deferrable": True, "levels": {"record": "fail"}, "poll_interval": 5.0}


def parameters(cls: Any) -> list[str]:
    return [name for name, one in inspect.signature(cls.__init__).parameters.items() if one.kind is inspect.Parameter.KEYWORD_ONLY]


def test_each_operator_names_and_sets_its_parameters_and_all_that_its_bases_read() -> None:
    for cls in CLASSES:
        given = {name: OWN_WORDS.get(name, name) for name in parameters(cls)}
        task = cls(task_id="t", **given)
        assert {name: getattr(task, name) for name in given} == given
        declared = {name for one in cls.__mro__ if one.__module__ == base.__name__ for name in inspect.get_annotations(one)}
        assert {name for name in declared if not hasattr(task, name)} == set(), cls
        assert set(cls.template_fields) <= set(given), cls


def test_templates_are_rendered_in_what_always_was_templated() -> None:
    between = "destination_region destination_project_id destination_vault_id cbr_conn_id destination_conn_id region project_id"
    expected = {
        "CbrCreateCheckpointOperator": "vault_id resource_ids checkpoint_name description cbr_conn_id region project_id",
        "CbrPreflightOperator": f"vault_id {between}",
        "CbrReplicateBackupOperator": f"backup_id {between}",
        "CbrReplicateCheckpointOperator": f"vault_id {between}",
        "CbrVerifyReplicationOperator": f"vault_id replication_record_ids {between} report_path evidence_path evidence_conn_id",
        "CbrReplicationSensor": "vault_id replication_record_ids cbr_conn_id region project_id",
    }
    assert {cls.__name__: " ".join(cls.template_fields) for cls in CLASSES if cls.__name__ in expected} == expected


def test_a_partial_takes_the_operators_own_parameters_and_no_other() -> None:
    for cls in CLASSES:
        with DAG("mapped", schedule=None):
            mapped, *others = parameters(cls)
            cls.partial(task_id="t", **{name: name for name in others}).expand(**{mapped: ["a", "b"]})
            with pytest.raises(TypeError, match="unexpected keyword argument 'nobodys'"):
                cls.partial(task_id="u", nobodys=1)


def test_default_args_reach_only_those_who_name_them() -> None:
    everything = dict.fromkeys({name for cls in CLASSES for name in parameters(cls)}, "given") | {"deferrable": True, "timeout": 5.0}
    with DAG("night", schedule=None, default_args=everything | {"poll_interval": 7.0}):
        preflight = cbr.CbrPreflightOperator(task_id="preflight")  # type: ignore[call-arg]
        verify = cbr.CbrVerifyReplicationOperator(task_id="verify")  # type: ignore[call-arg]
    assert preflight.destination_conn_id == verify.destination_conn_id == "given"
    assert verify.poll_interval == 7.0
    assert not {"deferrable", "poll_interval", "max_poll_interval", "timeout"} & vars(preflight).keys()
    assert not {"max_poll_interval", "timeout", "durable"} & vars(verify).keys()


# --- the loop -----------------------------------------------------------------------------------------------------------------


@dataclass
class Machine:
    """Work that pauses as told, then is done; every advance takes time, and notes how long its calls might have taken."""

    clock: Clock
    state: AttemptState
    pauses: Iterator[float]
    bounds: list[tuple[float, float]] = field(default_factory=list)

    def advance(self) -> Pause | str:
        self.bounds.append((self.state.deadline - self.clock.now, seconds_left()))
        self.clock.now += 1.0
        seconds = next(self.pauses, None)
        return "done" if seconds is None else Pause("not yet", seconds, ("record",))


@dataclass
class Clock:
    """Unix time, which passes where a task sleeps."""

    now: float = NOW
    slept: list[float] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Task(base.OnceOperator[str]):
    """The smallest operator of its kind."""

    timeout: float

    def __init__(self, *, timeout: float = 60.0, deferrable: bool = False, pauses: Any = (), fails: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cbr_conn_id, self.region, self.project_id = "c", None, None
        self.timeout, self.poll_interval, self.max_poll_interval, self.deferrable = timeout, 1.0, 10.0, deferrable
        self.pauses, self.fails = pauses, fails

    def _perform(self, context: Any, state: Any) -> str:
        if self.fails is not None:
            raise self.fails
        self.machine = Machine(vars(base)["time"], state or AttemptState(deadline=NOW + self.timeout), iter(self.pauses))
        return self._follow(self.machine)

    def _ids_started(self, state: Any) -> list[str]:
        return []

    def _what_continues(self, ids: Any) -> str:
        return f"Running: {list(ids)}"

    def _recall(self, event: Any) -> AttemptState:
        if not isinstance(event, dict):
            raise CbrProtocolError("no event")
        return AttemptState.load(event["memory"])


@given(timeout=st.floats(0.1, 1e5), pauses=st.lists(st.floats(0.0, 1e6), max_size=6))
def test_no_sleep_and_no_call_outlasts_what_is_left(timeout: float, pauses: list[float]) -> None:
    task, clock = Task(task_id="t", timeout=timeout, pauses=pauses), Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "time", clock)
        assert task.execute({}) == "done"
    assert len(clock.slept) == len(pauses)
    for slept, pause, (left, bound) in zip(clock.slept, pauses, task.machine.bounds, strict=False):
        assert slept <= min(pause, max(left - 1.0, 0.0) + 1.0)
        assert 0 < bound <= max(left, 0.0) + base.LAST_LOOK
    assert seconds_left() == math.inf


@given(left=st.floats(-1e5, 1e5), pause=st.floats(0.0, 1e6))
def test_a_deferral_carries_the_memory_and_has_a_backstop_after_the_deadline(left: float, pause: float) -> None:
    task, clock = Task(task_id="t", deferrable=True, pauses=[pause]), Clock()
    state = AttemptState(deadline=NOW + left, troubles=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "time", clock)
        with pytest.raises(TaskDeferred) as caught:
            task.execute_complete({}, {"memory": state.dump()})
    deferred, remaining = caught.value, max(NOW + left - clock.now, 0.0)
    path, arguments = deferred.trigger.serialize()
    assert path == "airflow_cbr.triggers.cbr.CbrPauseTrigger"
    assert AttemptState.load(arguments["memory"]) == state
    assert arguments["until"] == pytest.approx(clock.now + min(pause, remaining + 1.0))
    assert deferred.method_name == "execute_complete"
    assert deferred.timeout is not None
    assert deferred.timeout.total_seconds() == pytest.approx(remaining + 20.0)
    assert clock.slept == []
    assert list(task._started()) == ["record"]


@pytest.mark.parametrize("permanent", [True, False])
def test_an_error_of_any_leg_reaches_airflow_as_it_must(permanent: bool) -> None:
    from airflow_cbr.airflow_names import AirflowFailException

    error = CbrUnavailableError("not now")
    error.permanent = permanent
    task = Task(task_id="t", fails=error)
    event = {"memory": AttemptState(deadline=NOW).dump()}
    context: Any = SimpleNamespace()
    for leg in (lambda: task.execute(context), lambda: task.execute_complete(context, event)):
        with pytest.raises(AirflowFailException if permanent else CbrUnavailableError) as caught:
            leg()
        assert error in (caught.value, caught.value.__cause__)
    with pytest.raises((AirflowFailException, CbrProtocolError)):
        task.execute_complete(context)

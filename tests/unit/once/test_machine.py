"""The machine is general: a tiny task that starts one thing, on a service of a few lines, is killed at every step and starts it once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest

from airflow_cbr.api.stopping import stoppable
from airflow_cbr.exceptions import (
    CbrError,
    CbrOutcomeUnknownError,
    CbrPermissionError,
    CbrStoppedError,
    CbrThrottledError,
    CbrUnavailableError,
)
from airflow_cbr.once.ceiling import CallCeiling, CallCounts
from airflow_cbr.once.machine import TROUBLES_LIMIT, Machine
from airflow_cbr.once.state import AttemptState
from airflow_cbr.once.steps import Pause
from tests.support.replication_night import Killed

SETTLE = 120.0


class Step(StrEnum):
    LOOK = "look"
    NOTE = "note"
    START = "start"


@dataclass
class Service:
    """Starts things, and shows each of them a while later."""

    now: float = 1_800_000_000.0
    started: list[float] = field(default_factory=list)
    delay: float = 60.0
    lose: int = 0
    looks: list[CbrError | None] = field(default_factory=list)
    server_time: datetime | None = None

    def list(self) -> int:
        self.now += 0.1
        if self.looks and (error := self.looks.pop(0)) is not None:
            raise error
        return sum(self.now >= at + self.delay for at in self.started)

    def start(self) -> None:
        self.started.append(self.now)
        if self.lose:
            self.lose -= 1
            raise CbrOutcomeUnknownError("Start: no answer.")


class ReplicationState(AttemptState, kw_only=True):
    has_looked: bool = False
    unsettled_until: float = 0.0
    unknown: int = 0


@dataclass
class Limits:
    vault_id: str = "v"
    poll_interval: float = 30.0
    max_poll_interval: float = 600.0


class Starter(Machine[int]):
    """Starts one thing."""

    def __init__(self, service: Service, note: dict[str, Any], state: ReplicationState | None, observe: Callable[[Any, str], None]) -> None:
        super().__init__(service, Limits(), observe=observe, now=lambda: service.now, log=logging.getLogger(__name__))  # type: ignore[arg-type]
        self._service, self._note = service, note
        self.state: ReplicationState = state or ReplicationState(
            deadline=self._clock.local + 86400,
            unsettled_until=note.get("posted_at", float("-inf")) + SETTLE,
            calls=note.setdefault("calls", CallCounts()),
        )
        self._ceiling = CallCeiling(self.state.calls, "thing")

    def _has_begun(self) -> bool:
        return self.state.has_looked

    def _timed_out(self) -> CbrError:
        return CbrError("timed out")

    def _step(self) -> Pause | int | None:
        found = self._look(self._service.list, Step.LOOK)
        if isinstance(found, Pause):
            return found
        state = self.state
        state.has_looked = True
        if found:
            return found
        if (left := state.unsettled_until - self._clock.local) > 0:
            return self._pause("an earlier call may still take effect", left)
        self._ceiling.count(["thing"], of=1)
        with self._at(Step.NOTE):
            self._note["posted_at"] = self._clock.local
        state.unsettled_until = self._clock.local + SETTLE
        try:
            with self._at(Step.START):
                self._ceiling.send(["thing"], self._service.start)
        except CbrOutcomeUnknownError as error:
            state.unknown += 1
            self._note_unknown(state.unknown, error)
        return None


def run(service: Service, *, kill: tuple[Step, str] | None = None, deferred: bool = False) -> int:
    """Run attempts to the end; the first is killed at a step."""
    note: dict[str, Any] = {}

    def observe(step: Step, moment: str) -> None:
        nonlocal kill
        if (step, moment) == kill:
            kill = None
            raise Killed

    while True:
        machine = Starter(service, note, None, observe)
        try:
            while isinstance(step := machine.advance(), Pause):
                service.now += step.seconds
                if deferred:
                    machine = Starter(service, note, ReplicationState.load(machine.state.dump()), observe)
            return step
        except Killed:
            service.now += 5


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", list(Step))
@pytest.mark.parametrize("lose", [0, 1])
def test_a_kill_at_any_step_starts_it_once(step: Step, moment: str, lose: int, deferred: bool) -> None:
    service = Service(lose=lose)
    assert run(service, kill=(step, moment), deferred=deferred) == 1
    assert len(service.started) == 1


def test_trouble_counts_in_a_row_and_a_good_look_ends_the_row() -> None:
    refused = CbrPermissionError("List: no.")
    row: list[CbrError | None] = [refused] * (TROUBLES_LIMIT - 1)
    service = Service(looks=[None, *row, None, *row], delay=115.0)
    assert run(service) == 1
    service = Service(looks=[None, *row, refused], delay=115.0)
    with pytest.raises(CbrPermissionError):
        run(service)


def test_before_the_first_look_a_failure_is_the_attempts() -> None:
    with pytest.raises(CbrUnavailableError):
        run(Service(looks=[CbrUnavailableError("List: later.")]))


def test_three_calls_of_unknown_outcome_end_the_attempt() -> None:
    service = Service(lose=10, delay=10**9)
    with pytest.raises(CbrOutcomeUnknownError) as caught:
        run(service)
    assert len(service.started) == 3
    assert caught.value.permanent is False


def waiting(*looks: CbrError | None) -> tuple[Starter, Service]:
    """Return a machine that has started its thing and waits for it, and meets these looks next."""
    service = Service(looks=[None, None, *looks], delay=10**9)
    machine = Starter(service, {}, None, lambda step, moment: None)
    assert isinstance(machine.advance(), Pause)
    return machine, service


def test_a_wait_that_cannot_look_ends_at_its_deadline_and_not_before() -> None:
    unavailable = CbrUnavailableError("List: later.")
    machine, service = waiting(unavailable, unavailable)
    machine.state.deadline = service.now + 0.1 + 1
    assert isinstance(machine.advance(), Pause)
    machine.state.deadline = service.now + 0.1
    with pytest.raises(CbrError, match="timed out") as caught:
        machine.advance()
    assert service.now == machine.state.deadline
    assert caught.value.__cause__ is unavailable


def test_the_pauses_after_looks_that_fail_grow_and_say_why() -> None:
    machine, _ = waiting(*[CbrUnavailableError("List: later.", request_id="0f9e")] * 7, None)
    pauses = [machine.advance() for _ in range(7)]
    assert [pause.seconds for pause in pauses if isinstance(pause, Pause)] == [30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0]
    assert all(isinstance(pause, Pause) and "List: later." in pause.reason and "0f9e" in pause.reason for pause in pauses)
    assert all(isinstance(pause, Pause) and pause.records == () for pause in pauses)
    assert machine.state.troubles == 7


def test_a_pause_after_a_look_that_failed_names_what_is_waited_for() -> None:
    class Following(Starter):
        def _followed(self) -> tuple[str, ...]:
            return ("r1", "r2")

    service = Service(looks=[None, None, CbrUnavailableError("List: later.")], delay=10**9)
    machine = Following(service, {}, None, lambda step, moment: None)
    machine.advance()
    pause = machine.advance()
    assert isinstance(pause, Pause)
    assert pause.records == ("r1", "r2")


def test_each_step_is_marked_before_and_after() -> None:
    seen: list[tuple[Step, str]] = []
    machine = Starter(Service(), {}, None, lambda step, moment: seen.append((step, moment)))
    machine.advance()
    assert seen == [(step, moment) for step in (Step.LOOK, Step.NOTE, Step.START, Step.LOOK) for moment in ("before", "after")]


def test_what_the_service_asks_to_wait_is_waited() -> None:
    machine, _ = waiting(CbrThrottledError("List: too many.", retry_after=777.0))
    pause = machine.advance()
    assert isinstance(pause, Pause)
    assert pause.seconds == 777.0


def test_the_same_line_is_logged_once_until_another_was(caplog: pytest.LogCaptureFixture) -> None:
    service = Service(delay=10**9)
    machine = Starter(service, {}, None, lambda step, moment: None)
    with caplog.at_level("INFO"):
        pauses = [machine.advance() for _ in range(3)]
    assert [pause.reason for pause in pauses if isinstance(pause, Pause)] == ["an earlier call may still take effect"] * 3
    assert [record.getMessage() for record in caplog.records] == ["Waiting: an earlier call may still take effect"]


def test_a_call_that_must_not_be_looked_for_ends_the_attempt_at_once() -> None:
    machine = Starter(Service(), {}, None, lambda step, moment: None)
    lost = CbrOutcomeUnknownError("Start: no answer.")
    machine._note_unknown(1, lost)
    with pytest.raises(CbrOutcomeUnknownError) as caught:
        machine._note_unknown(1, lost, may_look=False)
    assert not caught.value.permanent


@pytest.mark.parametrize("after", [0, 2])
def test_a_task_that_was_stopped_neither_looks_nor_starts_anything(after: int) -> None:
    """Whether the stop comes before the first step, or during it: then the next step is not taken."""
    service, steps = Service(), list[tuple[Any, str]]()
    starter = Starter(service, {}, None, lambda step, moment: steps.append((step, moment)))
    with stoppable(lambda: len(steps) >= after), pytest.raises(CbrStoppedError, match="nothing more was sent"):
        starter.advance()
    assert {step for step, _ in steps} == ({Step.LOOK, Step.NOTE, Step.START} if after else set())
    assert len(service.started) == bool(after)


def test_a_good_look_brings_the_services_clock() -> None:
    service = Service(server_time=datetime.fromtimestamp(1_800_000_900, UTC))
    machine = Starter(service, {}, None, lambda step, moment: None)
    machine.advance()
    assert machine._clock.service - machine._clock.local == pytest.approx(900, abs=1)

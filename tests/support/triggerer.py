"""Triggers and deferred tasks in virtual time, with the connection of an emulator in this process."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api.brake import Brake
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.transport import Transport
from airflow_cbr.checkpoints.creation import Creation
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.world import default_world
from airflow_cbr.replication.submission import Submission
from airflow_cbr.triggers import cbr as triggers
from airflow_cbr.waiting import watch
from tests.support.airflow_errors import AirflowRescheduleException, TaskDeferred
from tests.support.emulator import IN_PROCESS_URL, InProcessAdapter
from tests.support.fresh_machine import new_machine
from tests.support.task_run import set_password_connection
from tests.support.virtual_time import START, InlineLooks, VirtualLoop, run

__all__ = ["AirflowRescheduleException", "Stage", "event_of", "handed_over", "requests_end_in", "triggerer"]

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

    from tests.support.task_run import TaskRun


@contextmanager
def requests_end_in(adapter: InProcessAdapter) -> Iterator[None]:
    """Let every client that is made meanwhile talk to the emulator of this process."""
    make_session = Transport._make_session

    def mounted(self: Transport) -> Any:
        session = make_session(self)
        session.mount(IN_PROCESS_URL, adapter)
        return session

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transport, "_make_session", mounted)
        yield


def keep_time(patch: pytest.MonkeyPatch, time: Callable[[], float]) -> None:
    """Let refused logins be held for virtual time."""
    defaults = Brake.__init__.__kwdefaults__
    assert defaults is not None
    patch.setitem(defaults, "clock", time)


@contextmanager
def triggerer(loop: VirtualLoop, adapter: InProcessAdapter, looks: Any = None) -> Iterator[pytest.MonkeyPatch]:
    """Let triggers wait in a virtual loop; their connection leads to the emulator."""
    with pytest.MonkeyPatch.context() as patch, requests_end_in(adapter):
        set_password_connection(patch, IN_PROCESS_URL)
        patch.setattr(watch, "_lanes", looks or InlineLooks())
        patch.setattr(triggers, "time", SimpleNamespace(time=loop.unix_time))
        keep_time(patch, loop.unix_time)
        yield patch


async def event_of(trigger: BaseTrigger) -> dict[str, Any]:
    """Run a trigger as a triggerer does; return its only event's payload, which is JSON."""
    events = [event.payload async for event in trigger.run()]
    (payload,) = events
    plain: dict[str, Any] = json.loads(json.dumps(payload))
    return plain


def handed_over(trigger: BaseTrigger) -> Any:
    """Return the trigger as another process makes it from what was stored."""
    path, arguments = trigger.serialize()
    assert path == f"{type(trigger).__module__}.{type(trigger).__qualname__}"
    return type(trigger)(**json.loads(json.dumps(arguments)))


@dataclass
class Stage:
    """Tasks, triggers and a service on one virtual clock. Every sleep, wherever it is, passes virtual time.

    :param switches: of the emulator.
    """

    patch: pytest.MonkeyPatch
    switches: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        new_machine()
        self.passed = 0.0
        self._loop: VirtualLoop | None = None
        self.adapter = InProcessAdapter(Emulator(default_world(), Clock(real=self._now, start=START)))
        self.control = self.adapter.control()
        self.control.switch(queue_seconds=0, **self.switches)
        self.deferrals = 0
        clock = SimpleNamespace(time=self.time, monotonic=self._now, sleep=self.sleep)
        for module in ("operators.base", "operators.verify", "verification.settling", "sensors.cbr", "triggers.cbr"):
            self.patch.setattr(f"airflow_cbr.{module}.time", clock)
        self.patch.setattr("airflow.sdk.bases.sensor.time", clock)
        self.patch.setattr("airflow.sdk.bases.sensor.timezone", SimpleNamespace(utcnow=lambda: datetime.fromtimestamp(self.time(), UTC)))
        keep_time(self.patch, self.time)
        for function, name, stand_in in (
            (Submission.__init__, "now", self.time),
            (Creation.__init__, "now", self.time),
            (CbrClient.__init__, "sleep", self.sleep),
        ):
            defaults = function.__kwdefaults__
            assert defaults is not None
            self.patch.setitem(defaults, name, stand_in)
        self.patch.setattr(watch, "_lanes", InlineLooks())
        set_password_connection(self.patch, IN_PROCESS_URL)

    def _now(self) -> float:
        return self.passed + (self._loop.time() if self._loop is not None else 0.0)

    def time(self) -> float:
        """Return virtual Unix time."""
        return START + self._now()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.passed += seconds

    def play(self, task_run: TaskRun, *, between: Callable[[], None] = lambda: None) -> Any:
        """Run an attempt to its end, whatever legs it takes; each is a process of its own.

        :param task_run: the task.
        :param between: called before each deferral's trigger runs.
        """
        pristine, logger = copy.deepcopy(task_run.task), task_run.task._cached_logger
        method, event = None, None
        with requests_end_in(self.adapter):
            while True:
                task_run.task = copy.deepcopy(pristine)
                task_run.task._cached_logger = logger
                try:
                    return self._leg(task_run, method, event)
                except TaskDeferred as deferred:
                    self.deferrals += 1
                    between()
                    method, event = deferred.method_name, self.fire(handed_over(deferred.trigger))
                except AirflowRescheduleException as rescheduled:
                    task_run.first_reschedule = task_run.first_reschedule or datetime.fromtimestamp(self.time(), UTC)
                    self.sleep(max(rescheduled.reschedule_date.timestamp() - self.time(), 0.0))

    def _leg(self, task_run: TaskRun, method: str | None, event: Any) -> Any:
        if method is None:
            return task_run.attempt()
        context: Any = task_run.context()
        task_run.task.render_template_fields(context)
        result = task_run.task.resume_execution(method, {"event": event}, context)
        if result is not None:
            task_run.xcom_push("return_value", result)
        return result

    def fire(self, trigger: BaseTrigger) -> dict[str, Any]:
        """Run a trigger in a loop of its own until it fires."""

        async def main(loop: VirtualLoop) -> dict[str, Any]:
            self._loop = loop
            event = await event_of(trigger)
            await asyncio.sleep(0)
            self.passed, self._loop = self.passed + loop.time(), None
            return event

        return run(main)

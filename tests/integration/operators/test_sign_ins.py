"""How often a night signs in with a password: once for each process and project, as docs/howto/many-vaults.md reckons it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.world import DESTINATION_PROJECT, SOURCE_PROJECT
from airflow_cbr.waiting import watch
from tests.support.airflow_errors import TaskDeferred
from tests.support.fresh_machine import new_machine
from tests.support.task_run import IDS, TaskRun, replicating, set_password_connection, verifying

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import EmulatorServer

VAULTS = 3


@pytest.fixture
def vaults(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Make vault pairs, and a connection with a password."""
    set_password_connection(monkeypatch, emulator.url, project_id=SOURCE_PROJECT)
    for name, seconds in (("FIRST_LOOK_AFTER", 0.1), ("_SPREAD", 0.1), ("SHORTEST_GAP", 0.1)):
        monkeypatch.setattr(watch, name, seconds)
    made = []
    for _ in range(VAULTS):
        source = emulator.control.add_vault(project_id=SOURCE_PROJECT, generate={"count": 1, "size": 1})["id"]
        there = emulator.control.add_vault(project_id=DESTINATION_PROJECT, protect_type="replication")["id"]
        made.append(IDS | {"vault_id": source, "destination_vault_id": there})
    return made


def sign_ins(emulator: EmulatorServer, *processes: Callable[[], Any]) -> int:
    """Return how often processes sign in that begin with nothing, one after the other."""

    def number() -> int:
        return int(emulator.control.requests().get("KeystoneCreateUserTokenByPassword", 0))

    before = number()
    for process in processes:
        new_machine()
        process()
    return number() - before


def verifications(vaults: list[dict[str, Any]], runs: list[TaskRun]) -> list[Callable[[], Any]]:
    return [verifying(run.xcoms["return_value"], **pair).attempt for pair, run in zip(vaults, runs, strict=True)]


def test_a_night_that_waits_on_its_workers_signs_in_three_times_for_a_vault(emulator: EmulatorServer, vaults: list[dict[str, Any]]) -> None:
    runs = [replicating(**pair) for pair in vaults]
    assert sign_ins(emulator, *(run.attempt for run in runs)) == VAULTS, "the source's project"
    assert sign_ins(emulator, *verifications(vaults, runs)) == 2 * VAULTS, "the projects of both sides"


def test_a_deferred_night_signs_in_four_times_for_a_vault_and_once_for_its_triggerer(
    emulator: EmulatorServer, vaults: list[dict[str, Any]]
) -> None:
    runs = [replicating(deferrable=True, **pair) for pair in vaults]
    triggers: list[Any] = []
    events: list[dict[str, Any]] = []

    def begin(run: TaskRun) -> None:
        with pytest.raises(TaskDeferred) as deferred:
            run.attempt()
        triggers.append(deferred.value.trigger)

    def triggerer() -> None:
        async def first(trigger: Any) -> dict[str, Any]:
            async for event in trigger.run():
                return dict(event.payload)
            raise AssertionError("the trigger ended without an event")

        async def all_of_them() -> list[dict[str, Any]]:
            return await asyncio.gather(*map(first, triggers))

        events.extend(asyncio.run(asyncio.wait_for(all_of_them(), 60)))

    def come_back(number: int) -> None:
        # In another process the operator is another object.
        run = runs[number] = runs[number].followed_by(replicating(deferrable=True, **vaults[number]))
        run.xcom_push("return_value", run.task.execute_complete(run.context(), events[number]))

    assert sign_ins(emulator, *(partial(begin, run) for run in runs)) == VAULTS
    assert sign_ins(emulator, triggerer) == 1, "all waits of a connection share one token"
    assert sign_ins(emulator, *(partial(come_back, number) for number in range(VAULTS))) == VAULTS
    assert sign_ins(emulator, *verifications(vaults, runs)) == 2 * VAULTS


def test_a_preflight_and_what_it_precedes_share_their_tokens(emulator: EmulatorServer, vaults: list[dict[str, Any]]) -> None:
    assert sign_ins(emulator, replicating(preflight=True, **vaults[0]).attempt) == 2, "the projects of both sides, once each"

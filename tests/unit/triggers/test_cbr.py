"""The triggers: when they fire, what they say, and where they say it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import json
import logging
import uuid
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from airflow_cbr.emulator.world import SOURCE_PROJECT
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.triggers.cbr import CbrPauseTrigger, CbrReplicationTrigger
from airflow_cbr.waiting.watch import FIRST_LOOK_AFTER
from tests.support.many_vaults import Service, Vault, registered
from tests.support.task_run import CONN_ID, PASSWORD
from tests.support.triggerer import event_of, handed_over, triggerer
from tests.support.virtual_time import VirtualLoop, run

HOUR = 3600.0
mine: contextvars.ContextVar[str] = contextvars.ContextVar("mine", default="nobody's")


class Lines(logging.Handler):
    """Keeps each line with the task in whose context it was logged, as Airflow does."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append((mine.get(), record.getMessage()))

    def of(self, task: str) -> list[str]:
        return [line for whose, line in self.kept if whose == task]


@pytest.fixture
def lines() -> Lines:
    return Lines()


def make(service: Service, vault: Vault, records: Sequence[str] | None = None, *, lines: Lines | None = None, **more: Any) -> Any:
    arguments: dict[str, Any] = {
        "cbr_conn_id": CONN_ID,
        "region": "cn-north-4",
        "project_id": SOURCE_PROJECT,
        "vault_id": vault.id,
        "replication_record_ids": list(vault.records if records is None else records),
        "deadline": service.loop.unix_time() + 86400,
    }
    trigger = handed_over(CbrReplicationTrigger(**arguments | more))
    if lines is not None:
        # Two names: older Airflow keeps a trigger's logger under the first.
        trigger._log = trigger._cached_logger = logger_of(lines)
    return trigger


def logger_of(lines: Lines) -> logging.Logger:
    logger = logging.getLogger(f"tests.trigger.{uuid.uuid4()}")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(lines)
    return logger


def play(scene: Callable[[Service], Coroutine[Any, Any, Any]], vaults: Sequence[Sequence[int]] = ((60,),), **switches: Any) -> Any:
    async def main(loop: VirtualLoop) -> Any:
        service = Service(loop, vaults, **switches)
        service.start_copies()
        with triggerer(loop, service.adapter) as service.patch:  # type: ignore[attr-defined]
            result = await scene(service)
            await asyncio.sleep(0)
        assert registered() == 0
        return result

    return run(main)


# --- what is stored ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [CbrReplicationTrigger, CbrPauseTrigger])
def test_every_argument_survives_the_store(cls: Any) -> None:
    parameters = [name for name in inspect.signature(cls.__init__).parameters if name != "self"]
    values = {name: {"key": index} if name in ("memory", "backups") else index for index, name in enumerate(parameters)}
    path, arguments = cls(**values).serialize()
    assert path == f"{cls.__module__}.{cls.__qualname__}"
    assert arguments == values
    assert cls(**arguments).serialize() == (path, arguments)


def test_the_arguments_hold_ids_and_numbers_only() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        _, arguments = make(service, vault, memory=ReplicationState(deadline=1.0).dump()).serialize()
        text = json.dumps(arguments)
        assert PASSWORD not in text
        assert "backup-bot" not in text
        assert len(text) < 900

    play(scene)


# --- when it fires ----------------------------------------------------------------------------------------------------------


def test_it_fires_once_when_all_records_have_ended() -> None:
    async def scene(service: Service) -> float:
        (vault,) = service.vaults
        memory = ReplicationState(deadline=5.0).dump()
        event = await event_of(make(service, vault, memory=memory))
        assert event["wake"] == "final"
        assert event["records"] == vault.records
        assert event["backups"] == vault.backups
        assert event["memory"] == memory
        return service.loop.time()

    assert HOUR <= play(scene, [[5, 30, 60]]) < HOUR + 60


def test_the_same_trigger_may_run_twice() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        trigger = make(service, vault)
        one, other = await asyncio.gather(event_of(trigger), event_of(handed_over(trigger)))
        assert one == other
        assert one["wake"] == "final"

    play(scene)


def test_it_fires_at_the_deadline_which_a_restart_does_not_move() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        trigger = make(service, vault, deadline=service.loop.unix_time() + 1000)
        first = asyncio.create_task(event_of(trigger))
        await asyncio.sleep(600)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        event = await event_of(handed_over(trigger))
        assert event["wake"] == "deadline"
        assert service.loop.time() == pytest.approx(1000)

    play(scene)


def test_the_deadline_holds_while_the_service_is_away() -> None:
    async def scene(service: Service) -> None:
        service.control.fault("reset", call="ListBackups", count=None)
        event = await event_of(make(service, service.vaults[0], deadline=service.loop.unix_time() + 1000))
        assert event["wake"] == "deadline"
        assert service.loop.time() == pytest.approx(1000)

    play(scene)


@pytest.mark.parametrize("deadline", [-1000.0, 0.0, 3.0])
def test_a_deadline_that_has_passed_is_no_reason_to_fire_within_ten_seconds(deadline: float) -> None:
    async def scene(service: Service) -> float:
        event = await event_of(make(service, service.vaults[0], deadline=service.loop.unix_time() + deadline))
        assert event["wake"] == "deadline"
        return service.loop.time()

    assert play(scene) == pytest.approx(FIRST_LOOK_AFTER)


def test_it_fires_when_the_service_refuses_for_good() -> None:
    async def scene(service: Service) -> float:
        service.control.change_user("backup-bot", denied_calls=["ListBackups"])
        assert (await event_of(make(service, service.vaults[0])))["wake"] == "refused"
        return service.loop.time()

    assert 60 < play(scene) < 300


def test_it_fires_when_the_connection_is_gone_for_good(lines: Lines) -> None:
    async def scene(service: Service) -> None:
        trigger = make(service, service.vaults[0], lines=lines, cbr_conn_id="nowhere")
        assert (await event_of(trigger))["wake"] == "refused"

    play(scene)
    assert "Connection 'nowhere' is not defined" in lines.kept[0][1]


def test_it_fires_when_a_record_has_vanished_for_two_minutes_and_says_whose_it_was() -> None:
    async def scene(service: Service) -> float:
        (vault,) = service.vaults
        waiting = asyncio.create_task(event_of(make(service, vault)))
        await asyncio.sleep(300)
        service.control.remove_record(vault.records[0])
        event = await waiting
        assert event["wake"] == "lost"
        assert event["backups"][vault.records[0]] == vault.backups[vault.records[0]]
        return service.loop.time()

    assert 420 <= play(scene, [[60, 60]]) < 300 + 600 + 240


def test_a_record_that_shows_late_is_waited_for_by_a_sensor_and_looked_into_for_an_operator() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        sensor, operator = make(service, vault, follows_unseen=False), make(service, vault)
        sensing = asyncio.create_task(event_of(sensor))
        assert (await event_of(operator))["wake"] == "lost"
        assert service.loop.time() < 300
        assert (await sensing)["wake"] == "final"

    play(scene, record_delay=1000)


def test_a_record_known_from_before_counts_as_vanished_for_a_sensor_too() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        service.control.remove_record(vault.records[0])
        known = {vault.records[0]: vault.backups[vault.records[0]]}
        event = await event_of(make(service, vault, follows_unseen=False, backups=known))
        assert (event["wake"], event["backups"][vault.records[0]]) == ("lost", vault.backups[vault.records[0]])

    play(scene, [[60, 60]])


def test_a_record_that_is_away_for_a_short_while_is_no_reason_to_fire() -> None:
    async def scene(service: Service) -> None:
        waiting = asyncio.create_task(event_of(make(service, service.vaults[0], max_poll_interval=30)))
        for _ in range(5):
            await asyncio.sleep(200)
            service.control.fault("empty_backups", call="ListBackups", count=2)
        assert (await waiting)["wake"] == "final"

    play(scene)


# --- the night ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["expire", "revoke"])
def test_a_token_that_ends_is_bought_anew(how: str) -> None:
    async def scene(service: Service) -> None:
        waiting = asyncio.create_task(event_of(make(service, service.vaults[0])))
        for _ in range(3):
            await asyncio.sleep(600)
            service.control.end_tokens(how=how)
        assert (await waiting)["wake"] == "final"
        assert service.requests()["KeystoneCreateUserTokenByPassword"] >= 4

    play(scene)


def test_a_rotated_password_is_read_from_the_connection_again() -> None:
    async def scene(service: Service) -> None:
        from tests.support.emulator import IN_PROCESS_URL
        from tests.support.task_run import set_password_connection

        waiting = asyncio.create_task(event_of(make(service, service.vaults[0])))
        await asyncio.sleep(600)
        service.control.change_user("backup-bot", password="changed")
        service.control.end_tokens()
        set_password_connection(service.patch, IN_PROCESS_URL, password="changed")  # type: ignore[attr-defined]
        assert (await waiting)["wake"] == "final"

    play(scene)


def test_every_token_is_masked() -> None:
    masked: list[str] = []

    async def scene(service: Service) -> None:
        from airflow_cbr.triggers.access import ConnectionAccess

        async def hide(self: Any, secret: str) -> None:
            masked.append(secret)

        service.patch.setattr(ConnectionAccess, "hide", hide)  # type: ignore[attr-defined]
        waiting = asyncio.create_task(event_of(make(service, service.vaults[0])))
        await asyncio.sleep(600)
        service.control.end_tokens()
        await waiting

    play(scene)
    assert len(set(masked)) == 2


# --- what it says -----------------------------------------------------------------------------------------------------------


def test_the_status_is_logged_once_for_each_change(lines: Lines) -> None:
    async def scene(service: Service) -> None:
        await event_of(make(service, service.vaults[0], lines=lines))
        assert service.looks() > 25

    play(scene, [[5, 60]], progress="null")
    assert [line for _, line in lines.kept] == [
        "0/2 replicated, 2 replicating",
        "1/2 replicated, 1 replicating",
        "2/2 replicated",
    ]


def test_a_record_that_is_long_in_coming_is_not_spoken_of_at_every_look(lines: Lines) -> None:
    async def scene(service: Service) -> None:
        await event_of(make(service, service.vaults[0], lines=lines, follows_unseen=False))

    play(scene, record_delay=3000, progress="null")
    assert [line for _, line in lines.kept] == ["0/1 replicated, 1 waiting", "0/1 replicated, 1 replicating", "1/1 replicated"]


def test_trouble_is_logged_once_and_its_end_too(lines: Lines) -> None:
    async def scene(service: Service) -> None:
        service.control.fault("status", call="ListBackups", status=503, nth=3, count=5)
        await event_of(make(service, service.vaults[0], lines=lines))

    play(scene, progress="null")
    said = [line for _, line in lines.kept]
    assert len(said) == 4
    assert "503" in said[1]
    assert "trying again" in said[1]
    assert said[2] == said[0]


def test_each_trigger_logs_for_itself_and_the_second_goes_on_when_the_first_has_ended(lines: Lines) -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults

        async def task(name: str, records: list[str]) -> str:
            mine.set(name)
            return str((await event_of(make(service, vault, records, lines=lines)))["wake"])

        one, two = (asyncio.create_task(task(f"task-{index}", [record])) for index, record in enumerate(vault.records))
        assert list(await asyncio.gather(one, two)) == ["final", "final"]

    play(scene, [[5, 60]])
    assert lines.of("task-0")[-1] == "1/1 replicated"
    assert lines.of("task-1")[-1] == "1/1 replicated"
    assert len(lines.of("task-1")) > len(lines.of("task-0"))
    assert lines.of("nobody's") == []


def test_a_mistake_of_our_own_is_named_by_its_kind_only(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("airflow_cbr.waiting.poll.find_records", broken)

    async def scene(service: Service) -> str:
        return str((await event_of(make(service, service.vaults[0], lines=lines)))["wake"])

    assert play(scene) == "refused"
    assert "ZeroDivisionError" in lines.kept[0][1]
    assert "secret" not in lines.kept[0][1]


def test_a_kill_says_what_keeps_running_and_cancels_nothing(lines: Lines) -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        trigger = make(service, vault, lines=lines)
        before = service.requests()
        await trigger.on_kill()
        await trigger.cleanup()
        assert service.requests() == before
        ((_, line),) = lines.kept
        assert "keep running" in line
        assert all(record in line for record in vault.records)

    play(scene, [[60, 60]])


def test_a_cancelled_trigger_leaves_at_once() -> None:
    async def scene(service: Service) -> None:
        waits = [asyncio.create_task(event_of(make(service, service.vaults[0]))) for _ in range(2)]
        await asyncio.sleep(100)
        for left, waiting in enumerate(reversed(waits)):
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
            assert registered() == 1 - left
        assert service.loop.time() == pytest.approx(100)

    play(scene)


# --- the pause --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "fires"), [(300.0, 300.0), (1.0, FIRST_LOOK_AFTER), (-50.0, FIRST_LOOK_AFTER)])
def test_a_pause_lasts_until_its_moment_and_no_less_than_ten_seconds(seconds: float, fires: float) -> None:
    async def scene(service: Service) -> float:
        memory = ReplicationState(deadline=5.0).dump()
        event = await event_of(handed_over(CbrPauseTrigger(until=service.loop.unix_time() + seconds, memory=memory)))
        assert event == {"wake": "resume", "memory": memory}
        return service.loop.time()

    assert play(scene) == pytest.approx(fires)

"""The watch: many waits of a vault share its looks, and none is lost, woken twice, woken early or left hanging. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import itertools
import random
import threading
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api import signed
from airflow_cbr.api.auth import AkSkCredentials, PasswordCredentials
from airflow_cbr.exceptions import (
    CbrAuthenticationError,
    CbrConfigurationError,
    CbrError,
    CbrNotFoundError,
    CbrPermissionError,
)
from airflow_cbr.waiting import poll as vault_poll
from airflow_cbr.waiting import watch
from airflow_cbr.waiting.waiter import PollResult, Waiter
from airflow_cbr.waiting.watch import FIRST_LOOK_AFTER, join
from tests.support.many_vaults import Service, Vault, registered
from tests.support.virtual_time import InlineLooks, NothingLeftError, SlowLooks, ThreadedLooks, VirtualLoop, run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from airflow_cbr.waiting.access import Opened

HOUR = 3600.0


@pytest.fixture(autouse=True)
def _looks_take_no_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(watch, "_lanes", InlineLooks())
    yield
    assert registered() == 0, "nobody waits any more, and no watch is left"


async def end(service: Service, vault: Vault, records: Sequence[str] | None = None, **options: Any) -> float:
    """Wait until the records have ended; return when."""
    with service.wait(vault, records, **options) as waiter:
        while not (await waiter.next()).are_final:
            pass
    return service.loop.time()


async def first(service: Service, vault: Vault, is_it: Callable[[PollResult], bool], **options: Any) -> PollResult:
    """Wait for the first sight of a kind."""
    with service.wait(vault, **options) as waiter:
        while not is_it(poll := await waiter.next()):
            pass
    return poll


def play(scene: Callable[[Service], Coroutine[Any, Any, Any]], vaults: Sequence[Sequence[int]] = ((60,),), **switches: Any) -> Any:
    """Run a scene with copies that have just begun."""

    async def main(loop: VirtualLoop) -> Any:
        service = Service(loop, vaults, **switches)
        service.start_copies()
        result = await scene(service)
        for _ in range(3):
            # What was cancelled gets its turn.
            await asyncio.sleep(0)
        return result

    return run(main)


# --- sharing ----------------------------------------------------------------------------------------------------------------


def test_waits_of_a_vault_share_every_look() -> None:
    async def scene(service: Service) -> tuple[int, int]:
        (vault,) = service.vaults
        await end(service, vault)
        alone = service.looks()
        ended = await asyncio.gather(*(end(service, vault) for _ in range(50)))
        assert len(set(ended)) == 1
        return alone, service.looks() - alone

    alone, together = play(scene)
    assert alone > 5
    assert together == 1, "the records have ended: fifty waits, one look"


def test_fifty_waits_make_no_more_requests_than_one() -> None:
    async def many(service: Service) -> int:
        await asyncio.gather(*(end(service, service.vaults[0], [record]) for record in service.vaults[0].records))
        return service.looks()

    together = play(many, [[60] * 50])
    alone = play(many, [[60]])
    assert together <= alone + 2, "jitter may cost a look or two"


@pytest.mark.parametrize("what", ["connection", "vault"])
def test_another_connection_or_vault_has_a_watch_of_its_own(what: str) -> None:
    async def scene(service: Service) -> None:
        one, other = service.vaults
        with service.wait(one), service.wait(one), service.wait(*((one,) if what == "connection" else (other,)), connection=what):
            assert registered() == 2
            await asyncio.sleep(60)
            assert service.opened == 2

    play(scene, [[60], [60]])


def test_an_id_in_capitals_is_the_same_id() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        loud = Vault(vault.id.upper(), [record.upper() for record in vault.records])
        with service.wait(vault), service.wait(loud) as waiter:
            assert registered() == 1
            poll = await waiter.next()
            assert poll.unlisted == {}
            assert service.opened == 1
        assert await end(service, loud) < HOUR + 60

    play(scene)


def test_two_event_loops_in_one_process_know_nothing_of_each_other() -> None:
    async def scene(service: Service) -> float:
        return await end(service, service.vaults[0])

    barrier = threading.Barrier(2, timeout=20)
    ended: list[float] = []

    def other() -> None:
        async def main(loop: VirtualLoop) -> None:
            service = Service(loop)
            service.start_copies()
            with service.wait(service.vaults[0]):
                barrier.wait()
                barrier.wait()
            ended.append(await end(service, service.vaults[0]))

        run(main)

    thread = threading.Thread(target=other)
    thread.start()
    barrier.wait()
    assert registered() == 1
    ended.append(play(scene))
    barrier.wait()
    thread.join(20)
    assert all(HOUR <= when < HOUR + 60 for when in ended)
    assert len(ended) == 2


def test_a_loop_that_is_gone_leaves_nothing_behind() -> None:
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def main() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        with join(
            Waiter(["record"], shortest=30.0, longest=600.0),
            connection="cbr",
            region="cn-north-4",
            project_id="project",
            vault_id="vault",
            access=None,  # type: ignore[arg-type]  # it is not asked for within ten seconds
        ):
            await asyncio.sleep(0)

    asyncio.run(main())
    gc.collect()
    assert loops[0]() is None


def test_each_wait_is_asked_for_at_its_own_pace_and_a_new_one_does_not_wait_for_the_others() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        with service.wait(vault, shortest=500.0, longest=600.0):
            await asyncio.sleep(100)
            before = service.looks()
            with service.wait(vault, shortest=5.0, longest=5.0):
                await asyncio.sleep(FIRST_LOOK_AFTER + 51)
            assert service.looks() - before in (10, 11)
            before = service.looks()
            await asyncio.sleep(499)
            assert service.looks() - before <= 1, "the quick one has left"

    play(scene, [[600]])


def test_one_that_joins_during_a_look_is_looked_for_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(service: Service) -> float:
        (vault,) = service.vaults
        monkeypatch.setattr(watch, "_lanes", SlowLooks(service.loop, lambda: 2.0))
        with service.wait(vault, longest=600.0, shortest=600.0):
            await asyncio.sleep(FIRST_LOOK_AFTER + 2)
            joined = service.loop.time()
            await first(service, vault, lambda poll: poll.progress is not None)
            return service.loop.time() - joined

    assert play(scene, [[600]]) < 60


def test_while_a_crowd_is_told_the_event_loops_other_tasks_get_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    tell = Waiter.tell

    def noted(waiter: Waiter, poll: PollResult) -> None:
        events.append("told")
        tell(waiter, poll)

    async def scene(service: Service) -> None:
        async def wait() -> None:
            await first(service, service.vaults[0], lambda poll: poll.progress is not None)
            events.append("turn")

        await asyncio.gather(*(wait() for _ in range(350)))

    monkeypatch.setattr(Waiter, "tell", noted)
    play(scene)
    assert Counter(events) == {"told": 350, "turn": 350}
    in_a_row = [len(list(group)) for what, group in itertools.groupby(events) if what == "told"]
    assert in_a_row == [100, 100, 100, 50]


def test_also_when_the_vaults_of_a_night_all_answer_in_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    tell = Waiter.tell

    def noted(waiter: Waiter, poll: PollResult) -> None:
        events.append("told")
        tell(waiter, poll)

    async def scene(service: Service) -> list[float]:
        async def wait(vault: Vault) -> float:
            await first(service, vault, lambda poll: poll.progress is not None)
            events.append("turn")
            return service.loop.time()

        return await asyncio.gather(*(wait(vault) for vault in service.vaults for _ in range(60)))

    monkeypatch.setattr(Waiter, "tell", noted)
    monkeypatch.setattr("airflow_cbr.waiting.watch.random.uniform", lambda least, _most: least)
    moments = play(scene, [[60]] * 8)

    assert len(set(moments)) == 1
    assert Counter(events) == {"told": 480, "turn": 480}
    in_a_row = [len(list(group)) for what, group in itertools.groupby(events) if what == "told"]
    assert max(in_a_row) == 100


# --- no answer within the first ten seconds ---------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0.0, 1.0, 9.0, 11.0, 35.0])
def test_no_wait_is_answered_within_its_first_ten_seconds_by_anybodys_look(after: float) -> None:
    async def scene(service: Service) -> float:
        (vault,) = service.vaults
        await asyncio.sleep(HOUR + 1)
        with service.wait(vault, shortest=1.0, longest=1.0):
            await asyncio.sleep(after)
            joined = service.loop.time()
            return await end(service, vault) - joined

    assert FIRST_LOOK_AFTER <= play(scene) <= FIRST_LOOK_AFTER + 31


# --- leaving ----------------------------------------------------------------------------------------------------------------


def test_the_last_one_to_leave_stops_the_watch_and_closes_its_client() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        with service.wait(vault):
            with service.wait(vault):
                await asyncio.sleep(60)
            await asyncio.sleep(60)
            assert len(service.clients) == len(service.closed) + 1
        before = service.looks()
        await asyncio.sleep(0)
        assert len(service.clients) == len(service.closed)
        await asyncio.sleep(HOUR)
        assert service.looks() == before
        assert len(asyncio.all_tasks()) == 1

    play(scene)


def test_a_cancelled_wait_leaves_at_once_and_the_look_in_flight_keeps_its_client_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(service: Service) -> None:
        slow = SlowLooks(service.loop, lambda: 300.0)
        monkeypatch.setattr(watch, "_lanes", slow)
        (vault,) = service.vaults
        waiting = asyncio.create_task(end(service, vault))
        await asyncio.sleep(FIRST_LOOK_AFTER + 3)
        assert slow.in_flight == 1
        cancelled_at = service.loop.time()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        assert service.loop.time() == cancelled_at
        assert registered() == 0
        await asyncio.sleep(0)
        assert len(service.closed) == 1, "that of start_copies"
        await asyncio.sleep(400)
        assert slow.in_flight == 0
        assert len(service.closed) == len(service.clients)

    play(scene)


def test_an_abandoned_look_does_not_read_the_pages_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_poll, "ROWS_PER_PAGE", 10)

    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        asked, gone = asyncio.Event(), threading.Event()
        send = service.adapter.send

        def slow(*arguments: Any, **options: Any) -> Any:
            service.loop.call_soon_threadsafe(asked.set)
            assert gone.wait(20)
            return send(*arguments, **options)

        with ThreadPoolExecutor(1) as threads:
            monkeypatch.setattr(watch, "_lanes", ThreadedLooks(service.loop, threads))
            with service.wait(vault) as waiter:
                await waiter.next()
                before = service.looks()
                monkeypatch.setattr(service.adapter, "send", slow)
                await asked.wait()
            gone.set()
        assert service.looks() == before + 1

    play(scene, [[600] * 35])


def test_a_watch_that_has_ended_begins_anew() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        with service.wait(vault):
            await asyncio.sleep(20)
        assert HOUR <= await end(service, vault) < HOUR + 60

    play(scene)


@pytest.mark.campaign
def test_a_wait_is_no_bigger_after_a_thousand_looks() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        with service.wait(vault, shortest=30.0, longest=30.0) as waiter:
            await asyncio.sleep(100)
            size = len(waiter.backups), len(waiter.schedule._seen), len(waiter.ended)
            await asyncio.sleep(30 * 1000)
            assert (len(waiter.backups), len(waiter.schedule._seen), len(waiter.ended)) == size == (1, 1, 0)

    play(scene, [[600]])


def test_a_watch_belongs_to_no_waiters_context() -> None:
    mine: contextvars.ContextVar[str] = contextvars.ContextVar("mine", default="nobody's")
    seen = []

    class Listening(Service):
        async def open(self) -> Opened:
            seen.append(mine.get())
            return await super().open()

    async def main(loop: VirtualLoop) -> None:
        service = Listening(loop)
        service.start_copies()
        mine.set("the first waiter's")
        await end(service, service.vaults[0])

    run(main)
    assert seen == ["nobody's"]


# --- what goes wrong --------------------------------------------------------------------------------------------------------

PASSING: list[dict[str, Any]] = [
    {"kind": "reset"},
    {"kind": "reset", "when": "before"},
    {"kind": "timeout"},
    {"kind": "slow", "seconds": 59},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 502},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 504},
    {"kind": "throttle", "retry_after": 40},
    {"kind": "throttle", "retry_after": 40, "as_date": True},
    {"kind": "throttle"},
    {"kind": "truncated"},
    {"kind": "not_json"},
    {"kind": "html"},
    {"kind": "html", "status": 502},
    {"kind": "code", "code": "1007"},
    {"kind": "code", "code": "6130"},
    {"kind": "malformed_url"},
    {"kind": "empty_backups"},
    {"kind": "token_expired"},
    {"kind": "token_revoked"},
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: "-".join(str(value) for value in fault.values()))
def test_a_fault_that_passes_ends_no_wait(fault: dict[str, Any]) -> None:
    async def scene(service: Service) -> float:
        # What is refused for good is so when it persists: a token that is refused twice in a row is one refusal.
        count = {"token_expired": 1, "token_revoked": 1, "malformed_url": 2}.get(fault["kind"], 5)
        service.control.fault(call="ListBackups", nth=3, count=count, **fault)
        poll = await first(service, service.vaults[0], lambda poll: poll.are_final or poll.refused)
        assert not poll.refused, poll.error
        return service.loop.time()

    assert play(scene) < HOUR + 620


@pytest.mark.parametrize("kind", ["rows_inserted", "rows_deleted"])
def test_page_boundaries_that_move_hide_no_record(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_poll, "ROWS_PER_PAGE", 5)

    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        for _ in range(20):
            service.control.add_backup(vault.id)
        with service.wait(vault) as waiter:
            service.control.fault(kind, call="ListBackups", vault_id=vault.id, rows=1, nth=2, count=20)
            while not (poll := await waiter.next()).are_final:
                assert poll.error is None
                assert poll.unlisted == {}

    play(scene, [[60] * 20])


def test_a_copy_that_stays_queued_is_waited_for() -> None:
    async def scene(service: Service) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(end(service, service.vaults[0]), 6 * HOUR)

    # One copy runs at a time, and the first one takes all day.
    play(scene, [[24 * 60, 60]], copies_at_once=1)


@pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "status", "status": 503}, {"kind": "throttle"}])
def test_a_bad_night_of_hours_ends_no_wait_and_costs_few_requests(fault: dict[str, Any]) -> None:
    async def scene(service: Service) -> float:
        service.control.fault(call="ListBackups", nth=2, count=None, **fault)
        waiting = asyncio.create_task(end(service, service.vaults[0]))
        await asyncio.sleep(6 * HOUR)
        assert not waiting.done()
        assert service.looks() < 6 * HOUR / 100
        service.control.clear_faults()
        await waiting
        return service.loop.time() - 6 * HOUR

    assert play(scene) < 700, "it returns when the service does"


def lose_the_permission(service: Service) -> None:
    service.control.change_user("backup-bot", denied_calls=["ListBackups"])


def lose_the_password(service: Service) -> None:
    service.control.change_user("backup-bot", password="changed")
    service.control.end_tokens()


def lose_the_url(service: Service) -> None:
    service.control.fault("malformed_url", call="ListBackups", count=None)


def lose_the_vault(service: Service) -> None:
    service.control.fault("code", call="ListBackups", code="6105", when="before", count=None)


def get_everything_back(service: Service) -> None:
    service.control.clear_faults()
    service.control.change_user("backup-bot", denied_calls=[], password="emulator-password")


@pytest.mark.parametrize("lose", [lose_the_permission, lose_the_password, lose_the_url, lose_the_vault])
def test_an_error_that_persists_is_told_as_refused(lose: Callable[[Service], None]) -> None:
    async def scene(service: Service) -> tuple[PollResult, float]:
        service.loop.call_later(1000, lose, service)
        poll = await first(service, service.vaults[0], lambda poll: poll.are_final or poll.refused)
        return poll, service.loop.time()

    poll, when = play(scene)
    assert poll.refused
    kinds: dict[Callable[[Service], None], type[CbrError]] = {
        lose_the_permission: CbrPermissionError,
        lose_the_password: CbrAuthenticationError,
    }
    assert isinstance(poll.error, kinds.get(lose, CbrNotFoundError))
    assert 1000 + 30 < when < HOUR


@pytest.mark.parametrize("lose", [lose_the_permission, lose_the_password, lose_the_vault])
def test_one_that_passes_is_not(lose: Callable[[Service], None]) -> None:
    async def scene(service: Service) -> float:
        with service.wait(service.vaults[0], shortest=30.0, longest=30.0) as waiter:
            for round_ in range(4):
                service.loop.call_later(1 + 300 * round_, lose, service)
                service.loop.call_later(60 + 300 * round_, get_everything_back, service)
            while not (poll := await waiter.next()).are_final:
                assert not poll.refused, poll.error
        return service.loop.time()

    assert play(scene) < HOUR + 70


def test_after_a_good_look_failures_are_counted_and_spaced_anew() -> None:
    async def scene(service: Service) -> list[float]:
        failed: list[float] = []
        with service.wait(service.vaults[0], shortest=10.0, longest=600.0) as waiter:
            for bad in (4, 4):
                service.control.fault("status", call="ListBackups", status=500, count=bad)
                before = service.looks()
                while service.looks() < before + bad + 1:
                    moment, looks = service.loop.time(), service.looks()
                    await asyncio.sleep(0.5)
                    failed += [moment] * (looks < service.looks() <= before + bad)
            await waiter.next()
        return failed

    times = play(scene, [[600]], progress="null")
    first, second = times[:4], times[4:]
    for moments in (first, second):
        gaps = [after - before for before, after in itertools.pairwise(moments)]
        assert [round(gap / 10) for gap in gaps] == [1, 2, 4], gaps


def test_the_loops_other_tasks_get_their_turn_while_many_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(service: Service) -> str:
        (vault,) = service.vaults
        happened: list[str] = []
        tell = Waiter.tell

        def turn() -> None:
            happened.append("|")
            if len(happened) < 400:
                service.loop.call_soon(turn)

        def noted(self: Waiter, poll: PollResult) -> None:
            if not happened:
                service.loop.call_soon(turn)
            happened.append("t")
            tell(self, poll)

        monkeypatch.setattr(Waiter, "tell", noted)
        with contextlib.ExitStack() as waits:
            for _ in range(350):
                waits.enter_context(service.wait(vault))
            await asyncio.sleep(FIRST_LOOK_AFTER + 3)
        return "".join(happened)

    runs = [len(run) for run in play(scene, [[600]]).split("|") if run]
    assert sum(runs) == 350
    assert max(runs) <= 100


def test_a_rotated_key_is_resolved_again() -> None:
    async def scene(service: Service) -> None:
        waiting = asyncio.create_task(end(service, service.vaults[0]))
        await asyncio.sleep(300)
        assert service.opened == 1
        service.control.change_user("backup-bot", password="new-password")
        service.control.end_tokens()
        await asyncio.sleep(100)
        service.credentials = PasswordCredentials("backup-bot", "new-password", "acme")
        await waiting
        assert service.opened > 1
        assert len(service.closed) >= len(service.clients) - 1

    play(scene)


BY_PASSWORD = PasswordCredentials("backup-bot", "emulator-password", "acme")
BY_KEY = AkSkCredentials("EMULATORACCESSKEY001", "emulator-secret-key-for-local-use-only")


@pytest.mark.parametrize("credentials", [BY_PASSWORD, BY_KEY], ids=["password", "key"])
@pytest.mark.campaign
def test_refused_credentials_are_not_tried_for_every_vault(
    credentials: PasswordCredentials | AkSkCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(service: Service) -> None:
        service.credentials = credentials
        clock = service.emulator.clock
        monkeypatch.setattr(signed, "datetime", SimpleNamespace(now=lambda zone: datetime.fromtimestamp(clock.now(), zone)))
        with ThreadPoolExecutor(4) as threads:
            monkeypatch.setattr(watch, "_lanes", ThreadedLooks(service.loop, threads))
            waits = [asyncio.create_task(first(service, vault, lambda poll: poll.refused)) for vault in service.vaults]
            await asyncio.sleep(300)
            assert service.looks() > 3 * len(service.vaults)
            service.control.change_user("backup-bot", password="changed", secret_key="changed")
            service.control.end_tokens()
            tried = count_of_refusals(service, monkeypatch)
            polls = await asyncio.gather(*waits)
        assert {type(poll.error) for poll in polls} == {CbrAuthenticationError}
        assert 3 <= len(tried) <= 5, "the sixth would lock the user, or the key"
        user = service.emulator.service.iam.users["backup-bot"]
        assert (user.password_locked_until, user.keys_locked_until) == (0.0, 0.0)
        assert service.loop.time() < 300 + 900

    play(scene, [[60]] * 20, progress="null", signature_clock="simulated")


def count_of_refusals(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list to which each wrong password and each wrong signature is added from now on."""
    tried: list[str] = []
    identity = service.emulator.service.iam
    for name in ("issue", "_by_signature"):
        judge = getattr(identity, name)

        def noted(*arguments: Any, judge: Any = judge, name: str = name) -> Any:
            try:
                return judge(*arguments)
            except Exception:
                tried.append(name)
                raise

        monkeypatch.setattr(identity, name, noted)
    return tried


@pytest.mark.campaign
def test_changed_credentials_are_tried_at_once() -> None:
    async def scene(service: Service) -> None:
        waits = [asyncio.create_task(end(service, vault)) for vault in service.vaults]
        await asyncio.sleep(300)
        service.control.change_user("backup-bot", password="changed")
        service.control.end_tokens()
        await asyncio.sleep(130)
        before = service.looks()
        service.credentials = PasswordCredentials("backup-bot", "changed", "acme")
        await asyncio.sleep(130)
        assert service.looks() - before >= len(service.vaults)
        await asyncio.gather(*waits)

    play(scene, [[60]] * 20, progress="null")


def test_a_project_that_refuses_the_credentials_ends_no_wait_in_another() -> None:
    async def scene(service: Service) -> None:
        good, bad = service.vaults
        waiting = asyncio.create_task(end(service, good))
        await asyncio.sleep(20)
        service.project = "another"
        # Tokens are bought for a project; each look at this vault finds its token dead, and so does the one bought for it.
        service.control.fault("token_revoked", call="ListBackups", vault_id=bad.id, count=None)
        assert isinstance((await first(service, bad, lambda poll: poll.refused)).error, CbrAuthenticationError)
        assert not waiting.done()
        await waiting

    play(scene, [[60], [60]], progress="null")


def test_derived_tokens_are_hidden_from_the_coroutine_before_anybody_is_told() -> None:
    async def scene(service: Service) -> None:
        with service.wait(service.vaults[0]) as waiter:
            assert service.hidden == []
            await waiter.next()
            assert len(service.hidden) == 1
            service.control.end_tokens()
            await asyncio.sleep(1300)
            assert len(set(service.hidden)) == 2

    play(scene, [[600]])


def test_a_token_is_hidden_also_when_the_look_that_needed_it_fails() -> None:
    async def scene(service: Service) -> None:
        service.control.fault("status", call="ListBackups", status=500)
        poll = await first(service, service.vaults[0], lambda poll: poll.error is not None)
        assert poll.error is not None
        assert len(service.hidden) == 1

    play(scene)


@pytest.mark.parametrize("where", ["the look", "the connection", "the watch"])
def test_a_mistake_of_our_own_reaches_every_wait(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(service: Service) -> list[PollResult]:
        def broken(*_: Any, **__: Any) -> Any:
            raise ZeroDivisionError

        if where == "the look":
            monkeypatch.setattr(vault_poll, "find_records", broken)
        elif where == "the connection":
            monkeypatch.setattr(service, "open", broken)
        else:
            monkeypatch.setattr(watch.Watch, "_sleep", broken)
        return await asyncio.gather(*(first(service, service.vaults[0], lambda poll: poll.refused) for _ in range(3)))

    assert [type(poll.error) for poll in play(scene)] == [ZeroDivisionError] * 3


def test_after_such_an_end_a_new_wait_gets_a_new_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        with service.wait(vault) as waiter:
            sleep = watch.Watch._sleep
            monkeypatch.setattr(watch.Watch, "_sleep", None)
            assert (await waiter.next()).refused
            monkeypatch.setattr(watch.Watch, "_sleep", sleep)
            await end(service, vault)

    play(scene)


def test_a_watch_that_somebody_cancels_tells_those_who_wait() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        with service.wait(vault) as waiter:
            await waiter.next()
            (task,) = asyncio.all_tasks() - {asyncio.current_task()}
            assert task is not None
            task.cancel()
            poll = await waiter.next()
            assert poll.refused

    play(scene)


def test_a_connection_that_cannot_be_resolved_just_now_is_asked_for_again() -> None:
    class Flaky(Service):
        async def open(self) -> Opened:
            if self.loop.time() < 1000:
                raise CbrConfigurationError("not just now", permanent=False)
            return await super().open()

    async def main(loop: VirtualLoop) -> None:
        service = Flaky(loop)
        service.start_copies()
        assert HOUR <= await end(service, service.vaults[0]) < HOUR + 121

    run(main)


# --- a service that says: not so fast ----------------------------------------------------------------------------------------


@pytest.mark.campaign
def test_on_429_everybody_on_the_account_waits_and_returns_when_it_clears() -> None:
    async def scene(service: Service) -> None:
        waits = [asyncio.create_task(end(service, vault)) for vault in service.vaults]
        await asyncio.sleep(500)
        service.control.fault("throttle", call="ListBackups", retry_after=400, count=1)
        before, now = service.looks(), service.loop.time()
        for _ in range(130):
            if service.looks() > before:
                break
            await asyncio.sleep(1)
        refused_at = service.loop.time()
        assert refused_at - now < 130
        await asyncio.sleep(395)
        assert service.looks() <= before + 1, "one was refused, and ten waited"
        await asyncio.sleep(60)
        assert service.looks() >= before + 11
        await asyncio.gather(*waits)

    play(scene, [[600]] * 10, progress="null")


def test_those_who_waited_do_not_return_in_the_same_moment() -> None:
    async def scene(service: Service) -> None:
        waits = [asyncio.create_task(end(service, vault)) for vault in service.vaults]
        await asyncio.sleep(500)
        service.control.fault("throttle", call="ListBackups", retry_after=400, count=1)
        moments: list[float] = []
        ask = watch.Watch._ask

        def noted(self: Any, *arguments: Any) -> Any:
            moments.append(service.loop.time())
            return ask(self, *arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(watch.Watch, "_ask", noted)
            await asyncio.sleep(700)
        after = [moment for moment in moments if moment > moments[0] + 300]
        assert len(after) >= 10
        assert max(sum(abs(one - other) < 0.5 for other in after) for one in after) <= 4
        for waiting in waits:
            waiting.cancel()

    play(scene, [[600]] * 10, progress="null")


def test_another_account_is_not_held_up() -> None:
    async def scene(service: Service) -> None:
        one, other = service.vaults
        with service.wait(one):
            await asyncio.sleep(30)
            service.account = "another"
            with service.wait(other, connection="another"):
                service.control.fault("throttle", call="ListBackups", retry_after=3000, vault_id=one.id, count=1)
                await asyncio.sleep(200)
                before = service.looks(other)
                assert service.looks(one) <= 3
                await asyncio.sleep(600)
                assert service.looks(other) - before >= 3

    play(scene, [[600], [600]], progress="null")


def test_two_connections_that_log_in_alike_are_one_account() -> None:
    async def scene(service: Service) -> None:
        one, other = service.vaults
        with service.wait(one, connection="one"), service.wait(other, connection="other"):
            await asyncio.sleep(30)
            service.control.fault("throttle", call="ListBackups", retry_after=1700, count=1)
            await asyncio.sleep(200)
            before = service.looks()
            await asyncio.sleep(1400)
            assert service.looks() == before

    play(scene, [[600], [600]], progress="null")


# --- asking for few -----------------------------------------------------------------------------------------------------------


def test_few_records_of_a_large_vault_are_asked_for_by_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_poll, "ROWS_PER_PAGE", 10)

    async def scene(service: Service) -> dict[str, int]:
        (vault,) = service.vaults
        await end(service, vault, vault.records[:2])
        return service.requests()

    counts = play(scene, [[60] * 95])
    assert counts["ListBackups"] < 15, "one listing, to learn where the records are"
    assert counts["ShowBackup"] >= 10
    assert counts["ShowBackup"] % 2 == 0


def test_many_records_are_listed_and_only_those_that_still_run_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_poll, "ROWS_PER_PAGE", 10)

    async def scene(service: Service) -> dict[str, int]:
        (vault,) = service.vaults
        with service.wait(vault) as waiter:
            await asyncio.sleep(30 * 60)
            assert "ShowBackup" not in service.requests()
            await asyncio.sleep(60 * 60)
            assert len(waiter.ended) == 40
            before = service.requests()
            await asyncio.sleep(6000)
            after = service.requests()
            assert after["ListBackups"] == before["ListBackups"]
            assert after["ShowBackup"] - before["ShowBackup"] >= 10
            while not (poll := await waiter.next()).are_final:
                pass
            assert poll.progress is not None
            assert poll.progress.line == "42/42 replicated"
        return after

    play(scene, [[40] * 40 + [400] * 2])


@pytest.mark.parametrize("records", ["empty", "absent"])
def test_a_service_that_shows_no_records_by_id_is_listed(records: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_poll, "ROWS_PER_PAGE", 10)

    async def scene(service: Service) -> dict[str, int]:
        (vault,) = service.vaults
        await end(service, vault, vault.records[:2])
        return service.requests()

    assert play(scene, [[60] * 95], show_backup_records=records)["ShowBackup"] == 2


def test_a_source_backup_that_is_deleted_while_its_copy_runs_does_not_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_poll, "ROWS_PER_PAGE", 10)

    async def scene(service: Service) -> PollResult:
        (vault,) = service.vaults
        with service.wait(vault, vault.records[:2]) as waiter:
            await asyncio.sleep(1000)
            service.control.remove_backup(vault.backups[vault.records[0]])
            while not (poll := await waiter.next()).unlisted:
                pass
            return poll

    assert play(scene, [[60] * 95]).error is None


# --- what a wait is told ----------------------------------------------------------------------------------------------------


def test_a_wait_is_told_of_changes_and_not_of_looks() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        lines: list[str] = []
        with service.wait(vault) as waiter:
            while not lines or lines[-1] != "1/1 replicated":
                poll = await waiter.next()
                assert poll.progress is not None
                lines.append(poll.progress.line)
        assert len(lines) == 2, lines
        assert service.looks() > 20

    play(scene, [[60]], progress="null")


def test_a_record_that_vanishes_is_told_with_its_backup_and_one_never_seen_without() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        gone, never = vault.records[0], "a1b2c3d4-0000-4000-8000-000000000001"
        service.control.fault("unknown_status", vault_id=vault.id)
        with service.wait(vault, [*vault.records, never]) as waiter:
            assert (await waiter.next()).unlisted == {never: None}
            service.control.remove_record(gone)
            while gone not in (poll := await waiter.next()).unlisted:
                pass
            assert poll.unlisted == {gone: vault.backups[gone], never: None}
            assert not poll.are_final

    play(scene, [[60, 60]])


def test_a_record_that_has_ended_and_vanishes_has_ended() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        with service.wait(vault) as waiter:
            await asyncio.sleep(1200)
            assert list(waiter.ended) == vault.records[:1]
            service.control.remove_backup(vault.backups[vault.records[0]])
            while not (poll := await waiter.next()).are_final:
                assert not poll.unlisted

    play(scene, [[5, 60]])


def test_unknown_status_words_and_skips_and_failures_are_told_as_they_are() -> None:
    async def main(loop: VirtualLoop) -> None:
        service = Service(loop, [[10, 10, 10, 10]])
        (vault,) = service.vaults
        service.control.fault("copy_fails", vault_id=vault.id, nth=1)
        service.control.fault("copy_skipped", vault_id=vault.id, nth=1)
        service.control.fault("unknown_status", vault_id=vault.id, nth=1)
        service.start_copies()
        poll = await first(service, vault, lambda poll: poll.are_final)
        assert poll.progress is not None
        assert poll.progress.line == "2/4 replicated, 1 failed, 1 skipped"

    run(main)


# --- at random ----------------------------------------------------------------------------------------------------------------


@pytest.mark.campaign
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, 5))])
def test_a_thousand_waits_start_wake_and_are_cancelled_at_random(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    count, vaults = 1000, 20
    outcomes: dict[int, list[str]] = {number: [] for number in range(count)}

    async def wait(service: Service, number: int, starts: float, vault: Vault, records: list[str]) -> None:
        await asyncio.sleep(starts)
        entered = service.loop.time()
        with service.wait(vault, records, shortest=chance.choice([5.0, 30.0, 90.0]), longest=chance.choice([100.0, 600.0])) as waiter:
            while not (poll := await waiter.next()).are_final:
                assert not poll.refused
            assert service.loop.time() - entered >= FIRST_LOOK_AFTER
            outcomes[number].append("woken")

    async def scene(service: Service) -> None:
        slow = SlowLooks(service.loop, lambda: chance.choice([0.0, 0.1, 3.0, 40.0]))
        monkeypatch.setattr(watch, "_lanes", slow)
        for _ in range(10):
            fault: dict[str, Any] = chance.choice(
                [{"kind": "reset"}, {"kind": "throttle"}, {"kind": "status", "status": 500}, {"kind": "truncated"}]
            )
            service.control.fault(call="ListBackups", nth=chance.randrange(1, 200), count=chance.randrange(1, 10), **fault)
        tasks = []
        for number in range(count):
            vault = chance.choice(service.vaults)
            records = chance.sample(vault.records, chance.randrange(1, len(vault.records)))
            # Many start together, so that they leave and come in the same turn of the loop as others are told.
            starts = chance.choice([0.0, 60.0, 600.0, chance.random() * 4000])
            tasks.append(asyncio.create_task(wait(service, number, starts, vault, records)))
        cancelled = set(chance.sample(range(count), count // 3))
        turns = sorted((chance.choice([10.0, 60.0, 610.0, chance.random() * 5000]), number) for number in cancelled)
        for moment, number in turns:
            await asyncio.sleep(max(0.0, moment - service.loop.time()))
            if not tasks[number].done():
                tasks[number].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for number, result in enumerate(results):
            if isinstance(result, asyncio.CancelledError):
                assert number in cancelled
                outcomes[number].append("cancelled")
            else:
                assert result is None, result
        assert {tuple(outcome) for outcome in outcomes.values()} == {("woken",), ("cancelled",)}
        assert registered() == 0
        await asyncio.sleep(1000)
        assert slow.in_flight == 0
        assert len(service.closed) == len(service.clients)
        assert len(asyncio.all_tasks()) == 1

    try:
        play(scene, [[chance.randrange(5, 60) for _ in range(10)] for _ in range(vaults)])
    except NothingLeftError:
        pytest.fail("somebody waits for ever")


def test_a_refusal_of_one_vault_is_none_of_another() -> None:
    async def scene(service: Service) -> None:
        one, other = service.vaults
        service.control.fault("code", call="ListBackups", code="6105", when="before", count=None, vault_id=one.id)
        refused, _ = await asyncio.gather(first(service, one, lambda poll: poll.refused), end(service, other))
        assert isinstance(refused.error, CbrNotFoundError)

    play(scene, [[60], [60]])


def test_real_threads_serve_many_vaults(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(service: Service) -> None:
        before = threading.active_count()
        with ThreadPoolExecutor(4) as threads:
            monkeypatch.setattr(watch, "_lanes", ThreadedLooks(service.loop, threads))
            ended = await asyncio.gather(*(end(service, vault) for vault in service.vaults for _ in range(20)))
            assert threading.active_count() <= before + 4
        assert max(ended) < HOUR + 60

    play(scene, [[60] * 5] * 20)

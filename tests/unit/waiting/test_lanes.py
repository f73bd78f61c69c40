"""Nobody waits for another's dead service: lanes of threads, with real sockets on which nothing comes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api.auth import AkSkCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.emulator.world import SOURCE_PROJECT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrError
from airflow_cbr.waiting import lanes, watch
from airflow_cbr.waiting.access import Opened
from airflow_cbr.waiting.lanes import SPARES, WIDTH, Lane, Lanes
from airflow_cbr.waiting.waiter import PollResult, Waiter
from airflow_cbr.waiting.watch import join
from tests.support.emulator import EmulatorServer
from tests.support.python_process import run_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG = 600.0
LIMIT = 30.0
KEY = AkSkCredentials("EMULATORACCESSKEY001", "emulator-secret-key-for-local-use-only")


@pytest.fixture
def silent() -> Iterator[str]:
    """Listen where every connection is made and none is answered; return the address."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(scope="module")
def healthy() -> Iterator[str]:
    with EmulatorServer() as server:
        yield server.url


@pytest.fixture
def impatience_is_no_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "PATIENCE", LONG)


@pytest.fixture(autouse=True)
def _own_lanes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lanes]:
    monkeypatch.setattr(watch, "FIRST_LOOK_AFTER", 0.0)
    monkeypatch.setattr(watch, "_SPREAD", 0.0)
    own = Lanes()
    monkeypatch.setattr(watch, "_lanes", own)
    before = set(threading.enumerate())
    yield own
    # By now every dead service is closed, which ends the looks that hung.
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("cbr-watch"):
            thread.join(LIMIT)
            assert not thread.is_alive()
    assert own._lanes == {}
    assert own._spares == SPARES


class Somewhere:
    """Leads a watch to an endpoint."""

    def __init__(self, url: str, account: str, endpoint: str | None = None) -> None:
        self.opened = Opened(account, account, "project", self.client, endpoint)
        self.url = url

    async def open(self) -> Opened:
        return self.opened

    async def hide(self, secret: str) -> None:
        raise AssertionError("a signed request has no token")

    def client(self, on_secret: Callable[[str], None]) -> CbrClient:
        return CbrClient(
            KEY,
            region="cn-north-4",
            project_id=SOURCE_PROJECT,
            endpoints=Endpoints(cbr=self.url, iam=self.url),
            connect_timeout=LONG,
            read_timeout=LONG,
            retry_budget=0.0,
        )


async def look(where: Somewhere, vault_id: str = SOURCE_VAULT, *, connection: str = "cbr") -> PollResult:
    """Wait for the first look at a vault."""
    waiter = Waiter(["a1b2c3d4-0000-4000-8000-000000000001"], shortest=1.0, longest=1.0)
    with join(waiter, connection=connection, region="cn-north-4", project_id=SOURCE_PROJECT, vault_id=vault_id, access=where):
        return await waiter.next()


def vault(number: int) -> str:
    return f"{number:08x}-f29c-4172-9d9a-76c719a659ce"


def hang_then_look(dead: list[tuple[Somewhere, str]], good: Somewhere, hanging: int, release: Callable[[], None]) -> None:
    """Let some looks hang, and have another one answered meanwhile."""

    async def main() -> None:
        bad = [asyncio.create_task(look(where, vault_id, connection=where.url)) for where, vault_id in dead]
        while sum(len(lane._began) for lane in watch._lanes._lanes.values()) < hanging:  # noqa: ASYNC110 - threads tell no event
            await asyncio.sleep(0.01)
        poll = await look(good, connection="good")
        assert poll.progress is not None, poll.error
        assert not any(task.done() for task in bad)
        release()
        for task in bad:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, CbrError):
                await task

    async def bounded() -> None:
        async with asyncio.timeout(LIMIT):
            await main()

    asyncio.run(bounded())


@pytest.mark.usefixtures("impatience_is_no_help")
@pytest.mark.parametrize("vaults", [4, 40])
def test_vaults_of_an_account_whose_service_is_dead_do_not_hold_up_another_account(vaults: int, silent: str, healthy: str) -> None:
    dead = Somewhere(silent, "hostile")
    hang_then_look([(dead, vault(number)) for number in range(vaults)], Somewhere(healthy, "healthy"), 4, lambda: None)


@pytest.mark.usefixtures("impatience_is_no_help")
def test_a_dead_endpoint_does_not_hold_up_another_endpoint_of_the_same_account(silent: str, healthy: str) -> None:
    dead = Somewhere(silent, "acme", "cn-east-3")
    hang_then_look([(dead, vault(number)) for number in range(8)], Somewhere(healthy, "acme", "cn-north-4"), 4, lambda: None)


@pytest.mark.usefixtures("impatience_is_no_help")
def test_forty_accounts_whose_services_are_dead_do_not_hold_up_one_that_answers(silent: str, healthy: str) -> None:
    dead = [(Somewhere(silent, f"hostile-{number}"), vault(number)) for number in range(40)]
    hang_then_look(dead, Somewhere(healthy, "healthy"), 40, lambda: None)


def test_vaults_that_hang_do_not_hold_up_another_one_of_the_same_account_and_endpoint(silent: str, healthy: str) -> None:
    dead = Somewhere(silent, "acme")
    hang_then_look([(dead, vault(number)) for number in range(WIDTH)], Somewhere(healthy, "acme"), WIDTH, lambda: None)


@pytest.mark.usefixtures("impatience_is_no_help")
def test_a_name_that_is_not_resolved_holds_up_nobody_else(healthy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve, goes_on = socket.getaddrinfo, threading.Event()

    def hanging(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "cbr.dead.example":
            goes_on.wait(LONG)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    dead = Somewhere("http://cbr.dead.example", "acme", "dead")
    hang_then_look([(dead, vault(number)) for number in range(8)], Somewhere(healthy, "acme", "good"), 4, goes_on.set)


# --- the threads ------------------------------------------------------------------------------------------------------------


def taken(own: Lanes) -> Lane:
    return own.take("acme")


def test_threads_are_bounded_whatever_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "PATIENCE", 0.0)
    own = Lanes()
    own._spares = 3
    one, other = own.take("one"), own.take("other")
    goes_on = threading.Event()
    futures = [lane.submit(goes_on.wait, LIMIT) for _ in range(20) for lane in (one, other)]
    while one._free or other._free:
        # Both take what they may have, and then everything hangs.
        threading.Event().wait(0.001)
    assert one._threads + other._threads == 2 * WIDTH + 3
    assert min(one._threads, other._threads) >= WIDTH
    goes_on.set()
    assert all(future.result(LIMIT) for future in futures)
    own.give_back(one)
    own.give_back(other)
    ends(one, other)
    assert own._spares == 3


def ends(*ended: Lane) -> None:
    """Wait until lanes have no thread any more."""
    for thread in threading.enumerate():
        if thread.name.startswith("cbr-watch"):
            thread.join(LIMIT)
    assert [lane._threads for lane in ended] == [0 for _ in ended]


def test_no_more_looks_run_together_than_a_lane_is_wide_while_none_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "PATIENCE", LONG)
    own = Lanes()
    lane = taken(own)
    at_once, most, turn = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal at_once, most
        with turn:
            at_once += 1
            most = max(most, at_once)
        with turn:
            at_once -= 1

    for future in [lane.submit(work) for _ in range(500)]:
        future.result(LIMIT)
    assert 1 <= most <= WIDTH
    own.give_back(lane)
    ends(lane)


def test_a_lane_lives_as_long_as_somebody_uses_it() -> None:
    own = Lanes()
    lane = taken(own)
    assert taken(own) is lane
    own.give_back(lane)
    assert taken(own) is lane
    own.give_back(lane)
    own.give_back(lane)
    assert taken(own) is not lane
    lane.submit(int).result(LIMIT)
    ends(lane)


def test_what_is_cancelled_before_its_turn_is_not_done_and_an_error_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "PATIENCE", LONG)
    own = Lanes()
    lane = taken(own)
    goes_on = threading.Event()
    done: list[int] = []
    busy = [lane.submit(goes_on.wait, LIMIT) for _ in range(WIDTH)]
    cancelled, broken = lane.submit(done.append, 1), lane.submit(int, "x")
    assert cancelled.cancel()
    goes_on.set()
    assert all(future.result(LIMIT) for future in busy)
    with pytest.raises(ValueError, match="invalid literal"):
        broken.result(LIMIT)
    with pytest.raises(CancelledError):
        cancelled.result(LIMIT)
    assert done == []
    own.give_back(lane)
    ends(lane)


def test_a_machine_without_threads_is_told_and_one_with_few_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Lanes()
    lane = taken(own)
    start, left = threading.Thread.start, 0

    def scarce(thread: threading.Thread) -> None:
        nonlocal left
        if not left:
            raise RuntimeError("can't start new thread")
        left -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    with pytest.raises(RuntimeError, match="No thread"):
        lane.submit(int)
    left = 1
    assert [future.result(LIMIT) for future in [lane.submit(int) for _ in range(20)]] == [0] * 20
    own.give_back(lane)
    ends(lane)
    assert own._spares == SPARES


def test_a_process_ends_while_a_look_hangs(silent: str) -> None:
    run_python(
        "-c",
        f"""
import asyncio, threading
from airflow_cbr.waiting import watch
from tests.unit.waiting.test_lanes import Somewhere, look
watch.FIRST_LOOK_AFTER = watch._SPREAD = 0.0
async def main():
    task = asyncio.create_task(look(Somewhere({silent!r}, "acme")))
    while not any(lane._began for lane in watch._lanes._lanes.values()):
        await asyncio.sleep(0.01)
    task.cancel()
asyncio.run(main())
assert any(thread.name.startswith("cbr-watch") for thread in threading.enumerate()), "it hangs still"
""",
    )

"""How a wait in the triggerer gets at the service."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowNotFoundException
from airflow_cbr.emulator.world import SOURCE_PROJECT
from airflow_cbr.exceptions import CbrConfigurationError
from airflow_cbr.triggers import access as access_module
from airflow_cbr.triggers.access import ConnectionAccess
from tests.support.task_run import set_connection, set_password_connection

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "http://127.0.0.1:1"
SECRET = "not-to-be-told"


def access(conn_id: str = "cbr") -> ConnectionAccess:
    return ConnectionAccess(conn_id, "cn-north-4", SOURCE_PROJECT)


def test_the_client_is_made_of_plain_credentials_and_knows_no_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    set_password_connection(monkeypatch, URL, conn_id="cbr")
    opened = asyncio.run(access().open())
    monkeypatch.delenv("AIRFLOW_CONN_CBR")
    client = opened.make_client(print)
    assert (client.region, client.project_id) == ("cn-north-4", SOURCE_PROJECT)
    client.close()


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ({"login": "AK1"}, {"login": "AK1", "region": "cn-east-3"}, True),
        ({"login": "AK1"}, {"login": "AK2"}, False),
        ({"login": "bot", "domain_name": "acme"}, {"login": "another", "domain_name": "acme"}, True),
        ({"login": "bot", "domain_name": "acme"}, {"login": "bot", "domain_name": "other"}, False),
        ({"login": "AK1"}, {"login": "AK1", "cloud": "example.com"}, False),
    ],
)
def test_an_account_is_whom_the_service_counts_requests_for(
    one: dict[str, Any], other: dict[str, Any], alike: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for conn_id, fields in (("one", one), ("other", other)):
        set_it: Callable[..., None] = set_password_connection if "domain_name" in fields else set_connection
        set_it(monkeypatch, URL, conn_id=conn_id, **fields)
    accounts = [asyncio.run(access(conn_id).open()).account for conn_id in ("one", "other")]
    assert (accounts[0] == accounts[1]) is alike
    assert len({hash(account) for account in accounts}) in (1, 2)
    assert "secret" not in repr(accounts)


def test_a_connection_that_is_not_there_is_an_error_for_good() -> None:
    with pytest.raises(CbrConfigurationError, match="Connection 'nowhere' is not defined") as caught:
        asyncio.run(access("nowhere").open())
    assert caught.value.permanent


def test_a_connection_that_cannot_be_used_names_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, URL, conn_id="cbr", auth_type="telepathy")
    with pytest.raises(CbrConfigurationError, match="auth_type") as caught:
        asyncio.run(access().open())
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("error", "permanent"), [(AirflowNotFoundException(SECRET), True), (RuntimeError(SECRET), False), (OSError(SECRET), False)]
)
def test_a_failure_of_airflow_or_a_secrets_backend_passes_and_is_not_quoted(
    error: Exception, permanent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(conn_id: str) -> Any:
        raise error

    monkeypatch.setattr("airflow_cbr.triggers.access._resolve", broken)
    with pytest.raises(CbrConfigurationError) as caught:
        asyncio.run(access().open())
    assert caught.value.permanent is permanent
    assert SECRET not in str(caught.value)


class Supervisor:
    """The supervisor as a trigger sees it: told in a way that blocks or in one that does not, and from which thread.

    A call that blocks, in the thread of the event loop, never returns in a real triggerer, or raises; Airflow hides the latter.
    """

    def __init__(self) -> None:
        self.told: set[Any] = set()
        self.blocked_the_loop: list[Any] = []
        self.loop_thread = threading.get_ident()

    def _note(self, message: Any) -> None:
        value = getattr(message, "value", None)
        self.told.update(value.values() if isinstance(value, dict) else [value])

    def send(self, message: Any) -> None:
        if threading.get_ident() == self.loop_thread:
            self.blocked_the_loop.append(message)
        self._note(message)

    async def asend(self, message: Any) -> None:
        self._note(message)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    from airflow.sdk.execution_time import task_runner

    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    return supervisor


#: What this Airflow can do, and what every Airflow can do.
WAYS = [False, True] if access_module.MASKS_IN_COROUTINES else [False]


@pytest.mark.parametrize("in_coroutines", WAYS)
def test_the_supervisor_is_told_every_secret_and_the_loop_is_never_blocked(
    in_coroutines: bool, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_module, "MASKS_IN_COROUTINES", in_coroutines)
    set_connection(monkeypatch, URL, conn_id="cbr", login="AK1", password="the-secret-key", security_token="the-security-token")

    async def wait() -> None:
        await access().open()
        await access().hide(SECRET)

    asyncio.run(wait())
    assert {"the-secret-key", "the-security-token", SECRET} <= supervisor.told
    assert supervisor.blocked_the_loop == []


def test_of_a_long_token_the_end_is_masked_so_that_the_masker_stays_fast(supervisor: Supervisor) -> None:
    """The masker of a process that runs for weeks makes one regular expression of every secret that it was ever given."""
    token = "".join(f"{number:05d}" for number in range(400))
    asyncio.run(access().hide(token))
    (masked,) = supervisor.told
    assert token.endswith(masked)
    assert len(masked) == 40


def test_the_thread_finds_its_way_back_to_the_loop() -> None:
    """Airflow 3.1 asks its supervisor on the loop that waits for the thread; in a loop of the thread's own its sockets do not work."""
    from asgiref.sync import async_to_sync

    async def which(_: str) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def wait() -> None:
        assert await access_module._in_a_thread(lambda text: async_to_sync(which)(text), "") is asyncio.get_running_loop()

    asyncio.run(wait())


def test_a_connection_that_takes_long_does_not_hold_up_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "MASKS_IN_COROUTINES", False)
    other_is_open = threading.Event()

    def resolve(conn_id: str) -> Any:
        if conn_id == "slow":
            assert other_is_open.wait(30), "the slow connection was waited for"
        else:
            other_is_open.set()
        return SimpleNamespace(conn_id=conn_id), {}

    monkeypatch.setattr(access_module, "_resolve_blocking", resolve)

    async def both() -> None:
        await asyncio.gather(access_module._resolve("slow"), access_module._resolve("fast"))

    asyncio.run(both())

"""How a wait in the triggerer gets at the service."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_cbr.emulator.world import SOURCE_PROJECT
from airflow_cbr.exceptions import CbrConfigurationError
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
    with pytest.raises(CbrConfigurationError, match="There is no connection 'nowhere'") as caught:
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

    monkeypatch.setattr("airflow.providers.common.compat.connection.get_async_connection", broken)
    with pytest.raises(CbrConfigurationError) as caught:
        asyncio.run(access().open())
    assert caught.value.permanent is permanent
    assert SECRET not in str(caught.value)


def test_a_secret_is_masked_from_the_coroutine_where_airflow_can(monkeypatch: pytest.MonkeyPatch) -> None:
    import airflow.sdk.log as sdk_log

    masked = []

    async def amask_secret(secret: str) -> None:
        masked.append(secret)

    monkeypatch.setattr(sdk_log, "amask_secret", amask_secret, raising=False)
    monkeypatch.setattr("airflow_cbr.triggers.access.mask_secret", lambda secret: pytest.fail("that would block the loop"))
    asyncio.run(access().hide(SECRET))
    assert masked == [SECRET]


def test_before_that_it_is_masked_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[str] = []
    monkeypatch.setattr("airflow.sdk.log", SimpleNamespace())
    monkeypatch.setattr("airflow_cbr.triggers.access.mask_secret", masked.append)
    asyncio.run(access().hide(SECRET))
    assert masked == [SECRET]

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_cbr.api import auth, transport
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from tests.support.fresh_machine import new_machine
from tests.unit.api.service import PROJECT, Service, running

MakeClient = Callable[..., CbrClient]


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what is kept for the life of a process."""
    new_machine()
    transport._warned_hosts.clear()
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def service() -> Iterator[Service]:
    with running() as service:
        yield service


@pytest.fixture
def pauses() -> list[float]:
    """Return the seconds that clients of this test waited between attempts; they take no time."""
    return []


@pytest.fixture
def make_client(service: Service, pauses: list[float]) -> Iterator[MakeClient]:
    """Return a factory of clients of the service: AK/SK, project known, no time spent waiting."""
    clients = []

    def make(credentials: auth.Credentials | None = None, **options: Any) -> CbrClient:
        options.setdefault("region", "cn-north-4")
        options.setdefault("project_id", PROJECT)
        options.setdefault("endpoints", Endpoints(cbr=service.url, iam=service.url))
        options.setdefault("sleep", pauses.append)
        client = CbrClient(credentials or auth.AkSkCredentials("ACCESSKEY", "the-secret-key"), **options)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()

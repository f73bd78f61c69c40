"""The page's Test button: Airflow's own route, with the body that the page posts for a connection that is stored."""

from __future__ import annotations

import inspect
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AIRFLOW_VERSION
from airflow_cbr.demo.scenario import CONN_ID, CONN_TYPE, connection_fields
from airflow_cbr.emulator.server import connection_json
from airflow_cbr.emulator.world import default_world

if TYPE_CHECKING:
    from tests.support.emulator import EmulatorServer

COMPARES = (3, 3) <= AIRFLOW_VERSION < (3, 4)
"""Airflow 3.3 compares host and port of the body with those of the stored connection, and 0 is not "no port" to it."""


def press_test(monkeypatch: pytest.MonkeyPatch, stored: dict[str, Any]) -> Any:
    """Press Test on the page of a stored connection, and return the route's answer.

    :param stored: the fields of its row.
    """
    from airflow.api_fastapi.core_api.datamodels.connections import ConnectionBody
    from airflow.api_fastapi.core_api.routes.public import connections

    routes: Any = connections
    monkeypatch.setenv("AIRFLOW__CORE__TEST_CONNECTION", "Enabled")
    extra = json.dumps(stored["extra"])
    row = routes.Connection(conn_id=CONN_ID, conn_type=CONN_TYPE, **{**stored, "extra": extra})
    monkeypatch.setattr(routes.Connection, "get_connection_from_secrets", staticmethod(lambda *_, **__: row))
    if hasattr(routes.Connection, "get_team_name"):
        monkeypatch.setattr(routes.Connection, "get_team_name", staticmethod(lambda *_, **__: None))
    # What the page makes of the row: `host ?? ""`, `Number(port)`, and three stars for a secret that is not typed again.
    body = ConnectionBody(
        connection_id=CONN_ID,
        conn_type=CONN_TYPE,
        description="",
        extra=extra,
        host=stored.get("host") or "",
        login=stored["login"],
        password="***",
        port=stored.get("port") or 0,
        schema="",
    )
    given = {"test_body": body, "user": SimpleNamespace(), "auth_manager": SimpleNamespace(is_authorized_connection=lambda **_: True)}
    route = inspect.unwrap(routes.test_connection)
    return route(**{name: given[name] for name in inspect.signature(route).parameters})


@pytest.mark.parametrize("auth", ["aksk", "password"])
def test_the_demos_connection_is_tested_by_the_page(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, auth: Any) -> None:
    answer = press_test(monkeypatch, connection_fields(auth, emulator.url))
    assert answer.status, answer.message
    assert "CBR in cn-north-4 answers for project" in answer.message


def test_the_connection_that_the_emulator_prints_keeps_its_port_where_the_command_line_stores_it() -> None:
    """Airflow takes the number 0 in JSON for no port."""
    from airflow.models.connection import Connection

    printed = json.loads(connection_json(default_world(), "http://127.0.0.1:1"))
    assert Connection.from_json(json.dumps(printed), conn_id=CONN_ID).port == 0
    assert Connection.from_json(json.dumps({**printed, "port": 0}), conn_id=CONN_ID).port is None


def test_a_connection_without_a_port_is_refused_as_the_documentation_says(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastapi import HTTPException

    fields = {name: value for name, value in connection_fields("aksk", emulator.url).items() if name != "port"}
    if not COMPARES:
        assert press_test(monkeypatch, fields).status
        return
    with pytest.raises(HTTPException, match="The host or port to test differs from the stored connection") as caught:
        press_test(monkeypatch, fields)
    assert caught.value.status_code == 400

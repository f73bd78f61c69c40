"""Airflow's REST API over SQLite: a database that is busy for a moment ends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_cbr.demo import rest
from airflow_cbr.demo.rest import BUSY_LIMIT, AirflowApi
from airflow_cbr.demo.waiting import DemoError

if TYPE_CHECKING:
    from requests import PreparedRequest

BUSY = (500, '{"detail":{"reason":"Database error","statement":"hidden","orig_error":"hidden","message":"Serious error"}}')
DONE = (200, '{"dag_run_id": "one"}')


class Answers(requests.adapters.BaseAdapter):
    """Gives one answer after the other."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        super().__init__()
        self.left = list(answers)

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Return the next answer; a token at any time."""
        status, text = (200, '{"access_token": "t"}') if str(request.url).endswith("/auth/token") else self.left.pop(0)
        answer = requests.Response()
        answer.status_code, answer._content, answer.request, answer.url = status, text.encode(), request, str(request.url)
        return answer

    def close(self) -> None:
        """There is nothing to close."""


def api_with(monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, str]) -> AirflowApi:
    monkeypatch.setattr(rest, "BUSY_PAUSE", 0.0)
    api = AirflowApi("http://127.0.0.1:1")
    api._session.mount("http://", Answers(*answers))
    return api


def test_a_busy_database_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert api_with(monkeypatch, BUSY, BUSY, DONE).request("POST", "dags/d/dagRuns") == {"dag_run_id": "one"}


def test_one_that_stays_busy_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DemoError, match="Database error"):
        api_with(monkeypatch, *[BUSY] * (BUSY_LIMIT + 1)).request("POST", "dags/d/dagRuns")


def test_any_other_error_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DemoError, match="HTTP 500 something else"):
        api_with(monkeypatch, (500, "something else"), DONE).request("POST", "dags/d/dagRuns")

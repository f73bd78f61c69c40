"""The few calls to Airflow's public REST API (``/api/v2``) that the stack itself needs."""

from __future__ import annotations

import time
from typing import Any, Final

import requests

from airflow_cbr.demo.waiting import DemoError

__all__ = ["AirflowApi"]

# Connect and read, in seconds. A busy machine with two cores takes its time; whoever must not wait for ever has a limit of its own.
TIMEOUT: Final = (5.0, 90.0)
HEALTH_TIMEOUT: Final = (3.0, 20.0)
# SQLite turns a reader away that wants to write while another process does, whatever the timeout; nothing was changed then.
BUSY_LIMIT: Final = 10
BUSY_PAUSE: Final = 0.5
COMPONENTS: Final = frozenset({"metadatabase", "scheduler", "dag_processor", "triggerer"})


class AirflowApi:
    """A client of one api-server that lets everybody in (``[core] simple_auth_manager_all_admins``).

    :param url: the server's address, without a path.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False  # neither a proxy nor netrc has anything to do with a server on loopback

    def healthy(self) -> bool:
        """Return whether the server answers, and calls the database, scheduler, Dag processor and triggerer healthy."""
        try:
            answer = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=HEALTH_TIMEOUT)
        except requests.RequestException:
            return False
        if answer.status_code != requests.codes.ok:
            return False
        health: dict[str, dict[str, Any] | None] = answer.json()
        return all((health.get(name) or {}).get("status") == "healthy" for name in COMPONENTS)

    def request(self, method: str, path: str, *, absent_ok: bool = False, **options: Any) -> Any:
        """Make a call and return its decoded answer.

        :param method: HTTP verb.
        :param path: path below ``/api/v2/``.
        :param absent_ok: return None for a 404 instead of raising. Default: False.
        :param options: passed to ``requests``: ``json``, ``params``.
        :return: the decoded JSON; None for an empty answer.
        :raises DemoError: any status of 400 or more, with the server's words.
        """
        if "Authorization" not in self._session.headers:
            token = self._session.get(f"{self.url}/auth/token", timeout=TIMEOUT)
            token.raise_for_status()
            self._session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        answer = self._session.request(method, f"{self.url}/api/v2/{path}", timeout=TIMEOUT, **options)
        for _ in range(BUSY_LIMIT):
            if not _found_database_busy(answer):
                break
            time.sleep(BUSY_PAUSE)
            answer = self._session.request(method, f"{self.url}/api/v2/{path}", timeout=TIMEOUT, **options)
        if absent_ok and answer.status_code == requests.codes.not_found:
            return None
        if not answer.ok:
            raise DemoError(f"{method} {path}: HTTP {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    def knows_dag(self, dag_id: str) -> bool:
        """Return whether the Dag has been parsed, so that a run can be triggered.

        :param dag_id: id of the Dag.
        """
        return self.request("GET", f"dags/{dag_id}", absent_ok=True) is not None

    def import_errors(self) -> list[dict[str, Any]]:
        """Return the Dag files that Airflow could not read, with ``filename`` and ``stack_trace``."""
        errors: list[dict[str, Any]] = self.request("GET", "importErrors")["import_errors"]
        return errors

    def create_connection(self, conn_id: str, conn_type: str, **fields: Any) -> None:
        """Create a connection in the metadata database.

        :param conn_id: id of the connection.
        :param conn_type: its type.
        :param fields: ``login``, ``password``, ``extra`` (a string of JSON), ...
        """
        self.request("POST", "connections", json={"connection_id": conn_id, "conn_type": conn_type, **fields})


def _found_database_busy(answer: requests.Response) -> bool:
    return answer.status_code == requests.codes.server_error and '"reason":"Database error"' in answer.text

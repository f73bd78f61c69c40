"""Airflow's api-server by itself, with its web page: for what the page does, where no task has to run."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import requests

from airflow_cbr.demo.components import Component, stop_all
from airflow_cbr.demo.loopback import HOST, reserve_port
from airflow_cbr.demo.rest import AirflowApi
from airflow_cbr.demo.scenario import example_dags
from airflow_cbr.demo.stack import airflow_command, airflow_environment, api_server_environment, migrate_database
from airflow_cbr.demo.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ApiServer", "api_server"]

_LIMIT: Final = 300.0


class ApiServer:
    """A running api-server that lets everybody in, and tests connections.

    :param url: its address.
    :param environment: of its processes.
    :param home: ``AIRFLOW_HOME``.
    """

    def __init__(self, url: str, environment: dict[str, str], home: Path) -> None:
        self.url = url
        self.api = AirflowApi(url)
        self._environment = environment
        self._home = home

    def run(self, *arguments: str) -> None:
        """Run an ``airflow`` command beside it.

        :param arguments: for example ``("connections", "add", ...)``.
        """
        done = subprocess.run(
            airflow_command(*arguments), env=self._environment, cwd=self._home, capture_output=True, text=True, timeout=_LIMIT
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def api_server(home: Path) -> Iterator[ApiServer]:
    """Start an api-server over a database of its own.

    :param home: an empty folder.
    """
    url = f"http://{HOST}:{(port := reserve_port(0))}"
    environment = {
        **airflow_environment(home, [example_dags()]),
        **api_server_environment(port),
    }
    migrate_database(home, environment)
    server = Component("api-server", airflow_command("api-server"), environment=environment, directory=home, log=home / "api-server.log")

    def answers() -> bool:
        try:
            return requests.get(f"{url}/api/v2/version", timeout=20).ok
        except requests.RequestException:
            return False

    try:
        server.start()
        wait_until(answers, limit=_LIMIT, what="the api-server answers", check=server.check, every=0.5)
        yield ApiServer(url, environment, home)
    finally:
        stop_all([server])

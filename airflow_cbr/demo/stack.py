"""A whole Airflow, for the length of a demo or of a test session: api-server, scheduler, Dag processor, triggerers.

LocalExecutor and SQLite, in a folder of its own, on loopback only. SQLite takes one writer at a time: with the write-ahead log and a
minute of patience it carries about 16 tasks at once; a larger ``parallelism`` buys nothing. Whoever has a PostgreSQL server can name a
database there instead.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from airflow_cbr.demo.components import Component, ended_with, stop_all
from airflow_cbr.demo.intervals import install_intervals
from airflow_cbr.demo.loopback import HOST, clean_environment, free_port, reserve_port
from airflow_cbr.demo.rest import AirflowApi
from airflow_cbr.demo.waiting import DemoError, wait_until
from airflow_cbr.languages import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

__all__ = ["AirflowStack", "airflow_command", "airflow_environment", "api_server_environment", "migrate_database"]

# A process that dies is noticed at once; these are for one that hangs, and long enough for a machine with much else to do.
MIGRATE_LIMIT: Final = 300.0
HEALTH_LIMIT: Final = 600.0
# The log servers of scheduler and triggerer listen on every interface. Nobody needs them: all components share one log folder.
NO_LOG_SERVER: Final = "--skip-serve-logs"


def airflow_command(*arguments: str) -> list[str]:
    """Return the command line of an ``airflow`` command.

    Through the running interpreter: the first line of a console script cannot name an interpreter in a folder with a space in it.
    ``-P`` keeps the working directory from being importable.

    :param arguments: for example ``("db", "migrate")``.
    """
    return [sys.executable, "-P", "-m", "airflow", *arguments]


def _sqlite(home: Path, patience: int) -> str:
    """Return the address of a stack's own database.

    :param home: ``AIRFLOW_HOME``.
    :param patience: seconds for which SQLite waits for its write lock before it says that the database is locked.
    """
    return f"sqlite:///{home}/airflow.db?timeout={patience}"


def api_server_environment(port: int) -> dict[str, str]:
    """Return what an api-server needs besides: where it listens, that everybody is let in, and secrets of its own.

    :param port: its port on the loopback address.
    """
    return {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://{HOST}:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(48),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
    }


def airflow_environment(home: Path, dag_folders: Sequence[Path], database: str | None = None) -> dict[str, str]:
    """Return the environment that every Airflow process in one folder shares.

    :param home: the folder (``AIRFLOW_HOME``).
    :param dag_folders: folders of Dag files.
    :param database: address of an empty metadata database, as SQLAlchemy takes it. Default: SQLite, in the folder.
    """
    bundles = [
        {
            "name": "dags-folder" if number == 0 else f"dags-folder-{number}",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(folder.resolve())},
        }
        for number, folder in enumerate(dag_folders)
    ]
    return {
        **clean_environment(os.environ),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database or _sqlite(home, 60),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dag_folders[0].resolve()),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "airflow_cbr.demo.loopback.hostname",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "SCARF_ANALYTICS": "false",
    }


def migrate_database(home: Path, environment: Mapping[str, str], *, check: Callable[[], None] | None = None) -> None:
    """Create the tables of the metadata database.

    :param home: the folder (``AIRFLOW_HOME``).
    :param environment: from :func:`airflow_environment`.
    :param check: called while it works; may raise to stop it. Default: none.
    :raises DemoError: Airflow cannot create it.
    """
    log = home / "db-migrate.log"
    migration = Component("airflow db migrate", airflow_command("db", "migrate"), environment=environment, directory=home, log=log)
    migration.start()
    migration.expected_to_run = False
    try:
        wait_until(
            lambda: migration.exit_code is not None, limit=MIGRATE_LIMIT, what=translated("the metadata database is created"), check=check
        )
    finally:
        migration.kill()
    if migration.exit_code != 0:
        raise DemoError(ended_with(migration.name, migration.exit_code, migration.tail()))
    if (file := home / "airflow.db").exists():
        # Readers no longer wait for the writer, nor it for them. The setting stays in the file.
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA journal_mode=WAL")


class AirflowStack:
    """Real Airflow components with LocalExecutor, in a new folder that goes with them; a context manager.

    :param dag_folders: folders of Dag files.
    :param port: port of the api-server and its web page; 0 for any free one. Default: 0.
    :param parallelism: tasks that run at once. Default: 8.
    :param triggerers: number of triggerers. Default: 1.
    :param pace: seconds between two looks of every waiting task. Default: what each Dag says.
    :param environment: further environment variables, for example ``AIRFLOW_CONN_...``. Default: none.
    :param database: address of an empty metadata database, as SQLAlchemy takes it. Default: SQLite, in the new folder.
    :param folder: where the new folder is made. Default: the system's folder for temporary files.
    :param check: called whenever something is waited for; may raise to stop the start. Default: none.
    """

    def __init__(
        self,
        dag_folders: Sequence[Path],
        *,
        port: int = 0,
        parallelism: int = 8,
        triggerers: int = 1,
        pace: float | None = None,
        environment: Mapping[str, str] | None = None,
        database: str | None = None,
        folder: Path | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        self.dag_folders = list(dag_folders)
        self.port = port
        self.parallelism = parallelism
        self.triggerers = triggerers
        self.pace = pace
        self.components: dict[str, Component] = {}
        self._further_environment = dict(environment or {})
        self._database = database
        self._folder = folder
        self._outer_check = check
        self._home: Path | None = None
        self._api: AirflowApi | None = None
        self._environment: dict[str, str] = {}

    @property
    def home(self) -> Path:
        """Return ``AIRFLOW_HOME`` of the running stack."""
        if self._home is None:
            raise DemoError(translated("{name} was not started", name="Airflow"))
        return self._home

    @property
    def api(self) -> AirflowApi:
        """Return the client of the stack's api-server."""
        if self._api is None:
            raise DemoError(translated("{name} was not started", name="Airflow"))
        return self._api

    @property
    def url(self) -> str:
        """Return the address of the web page and the REST API."""
        return self.api.url

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the environment of the components, to run an ``airflow`` command beside them."""
        return self._environment

    def __enter__(self) -> Self:
        """Start everything and wait until it is healthy."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Stop everything and remove the folder."""
        self.stop()

    def start(self) -> None:
        """Start everything and wait until Airflow calls itself healthy; on any exception nothing is left behind.

        :raises DemoError: the port is taken, a component has died (with the end of its output), or it takes longer than 10 minutes.
        """
        port = reserve_port(self.port)
        try:
            self._home = Path(tempfile.mkdtemp(prefix="airflow-cbr-", dir=self._folder)).resolve()
            self._api = AirflowApi(f"http://{HOST}:{port}")
            self._environment = self._settings(port)
            if self.pace is not None:
                install_intervals(self.home, self.pace)
            migrate_database(self.home, self._environment, check=self.check)
            # Over SQLite, its event loop can wait for the lock while the thread that holds it cannot commit without the loop: nothing moves
            # for so long. A call that fails is made again; a scheduler that finds the database locked dies.
            own = self._database or _sqlite(self.home, 3)
            self._start_component("api-server", "api-server", AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=own)
            self._start_component("dag-processor", "dag-processor")
            self._start_component("scheduler", "scheduler", NO_LOG_SERVER)
            self._start_workers()
            for _ in range(self.triggerers):
                self.start_triggerer()
            wait_until(self.api.healthy, limit=HEALTH_LIMIT, what=translated("Airflow is healthy"), check=self.check, every=0.25)
        except BaseException:
            self.stop()
            raise

    def _start_workers(self) -> None:
        """Start what runs the tasks; with LocalExecutor the scheduler does."""

    def _executor_settings(self) -> dict[str, str]:
        """Return the settings of the executor."""
        return {"AIRFLOW__CORE__EXECUTOR": "LocalExecutor"}

    def start_triggerer(self, *options: str) -> Component:
        """Start one more triggerer, ``triggerer-1``, ``triggerer-2``, ...; it takes over the triggers that no living one has.

        :param options: further options of ``airflow triggerer``, for example ``("--capacity", "1")``.
        """
        number = 1 + sum(name.startswith("triggerer-") for name in self.components)
        return self._start_component(f"triggerer-{number}", "triggerer", NO_LOG_SERVER, *options)

    def check(self) -> None:
        """Raise when a component has died, or when the caller's own check raises.

        :raises DemoError: with the component's exit code and the end of its output.
        """
        if self._outer_check is not None:
            self._outer_check()
        for component in self.components.values():
            component.check()

    def stop(self) -> None:
        """Stop every process of the stack, also what a killed component has left, and remove the folder; harmless when repeated."""
        stop_all(self.components.values())
        self.components.clear()
        if self._home is not None:
            shutil.rmtree(self._home)
            self._home = None

    def _start_component(self, name: str, *arguments: str, **settings: str) -> Component:
        component = Component(
            name,
            airflow_command(*arguments),
            environment={**self._environment, **settings},
            directory=self.home,
            log=self.home / f"{name}.log",
        )
        self.components[name] = component
        component.start()
        return component

    def _settings(self, port: int) -> dict[str, str]:
        return {
            **airflow_environment(self.home, self.dag_folders, self._database),
            **self._executor_settings(),
            "AIRFLOW__CORE__PARALLELISM": str(self.parallelism),
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "128",
            "AIRFLOW__CORE__MAX_ACTIVE_RUNS_PER_DAG": "128",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{port}/execution/",
            **api_server_environment(port),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            # A Dag runs when somebody triggers it: its schedule is for those who run it for years.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            # On a machine that is busy with other work an import can take minutes; with Airflow's own limits all Dags then go stale, and
            # whoever triggers one is told that there is no such Dag.
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "180",
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "240",
            "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "600",
            # One api-server over SQLite serves every task of a crowd: with Airflow's 5 s for a call, tasks fail for that reason alone.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            **self._further_environment,
        }

"""A whole Airflow as a site with many machines has it: Celery workers, Redis and PostgreSQL, all on loopback.

The same parts with the same settings as in ``docs/deployment/docker-compose.yml``, as plain processes.
"""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.demo.loopback import HOST
from airflow_cbr.demo.stack import NO_LOG_SERVER, AirflowStack
from airflow_cbr.demo.waiting import DemoError, wait_until
from tests.support.servers import PostgreSQL, Redis, need

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow_cbr.demo.components import Component

__all__ = ["CeleryStack"]

_READY: Final = " ready."
_READY_LIMIT: Final = 600.0


class CeleryStack(AirflowStack):
    """Airflow with CeleryExecutor over PostgreSQL and Redis; a context manager.

    :param dag_folders: folders of Dag files.
    :param workers: number of Celery workers. Default: 2.
    :param slots: tasks that one worker runs at once. Default: 8.
    :param options: further ones of :class:`~airflow_cbr.demo.stack.AirflowStack`, but ``database``.
    """

    def __init__(self, dag_folders: Sequence[Path], *, workers: int = 2, slots: int = 8, **options: Any) -> None:
        super().__init__(dag_folders, parallelism=32, **options)
        self.workers = workers
        self.slots = slots
        self._servers: tuple[PostgreSQL, Redis] | None = None

    @property
    def postgresql(self) -> PostgreSQL:
        """Return the database server of the running stack."""
        return self._running_servers()[0]

    @property
    def redis(self) -> Redis:
        """Return the broker of the running stack."""
        return self._running_servers()[1]

    def start(self) -> None:
        """Start everything and wait until Airflow and its workers call themselves ready; on any exception nothing is left behind.

        :raises DemoError: a program or a package is missing, or a part does not start.
        """
        need(PostgreSQL, Redis)
        if find_spec("airflow.providers.celery") is None:
            raise DemoError("the Celery provider is not installed: run `make stack-celery`, or install airflow-cbr[celery]")
        try:
            self._servers = PostgreSQL(), Redis()
            for server in self._servers:
                server.start(self.check)
            self._database = self.postgresql.address
            super().start()
            for name in [name for name in self.components if name.startswith("worker-")]:
                self.wait_until_ready(self.components[name])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every process, Airflow's first, and remove the folders; harmless when repeated."""
        try:
            super().stop()
        finally:
            with ExitStack() as closing:
                for server in self._servers or ():
                    closing.callback(server.close)
                self._servers = None

    def check(self) -> None:
        """Raise when a process has died, or when the caller's own check raises."""
        super().check()
        for server in self._servers or ():
            server.check()

    def start_worker(self) -> Component:
        """Start one more worker, ``worker-1``, ``worker-2``, ..."""
        number = 1 + sum(name.startswith("worker-") for name in self.components)
        options = ("--concurrency", str(self.slots), "--celery-hostname", f"worker-{number}@{HOST}", NO_LOG_SERVER)
        return self._start_component(f"worker-{number}", "celery", "worker", *options)

    def wait_until_ready(self, worker: Component) -> None:
        """Wait until a worker takes tasks.

        :param worker: from :meth:`start_worker`.
        """
        wait_until(lambda: _READY in worker.tail(2000), limit=_READY_LIMIT, what=f"{worker.name} takes tasks", check=self.check)

    def _start_workers(self) -> None:
        for _ in range(self.workers):
            self.start_worker()

    def _executor_settings(self) -> dict[str, str]:
        return {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CELERY__BROKER_URL": self.redis.address,
            "AIRFLOW__CELERY__RESULT_BACKEND": self.postgresql.celery_address,
            # With Airflow's own second, a scheduler on a busy machine gives up to send a task, and tries again.
            "AIRFLOW__CELERY__OPERATION_TIMEOUT": "20",
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
        }

    def _running_servers(self) -> tuple[PostgreSQL, Redis]:
        if self._servers is None:
            raise DemoError("the stack was not started")
        return self._servers

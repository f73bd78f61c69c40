"""PostgreSQL and Redis on loopback, each with a new folder: started, restarted and stopped like the parts of Airflow."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from airflow_cbr.demo.components import Component, stop_all
from airflow_cbr.demo.loopback import HOST, clean_environment, free_port
from airflow_cbr.demo.waiting import DemoError, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["PostgreSQL", "Redis", "Server", "need"]

#: Where Debian keeps the programs of each version of PostgreSQL.
DEBIAN = "/usr/lib/postgresql"
_START_LIMIT: Final = 300
_STOP_LIMIT: Final = 30.0


class Server(ABC):
    """A server and its folder, which goes with it; a context manager."""

    package: str
    """The package of Debian that brings the program."""
    _component: Component

    def __init__(self) -> None:
        self.port = free_port()
        # Below pytest's folders, which are for one user alone, another user's server would not get anywhere.
        self._home = Path(tempfile.mkdtemp(prefix=f"airflow-cbr-{self.package}-"))

    def __enter__(self) -> Self:
        """Start it, and wait until it serves."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Stop it, and remove its data."""
        self.close()

    @classmethod
    @abstractmethod
    def program(cls) -> Path | None:
        """Return the path of the server's program; None where it is not installed."""

    @abstractmethod
    def serves(self) -> bool:
        """Return whether it accepts clients."""

    def start(self, check: Callable[[], None] | None = None) -> None:
        """Start it, and wait until it serves.

        :param check: called while it starts; may raise to stop that. Default: none.
        :raises DemoError: it has ended, or does not serve within five minutes.
        """

        def ready() -> bool:
            if check is not None:
                check()
            self.check()
            return self.serves()

        self._component.start()
        wait_until(ready, limit=_START_LIMIT, what=f"{self._component.name} serves")

    def check(self) -> None:
        """Raise when it has ended although it was not stopped."""
        self._component.check()

    def stop(self) -> None:
        """Stop it, as for a restart: clients are cut off, data stay."""
        stop_all([self._component], grace=_STOP_LIMIT)

    def kill(self) -> None:
        """Kill it; data stay as they are in that moment."""
        self._component.kill()

    def close(self) -> None:
        """Stop it for good, and remove its folder."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self._home, ignore_errors=True)


def need(*servers: type[Server]) -> None:
    """Raise where a server is not installed, with what to do.

    :raises DemoError: naming all that is missing.
    """
    if missing := [server.package for server in servers if server.program() is None]:
        raise DemoError(f"not installed: {', '.join(missing)}. On Debian and Ubuntu: apt-get install {' '.join(missing)}")


class PostgreSQL(Server):
    """A PostgreSQL server with an empty database.

    For the long runs of real Airflow processes: over SQLite, Airflow's api-server stalls now and then on a busy machine, or fails for good.

    :raises DemoError: PostgreSQL is not installed.
    """

    package = "postgresql"
    _user: Final = "airflow"

    def __init__(self) -> None:
        need(type(self))
        super().__init__()
        # The server refuses to run as root; Debian's package brings a user for it.
        self._owner = "postgres" if os.getuid() == 0 else None
        self._password = secrets.token_urlsafe(16)
        self._data = self._home / "data"
        # What a crash of the machine would lose does not matter here.
        settings = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=400")
        self._component = Component(
            "PostgreSQL",
            [
                *map(str, [self._bin() / "postgres", "-D", self._data, "-h", HOST, "-p", self.port, "-k", self._home]),
                *(word for setting in settings for word in ("-c", setting)),
            ],
            environment=clean_environment(os.environ),
            directory=self._home,
            log=self._home / "log",
            user=self._owner,
            # SIGTERM would wait for clients to leave.
            stop_signal=signal.SIGINT,
        )

    def start(self, check: Callable[[], None] | None = None) -> None:
        """Start it, with an empty database the first time, and wait until it serves.

        :param check: called while it starts; may raise to stop that. Default: none.
        :raises DemoError: it cannot be initialised, has ended, or does not serve within five minutes.
        """
        if not self._data.exists():
            self._initialise()
        super().start(check)

    def _initialise(self) -> None:
        (given := self._home / "password").write_text(self._password)
        if self._owner is not None:
            shutil.chown(self._home, self._owner)
            shutil.chown(given, self._owner)
        given.chmod(0o600)
        command: list[str | Path] = [
            self._bin() / "initdb",
            "-D",
            self._data,
            "-U",
            self._user,
            "-E",
            "UTF8",
            "--auth=scram-sha-256",
            f"--pwfile={given}",
        ]
        done = subprocess.run(command, check=False, user=self._owner, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise DemoError(f"initdb ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")

    @property
    def address(self) -> str:
        """Return the address of the database, as SQLAlchemy takes it."""
        return f"postgresql+psycopg2://{self._location}"

    @property
    def celery_address(self) -> str:
        """Return the address of the database, as Celery's result backend takes it."""
        # With the driver: SQLAlchemy 2.1 would take another one.
        return f"db+{self.address}"

    @property
    def _location(self) -> str:
        return f"{self._user}:{self._password}@{HOST}:{self.port}/postgres"

    @classmethod
    def program(cls) -> Path | None:
        """Return the path of ``initdb``; Debian keeps it off the path."""
        if found := shutil.which("initdb"):
            return Path(found).resolve()
        return max(Path(DEBIAN).glob("*/bin/initdb"), default=None)

    @classmethod
    def _bin(cls) -> Path:
        program = cls.program()
        assert program is not None
        return program.parent

    def serves(self) -> bool:
        """Return whether it accepts clients."""
        command: list[str | Path] = [self._bin() / "pg_isready", "-q", "-h", HOST, "-p", str(self.port)]
        return subprocess.run(command, check=False, cwd="/", stdin=subprocess.DEVNULL).returncode == 0


class Redis(Server):
    """A Redis that keeps nothing on disk: what is in it is lost when it ends, which is the worst that a site's broker can do.

    :raises DemoError: Redis is not installed.
    """

    package = "redis-server"

    def __init__(self) -> None:
        need(type(self))
        super().__init__()
        self._password = secrets.token_urlsafe(16)
        settings = {
            "bind": HOST,
            "port": self.port,
            "dir": self._home,
            "save": '""',
            "appendonly": "no",
            "requirepass": self._password,
        }
        # Not on the command line, which everybody can read.
        (file := self._home / "redis.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self._component = Component(
            "Redis",
            [str(self.program()), str(file)],
            environment=clean_environment(os.environ),
            directory=self._home,
            log=self._home / "log",
        )

    @property
    def address(self) -> str:
        """Return the address of its first database, as Celery takes it."""
        return f"redis://:{self._password}@{HOST}:{self.port}/0"

    @classmethod
    def program(cls) -> Path | None:
        """Return the path of ``redis-server``."""
        found = shutil.which("redis-server")
        return None if found is None else Path(found)

    def serves(self) -> bool:
        """Return whether it answers; without the password that is an error, and an answer."""
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), timeout=5) as client:
            client.sendall(b"PING\r\n")
            return client.recv(1) != b""
        return False

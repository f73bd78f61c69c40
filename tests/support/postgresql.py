"""A PostgreSQL server of its own for the length of a test session, on loopback.

For the long runs of real Airflow processes: over SQLite, Airflow's api-server stalls now and then on a busy machine, or fails for good.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_cbr.demo.loopback import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["postgresql"]

_START_LIMIT: Final = 120
_USER: Final = "airflow"


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """Start a server with an empty database; return its address as SQLAlchemy takes it. Server and data go with the context.

    :raises RuntimeError: PostgreSQL is not installed, or does not start.
    """
    programs = _programs()
    # The server refuses to run as root; Debian's package brings a user for it.
    user = "postgres" if os.getuid() == 0 else None
    # Below pytest's folders, which are for one user alone, another user's server would not get anywhere.
    home = Path(tempfile.mkdtemp(prefix="airflow-cbr-postgresql-"))
    try:
        if user is not None:
            shutil.chown(home, user)
        password = secrets.token_urlsafe(16)
        (given := home / "password").write_text(password)
        given.chmod(0o644)
        data, port = home / "data", free_port()
        _run([programs / "initdb", "-D", data, "-U", _USER, "-E", "UTF8", "--auth=scram-sha-256", f"--pwfile={given}"], user)
        # What a crash of the machine would lose does not matter here.
        options = f"-h {HOST} -p {port} -k {home} -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400"
        _run([programs / "pg_ctl", "-D", data, "-w", "-t", str(_START_LIMIT), "-l", home / "log", "-o", options, "start"], user)
        try:
            yield f"postgresql+psycopg2://{_USER}:{password}@{HOST}:{port}/postgres"
        finally:
            _run([programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop"], user)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _programs() -> Path:
    """Return the folder of the server's programs; Debian keeps them off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        raise RuntimeError("PostgreSQL is not installed, which --postgresql needs: apt-get install postgresql")
    return folders[-1]


def _run(command: list[str | Path], user: str | None) -> None:
    """Run one of the server's programs to its end.

    :param command: the program with its arguments.
    :param user: who runs it, or None for the caller.
    """
    # A server that pg_ctl starts keeps its output, so that a pipe would not end before it.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(command, check=False, user=user, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        if done.returncode:
            output.seek(0)
            raise RuntimeError(f"{command[0]} ended with exit code {done.returncode}:\n{output.read().decode(errors='replace')}")

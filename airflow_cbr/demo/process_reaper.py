"""Kills what a program has started when the program itself is killed.

A program that gets SIGKILL, or a test run that is stopped from outside, cannot stop its processes. The keeper can: it holds the reading
end of a pipe, which ends with the program, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

from airflow_cbr.demo.sessions import kill_session

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ProcessReaper", "keeper"]


class ProcessReaper:
    """The keeper of this program; a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "airflow_cbr.demo.process_reaper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            # A Ctrl-C on the terminal is for the program.
            start_new_session=True,
        )

    def keep(self, session: int) -> None:
        """Have a session killed when this program ends without having released it.

        :param session: id of the process that began it.
        """
        self._say(f"+{session}")

    def release(self, session: int) -> None:
        """Take back :meth:`keep`: the session has ended, and its id may soon be somebody else's.

        :param session: id of the process that began it.
        """
        self._say(f"-{session}")

    def close(self) -> None:
        """End the keeper, after what it has to do."""
        self._process.communicate()

    def _say(self, line: str) -> None:
        pipe = self._process.stdin
        with contextlib.suppress(OSError):
            if pipe is not None and not pipe.closed:
                pipe.write(f"{line}\n")
                pipe.flush()


@cache
def keeper() -> ProcessReaper:
    """Return the keeper of this program; the first call starts it, and it ends with the program."""
    only = ProcessReaper()
    atexit.register(only.close)
    return only


def _watch(lines: Iterable[str]) -> None:
    kept: set[int] = set()
    for line in lines:
        session = int(line[1:])
        if line.startswith("+"):
            kept.add(session)
        else:
            kept.discard(session)
    for session in kept:
        kill_session(session)


if __name__ == "__main__":
    _watch(sys.stdin)

"""The processes of a session: what a program has started, and what that has started in turn."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Final

import psutil

__all__ = ["kill_session", "session_members"]

# A process that is killed has to run once more to end; on a machine with much else to do that takes a while.
KILL_LIMIT: Final = 60.0


def session_members(leader: int) -> list[int]:
    """Return the ids of all living processes of a session.

    :param leader: id of the process that began the session, which may be gone.
    """
    return [pid for pid in psutil.pids() if _session_of(pid) == leader and _is_alive(pid)]


def kill_session(leader: int) -> list[int]:
    """Kill every process of a session and wait until none is left.

    :param leader: id of the process that began the session.
    :return: the processes that are still there after a minute.
    """
    deadline = time.monotonic() + KILL_LIMIT
    while members := session_members(leader):
        if time.monotonic() > deadline:
            return members
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    return []


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

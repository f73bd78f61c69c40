"""Whether what a caller does was told to stop: from then on nothing that changes something is sent.

Airflow tells a task with a signal, and lets its process live on for a while, in which Python continues where it was interrupted. So
whoever runs a task says here how to find out, and the client asks right before the first byte of a call that changes something goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from airflow_cbr.exceptions import CbrStoppedError

__all__ = ["refuse_if_stopped", "stoppable"]


def _never() -> bool:
    return False


_IS_STOPPED: Final[ContextVar[Callable[[], bool]]] = ContextVar("is_stopped", default=_never)


@contextmanager
def stoppable(is_stopped: Callable[[], bool]) -> Iterator[None]:
    """Let no client change anything once it was stopped, for as long as the block is running, in this thread or asyncio task.

    :param is_stopped: whether it was. A signal handler may decide that, so it must not wait for anything.
    """
    token = _IS_STOPPED.set(is_stopped)
    try:
        yield
    finally:
        _IS_STOPPED.reset(token)


def refuse_if_stopped(what: str) -> None:
    """Do nothing, unless a stop has come.

    :param what: what does not happen any more, for the message, for example ``CopyCheckpoint was not sent.``
    :raises CbrStoppedError: it has.
    """
    if _IS_STOPPED.get()():
        raise CbrStoppedError(f"The task was stopped; {what}")

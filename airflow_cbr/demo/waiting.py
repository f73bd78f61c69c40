"""Waiting for a condition with a limit, in a way that a stop signal ends at once."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Final, Self, TypeVar

from airflow_cbr.languages import translated

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

__all__ = ["DemoError", "StopSignals", "Stopped", "wait_until"]

Answer = TypeVar("Answer")
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(Exception):
    """What went wrong with the demo or its processes; the first line of the text is fit for a terminal."""


class Stopped(Exception):  # noqa: N818 - not an error: somebody asked for it
    """A stop signal has arrived.

    :param signum: the signal's number.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(translated("stopped by {signal}", signal=signal.Signals(signum).name))
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """Return what a shell reports for a process that the signal ended: 128 + its number."""
        return 128 + self.signum


class StopSignals:
    """Remember Ctrl-C, SIGTERM and SIGHUP instead of dying of them; a context manager for the main thread.

    Nothing is raised inside the handler: an exception that lands between the start of a process and the note of its id would leave the
    process behind. Whoever waits calls :meth:`check`. A second signal changes nothing, so it cannot interrupt the cleaning up.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Self:
        """Install the handlers."""
        for signum in STOP_SIGNALS:
            self._previous[signum] = signal.signal(signum, self._remember)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Put the previous handlers back."""
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def _remember(self, signum: int, _frame: FrameType | None) -> None:
        self.received = self.received or signum

    def check(self) -> None:
        """Raise :class:`Stopped` when a stop signal has arrived.

        :raises Stopped: on the first call after the signal, and on every later one.
        """
        if self.received is not None:
            raise Stopped(self.received)


def wait_until(
    condition: Callable[[], Answer | None],
    *,
    limit: float,
    what: str,
    check: Callable[[], None] | None = None,
    every: float = 0.1,
) -> Answer:
    """Call a condition until it returns something true, and return that.

    :param condition: asked again and again; a false answer means "not yet".
    :param limit: seconds after which it is given up.
    :param what: what is waited for, for the message.
    :param check: called before each question; raises when waiting has become pointless. Default: none.
    :param every: seconds between two questions. Default: 0.1.
    :return: the first true answer.
    :raises DemoError: the limit has passed.
    """
    deadline = time.monotonic() + limit
    while True:
        if check is not None:
            check()
        if answer := condition():
            return answer
        if time.monotonic() >= deadline:
            raise DemoError(translated("{what}: not within {limit} s", what=what, limit=f"{limit:g}"))
        time.sleep(every)

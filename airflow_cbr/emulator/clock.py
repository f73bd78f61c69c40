"""The service's sense of time, and what is due to happen in it."""

from __future__ import annotations

import heapq
import itertools
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_cbr.emulator.bounds import FIRST_MOMENT, LAST_MOMENT, LATEST_NOW

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Simulated time in seconds since 1970, UTC.

    It runs at ``speed`` times real time and can be advanced; it never goes back, and stands still at 2200-01-01.

    :param speed: simulated seconds per real second; 0 makes a virtual clock that moves by :meth:`advance` alone. Default: 1.
    :param real: the real clock. Default: :func:`time.time`.
    :param start: the simulated time to begin with. Default: the real time.
    """

    def __init__(self, *, speed: float = 1.0, real: Callable[[], float] = time.time, start: float | None = None) -> None:
        self._real = real
        self._anchor = real()
        self._base = self._anchor if start is None else start
        self._speed = speed

    @property
    def speed(self) -> float:
        """Return the simulated seconds per real second."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        if value < 0:
            raise ValueError("the speed of the clock must be 0 or more")
        self._base, self._anchor = self.now(), self._real()
        self._speed = value

    def now(self) -> float:
        """Return the simulated time."""
        return min(LATEST_NOW, self._base + (self._real() - self._anchor) * self._speed)

    def real(self) -> float:
        """Return the real time, by which a signature's date is judged."""
        return self._real()

    def advance(self, seconds: float) -> float:
        """Let simulated time pass at once.

        :param seconds: how much, 0 or more.
        :return: the new simulated time.
        :raises ValueError: the number is negative, or the clock would pass 2200-01-01.
        """
        if seconds < 0:
            raise ValueError("the clock cannot go back")
        if self.now() + seconds > LATEST_NOW:
            raise ValueError("the clock would pass 2200-01-01, where it ends")
        self._base += seconds
        return self.now()


class Timeline:
    """What is due to happen, in the order of its time. An action gets the time at which it was due, not the time of the look."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[float], object]]] = []
        self._order = itertools.count()

    def at(self, moment: float, action: Callable[[float], object]) -> None:
        """Plan an action.

        :param moment: simulated time.
        :param action: is called with the moment.
        """
        heapq.heappush(self._due, (moment, next(self._order), action))

    def next_due(self) -> float | None:
        """Return the time of the next action, or None when nothing is planned."""
        return self._due[0][0] if self._due else None

    def run_until(self, now: float) -> None:
        """Carry out all that is due, also what the actions themselves plan up to ``now``.

        :param now: simulated time.
        """
        while self._due and self._due[0][0] <= now:
            moment, _, action = heapq.heappop(self._due)
            action(moment)


def moment_text(moment: float | None, notation: str = "naive") -> str | None:
    """Write a time as the service does; one that is no date is written as the nearest date.

    :param moment: seconds since 1970, or None.
    :param notation: ``naive`` (UTC without a zone, microseconds: what CBR answers), ``offset`` (Open Telekom Cloud) or ``zulu``
        (as the documentation of some fields shows). Default: ``naive``.
    """
    if moment is None:
        return None
    when = datetime.fromtimestamp(min(max(moment, FIRST_MOMENT), LAST_MOMENT), UTC)
    if notation == "offset":
        return when.isoformat(timespec="milliseconds")
    if notation == "zulu":
        return when.strftime("%Y-%m-%dT%H:%M:%SZ")
    return when.replace(tzinfo=None).isoformat(timespec="microseconds")

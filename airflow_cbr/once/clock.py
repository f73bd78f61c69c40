"""Two clocks, and what each may be used for.

How long something has taken, or may still take, is measured with this machine's clock alone. The service's clock, read off the ``Date``
headers of its answers, serves to compare with the times in its rows, and one wrong header must not decide what is sent. So each question
that compares the two is asked of both clocks, and answered so that the worst that a wrong one can do is a bounded wait.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NewType

__all__ = ["CLOCK_MARGIN", "LocalTime", "ServiceClock", "ServiceTime", "moment"]

LocalTime = NewType("LocalTime", float)
"""Unix time by this machine's clock: deadlines, and when something was sent."""

ServiceTime = NewType("ServiceTime", float)
"""Unix time by the service's clock: what the rows say."""

CLOCK_MARGIN: Final = timedelta(seconds=5)
"""How far two clocks that are right may lie apart; a ``Date`` header has whole seconds."""

_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC).timestamp()
_LATEST: Final = datetime(9998, 1, 1, tzinfo=UTC).timestamp()


def moment(timestamp: float) -> datetime:
    """Return a Unix time as an aware datetime in UTC; one that no calendar holds becomes the nearest that does.

    :param timestamp: seconds since 1970.
    """
    return datetime.fromtimestamp(min(max(timestamp, _EARLIEST), _LATEST), tz=UTC)


class ServiceClock:
    """The service's clock beside this machine's.

    :param now: this machine's clock, Unix time in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ahead = 0.0

    def hear(self, date: datetime | None) -> None:
        """Take note of an answer's ``Date``.

        :param date: the header, or None where the answer had none that could be read.
        """
        if date is not None:
            self._ahead = date.timestamp() - self._now()

    @property
    def local(self) -> LocalTime:
        """Return this machine's time."""
        return LocalTime(self._now())

    @property
    def service(self) -> ServiceTime:
        """Return the service's time, as its newest answer has it."""
        return ServiceTime(self._now() + self._ahead)

    def not_before(self, local: float) -> ServiceTime:
        """Return the earlier of what both clocks call a moment of this machine's: no row of then or later is older than this.

        :param local: the moment, in this machine's clock.
        """
        return ServiceTime(min(local, local + self._ahead))

    def not_after(self, local: float) -> ServiceTime:
        """Return the later of what both clocks call a moment of this machine's.

        :param local: the moment, in this machine's clock.
        """
        return ServiceTime(max(local, local + self._ahead))

    def age(self, created: float) -> float:
        """Return for how many seconds something has existed, by the clock that says less; 0 when it lies in the future.

        :param created: the time in its row.
        """
        return max(min(self._now(), self._now() + self._ahead) - created, 0.0)

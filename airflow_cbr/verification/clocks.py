"""The current time, so that one wrong clock changes no verdict."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["Clocks"]

_DOUBTFUL: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of both services and of this machine, and what follows from them.

    A service sends its time with each answer, and one answer may be off by days, or from 1900. So the median of three clocks counts: the
    source's, the destination's, and this machine's. Where only one service sends its time, the later of that and this machine's
    counts, which can make a copy fail, but never pass.

    :param source: the source's last time, or None.
    :param destination: the destination's last time, or None.
    :param machine: this machine's clock.
    """

    source: datetime | None
    destination: datetime | None
    machine: datetime

    @classmethod
    def read(cls, source: datetime | None, destination: datetime | None) -> Clocks:
        """Return the clocks as they are now.

        :param source: the source's last time, or None.
        :param destination: the destination's last time, or None.
        """
        return cls(source, destination, datetime.fromtimestamp(time.time(), tz=UTC))

    @property
    def _said(self) -> list[datetime]:
        return [clock for clock in (self.source, self.destination) if clock is not None]

    @property
    def now(self) -> datetime:
        """Return the time that ages and expiry times are judged by; this machine's where no service sends its own."""
        clocks = sorted([*self._said, self.machine])
        return clocks[len(clocks) // 2]

    @property
    def service_now(self) -> datetime | None:
        """Return the same, or None where no service sends its time."""
        return self.now if self._said else None

    @property
    def doubt(self) -> str | None:
        """Return in words that the clocks differ by more than an hour, and which one counts; None when they do not."""
        clocks = [*self._said, self.machine]
        if max(clocks) - min(clocks) <= _DOUBTFUL:
            return None
        named = {"the source": self.source, "the destination": self.destination, "this machine": self.machine}
        said = ", ".join(f"{name} says {_text(clock)}" for name, clock in named.items() if clock is not None)
        return f"The clocks differ by more than an hour: {said}. Ages and expiry times are judged by {_text(self.now)}."


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")

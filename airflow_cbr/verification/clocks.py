"""What time it is: one clock that is wrong changes no verdict."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["Clocks"]

_DOUBTFUL: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks that were looked at, and what follows from them.

    A service says its time with each answer, and one answer may be off by days, or from 1900. So the middle one of three clocks counts: the
    source's, the destination's, and this machine's. Where only one service says its time, the later of that and this machine's
    counts, which can make a copy red, and never green.

    :param source: what the source said last, or None.
    :param destination: what the destination said last, or None.
    :param machine: this machine's clock.
    """

    source: datetime | None
    destination: datetime | None
    machine: datetime

    @classmethod
    def read(cls, source: datetime | None, destination: datetime | None) -> Clocks:
        """Return the clocks as they are now.

        :param source: what the source said last, or None.
        :param destination: what the destination said last, or None.
        """
        return cls(source, destination, datetime.fromtimestamp(time.time(), tz=UTC))

    @property
    def _said(self) -> list[datetime]:
        return [clock for clock in (self.source, self.destination) if clock is not None]

    @property
    def now(self) -> datetime:
        """Return the time by which is judged; this machine's where no service says its own."""
        clocks = sorted([*self._said, self.machine])
        return clocks[len(clocks) // 2]

    @property
    def service_now(self) -> datetime | None:
        """Return the same, or None where no service says its time."""
        return self.now if self._said else None

    @property
    def doubt(self) -> str | None:
        """Return in one sentence that the clocks lie more than an hour apart, and which one counts; None when they do not."""
        clocks = [*self._said, self.machine]
        if max(clocks) - min(clocks) <= _DOUBTFUL:
            return None
        named = {"the source": self.source, "the destination": self.destination, "this machine": self.machine}
        said = ", ".join(f"{name} says {_text(clock)}" for name, clock in named.items() if clock is not None)
        return f"The clocks lie more than an hour apart: {said}. Ages and expiries are judged by {_text(self.now)}."


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")

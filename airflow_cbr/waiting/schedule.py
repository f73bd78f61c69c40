"""When to look next: often when a copy is about to end, rarely when it has hours to go.

The gap between two looks is a fraction of the time that the copies still need by the service's own percentage. Halving what is left at
each look reaches the end in a number of looks that grows with the logarithm of the copy's length, and a copy that slows down is simply
looked at again. Where the percentage is unknown or does not change, the gap depends on the copy's age alone: it grows with the age, and
stays short.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airflow_cbr.waiting.progress import percent_of, remaining_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from airflow_cbr.api.summaries import RecordSummary

__all__ = ["BLIND_GAP", "Schedule"]

BLIND_GAP: Final = 120.0
"""Longest gap, in seconds, while a copy's progress is not known."""

_FRACTION: Final = 0.5
_JITTER: Final = 0.1
_chance = random.Random()  # noqa: S311 - spreads load, guards nothing


@dataclass(slots=True)
class Schedule:
    """Chooses the gap before the next look at a set of copies; remembers what the last look saw, to measure the speed.

    :param shortest: shortest gap in seconds (``poll_interval``).
    :param longest: longest gap in seconds (``max_poll_interval``).
    :param rng: source of the jitter. Default: one that all schedules share.
    """

    shortest: float = 30.0
    longest: float = 600.0
    rng: random.Random = field(default=_chance, repr=False)
    _seen: dict[str, tuple[float, float]] = field(default_factory=dict, repr=False)
    _began: float | None = field(default=None, repr=False)

    def gap(self, unfinished: Iterable[RecordSummary], now: datetime, *, is_complete: bool = True, at: float | None = None) -> float:
        """Return the seconds until the next look.

        The slowest copy of the set decides, since the wait ends with it.

        :param unfinished: the listed records that have not ended.
        :param now: the service's clock; only compared with the service's own times.
        :param is_complete: whether all records are listed; of one that is not, the progress is unknown. Default: True.
        :param at: a clock of this machine, in seconds, which measures what passes between two looks. Default: ``now``.
        :return: seconds, jittered by up to a tenth, between ``shortest`` and ``longest``, whatever the records say; at most
            :data:`BLIND_GAP`, or ``shortest`` if that is longer, while the progress of one of them is unknown or does not change.
        """
        at = now.timestamp() if at is None else at
        self._began = began = at if self._began is None else self._began
        needed = [] if is_complete else [at - began]
        is_blind = not is_complete
        seen: dict[str, tuple[float, float]] = {}
        for record in unfinished:
            percent, before = percent_of(record), self._seen.get(record.id)
            stands = before is not None and before[0] == percent
            remaining = self._remaining(record, now, at)
            is_blind = is_blind or stands or remaining is None
            needed.append(remaining if remaining is not None else (now - record.created).total_seconds() if record.created else at - began)
            if percent is not None:
                # A percentage that has not moved keeps its time, or one step after a standstill would look like a leap.
                seen[record.id] = before if before is not None and stands else (percent, at)
        self._seen = seen
        ceiling = max(min(BLIND_GAP, self.longest) if is_blind else self.longest, self.shortest)
        gap = max(self.shortest, min(max(needed, default=0.0) * _FRACTION, ceiling))
        chosen = self.rng.uniform(max(self.shortest, gap * (1 - _JITTER)), min(max(gap, self.shortest * (1 + _JITTER)), ceiling))
        return min(max(chosen, self.shortest), ceiling)

    def _remaining(self, record: RecordSummary, now: datetime, at: float) -> float | None:
        """Return how long a copy still takes, by its age or its newest speed, whichever is shorter; None when it is not known."""
        percent, before = percent_of(record), self._seen.get(record.id)
        remaining = remaining_seconds(record, now)
        if percent is None or remaining is None or before is None:
            return remaining
        moved, passed = percent - before[0], at - before[1]
        if moved > 0:
            return min(remaining, passed * (100 - percent) / moved)
        # Percentages are whole: one step may take longer than a gap. Two steps' time without one is a standstill.
        step = remaining / (100 - percent) if percent < 100 else 0.0
        return remaining if passed < 2 * step else None

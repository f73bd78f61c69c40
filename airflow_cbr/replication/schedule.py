"""When to look next: often when a copy is about to end, rarely when it has hours to go.

The gap between two looks is a fraction of the time that the copies still need by the service's own percentage. Halving what is left at
each look reaches the end in a number of looks that grows with the logarithm of the copy's length, and a copy that slows down is simply
asked again. Where the percentage is unknown or stands still there is nothing to reckon with but the copy's age: the gap grows with it, and
stays short.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airflow_cbr.replication.progress import remaining_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from airflow_cbr.api.models import ReplicationRecord

__all__ = ["Schedule"]

BLIND_GAP: Final = 120.0
"""Longest gap, in seconds, while nothing is known of a copy's progress."""

_FRACTION: Final = 0.5
_JITTER: Final = 0.1


@dataclass(slots=True)
class Schedule:
    """Chooses the gap before the next look at a set of copies; remembers what the last look saw, to notice a standstill.

    :param shortest: shortest gap in seconds (``poll_interval``).
    :param longest: longest gap in seconds (``max_poll_interval``).
    :param rng: source of the jitter.
    """

    shortest: float = 30.0
    longest: float = 600.0
    rng: random.Random = field(default_factory=random.Random, repr=False)
    _seen: dict[str, float | int | None] = field(default_factory=dict, repr=False)

    def gap(self, unfinished: Iterable[ReplicationRecord], now: datetime) -> float:
        """Return the seconds until the next look.

        Whoever waits for a set of copies waits for the slowest of them, so it is the slowest that decides.

        :param unfinished: the listed records that have not ended; those that are not listed yet have nothing to say.
        :param now: the service's clock.
        :return: seconds, between ``shortest`` and ``longest``, jittered downwards by up to a tenth above ``shortest``.
        """
        left: list[float] = []
        blind: list[float] = []
        seen: dict[str, float | int | None] = {}
        for record in unfinished:
            percent = record.extra.progress
            seen[record.id] = percent
            remaining = remaining_seconds(record, now)
            if remaining is None or (record.id in self._seen and self._seen[record.id] == percent):
                age = (now - record.created).total_seconds() if record.created is not None else BLIND_GAP
                blind.append(min(age * _FRACTION, BLIND_GAP))
            else:
                left.append(remaining)
        self._seen = seen
        gap = max(left) * _FRACTION if left else 0.0
        if blind:
            gap = min(gap, BLIND_GAP) if left else max(blind)
        gap = max(self.shortest, min(gap, self.longest))
        return max(self.shortest, gap * (1 - _JITTER * self.rng.random()))

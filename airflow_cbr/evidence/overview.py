"""What a report says beside the days of each vault: its origin, a row for each vault, and the totals. Small, whatever the evidence."""

from __future__ import annotations

import statistics
from array import array
from datetime import date
from typing import TYPE_CHECKING, Final

import msgspec

from airflow_cbr.evidence.file import VaultPlace
from airflow_cbr.evidence.judgement import Reason, State
from airflow_cbr.evidence.period import Period

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_cbr.evidence.check import Problem
    from airflow_cbr.evidence.period import Day, VaultPeriod

__all__ = ["GAPS", "JUDGED", "Origin", "Overview", "Row", "Stretch", "stretches"]

GAPS: Final = tuple(state for state in State if state.is_gap)
JUDGED: Final = (State.MET, *GAPS, State.UNPROVEN)
"""The days that count: neither those before the first evidence nor those that are not over."""
_MOST_PROBLEMS: Final = 100


class Origin(msgspec.Struct, frozen=True):
    """Where a report is from.

    :param period: which days.
    :param zone: name of the time zone.
    :param path: where the evidence is.
    :param version: of this package.
    :param keys: ids of the public keys that signatures were checked with; None where they were not checked.
    """

    period: Period
    zone: str
    path: str
    version: str
    keys: list[str] | None


class Row(msgspec.Struct, frozen=True):
    """A vault pair without its days."""

    pair: str
    source: VaultPlace | None
    destination: VaultPlace | None
    rpo: float | None
    states: dict[State, int]
    worst: float | None
    median: float | None
    longest: float
    drills: int
    drills_passed: int
    others: int
    problems: int

    @property
    def judged(self) -> int:
        """Return how many days count."""
        return sum(self.states[state] for state in JUDGED)

    @property
    def gaps(self) -> int:
        """Return how many days are shown in red."""
        return sum(self.states[state] for state in GAPS)


class Stretch(msgspec.Struct, frozen=True):
    """Days on end with the same state for the same reasons.

    :param first: the first day.
    :param last: the last day.
    :param state: of all of them.
    :param reasons: those of the first day.
    """

    first: date
    last: date
    state: State
    reasons: tuple[Reason, ...]


class Overview:
    """The totals, which grow as the vaults go by."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.files = 0
        self.problems: list[Problem] = []
        self.problem_count = 0
        self._ages = array("d")

    def add(self, vault: VaultPeriod) -> Row:
        """Count a vault pair, and return its row.

        :param vault: the pair.
        """
        row = Row(
            pair=vault.pair,
            source=vault.source,
            destination=vault.destination,
            rpo=vault.rpo,
            states={state: vault.count(state) for state in State},
            worst=vault.worst,
            median=vault.median,
            longest=vault.longest,
            drills=len(vault.drills),
            drills_passed=sum(drill.passed for drill in vault.drills),
            others=vault.others,
            problems=len(vault.problems),
        )
        self.rows.append(row)
        self.files += vault.files
        self.problem_count += len(vault.problems)
        self.problems += vault.problems[: _MOST_PROBLEMS - len(self.problems)]
        self._ages.extend(vault.ages)
        return row

    def count(self, *states: State) -> int:
        """Return how many days of all vaults are in any of some states.

        :param states: which.
        """
        return sum(row.states[state] for row in self.rows for state in states)

    @property
    def judged(self) -> int:
        """Return how many days of all vaults count."""
        return self.count(*JUDGED)

    @property
    def gaps(self) -> int:
        """Return how many days of all vaults are shown in red."""
        return self.count(*GAPS)

    @property
    def worst(self) -> float | None:
        """Return the RPO that was attained at worst, in seconds."""
        return max(self._ages, default=None)

    @property
    def median(self) -> float | None:
        """Return the median of the RPO that was attained, in seconds."""
        return statistics.median_high(self._ages) if self._ages else None

    @property
    def drills(self) -> int:
        """Return how many drills there were."""
        return sum(row.drills for row in self.rows)

    @property
    def drills_passed(self) -> int:
        """Return how many of them passed."""
        return sum(row.drills_passed for row in self.rows)


def stretches(days: list[Day]) -> Iterator[Stretch]:
    """Yield the days that count and are not met, those together that say the same.

    :param days: in their order.
    """
    open_one: Stretch | None = None
    for day in days:
        if day.state is State.MET or day.state not in JUDGED:
            if open_one is not None:
                yield open_one
            open_one = None
        elif open_one is not None and day.state is open_one.state and _gist(day.reasons) == _gist(open_one.reasons):
            open_one = msgspec.structs.replace(open_one, last=day.day)
        else:
            if open_one is not None:
                yield open_one
            open_one = Stretch(day.day, day.day, day.state, day.reasons)
    if open_one is not None:
        yield open_one


def _gist(reasons: tuple[Reason, ...]) -> list[tuple[str, str, str | None]]:
    return [(reason.key, reason.subject, reason.fault) for reason in reasons]

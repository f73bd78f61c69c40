"""A period of a vault pair: day by day what is known, and what follows from all of it. One pass over its files, in any order of time."""

from __future__ import annotations

import statistics
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from airflow_cbr.api.texts import LONGEST_NAME, one_line
from airflow_cbr.evidence.check import Checked, Problem, ProblemKind
from airflow_cbr.evidence.file import VaultPlace
from airflow_cbr.evidence.judgement import DrillContent, Judgement, Reason, State, UnknownContentError, judge, read_drill

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_cbr.evidence.file import Evidence

__all__ = ["Day", "Drill", "Period", "VaultPeriod", "summarise"]


class Period(msgspec.Struct, frozen=True):
    """The days of a report, and when it is made.

    :param first: the first day.
    :param last: the last day, which belongs to it.
    :param zone: by whose midnight days begin.
    :param now: what is not over by then is no gap.
    """

    first: date
    last: date
    zone: tzinfo
    now: datetime

    @property
    def days(self) -> Iterator[date]:
        """Return the days in their order."""
        for number in range((self.last - self.first).days + 1):
            yield self.first + timedelta(days=number)

    @property
    def begin(self) -> datetime:
        """Return the moment at which it begins."""
        return datetime.combine(self.first, time.min, self.zone).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """Return the moment at which it ends: the end of its last day, or now."""
        end = datetime.combine(self.last + timedelta(days=1), time.min, self.zone).astimezone(UTC)
        return min(end, max(self.now, self.begin))

    def day_of(self, moment: datetime) -> date:
        """Return the day of a moment.

        :param moment: with a zone.
        """
        return moment.astimezone(self.zone).date()


class Day(msgspec.Struct):
    """What is known about a vault on one day.

    :param day: which.
    :param state: in a word.
    :param verifications: how many there were.
    :param age: greatest age in seconds; infinite where a resource had no replica, None where nothing is known.
    :param reasons: why it is not met.
    """

    day: date
    state: State
    verifications: int = 0
    age: float | None = None
    reasons: tuple[Reason, ...] = ()


class Drill(msgspec.Struct, frozen=True):
    """A restore drill.

    :param at: when.
    :param content: what it says.
    """

    at: datetime
    content: DrillContent

    @property
    def passed(self) -> bool:
        """Return whether it passed."""
        return self.content.passed


class VaultPeriod(msgspec.Struct):
    """What the evidence of a vault pair says about a period.

    :param pair: its folder.
    :param source: the source vault, as the newest file names it; None where no file can be read.
    :param destination: likewise.
    :param rpo: seconds, as the newest verification of the period that has one says; None where none was set.
    :param days: all days, in their order.
    :param ages: of the worst resource at each verification in seconds.
    :param longest: longest time in seconds, within the period, in which no verification succeeded with all that is asked.
    :param drills: those of the period.
    :param others: files of the period of a kind that is not known here.
    :param problems: what is wrong with the evidence itself, of all times.
    :param files: how many files there are, of all times.
    """

    pair: str
    source: VaultPlace | None
    destination: VaultPlace | None
    rpo: float | None
    days: list[Day]
    ages: list[float]
    longest: float
    drills: list[Drill]
    others: int
    problems: list[Problem]
    files: int

    def count(self, *states: State) -> int:
        """Return how many days are in any of some states.

        :param states: which.
        """
        return sum(day.state in states for day in self.days)

    @property
    def worst(self) -> float | None:
        """Return the RPO that was attained at worst, in seconds; infinite where a resource had no replica, None where nothing is known."""
        return max(self.ages, default=None)

    @property
    def median(self) -> float | None:
        """Return the median of the RPO that was attained, in seconds."""
        return statistics.median_high(self.ages) if self.ages else None


def summarise(pair: str, found: Iterable[Checked | Problem], period: Period) -> VaultPeriod:
    """Return what the evidence of a vault pair says about a period.

    :param pair: its folder.
    :param found: from :func:`airflow_cbr.evidence.check.walk`; read once, and not kept.
    :param period: which days.
    """
    tally = _Tally(pair, period)
    for one in found:
        if isinstance(one, Problem):
            tally.problems.append(one)
        else:
            tally.take(one)
    return tally.summary()


class _Tally:
    """What is kept of the files of a pair while they go by."""

    def __init__(self, pair: str, period: Period) -> None:
        self.pair = pair
        self.period = period
        self.judged: defaultdict[date, list[tuple[datetime, Judgement]]] = defaultdict(list)
        self.damaged: set[date] = set()
        self.drills: list[Drill] = []
        self.problems: list[Problem] = []
        self.files = self.others = 0
        self.first: Evidence | None = None
        self.newest: Evidence | None = None

    def take(self, one: Checked) -> None:
        self.files += 1
        if (evidence := one.evidence) is None:
            return
        if one.counts or self.newest is None:
            self.newest = evidence
        if one.counts and evidence.sequence == 1:
            self.first = evidence
        day = self.period.day_of(evidence.at)
        if not self.period.first <= day <= self.period.last:
            return
        if not one.counts:
            self.damaged.add(day)
            return
        try:
            if evidence.kind == "verification":
                self.judged[day].append((evidence.at, judge(evidence.content)))
            elif evidence.kind == "drill":
                self.drills.append(Drill(evidence.at, read_drill(evidence.content)))
            else:
                self.others += 1
        except UnknownContentError as error:
            self.damaged.add(day)
            self.problems.append(Problem(ProblemKind.DAMAGED, self.pair, one.name, str(error)))

    def summary(self) -> VaultPeriod:
        in_order = sorted((pair for judged in self.judged.values() for pair in judged), key=lambda pair: pair[0])
        newest = self.newest
        return VaultPeriod(
            pair=one_line(self.pair),
            source=None if newest is None else _shown(newest.source),
            destination=None if newest is None else _shown(newest.destination),
            rpo=next((judgement.rpo for _, judgement in reversed(in_order) if judgement.rpo is not None), None),
            days=[self._day(day) for day in self.period.days],
            ages=[judgement.age for _, judgement in in_order if judgement.age is not None],
            longest=self._longest([at for at, judgement in in_order if judgement.state is State.MET]),
            drills=sorted(self.drills, key=lambda drill: drill.at),
            others=self.others,
            problems=self.problems,
            files=self.files,
        )

    def _day(self, day: date) -> Day:
        judged = [judgement for _, judgement in sorted(self.judged.get(day, ()), key=lambda pair: pair[0])]
        age = max((judgement.age for judgement in judged if judgement.age is not None), default=None)
        if day in self.damaged:
            return Day(day, State.DAMAGED, len(judged), age)
        if not judged:
            return Day(day, self._without_evidence(day))
        # A copy that came late is there by the last verification; an RPO that was broken once stays broken. One that asked for less says
        # nothing about what another one has found.
        asked = [judgement for judgement in judged if judgement.state is not State.UNPROVEN] or judged
        decisive = next((judgement for judgement in asked if judgement.breaks_rpo), asked[-1])
        return Day(day, decisive.state, len(judged), age, decisive.reasons)

    def _without_evidence(self, day: date) -> State:
        if day >= self.period.day_of(self.period.now):
            return State.PENDING
        # Only the first file of a chain says that there was nothing before it.
        if self.first is not None and day < self.period.day_of(self.first.at):
            return State.BEFORE
        return State.NO_EVIDENCE

    def _longest(self, good: list[datetime]) -> float:
        begin = self.period.begin if self.first is None else max(self.period.begin, self.first.at)
        moments = [begin, *good, max(self.period.end, begin)]
        return max((later - earlier).total_seconds() for earlier, later in pairwise(moments))


def _shown(place: VaultPlace) -> VaultPlace:
    """Return a place with texts that can be shown."""
    name = None if place.name is None else one_line(place.name, LONGEST_NAME)
    region, project_id, vault_id = (one_line(text, LONGEST_NAME) for text in (place.region, place.project_id, place.vault_id))
    return VaultPlace(region, project_id, vault_id, name)

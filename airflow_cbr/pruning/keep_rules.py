"""The keep rules: which of a resource's backups stay, by number and by the calendar. Pure; they decide as restic's ``forget`` does.

Each rule keeps the newest backup in each of the newest periods that hold one: ``daily=7`` keeps the last backup of each of the last seven
days on which there are backups. A rule that finds fewer periods than it may keep keeps the oldest backup as well. A backup stays
if any rule keeps it. So a backup that is left out of the list, because it is no use, never makes another one go.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

__all__ = ["RULES", "KeepRules", "kept_by"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRules:
    """How many are kept, of each resource; 0 switches a rule off.

    :param last: the newest backups.
    :param daily: days, each with its newest backup.
    :param weekly: weeks of the ISO calendar, which begin on Monday.
    :param monthly: months.
    :param yearly: years.
    :param zone: the time zone in which days, weeks, months and years begin. Default: UTC.
    """

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    zone: tzinfo = UTC

    @property
    def keeps_something(self) -> bool:
        """Return whether any rule is on, so that the newest backup of each resource is kept."""
        return any(getattr(self, name) for name in RULES)


def _week(moment: datetime) -> Hashable:
    year, week, _ = moment.isocalendar()
    return year, week


RULES: Final[dict[str, Callable[[datetime], Hashable] | None]] = {
    "last": None,
    "daily": lambda moment: moment.date(),
    "weekly": _week,
    "monthly": lambda moment: (moment.year, moment.month),
    "yearly": lambda moment: moment.year,
}
"""The period in which a moment lies, by the name of the rule; each backup is a period of its own for ``last``."""


def kept_by(backups: Iterable[tuple[str, datetime]], rules: KeepRules) -> dict[str, list[str]]:
    """Return the backups that stay, each with the names of the rules that keep it.

    :param backups: id and creation time, with a zone, of the backups of one resource, in any order.
    :param rules: the rules.
    """
    newest_first = sorted(backups, key=lambda one: (one[1], one[0]), reverse=True)
    kept: dict[str, list[str]] = {}
    for name, period_of in RULES.items():
        left, period = getattr(rules, name), None
        for number, (backup_id, created) in enumerate(newest_first):
            if not left:
                break
            this = number if period_of is None else period_of(created.astimezone(rules.zone))
            is_oldest = number == len(newest_first) - 1
            if this != period or is_oldest:
                kept.setdefault(backup_id, []).append(name)
                period, left = this, left - 1
    return kept

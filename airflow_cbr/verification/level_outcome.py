"""What came of each level: a level that had nothing to look at has not passed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_cbr.verification.levels import Level
from airflow_cbr.verification.verdicts import Verdict

if TYPE_CHECKING:
    from airflow_cbr.verification.report import Report

__all__ = ["LevelOutcome", "outcomes", "why_not_judged"]


class LevelOutcome(StrEnum):
    """The result of one level."""

    PASSED = "passed"
    VIOLATED = "violated"
    NOT_JUDGED = "not_judged"


def outcomes(report: Report) -> dict[Level, LevelOutcome]:
    """Return what came of each level that was asked for.

    :param report: what was found.
    """
    idle = why_not_judged(report)
    return {
        level: LevelOutcome.VIOLATED if count else LevelOutcome.NOT_JUDGED if level in idle else LevelOutcome.PASSED
        for level, count in report.violations.items()
    }


def why_not_judged(report: Report) -> dict[Level, str]:
    """Return the levels that had nothing to look at, unless they are violated, each with why.

    :param report: what was found.
    """
    why: dict[Level, str] = {}
    counts = report.counts
    if counts[Verdict.VERIFIED]:
        pass
    elif counts[Verdict.FAILED] or counts[Verdict.MISSING]:
        # Without a verified backup, the replica level has judged only what it has caught.
        why[Level.REPLICA] = "no record led to one"
    else:
        why |= dict.fromkeys((Level.RECORD, Level.REPLICA), "there was no backup to judge")
    if not report.resources:
        # Resources that cannot be read are a violation.
        why |= dict.fromkeys((Level.COVERAGE, Level.RPO), "no resource is bound to the source vault")
    return {level: reason for level, reason in why.items() if report.violations.get(level) == 0}

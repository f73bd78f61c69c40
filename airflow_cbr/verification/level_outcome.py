"""What came of each level: a level that had nothing to look at has not passed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_cbr.verification.levels import Level
from airflow_cbr.verification.verdicts import Verdict

if TYPE_CHECKING:
    from airflow_cbr.verification.report import Report

__all__ = ["LevelOutcome", "outcomes"]


class LevelOutcome(StrEnum):
    """The result of one level."""

    PASSED = "passed"
    VIOLATED = "violated"
    NOT_JUDGED = "not_judged"


def outcomes(report: Report) -> dict[Level, LevelOutcome]:
    """Return what came of each level that was asked for.

    :param report: what was found.
    """
    idle = _idle(report)
    return {
        level: LevelOutcome.VIOLATED if count else LevelOutcome.NOT_JUDGED if level in idle else LevelOutcome.PASSED
        for level, count in report.violations.items()
    }


def _idle(report: Report) -> frozenset[Level]:
    """Return the levels about copies that had nothing to look at: no backup at all, or no record that led to a replica."""
    counts = report.counts
    if counts[Verdict.VERIFIED]:
        return frozenset()
    if counts[Verdict.FAILED] or counts[Verdict.MISSING]:
        # Without a verified backup, the replica level has judged only what it has caught.
        return frozenset({Level.REPLICA})
    return frozenset({Level.RECORD, Level.REPLICA})

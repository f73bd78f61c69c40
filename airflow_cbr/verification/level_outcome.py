"""What came of each level: a level that had nothing to look at has not passed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_cbr.verification.levels import COPY_LEVELS, Level
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
    unjudged = why_not_judged(report)
    return {
        level: LevelOutcome.VIOLATED if count else LevelOutcome.NOT_JUDGED if level in unjudged else LevelOutcome.PASSED
        for level, count in report.violations.items()
    }


def why_not_judged(report: Report) -> dict[Level, str]:
    """Return why a level had nothing to look at, by level; a level that has, or that caught something, is not among them.

    :param report: what was found.
    """
    reasons = _of_copies(report) | _of_resources(report)
    return {level: reasons[level] for level, count in report.violations.items() if not count and level in reasons}


def _of_copies(report: Report) -> dict[Level, str]:
    counts = report.counts
    if counts[Verdict.VERIFIED]:
        return {}
    if counts[Verdict.FAILED] or counts[Verdict.MISSING]:
        # Without a verified backup, the replica level has judged only what it has caught.
        return {Level.REPLICA: "no record led to one"}
    return dict.fromkeys(COPY_LEVELS, "there was no backup to judge")


def _of_resources(report: Report) -> dict[Level, str]:
    # Resources that are not known are a finding of both levels; without any, nothing was compared with what is protected.
    return {} if report.resources else dict.fromkeys((Level.COVERAGE, Level.RPO), "no resource is bound to the source vault")

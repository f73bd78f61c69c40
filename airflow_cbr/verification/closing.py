"""The last line of a verification in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_cbr.api.texts import counted
from airflow_cbr.inventory.measures import duration_text, gb_text
from airflow_cbr.verification.level_outcome import LevelOutcome, outcomes, why_not_judged
from airflow_cbr.verification.levels import Action, Level
from airflow_cbr.verification.report import Outcome

if TYPE_CHECKING:
    from airflow_cbr.verification.report import Report

__all__ = ["closing_line"]


def closing_line(report: Report) -> tuple[int, str]:
    """Return the last line with its logging level.

    It says the verdict, how many of how many, how much, what came of each level, and how old the worst resource is.

    :param report: what was found.
    """
    counts = report.counts
    verified = counts["verified"]
    total = verified + counts["failed"] + counts["missing"]
    copy = "verified replica" if report.spec.looks_at_replicas else "successful record"
    parts = [f"{verified} of {counted(total, 'backup')} {'has' if 1 in (verified, total) else 'have'} a {copy}, {gb_text(report.size_gb)}"]
    if counts["skipped"]:
        parts.append(f"{counts['skipped']} not judged")
    parts += [_levels(report), _age(report)]
    severity = {Outcome.PASSED: logging.INFO, Outcome.FAILED: logging.ERROR}.get(report.outcome, logging.WARNING)
    return severity, f"{report.verdict.upper()} {report.way}: {'; '.join(part for part in parts if part)}"


def _levels(report: Report) -> str:
    passed = [level for level, outcome in outcomes(report).items() if outcome is LevelOutcome.PASSED]
    violated = [_violated(report, level, count) for level, count in report.violations.items() if count]
    said = [f"violated: {', '.join(violated)}"] if violated else []
    said += [f"passed: {', '.join(passed)}"] if passed else []
    said += [f"not judged: {', '.join(levels)} ({reason})" for reason, levels in _unjudged(report).items()]
    return "; ".join(said)


def _unjudged(report: Report) -> dict[str, list[Level]]:
    """Return the levels that had nothing to look at, by why they had not."""
    levels: dict[str, list[Level]] = {}
    for level, reason in why_not_judged(report).items():
        levels.setdefault(reason, []).append(level)
    return levels


def _violated(report: Report, level: Level, count: int) -> str:
    action = report.spec.levels[level]
    what = {Action.WARN: ", a warning", Action.SKIP: ", which skips the task"}.get(action, "")
    return f"{level} ({counted(count, 'time')}{what})"


def _age(report: Report) -> str:
    """Return how old the newest replica of the worst resource is; nothing where the resources are not known."""
    if not report.resources:
        return ""
    worst, max_age = report.resources[0], report.spec.max_age
    name = worst.name or worst.id
    if worst.backup_id is None:
        age = f"{name} has no verified replica"
    elif worst.age_seconds is None:
        age = f"how old the newest verified replica of {name} is, is not known"
    else:
        age = f"the worst resource is {name}: its newest verified replica is {duration_text(worst.age_seconds)} old"
    return age if max_age is None else f"{age} (max_age {duration_text(max_age)})"

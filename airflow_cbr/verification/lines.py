"""The lines of a verification: the verdict, what it is about and why come first, and ids last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_cbr.api.texts import counted
from airflow_cbr.inventory.measures import duration_text, gb_text
from airflow_cbr.languages import advice_line
from airflow_cbr.verification.faults import advice_on
from airflow_cbr.verification.levels import Action, Level

if TYPE_CHECKING:
    from airflow_cbr.verification.faults import Fault
    from airflow_cbr.verification.report import Report

__all__ = ["closing_line", "line_of", "way_of"]

WARNING: Final = "warning"
"""What a line begins with whose finding only warns: the backup has failed nobody yet."""


def line_of(word: str, subject: str, reason: str, level: Level | None, faults: tuple[Fault, ...], ids: str) -> str:
    """Return one line.

    :param word: the verdict, or ``warning``.
    :param subject: what it is about, by name.
    :param reason: why.
    :param level: the level that caught it, or None where nothing is wrong.
    :param faults: what is wrong.
    :param ids: the ids, in words.
    """
    text = f"{word.upper()} {subject}: {reason}"
    if level is not None:
        text = f"{text} [{level}: {', '.join(faults)}] {advice_line(advice_on(faults))}"
    return f"{text} ({ids})" if ids else text


def way_of(report: Report) -> str:
    """Return from where to where: ``vault-nightly: cn-north-4 -> cn-shenzhen-1``."""
    return f"{report.vault_name or report.spec.vault_id}: {report.source['region']} -> {report.spec.destination.region}"


def closing_line(report: Report) -> str:
    """Return the last line: the verdict, how many of how many, how much, which levels were judged, and how old the worst resource is."""
    counts = report.counts
    verified = counts["verified"]
    total = verified + counts["failed"] + counts["missing"]
    copy = "verified replica" if report.spec.looks_at_replicas else "successful record"
    parts = [f"{verified} of {counted(total, 'backup')} {'has' if 1 in (verified, total) else 'have'} a {copy}, {gb_text(report.size_gb)}"]
    if counts["skipped"]:
        parts.append(f"{counts['skipped']} not judged")
    parts += [_levels(report), _age(report)]
    return f"{report.verdict.upper()} {way_of(report)}: {'; '.join(part for part in parts if part)}"


def _levels(report: Report) -> str:
    passed = [str(level) for level, count in report.violations.items() if not count]
    violated = [_violated(report, level, count) for level, count in report.violations.items() if count]
    said = [f"violated: {', '.join(violated)}"] if violated else []
    said += [f"passed: {', '.join(passed)}"] if passed else []
    return "; ".join(said)


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
        age = f"the oldest newest replica is {duration_text(worst.age_seconds)} old, of {name}"
    return age if max_age is None else f"{age} (max_age {duration_text(max_age)})"

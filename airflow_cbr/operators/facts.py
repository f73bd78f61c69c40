"""What a task tells others about a pair of vaults, as small plain JSON: in asset events, lineage and outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.verification.levels import Level
from airflow_cbr.verification.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_cbr.verification.report import Report

__all__ = ["UNPROVEN", "covers_something", "proves_copies", "replicated", "verified"]

UNPROVEN: Final = "unproven"
"""The verdict that is told of a verification which nothing fails and which proves no copy; what backups count as whose replicas nobody
looked for."""

_PLACE: Final = ("region", "project_id", "vault_id")
_COUNTS: Final = ("accepted", "adopted", "already", "succeeded", "failed", "skipped", "missing")


def verified(report: Report, path: str | None) -> dict[str, Any]:
    """Return what a verification found. Others are told that it verified something only where it proves copies.

    :param report: the report.
    :param path: where it is as a file, or None.
    """
    there, counts = report.spec.destination, dict(report.counts)
    if not report.spec.looks_at_replicas:
        # The word of the source.
        counts |= {UNPROVEN: counts[Verdict.VERIFIED], str(Verdict.VERIFIED): 0}
    verdict = UNPROVEN if report.verdict is Verdict.VERIFIED and not proves_copies(report) else str(report.verdict)
    return {
        "kind": verdict,
        "verdict": verdict,
        "outcome": str(report.outcome),
        "counts": counts,
        "violations": {str(level): count for level, count in report.violations.items()},
        "source": dict(report.source),
        "destination": {"region": there.region, "project_id": there.project_id, "vault_id": there.vault_id},
        "verified_at": None if report.verified_at is None else report.verified_at.isoformat(),
        "age_seconds": report.age_seconds,
        "max_age": report.spec.max_age,
        "at": None if report.now is None else report.now.isoformat(timespec="seconds"),
        "report": path,
    }


def proves_copies(report: Report) -> bool:
    """Return whether a report shows good replicas and no bad one, whatever its levels only warn of.

    A task may be green without that: it was allowed to find nothing, it judged records alone, or a missing replica is only a warning.

    :param report: the report.
    """
    counts = report.counts
    return (
        report.verdict is Verdict.VERIFIED
        and Level.REPLICA in report.spec.levels
        and counts[Verdict.VERIFIED] > 0
        and counts[Verdict.FAILED] == counts[Verdict.MISSING] == 0
    )


def replicated(replication: Mapping[str, Any], *, waited: bool) -> dict[str, Any]:
    """Return what a replication did; nothing of it says that a replica exists.

    :param replication: the XCom ``replication`` of the task.
    :param waited: whether the task has waited for the end of the copies.
    """
    return {
        "kind": "replicated" if waited else "accepted",
        "counts": {name: replication[name] for name in _COUNTS if name in replication},
        "source": {name: replication["source"][name] for name in _PLACE},
        "destination": {name: replication["destination"][name] for name in _PLACE},
    }


def covers_something(replication: Mapping[str, Any]) -> bool:
    """Return whether a replication has covered at least one backup.

    :param replication: the XCom ``replication`` of the task.
    """
    return any(replication.get(name) for name in ("accepted", "adopted", "already", "succeeded"))

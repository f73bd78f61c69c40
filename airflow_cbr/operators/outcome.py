"""What became of a task, small enough to be listed with it.

Airflow's list of task instances carries the rendered fields of each, a hundred in one request, and a task may write its rendered fields
once more when it ends, is deferred, or fails. So an operator adds its outcome to them, and the page "CBR replication" reads the state of
every vault from that one list; the whole report is in the XCom ``verification``, which takes one request for each task.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.operators.facts import proves_copies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_cbr.exceptions import CbrError
    from airflow_cbr.verification.report import Report

__all__ = ["LARGEST", "MOST_FINDINGS", "of_failure", "of_replication", "of_report"]

LARGEST: Final = 3000
"""Characters of an outcome. Airflow cuts a rendered field off at 4,096, and what is left of it is no document."""
MOST_FINDINGS: Final = 3
_LONGEST: Final = 400


def of_report(report: Report, path: str | None, consoles: Mapping[str, str]) -> dict[str, Any]:
    """Return the outcome of a verification.

    :param report: what it found.
    :param path: where the whole report is as a file, or None.
    :param consoles: addresses of CBR in the console, in the region of the ``source`` and of the ``destination``.
    """
    there, verified_at, now = report.spec.destination, report.verified_at, report.now
    outcome: dict[str, Any] = {
        "kind": "verification",
        "verdict": str(report.verdict),
        "proven": proves_copies(report),
        "counts": dict(report.counts),
        "verified_at": None if verified_at is None else verified_at.isoformat(),
        "max_age": report.spec.max_age,
        "size_gb": report.size_gb,
        "at": None if now is None else now.isoformat(timespec="seconds"),
        "path": None if path is None else path[:_LONGEST],
        "source": dict(report.source),
        "destination": {"region": there.region, "project_id": there.project_id, "vault_id": there.vault_id},
        "consoles": dict(consoles),
        "findings_total": sum(report.violations.values()),
        "findings": [
            {"subject": one.subject[:_LONGEST], "reason": one.reason[:_LONGEST], "advice": one.advice[:_LONGEST]}
            for one in islice(report.findings, MOST_FINDINGS)
        ],
    }
    while len(str(outcome)) > LARGEST and outcome["findings"]:
        outcome["findings"].pop()
    return outcome


def of_replication(
    source: Mapping[str, str | None], destination: Mapping[str, str | None], counts: Mapping[str, int], consoles: Mapping[str, str]
) -> dict[str, Any]:
    """Return the outcome of a replication: what has been accepted, and what has become of it so far.

    :param source: region, project and vault.
    :param destination: likewise.
    :param counts: the counts of the XCom ``replication``.
    :param consoles: as of :func:`of_report`.
    """
    return {
        "kind": "replication",
        "source": dict(source),
        "destination": dict(destination),
        "counts": dict(counts),
        "consoles": dict(consoles),
    }


def of_failure(outcome: Mapping[str, Any] | None, error: CbrError) -> dict[str, Any]:
    """Return an outcome with why the task fails. A verification that has found something keeps its findings, which say it better.

    :param outcome: what the task had found before, or None.
    :param error: why it fails.
    """
    known = dict(outcome or {})
    if known.get("findings"):
        return known
    advice = error.advice and error.advice[:_LONGEST]
    return {**known, "error": error.what_happened[:_LONGEST], "advice": advice}

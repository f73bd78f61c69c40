"""What became of a task, small enough to be listed with it.

Airflow's list of task instances carries the rendered fields of each, a hundred in one request, and a task may write its rendered fields
once more when it ends, is deferred, or fails. So an operator adds its outcome to them, and the page "CBR replication" reads the state of
every vault from that one list; the whole report is in the XCom ``verification``, which takes one request for each task.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_cbr.exceptions import CbrError
    from airflow_cbr.verification.report import Report

__all__ = ["LARGEST", "MOST_FINDINGS", "of_failure", "of_replication", "of_report"]

LARGEST: Final = 3000
"""Characters of an outcome. Airflow cuts a rendered field off at 4,096, and what is left of it is no document."""
MOST_FINDINGS: Final = 3
_LONGEST: Final = 400


def of_report(facts: Mapping[str, Any], report: Report, consoles: Mapping[str, str]) -> dict[str, Any]:
    """Return the outcome of a verification: what it tells others, the names of both vaults, and the first findings.

    :param facts: what it tells others, from :func:`airflow_cbr.operators.facts.verified`.
    :param report: what it found.
    :param consoles: addresses of CBR in the console, in the region of the ``source`` and of the ``destination``.
    """
    path = facts["report"]
    outcome: dict[str, Any] = {
        **facts,
        "kind": "verification",
        "source": {**facts["source"], "vault_name": _named(report.vault_name)},
        "destination": {**facts["destination"], "vault_name": _named(report.destination_name)},
        # That a replica is not there is known, where its age would not be.
        "resources": {"total": len(report.resources), "unprotected": sum(one.backup_id is None for one in report.resources)},
        # Half an address leads nowhere.
        "report": path if path is None or len(path) <= _LONGEST else None,
        "size_gb": report.size_gb,
        "consoles": dict(consoles),
        "findings_total": sum(report.violations.values()),
        "findings": [
            {
                "subject": one.subject[:_LONGEST],
                "reason": one.reason[:_LONGEST],
                "advice": one.advice[:_LONGEST],
                "record_id": one.record_id and one.record_id[:_LONGEST],
            }
            for one in islice(report.findings, MOST_FINDINGS)
        ],
    }
    return _shortened(outcome, "findings")


def of_replication(
    source: Mapping[str, str | None], destination: Mapping[str, str | None], counts: Mapping[str, int], consoles: Mapping[str, str]
) -> dict[str, Any]:
    """Return the outcome of a replication: what has been accepted, and what has become of it so far.

    :param source: region, project and vault, and its name, if that is known.
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
    problems: list[str] = getattr(error, "problems", [])
    failed: dict[str, Any] = {
        **known,
        "error": error.what_happened[:_LONGEST],
        "advice": error.advice and error.advice[:_LONGEST],
        "problems_total": len(problems),
        "problems": [problem[:_LONGEST] for problem in problems[:MOST_FINDINGS]],
    }
    return _shortened(failed, "problems")


def _named(name: str | None) -> str | None:
    from airflow_cbr.api.texts import LONGEST_NAME, one_line

    return (one_line(name, LONGEST_NAME).strip() or None) if name else None


def _shortened(outcome: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an outcome that is short enough, with fewer of what it lists under a name."""
    while len(str(outcome)) > LARGEST and outcome[name]:
        outcome[name].pop()
    return outcome

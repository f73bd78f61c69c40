"""The report as one JSON document: whole, streamed to a file, or its beginning. ``report.schema.json`` beside this module is its schema."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_cbr.verification.report import FIRST_FINDINGS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from airflow_cbr.verification.report import Finding, Report

    class Writable(Protocol):
        """What bytes can be written to."""

        def write(self, data: bytes, /) -> object:
            """Take bytes."""


__all__ = ["VERSION", "beginning", "report_schema", "whole", "write"]

VERSION: Final = 1
"""Version of the document; a new one may drop or rename what is there, the same one only adds."""

_PIECE: Final = 200
_encode: Final = msgspec.json.Encoder().encode


@cache
def report_schema() -> dict[str, Any]:
    """Return the JSON schema of the document, as published with the package."""
    schema: dict[str, Any] = json.loads(files("airflow_cbr.verification").joinpath("report.schema.json").read_text(encoding="utf-8"))
    return schema


def whole(report: Report, path: str | None) -> dict[str, Any]:
    """Return the document; for reports that are not large.

    :param report: the report.
    :param path: where it is written as a file too, or None.
    """
    findings = [_row(report, finding) for finding in report.findings]
    backups = [msgspec.to_builtins(entry) for entry in report.entries]
    return {**_head(report, path), "findings": findings, "backups": backups}


def beginning(report: Report, path: str | None) -> dict[str, Any]:
    """Return the document of a large report without its backups, and with its first findings alone.

    :param report: the report.
    :param path: where the whole document is.
    """
    return {**_head(report, path), "findings": [_row(report, finding) for finding in islice(report.findings, FIRST_FINDINGS)]}


def write(report: Report, file: Writable, path: str | None) -> None:
    """Write the whole document, piece by piece.

    :param report: the report.
    :param file: takes the bytes.
    :param path: where it goes, for the document itself.
    """
    head = _encode(_head(report, path))
    file.write(head[:-1] + b',\n"findings": [')
    _write_rows(file, (_row(report, finding) for finding in report.findings))
    file.write(b'],\n"backups": [')
    _write_rows(file, report.entries)
    file.write(b"]}\n")


def _write_rows(file: Writable, rows: Iterator[Any]) -> None:
    separator = b"\n"
    while piece := list(islice(rows, _PIECE)):
        file.write(separator + _encode(piece)[1:-1])
        separator = b",\n"


def _head(report: Report, path: str | None) -> dict[str, Any]:
    assignment = report.assignment
    there, violations = assignment.destination, report.violations
    return {
        "version": VERSION,
        "verdict": str(report.verdict),
        "outcome": str(report.outcome),
        "counts": report.counts,
        "levels": {
            str(level): {
                "action": str(assignment.levels[level]),
                "outcome": "violated" if count else "passed",
                "violations": count,
            }
            for level, count in violations.items()
        },
        "findings_total": sum(violations.values()),
        "asked": {
            "scope": str(assignment.scope),
            "max_age": assignment.max_age,
            "retention": assignment.retention,
            "require_locked": assignment.require_locked,
        },
        "source": report.source,
        "destination": {"region": there.region, "project_id": there.project_id, "vault_id": there.vault_id},
        "at": None if report.now is None else report.now.isoformat(timespec="seconds"),
        "path": path,
    }


def _row(report: Report, finding: Finding) -> dict[str, Any]:
    return {
        "about": str(finding.about),
        "id": finding.id,
        "name": finding.name,
        "level": str(finding.level),
        "action": str(report.assignment.levels[finding.level]),
        "faults": [str(fault) for fault in finding.faults],
        "reason": finding.reason,
        "advice": finding.advice,
        "record_id": finding.record_id,
        "replica_id": finding.replica_id,
    }

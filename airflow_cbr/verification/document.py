"""The report as one JSON document: whole, streamed to a file, or its beginning.

``report.schema.json`` beside this module is its schema, generated from the types here; ``make schema`` writes it.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from airflow_cbr.verification.faults import Fault
from airflow_cbr.verification.level_outcome import LevelOutcome, outcomes
from airflow_cbr.verification.levels import Action, Level, Scope
from airflow_cbr.verification.report import FIRST_FINDINGS, FIRST_RESOURCES, About, Entry, Outcome
from airflow_cbr.verification.resource_state import ResourceState
from airflow_cbr.verification.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Protocol

    from airflow_cbr.verification.report import Finding, Report

    class Writable(Protocol):
        """What bytes can be written to."""

        def write(self, data: bytes, /) -> object:
            """Take bytes."""


__all__ = ["Document", "beginning", "generate_schema", "report_schema", "whole", "write"]

_PIECE: Final = 200
_NO_FINDINGS: Final = b',"findings":[]}'
_encode: Final = msgspec.json.Encoder().encode

_Count = Annotated[int, Meta(ge=0)]
_Id = Annotated[str, Meta(min_length=1)]


# --- the types --------------------------------------------------------------------------------------------------------


class Counts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many backups have each verdict."""

    verified: _Count
    failed: _Count
    missing: _Count
    skipped: _Count


class LevelResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The result of one level."""

    action: Action
    outcome: Annotated[
        LevelOutcome,
        Meta(description="not_judged: it had no backup, no record that led to a replica, or no bound resource to look at."),
    ]
    violations: Annotated[int, Meta(ge=0, description="How many backups, resources or findings about the vault violate it.")]


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was asked for."""

    scope: Scope
    max_age: float | None
    retention: float | None
    require_locked: bool


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a vault is."""

    region: _Id
    project_id: _Id
    vault_id: _Id
    vault_name: Annotated[str | None, Meta(description="Null where the vault's own row was not read.")] = None


class ReportedFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One thing that is wrong."""

    about: About
    id: Annotated[str | None, Meta(description="Null for a record that no backup lists.")]
    name: str | None
    level: Level
    action: Action
    faults: Annotated[tuple[Fault, ...], Meta(min_length=1, extra_json_schema={"uniqueItems": True})]
    reason: str
    advice: str
    record_id: str | None
    replica_id: str | None
    resource_name: str | None = None
    vault_name: str | None = None


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What CbrVerifyReplicationOperator found. Times are ISO 8601 with a zone, durations are seconds."""

    version: Annotated[Literal[1], Meta(description="A new version may remove or rename fields; the same version only adds some.")]
    verdict: Annotated[Literal["verified", "failed"], Meta(description="failed when a level is violated whose action is fail or skip.")]
    outcome: Annotated[Outcome, Meta(description="What happens to the task.")]
    counts: Counts
    levels: Annotated[
        dict[Level, LevelResult],
        Meta(description="The levels that were asked for.", min_length=1, extra_json_schema={"propertyNames": {"enum": list(Level)}}),
    ]
    findings_total: Annotated[int, Meta(ge=0, description="How many findings there are; findings may hold only the first of them.")]
    asked: Question
    source: Place
    destination: Place
    at: Annotated[str | None, Meta(description="The service's time at the verification; null when it did not send one.")]
    path: Annotated[str | None, Meta(description="Where the whole document is as a file; null when there is no file.")]
    verified_at: Annotated[
        datetime | None,
        Meta(description="When the newest verified backup of the worst resource was made; null when one has none, or it is not known."),
    ]
    age_seconds: Annotated[float | None, Meta(description="How old that is by the service's time; null when verified_at is.")]
    size_gb: Annotated[float, Meta(ge=0, description="GB of the backups that were judged and are verified.")]
    resources: Annotated[
        list[ResourceState],
        Meta(description="The resources bound to the source vault, the worst first; the first of them in the beginning of a large report."),
    ]
    findings: Annotated[
        list[ReportedFinding],
        Meta(description="Everything that is wrong: what fails the task first, then what skips it, then warnings."),
    ]
    backups: Annotated[
        list[Entry] | UnsetType,
        Meta(description="One entry for each backup that was judged. Without this key it is the beginning of a large report."),
    ] = UNSET


@cache
def report_schema() -> dict[str, Any]:
    """Return the JSON schema of the document, as published with the package."""
    schema: dict[str, Any] = json.loads(files("airflow_cbr.verification").joinpath("report.schema.json").read_text(encoding="utf-8"))
    return schema


def generate_schema() -> dict[str, Any]:
    """Return the JSON schema of the document from its types, to be published."""
    definitions: dict[str, dict[str, Any]] = msgspec.json.schema(Document)["$defs"]
    for definition in definitions.values():
        # Of a docstring the first line is for the reader of a report; the parameters are for whoever makes one.
        definition["description"] = definition["description"].partition("\n")[0]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **definitions.pop("Document"),
        "title": "Verification of a vault's replication",
        "$defs": definitions,
    }


# --- the document of a report -----------------------------------------------------------------------------------------


def whole(report: Report, path: str | None) -> dict[str, Any]:
    """Return the document; for reports that are not large.

    :param report: the report.
    :param path: where it is also written as a file, or None.
    """
    return _plain(_document(report, path, _reported(report, report.findings), list(report.entries)))


def beginning(report: Report, path: str | None) -> dict[str, Any]:
    """Return the document of a large report without its backups, and with only its first findings.

    :param report: the report.
    :param path: where the whole document is.
    """
    findings = _reported(report, islice(report.findings, FIRST_FINDINGS))
    return _plain(_document(report, path, findings, resources=FIRST_RESOURCES))


def write(report: Report, file: Writable, path: str | None) -> None:
    """Write the whole document, piece by piece.

    :param report: the report.
    :param file: takes the bytes.
    :param path: where it goes, for the document itself.
    """
    head = _encode(_document(report, path, ()))
    file.write(head.removesuffix(_NO_FINDINGS) + b',\n"findings": [')
    _write_rows(file, _reported(report, report.findings))
    file.write(b'],\n"backups": [')
    _write_rows(file, report.entries)
    file.write(b"]}\n")


def _write_rows(file: Writable, rows: Iterator[Any]) -> None:
    separator = b"\n"
    while piece := list(islice(rows, _PIECE)):
        file.write(separator + _encode(piece)[1:-1])
        separator = b",\n"


def _plain(document: Document) -> dict[str, Any]:
    """Return the document as JSON has it: of a tuple, Airflow would make an object with the name of a class in XCom."""
    content: dict[str, Any] = msgspec.json.decode(_encode(document))
    return content


def _document(
    report: Report,
    path: str | None,
    findings: Iterable[ReportedFinding],
    backups: list[Entry] | UnsetType = UNSET,
    *,
    resources: int | None = None,
) -> Document:
    spec = report.spec
    there, violations = spec.destination, report.violations
    return Document(
        version=1,
        verdict="failed" if report.verdict is Verdict.FAILED else "verified",
        outcome=report.outcome,
        counts=Counts(**report.counts),
        levels={
            level: LevelResult(action=spec.levels[level], outcome=outcome, violations=violations[level])
            for level, outcome in outcomes(report).items()
        },
        findings_total=sum(violations.values()),
        asked=Question(
            scope=spec.scope,
            max_age=spec.max_age,
            retention=spec.retention,
            require_locked=spec.require_locked,
        ),
        source=Place(**report.source, vault_name=report.vault_name),
        destination=Place(region=there.region, project_id=there.project_id, vault_id=there.vault_id, vault_name=report.destination_name),
        at=None if report.now is None else report.now.isoformat(timespec="seconds"),
        path=path,
        verified_at=report.verified_at,
        age_seconds=report.age_seconds,
        size_gb=report.size_gb,
        resources=list(islice(report.resources, resources)),
        findings=list(findings),
        backups=backups,
    )


def _reported(report: Report, findings: Iterable[Finding]) -> Iterator[ReportedFinding]:
    for finding in findings:
        yield ReportedFinding(
            about=finding.about,
            id=finding.id,
            name=finding.name,
            level=finding.level,
            action=report.spec.levels[finding.level],
            faults=finding.faults,
            reason=finding.reason,
            advice=finding.advice,
            record_id=finding.record_id,
            replica_id=finding.replica_id,
            resource_name=finding.resource_name,
            vault_name=finding.vault_name,
        )

"""What one verification proves about a vault: whether each resource had a verified replica within its RPO, and if not, why.

The verdict of the task is not enough: a level may only warn, and an RPO need not be judged at all. So the ages are compared here once more,
and what is not proven is never taken for good.
"""

from __future__ import annotations

import math
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

from airflow_cbr.api.texts import LONGEST_MESSAGE, LONGEST_NAME, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MOST_REASONS", "DrillContent", "Judgement", "Reason", "State", "UnknownContentError", "judge", "read_drill"]

MOST_REASONS: Final = 5
"""Reasons that are kept of one verification; the report of the verification has them all."""


class State(StrEnum):
    """What is known about a vault on a day; the values are keys of the catalogue of texts and part of the tables."""

    MET = "met"
    """Each resource had a verified replica within the RPO."""
    MISSED = "missed"
    """One had not, or the verification failed."""
    NO_EVIDENCE = "no_evidence"
    """Nothing was verified."""
    DAMAGED = "damaged"
    """There is evidence, but it is not as it was written."""
    UNPROVEN = "unproven"
    """It was verified, but not what would prove it: no RPO was set, or no replica was looked at."""
    BEFORE = "before"
    """It was before the first evidence of the vault pair."""
    PENDING = "pending"
    """The day is not over."""

    @property
    def is_gap(self) -> bool:
        """Return whether it is shown in red."""
        return self in (State.MISSED, State.NO_EVIDENCE, State.DAMAGED)


class Reason(msgspec.Struct, frozen=True):
    """Why a verification does not prove it.

    :param key: of the catalogue of texts.
    :param subject: the resource, backup or vault. Default: none.
    :param age: of its newest verified replica in seconds. Default: none.
    :param fault: the first fault, a key of the catalogue. Default: none.
    :param text: what the verification said, in English. Default: nothing.
    """

    key: str
    subject: str = ""
    age: float | None = None
    fault: str | None = None
    text: str = ""


class Judgement(msgspec.Struct, frozen=True):
    """What one verification proves.

    :param state: met, missed or unproven.
    :param rpo: seconds, or None where none was set.
    :param age: of the newest verified replica of the worst resource in seconds; infinite where it has none or its age is not known, None
        where no resource is known.
    :param breaks_rpo: whether a resource had no verified replica within the RPO; a later verification cannot undo that.
    :param reasons: why it is not met, the first few.
    """

    state: State
    rpo: float | None
    age: float | None
    breaks_rpo: bool
    reasons: tuple[Reason, ...]


class UnknownContentError(ValueError):
    """The content is not what its kind promises."""


class _Asked(msgspec.Struct):
    max_age: float | None = None


class _Resource(msgspec.Struct, gc=False):
    id: str | None = None
    name: str | None = None
    replica_id: str | None = None
    age_seconds: float | None = None


class _Finding(msgspec.Struct, gc=False):
    about: str
    id: str | None
    name: str | None
    faults: list[str]
    reason: str
    action: str


class _Report(msgspec.Struct, gc=False):
    verdict: str
    levels: dict[str, msgspec.Raw]
    asked: _Asked
    resources: list[_Resource]
    findings: list[_Finding]


class _Verification(msgspec.Struct, gc=False):
    report: _Report


class DrillContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore drill writes as its content; all that the report shows of it.

    :param verdict: ``successful``; anything else counts as failed.
    :param resource_id: what was restored.
    :param resource_name: likewise.
    :param backup_id: from which replica.
    :param backup_name: likewise.
    :param seconds: from the beginning of the drill to the end of its checks: the recovery time that was attained.
    :param reason: why it failed, in English.
    """

    verdict: str
    resource_id: str | None = None
    resource_name: str | None = None
    backup_id: str | None = None
    backup_name: str | None = None
    seconds: float | None = None
    reason: str | None = None

    @property
    def passed(self) -> bool:
        """Return whether it passed."""
        return self.verdict == "successful"


_decode_verification: Final = msgspec.json.Decoder(_Verification).decode
_decode_drill: Final = msgspec.json.Decoder(DrillContent).decode
_VERIFIED: Final = "verified"
_REPLICA: Final = "replica"


def read_drill(content: msgspec.Raw) -> DrillContent:
    """Return the content of a drill.

    :param content: of evidence of that kind.
    :raises UnknownContentError: it is something else.
    """
    try:
        drill = _decode_drill(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnknownContentError(str(error)) from None
    texts = {name: one_line(text, LONGEST_MESSAGE) for name, text in msgspec.structs.asdict(drill).items() if isinstance(text, str)}
    return msgspec.structs.replace(drill, **texts)


def judge(content: msgspec.Raw) -> Judgement:
    """Return what a verification proves.

    :param content: of evidence of that kind.
    :raises UnknownContentError: it is something else.
    """
    try:
        report = _decode_verification(content).report
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnknownContentError(str(error)) from None
    rpo = report.asked.max_age
    late = [] if rpo is None else [one for one in report.resources if not _age_of(one) <= rpo]
    worst = max(map(_age_of, report.resources), default=None)
    if report.verdict != _VERIFIED or late or worst == math.inf:
        reasons = tuple(islice(_reasons(report, rpo), MOST_REASONS))
        return Judgement(State.MISSED, rpo, worst, bool(late) or worst == math.inf, reasons)
    if missing := _unproven(report, rpo):
        return Judgement(State.UNPROVEN, rpo, worst, False, (Reason(missing),))
    return Judgement(State.MET, rpo, worst, False, ())


def _age_of(resource: _Resource) -> float:
    """Return the age of a resource's newest verified replica; infinite where it has none, or it is not known."""
    age = resource.age_seconds
    return math.inf if age is None or resource.replica_id is None or not age >= 0 else age


def _unproven(report: _Report, rpo: float | None) -> str | None:
    if _REPLICA not in report.levels:
        return "replicas_not_looked_at"
    if not report.resources:
        return "no_resource_known"
    return "no_rpo" if rpo is None else None


def _reasons(report: _Report, rpo: float | None) -> Iterator[Reason]:
    told = set()
    for resource in report.resources:
        age = _age_of(resource)
        if age == math.inf:
            key = "no_replica" if resource.replica_id is None else "age_unknown"
            yield Reason(key, _named(resource.name, resource.id))
        elif rpo is not None and age > rpo:
            yield Reason("too_old", _named(resource.name, resource.id), age)
        else:
            continue
        told.add(resource.id)
    for finding in report.findings:
        if finding.action != "warn" and not (finding.about == "resource" and finding.id in told):
            fault = finding.faults[0] if finding.faults else None
            yield Reason("finding", _named(finding.name, finding.id), fault=fault, text=one_line(finding.reason, LONGEST_MESSAGE))


def _named(name: str | None, identifier: str | None) -> str:
    shown = one_line(name or "", LONGEST_NAME)
    return f"{shown} ({one_line(identifier, LONGEST_NAME)})" if shown and identifier else shown or one_line(identifier or "?", LONGEST_NAME)

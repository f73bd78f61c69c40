"""Reading answers: bodies into typed rows, error bodies into typed errors.

Whatever a service, a gateway or a proxy sends, what comes out is a model, a :class:`~airflow_cbr.exceptions.CbrApiError` or a
:class:`~airflow_cbr.exceptions.CbrProtocolError`: never a stray exception, never a whole body in a message, never a secret.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from airflow_cbr.api import error_lookup, models
from airflow_cbr.api.actions import permission_advice
from airflow_cbr.api.decoding import UNREADABLE, decode_json
from airflow_cbr.api.summaries import BackupSummary
from airflow_cbr.api.texts import clean
from airflow_cbr.exceptions import (
    CbrApiError,
    CbrNotFoundError,
    CbrProtocolError,
    CbrThrottledError,
    CbrUnavailableError,
)

if TYPE_CHECKING:
    from airflow_cbr.api.catalogue_row import CatalogueRow
    from airflow_cbr.api.secret import Secret

__all__ = ["LONGEST_RETRY_AFTER", "ServiceResponse", "decode", "error_from_answer", "parse_http_date", "retry_after"]

Model = TypeVar("Model")
BackupModel = TypeVar("BackupModel", bound=BackupSummary)

_LONGEST_CODE: Final = 80
_LONGEST_BODY_TEXT: Final = 1 << 16
"""Bytes of a body without JSON, and characters of a message in one with it, that are looked at."""
LONGEST_RETRY_AFTER: Final = 3600.0
"""Seconds that a ``Retry-After`` is believed up to: the gateway's quotas are by the minute, and a service in maintenance says it again."""
_SECONDS: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?")
_NO_PROJECT: Final = "could not find project"
_ID_IN_PATH_UNKNOWN: Final = "malformed request url"
_NOT_ALLOWED: Final = "APIG.0302"


@dataclass(frozen=True, slots=True)
class ServiceResponse:
    """An HTTP answer.

    :param status: HTTP status.
    :param headers: its headers; the mapping ignores the case of names.
    :param body: its bytes.
    :param secrets: texts that went out with the request, and must not appear in a message if they come back. Default: none.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    secrets: tuple[Secret | str, ...] = ()

    @property
    def request_id(self) -> str | None:
        """Return the id to quote to support: ``X-Request-Id`` of CBR and the gateway, ``X-IAM-Trace-Id`` of IAM."""
        return self.quoted("X-Request-Id") or self.quoted("X-IAM-Trace-Id")

    def quoted(self, header: str) -> str | None:
        """Return the value of a header as a message may quote it, or None when there is none.

        :param header: its name.
        """
        return clean(self.headers.get(header) or "", self.secrets) or None


# --- success ----------------------------------------------------------------------------------------------------------


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the outermost objects: one key holds the rows, and a missing key is not an empty list."""


class BackupsAnswer(_Envelope, Generic[BackupModel], frozen=True):
    """Answer of ListBackups, with as much of each row as the model has."""

    backups: list[BackupModel] | None
    count: int | None = None


class BackupAnswer(_Envelope, frozen=True):
    """Answer of ShowBackup."""

    backup: models.Backup


class OperationLogsAnswer(_Envelope, frozen=True):
    """Answer of ListOpLogs."""

    operation_logs: list[models.OperationLog] | None
    count: int | None = None


class OperationLogAnswer(_Envelope, frozen=True):
    """Answer of ShowOpLog."""

    operation_log: models.OperationLog


class VaultsAnswer(_Envelope, frozen=True):
    """Answer of ListVault and ListExternalVault."""

    vaults: list[models.Vault] | None
    count: int | None = None


class VaultAnswer(_Envelope, frozen=True):
    """Answer of ShowVault."""

    vault: models.Vault


class CheckpointAnswer(_Envelope, frozen=True):
    """Answer of CreateCheckpoint and ShowCheckpoint."""

    checkpoint: models.Checkpoint


class CapabilitiesAnswer(_Envelope, frozen=True):
    """Answer of ShowReplicationCapabilities."""

    regions: list[models.ReplicationCapability] | None


class ReplicationAnswer(_Envelope, frozen=True):
    """Answer of CopyCheckpoint and CopyBackup."""

    replication: models.Replication


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project as IAM names it."""

    id: str
    name: str | None = None


class ProjectsAnswer(_Envelope, frozen=True):
    """Answer of IAM's KeystoneListProjects."""

    projects: list[Project]


class TokenBody(msgspec.Struct, frozen=True, kw_only=True):
    """The part of an IAM token's description that this package looks at; the token itself is in a header."""

    issued_at: str | None = None
    expires_at: str | None = None
    project: Project | None = None


class TokenAnswer(_Envelope, frozen=True):
    """Answer of IAM's KeystoneCreateUserTokenByPassword."""

    token: TokenBody


def decode(answer: ServiceResponse, model: type[Model], *, call: str) -> Model:
    """Read the body of a successful answer.

    :param answer: the answer.
    :param model: one of the envelopes of this module.
    :param call: the call's name in the API reference, for the message.
    :return: the envelope. Unknown fields are ignored, numbers and booleans may come as strings.
    :raises CbrProtocolError: the body is not what the documentation promises.
    """
    try:
        return decode_json(answer.body, model)
    except UNREADABLE as error:
        what = clean(str(error), answer.secrets) if isinstance(error, msgspec.MsgspecError) else "the body is not readable text"
        # The frames below hold the body, which may repeat a secret.
        traceback.clear_frames(error.__traceback__)
    kind = answer.quoted("Content-Type") or "no content type"
    raise CbrProtocolError(
        f"{call}: the answer cannot be read ({what}; {kind}, {len(answer.body)} bytes).",
        request_id=answer.request_id,
        http_status=answer.status,
        advice="If it lasts, check the endpoint, and check for a proxy between this machine and the service.",
    )


# --- errors -----------------------------------------------------------------------------------------------------------


def error_from_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, call: str, iam: bool = False, secrets: Iterable[Secret | str] = ()
) -> CbrApiError:
    """Make the typed error of an answer with an error status.

    Knows every shape seen: ``error_code``/``error_msg`` of CBR, the gateway and newer IAM, ``errorCode``/``errorMsg``, IAM's
    ``{"error": {code, message, title}}``, any ``{"x": {"code", "message"}}``, and bodies that are no JSON at all.

    :param status: HTTP status.
    :param headers: the answer's headers; the mapping should ignore the case of names.
    :param body: the answer's bytes.
    :param call: the call's name in the API reference, for the message.
    :param iam: whether IAM answered. Default: False.
    :param secrets: texts that must not appear in the message. Default: none.
    :return: an error whose class follows from the ``error_code``, or from the status where the code is unknown.
    """
    secrets = tuple(secrets)
    answer = ServiceResponse(status, headers, body, secrets)
    facts = _read_error(body)
    code = error_lookup.normalise_code(facts.code, iam=iam) if facts.code else None
    row = error_lookup.find(code, status)
    details: dict[str, Any] = {
        "error_code": clean(code, secrets, _LONGEST_CODE) or None if code else None,
        "request_id": answer.request_id or (clean(facts.request_id, secrets) or None if facts.request_id else None),
        "http_status": status,
    }
    said = clean(facts.message, secrets) or (row.meaning if row else f"HTTP {status} without an explanation.")
    message = f"{call}: {said}"

    # The identity check behind the gateway answers a project or resource id that does not exist with 401. It is no failure of the
    # credentials: asking for a new token, or again with the same key, leads nowhere, and the latter locks the key.
    if facts.unauthorized or _ID_IN_PATH_UNKNOWN in facts.message.lower():
        return CbrNotFoundError(
            message,
            advice="Check project_id, region and the ids of vault or backup: the service has no such project or resource for these "
            "credentials.",
            **details,
        )

    error_class = row.error if row else error_lookup.error_class_of_status(status)
    details["advice"] = _advice(row, status, facts.message, call=call, iam=iam)
    if issubclass(error_class, (CbrThrottledError, CbrUnavailableError)):
        return error_class(message, retry_after=retry_after(headers), **details)
    return error_class(message, **details)


@dataclass(frozen=True, slots=True)
class _ErrorFacts:
    code: str | None = None
    message: str = ""
    request_id: str | None = None
    unauthorized: bool = False


def _read_error(body: bytes) -> _ErrorFacts:
    try:
        content = msgspec.json.decode(body)
    except UNREADABLE:
        return _ErrorFacts(message=body[:_LONGEST_BODY_TEXT].decode("utf-8", "replace"))
    if not isinstance(content, dict):
        return _ErrorFacts(message=content if isinstance(content, str) else "")
    found = _error_fields(content)
    if found.code or found.message:
        return found
    for name, value in content.items():
        if isinstance(value, dict):
            nested = _error_fields(value)
            if nested.code or nested.message:
                return _ErrorFacts(nested.code, nested.message, found.request_id or nested.request_id, name == "unauthorized")
    return found


def _error_fields(content: dict[str, Any]) -> _ErrorFacts:
    code = _first(content, "error_code", "errorCode", "code")
    # IAM's older bodies repeat the HTTP status as the code, which says nothing.
    if code is not None and len(code) == 3 and code.isdigit():
        code = None
    return _ErrorFacts(code, _first(content, "error_msg", "errorMsg", "message") or "", _first(content, "request_id", "requestId"))


def _first(content: dict[str, Any], *names: str) -> str | None:
    for name in names:
        value = content.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
            return str(value)[:_LONGEST_BODY_TEXT]
    return None


def _advice(row: CatalogueRow | None, status: int, message: str, *, call: str, iam: bool) -> str | None:
    if iam and _NO_PROJECT in message.lower():
        return (
            "Set project_id in the connection: the user may have access to none of the region's projects but sub-projects. If the region's "
            "own project is intended, check region, cloud and domain_name, and the user's permissions."
        )
    if row is not None and row.code == "BackupService.9900" and "enable_acceleration" in message:
        return (
            "Leave enable_acceleration out: accounts with the gate OP_GATED_CSBS_REP_ACCELERATION may not use it, and only Huawei Cloud "
            "can remove the gate."
        )
    if row is not None:
        return (permission_advice(call) if row.code == _NOT_ALLOWED else None) or row.advice
    if status == 401:
        return "Check login, password and auth_type of the connection."
    if status == 403:
        return "Ask the account's administrator for the permission that the call needs."
    if status == 407:
        return "The proxy between this machine and the service requires credentials: check HTTPS_PROXY in the environment."
    return None


# --- headers ------------------------------------------------------------------------------------------------------


def parse_http_date(text: str | None) -> datetime | None:
    """Read a ``Date`` header.

    :param text: the header's value, or None.
    :return: an aware datetime in UTC, or None when there is none or it cannot be read.
    """
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how long the service asks to wait.

    :param headers: the answer's headers. ``Retry-After`` is a number of seconds or a date; a date is compared with the answer's own
        ``Date``, so that a wrong local clock does not matter.
    :return: seconds, not negative and at most :data:`LONGEST_RETRY_AFTER`; None when the header is missing or cannot be read.
    """
    text = (headers.get("Retry-After") or "").strip()
    if not text:
        return None
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        until = parse_http_date(text)
        if until is None:
            return None
        seconds = (until - (parse_http_date(headers.get("Date")) or datetime.now(UTC))).total_seconds()
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER)

"""Faults: what goes wrong, on which call or copy, and when."""

from __future__ import annotations

import random
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from airflow_cbr.emulator.bounds import FARTHEST, LONGEST_TEXT, MOST_THINGS, Distance, ErrorStatus, Seconds
from airflow_cbr.emulator.changes import check_backup_changes

if TYPE_CHECKING:
    from airflow_cbr.emulator.exchange import Call


_WITHOUT_BODY: Final = frozenset({204, 205, 304})


class _When(BaseModel):
    """Which calls or copies a fault meets."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=LONGEST_TEXT)

    vault_id: str | None = Field(default=None, description="Only calls about, or copies from, this source vault.")
    nth: int = Field(default=1, ge=1, le=1_000_000_000, description="The first match that is hit; those before it pass.")
    count: int | None = Field(default=1, ge=1, le=1_000_000_000, description="How many matches are hit from there on; null: all.")
    chance: float = Field(default=1.0, gt=0, le=1, description="Probability of each hit, drawn under the world's seed.")


class _OnCall(_When):
    call: str | None = Field(default=None, description="Name of the call, such as `CopyCheckpoint`.")
    method: str | None = Field(default=None, description="HTTP method; with `path` instead of `call`.")
    path: str | None = Field(default=None, max_length=1000, description="Pattern of the path, such as `/v3/*/backups/*`.")
    when: Literal["before", "after"] = Field(default="after", description="Before the service does anything, or after it has done it.")


class ResetFault(_OnCall):
    """The connection is reset instead of an answer."""

    kind: Literal["reset"]


class SilenceFault(_OnCall):
    """No answer comes until the client gives up."""

    kind: Literal["timeout"]


class LateFault(_OnCall):
    """The connection is reset, and the service carries the call out some time later."""

    kind: Literal["late"]
    when: Literal["before"] = Field(default="before", description="The answer is lost before the service has done anything.")
    seconds: Seconds = Field(default=30.0, gt=0, description="Simulated seconds until the service carries it out.")


class StatusFault(_OnCall):
    """A bare status of the gateway, such as 500, 502, 503 or 504."""

    kind: Literal["status"]
    status: ErrorStatus = Field(default=500, description="HTTP status.")


class ThrottleFault(_OnCall):
    """429 with the gateway's text."""

    kind: Literal["throttle"]
    when: Literal["before"] = Field(default="before", description="A throttled call is never carried out.")
    retry_after: float | None = Field(default=None, ge=0, le=FARTHEST, description="Seconds for `Retry-After`; null: no such header.")
    as_date: bool = Field(default=False, description="Write `Retry-After` as an HTTP date.")


class CodeFault(_OnCall):
    """Any code of CBR, such as 6130, 1009, 0001 or 1007."""

    kind: Literal["code"]
    code: str = Field(pattern=r"^\d{4}$", description="Four digits.")
    status: ErrorStatus | None = Field(default=None, description="HTTP status; null: the code's own.")
    message: str | None = Field(default=None, description="Text; null: the code's own.")


class MalformedUrlFault(_OnCall):
    """401 with `Malformed request url`, which is no failure to authenticate."""

    kind: Literal["malformed_url"]
    when: Literal["before"] = Field(default="before", description="The check stands before the service.")


class TokenFault(_OnCall):
    """The token that the call brings expires, or is revoked, as the call arrives."""

    kind: Literal["token_expired", "token_revoked"]
    when: Literal["before"] = Field(default="before", description="The check stands before the service.")


class TruncatedFault(_OnCall):
    """The body ends in the middle."""

    kind: Literal["truncated"]
    when: Literal["after"] = Field(default="after", description="It is the service's own answer that is cut.")


class BodyFault(_OnCall):
    """200 with a body that is no JSON, or a proxy's HTML page."""

    kind: Literal["not_json", "html"]
    status: int = Field(default=200, ge=200, le=599, description="HTTP status.")

    @field_validator("status")
    @classmethod
    def _with_a_body(cls, status: int) -> int:
        if status in _WITHOUT_BODY:
            raise ValueError(f"an answer of status {status} has no body")
        return status


class SlowFault(_OnCall):
    """The first byte comes late."""

    kind: Literal["slow"]
    when: Literal["after"] = Field(default="after", description="The service has done its work when it is slow to say so.")
    seconds: float = Field(default=5.0, ge=0, le=86400, description="Real seconds, or virtual ones in a test without sockets.")


class EmptyBackupsFault(_OnCall):
    """The list `backups` of the answer is empty. On a replicate call: `before` nothing was started, `after` all was."""

    kind: Literal["empty_backups"]


class MovingRowsFault(_OnCall):
    """Backups appear or disappear at the head of the list just before a page is read, so that the page boundaries move."""

    kind: Literal["rows_inserted", "rows_deleted"]
    when: Literal["before"] = Field(default="before", description="The rows move before the page is read.")
    rows: int = Field(default=1, ge=1, le=MOST_THINGS, description="Number of backups.")


class RowsFault(_OnCall):
    """The rows of a list come in reverse order, or all of them once more at its end."""

    kind: Literal["rows_reversed", "rows_repeated"]
    when: Literal["after"] = Field(default="after", description="It is the service's own answer that is changed.")
    status: str | None = Field(default=None, description="Status that the repetition says; null: the same.")


class RecordsFault(_OnCall):
    """The replication records of each backup in the answer come in reverse order, once more, or not at all."""

    kind: Literal["records_reversed", "records_repeated", "records_hidden"]
    when: Literal["after"] = Field(default="after", description="It is the service's own answer that is changed.")
    status: str | None = Field(default=None, description="Status that the repetition says; null: the same.")


class DateFault(_OnCall):
    """The `Date` header is off, is not there, or says something else."""

    kind: Literal["date_shifted", "date_absent", "date_other"]
    when: Literal["after"] = Field(default="after", description="It is the service's own answer that is changed.")
    seconds: Distance = Field(default=600.0, description="Seconds by which a shifted one is ahead; negative: behind.")
    text: str = Field(
        default="Mon, 01 Jan 1900 00:00:00 GMT", pattern=r"^[!-~]([ -~]*[!-~])?$", max_length=200, description="What another one says."
    )


class _OnCopy(_When):
    backup_id: str | None = Field(default=None, description="Only copies of this backup.")


class WaitingFault(_OnCopy):
    """The record stays in `waiting_replicate`."""

    kind: Literal["copy_waits"]
    seconds: Seconds | None = Field(default=None, description="How long; null: for ever.")


class CopyFailsFault(_OnCopy):
    """The record ends in `fail`."""

    kind: Literal["copy_fails"]
    fail_code: str = Field(default="BackupService.1006", description="`extra_info.fail_code`.")
    fail_reason: str = Field(default="Failed to import the replica.", description="`extra_info.fail_reason`.")


class CopySkippedFault(_OnCopy):
    """The record ends in `skip`."""

    kind: Literal["copy_skipped"]


class RecordVanishesFault(_OnCopy):
    """The record disappears in the middle of its copy; the copy itself goes on."""

    kind: Literal["record_vanishes"]


class SourceDeletedFault(_OnCopy):
    """The source backup is deleted in the middle of its copy."""

    kind: Literal["source_deleted"]
    copy_ends: Literal["success", "fail"] = Field(default="fail", description="What becomes of the copy.")


class UnknownStatusFault(_OnCopy):
    """The record shows a status that no documentation lists."""

    kind: Literal["unknown_status"]
    status: str = Field(default="archiving", description="The word.")
    at_end: bool = Field(default=False, description="Whether it is also the last word; otherwise the copy ends as usual.")


class ReplicaMissingFault(_OnCopy):
    """The record says `success`, and there is no replica."""

    kind: Literal["replica_missing"]


class ReplicaChangedFault(_OnCopy):
    """The record says `success`, and the replica is not what it should be."""

    kind: Literal["replica_changed"]
    changes: dict[str, Any] = Field(description='What the control call for a backup takes: `{"status": "error"}`.')

    @field_validator("changes")
    @classmethod
    def _possible(cls, changes: dict[str, Any]) -> dict[str, Any]:
        return check_backup_changes(changes)


class BackupFailsFault(_OnCopy):
    """A new checkpoint's backups end in `error`. Matched by vault; `backup_id` does not apply."""

    kind: Literal["backup_fails"]
    resource_id: str | None = Field(default=None, description="Only this resource's backup; null: all.")
    checkpoint_status: Literal["error", "available"] = Field(default="error", description="What the checkpoint says of itself.")


CallFault = (
    ResetFault
    | LateFault
    | SilenceFault
    | StatusFault
    | ThrottleFault
    | CodeFault
    | MalformedUrlFault
    | TokenFault
    | TruncatedFault
    | BodyFault
    | SlowFault
    | EmptyBackupsFault
    | MovingRowsFault
    | RowsFault
    | RecordsFault
    | DateFault
)
CopyFault = (
    WaitingFault
    | CopyFailsFault
    | CopySkippedFault
    | RecordVanishesFault
    | SourceDeletedFault
    | UnknownStatusFault
    | ReplicaMissingFault
    | ReplicaChangedFault
    | BackupFailsFault
)
Fault = Annotated[CallFault | CopyFault, Field(discriminator="kind")]


class _Armed:
    def __init__(self, number: int, fault: CallFault | CopyFault) -> None:
        self.number = number
        self.fault = fault
        self.met = 0
        self.hits = 0

    @property
    def spent(self) -> bool:
        return self.fault.count is not None and self.hits >= self.fault.count

    def strikes(self, chances: random.Random) -> bool:
        self.met += 1
        if self.met < self.fault.nth or self.spent:
            return False
        if self.fault.chance < 1 and chances.random() >= self.fault.chance:
            return False
        self.hits += 1
        return True


class Faults:
    """The faults in force. The first one in their order that strikes is the one; a call or a copy meets at most one.

    :param seed: for the chances. Default: None, they differ in every run.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._chances = random.Random(seed)  # noqa: S311 (no secret is made of it)
        self._armed: list[_Armed] = []
        self._numbers = 0

    def add(self, fault: CallFault | CopyFault) -> int:
        """Put a fault in force.

        :param fault: the fault.
        :return: its number, by which it can be removed.
        """
        self._numbers += 1
        self._armed.append(_Armed(self._numbers, fault))
        return self._numbers

    def remove(self, number: int | None = None) -> int:
        """Remove one fault, or all.

        :param number: from :meth:`add`. Default: None, all.
        :return: how many were removed.
        """
        before = len(self._armed)
        self._armed = [armed for armed in self._armed if number is not None and armed.number != number]
        return before - len(self._armed)

    def on_call(self, call: Call, vault_id: str | None, *, by_token: bool) -> CallFault | None:
        """Return the fault that strikes a call, if any.

        :param call: the call.
        :param vault_id: the vault that it is about, if any.
        :param by_token: whether the call brings a token; only such calls meet a fault of tokens.
        """
        for armed in self._armed:
            fault = armed.fault
            if not isinstance(fault, _OnCall) or (isinstance(fault, TokenFault) and not by_token):
                continue
            meets = (
                (fault.call is None or fault.call == call.name)
                and (fault.method is None or fault.method.upper() == call.method)
                and (fault.path is None or fnmatchcase(call.raw_path, fault.path))
                and (fault.vault_id is None or fault.vault_id == vault_id)
            )
            if meets and armed.strikes(self._chances):
                return fault
        return None

    def on_copy(self, vault_id: str, backup_id: str) -> CopyFault | None:
        """Return the fault that strikes a copy that is about to start, if any.

        :param vault_id: the source vault.
        :param backup_id: the backup.
        """
        return self._first(vault_id, backup_id, of_backup=False)

    def on_checkpoint(self, vault_id: str) -> BackupFailsFault | None:
        """Return the fault that strikes the backups of a checkpoint that is about to start, if any.

        :param vault_id: the vault that is backed up.
        """
        fault = self._first(vault_id, None, of_backup=True)
        return fault if isinstance(fault, BackupFailsFault) else None

    def _first(self, vault_id: str, backup_id: str | None, *, of_backup: bool) -> CopyFault | None:
        for armed in self._armed:
            fault = armed.fault
            if not isinstance(fault, _OnCopy) or isinstance(fault, BackupFailsFault) != of_backup:
                continue
            meets = (fault.vault_id is None or fault.vault_id == vault_id) and (fault.backup_id is None or fault.backup_id == backup_id)
            if meets and armed.strikes(self._chances):
                return fault
        return None

    def listing(self) -> list[dict[str, Any]]:
        """Return the faults in force with how often each was met and has struck."""
        return [
            {"number": armed.number, "met": armed.met, "hits": armed.hits, "fault": armed.fault.model_dump(exclude_none=True)}
            for armed in self._armed
        ]

"""What decides about the copy of a backup, and how a message names it: the part of a row that a look at a whole vault decodes.

A vault may hold a hundred thousand backups. What is not decoded costs neither time nor memory; the whole rows, of
:mod:`airflow_cbr.api.models`, have these fields too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from airflow_cbr.api.copy_state import ENDS, CopyState, state_of_record
from airflow_cbr.api.decoding import UNREADABLE, decode_json

__all__ = ["BackupSummary", "DisksOfBackup", "RecordSummary", "ReplicationExtra", "ServiceRow", "parse_time"]

_LENGTH: Final = len("2025-03-25T06:32:07.951164")


def parse_time(text: str | None) -> datetime | None:
    """Read one of the service's notations of time; a time without a zone is UTC.

    Seen: ``2025-03-25T06:32:07.951164`` (CBR), ``2020-02-21T07:00:54.065+00:00`` (Open Telekom Cloud), ``...Z`` (documentation, IAM),
    ``2020-01-08 09:59:49`` (policies), ``2020-01-08`` (expiration days).

    :param text: the service's text, or None.
    :return: an aware datetime in UTC, or None when there is no time or it cannot be read.
    """
    if not text:
        return None
    if len(text) == _LENGTH:
        # Nearly all are written like the first. This takes half of the time, and a long list has tens of thousands of times.
        try:
            return datetime.fromisoformat(text + "+00:00")
        except ValueError:
            pass  # It has a zone, or is no time.
    try:
        moment = datetime.fromisoformat(text)
        # Not replace(), which takes ten times as long, and a long list has tens of thousands of times.
        return datetime.combine(moment, moment.time(), UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class ServiceRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of the rows: immutable, no garbage-collector tracking (they hold no cycles), keyword-only."""


class ReplicationExtra(ServiceRow, frozen=True):
    """``replication_records[].extra_info``; ``progress`` is a percentage."""

    progress: int | float | None = None
    fail_code: str | int | None = None
    fail_reason: str | None = None
    auto_trigger: bool | None = None
    destination_vault_id: str | None = None


class RecordSummary(ServiceRow, frozen=True):
    """How far one replication of a backup has come, and where it leads.

    ``status`` is ``waiting_replicate``, ``replicating``, ``success``, ``fail``, ``skip``, or a word the service invented since.
    """

    id: str
    status: str | None = None
    created_at: str | None = None
    destination_project_id: str | None = None
    destination_region: str | None = None
    destination_vault_id: str | None = None
    extra_info: ReplicationExtra | str | None = None

    @property
    def extra(self) -> ReplicationExtra:
        """Return ``extra_info`` as an object; older services send it as JSON text, or not at all."""
        if isinstance(self.extra_info, ReplicationExtra):
            return self.extra_info
        if isinstance(self.extra_info, str):
            with contextlib.suppress(*UNREADABLE):
                return decode_json(self.extra_info.encode(), ReplicationExtra)
        return ReplicationExtra()

    @property
    def created(self) -> datetime | None:
        """Return the start of the replication as an aware datetime, if the service said it."""
        return parse_time(self.created_at)

    @property
    def state(self) -> CopyState:
        """Return what the status says."""
        return state_of_record(self.status)

    @property
    def is_final(self) -> bool:
        """Return whether the status is one that never changes again; an unknown word is not."""
        return self.state in ENDS


class DisksOfBackup(ServiceRow, frozen=True):
    """``backup.extend_info``: whether the backup of a server has its system disk."""

    contain_system_disk: bool | None = None


class BackupSummary(ServiceRow, frozen=True):
    """What decides whether a backup is copied, and how it is named. ``resource_size`` is in GB."""

    id: str
    name: str | None = None
    status: str | None = None
    image_type: str | None = None
    checkpoint_id: str | None = None
    vault_id: str | None = None
    provider_id: str | None = None
    resource_id: str | None = None
    resource_name: str | None = None
    resource_type: str | None = None
    resource_size: int | float | None = None
    created_at: str | None = None
    extend_info: DisksOfBackup | None = None
    replication_records: Sequence[RecordSummary] | None = None

    @property
    def created(self) -> datetime | None:
        """Return the creation time as an aware datetime, if the service said it."""
        return parse_time(self.created_at)

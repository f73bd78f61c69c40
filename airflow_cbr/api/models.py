"""Typed, tolerant records of what CBR and IAM answer.

Tolerant means: an unknown field is ignored, every field but the id may be absent or null, a word that the documentation does not
list is kept as it came, a number may come as a string. What cannot be read at all raises
:class:`~airflow_cbr.exceptions.CbrProtocolError` where the answer is decoded (:mod:`airflow_cbr.api.responses`), never something else.

The structs hold the service's own field names and units: GB for resources, MB for ``billing.used``, times as :func:`parse_time` reads.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_cbr.api.copy_state import state_of_log
from airflow_cbr.api.decoding import UNREADABLE, decode_json
from airflow_cbr.api.ids import is_id
from airflow_cbr.api.summaries import BackupSummary, DisksOfBackup, RecordSummary, ReplicationExtra, ServiceRow, parse_time

if TYPE_CHECKING:
    from airflow_cbr.api.copy_state import CopyState

__all__ = [
    "Backup",
    "Billing",
    "Checkpoint",
    "CheckpointVault",
    "JudgedBackup",
    "OperationLog",
    "Replication",
    "ReplicationCapability",
    "ReplicationExtra",
    "ReplicationRecord",
    "ReplicationReference",
    "Vault",
    "VaultResource",
    "parse_time",
]

# --- replication ------------------------------------------------------------------------------------------------------


class ReplicationReference(ServiceRow, frozen=True):
    """A pair of ids in the answer of a replicate call (CopyCheckpoint, CopyBackup)."""

    backup_id: str
    replication_record_id: str


class Replication(ServiceRow, frozen=True):
    """The ``replication`` object that a replicate call answers.

    CopyCheckpoint lists ``backups``; CopyBackup has the two ids in the object itself. :attr:`references` reads both. The echoed
    regions and projects are not to be compared with the request: the published examples differ from it.
    """

    backups: list[ReplicationReference] | None = None
    backup_id: str | None = None
    replication_record_id: str | None = None
    provider_id: str | None = None
    vault_id: str | None = None
    project_id: str | None = None
    source_region: str | None = None
    destination_project_id: str | None = None
    destination_region: str | None = None
    destination_vault_id: str | None = None

    @property
    def references(self) -> list[ReplicationReference]:
        """Return every pair of backup id and replication record id in the answer whose two ids look like ids; may be empty."""
        return [pair for pair in self.pairs if is_id(pair.backup_id) and is_id(pair.replication_record_id)]

    @property
    def pairs(self) -> list[ReplicationReference]:
        """Return every pair in the answer, whatever stands in it."""
        found = list(self.backups or ())
        if self.backup_id and self.replication_record_id:
            found.append(ReplicationReference(backup_id=self.backup_id, replication_record_id=self.replication_record_id))
        return found


class ReplicationRecord(RecordSummary, frozen=True):
    """One replication of one backup to one destination (``ReplicationRecordGet``).

    ``status`` is ``waiting_replicate``, ``replicating``, ``success``, ``fail``, ``skip``, or a word the service invented since.
    """

    vault_id: str | None = None
    source_backup_id: str | None = None
    source_checkpoint_id: str | None = None
    source_project_id: str | None = None
    source_region: str | None = None
    destination_backup_id: str | None = None
    destination_checkpoint_id: str | None = None


class ReplicationCapability(ServiceRow, frozen=True):
    """One row of ``replication-capabilities``: a source region and where its backups may go."""

    name: str | None = None
    replication_destinations: list[str] | None = None


# --- backups ----------------------------------------------------------------------------------------------------------


class BackupExtendInfo(DisksOfBackup, frozen=True):
    """``backup.extend_info``, as far as this package looks at it; ``os_images_data`` lists images that were made of it."""

    auto_trigger: bool | None = None
    bootable: bool | None = None
    encrypted: bool | None = None
    system_disk: bool | None = None
    progress: int | float | None = None
    os_images_data: Any = None


class JudgedBackup(BackupSummary, frozen=True):
    """As much of a backup as a verification judges: of both vaults it reads every row."""

    project_id: str | None = None
    parent_id: str | None = None
    expired_at: str | None = None
    replication_records: list[ReplicationRecord] | None = None


class Backup(JudgedBackup, frozen=True):
    """A backup (``BackupResp``): of the source vault, or a replica in a destination vault. ``resource_size`` is in GB."""

    updated_at: str | None = None
    protected_at: str | None = None
    incremental: bool | None = None
    extend_info: BackupExtendInfo | None = None


# --- vaults -----------------------------------------------------------------------------------------------------------


class Billing(ServiceRow, frozen=True):
    """``vault.billing``: ``size`` and ``allocated`` in GB, ``used`` in MB."""

    protect_type: str | None = None
    object_type: str | None = None
    status: str | None = None
    size: int | float | None = None
    used: int | float | None = None
    allocated: int | float | None = None
    spec_code: str | None = None
    cloud_type: str | None = None
    charging_mode: str | None = None


class VaultResource(ServiceRow, frozen=True):
    """A server, disk or file system bound to a vault, also as a checkpoint lists it. ``code`` and ``reason`` say why one was skipped."""

    id: str | None = None
    name: str | None = None
    type: str | None = None
    protect_status: str | None = None
    size: int | float | None = None
    backup_size: int | float | None = None
    backup_count: int | float | None = None
    code: str | int | None = None
    reason: str | None = None


class Vault(ServiceRow, frozen=True):
    """A vault (``GET /vaults``, ``/vaults/{id}``, ``/vaults/external``)."""

    id: str
    name: str | None = None
    project_id: str | None = None
    provider_id: str | None = None
    resources: list[VaultResource] | None = None
    billing: Billing | None = None
    locked: bool | None = None
    auto_expand: bool | None = None
    created_at: str | None = None


# --- checkpoints ------------------------------------------------------------------------------------------------------


class CheckpointVault(ServiceRow, frozen=True):
    """``checkpoint.vault``: what was backed up, and what the service skipped."""

    id: str | None = None
    name: str | None = None
    resources: list[VaultResource] | None = None
    skipped_resources: list[VaultResource] | None = None


class CheckpointExtra(ServiceRow, frozen=True):
    """``checkpoint.extra_info``, as far as this package looks at it."""

    name: str | None = None


class Checkpoint(ServiceRow, frozen=True):
    """A checkpoint: ``protecting``, ``available``, ``error``, ``deleting``, ``deleted`` or ``error-deleting``."""

    id: str
    status: str | None = None
    project_id: str | None = None
    created_at: str | None = None
    vault: CheckpointVault | None = None
    extra_info: CheckpointExtra | str | None = None

    @property
    def created(self) -> datetime | None:
        """Return the creation time as an aware datetime, if the service said it."""
        return parse_time(self.created_at)

    @property
    def name(self) -> str | None:
        """Return the name that it was given, if the service said it; published examples have it in no GET."""
        return self.extra_info.name if isinstance(self.extra_info, CheckpointExtra) else None


# --- operation logs ---------------------------------------------------------------------------------------------------


class OperationError(ServiceRow, frozen=True):
    """``operation_log.error_info``."""

    code: str | int | None = None
    message: str | None = None


class OperationCommon(ServiceRow, frozen=True):
    """``operation_log.extra_info.common``; ``progress`` is a percentage."""

    progress: int | float | None = None
    request_id: str | None = None
    task_id: str | None = None


class OperationResource(ServiceRow, frozen=True):
    """``operation_log.extra_info.resource``: what was backed up or copied."""

    id: str | None = None
    type: str | None = None
    name: str | None = None


class OperationReplication(ServiceRow, frozen=True):
    """``operation_log.extra_info.replication``: which backup went where. It names no replication record and no vault."""

    source_backup_id: str | None = None
    source_project_id: str | None = None
    source_region: str | None = None
    destination_backup_id: str | None = None
    destination_project_id: str | None = None
    destination_region: str | None = None


class OperationExtra(ServiceRow, frozen=True):
    """``operation_log.extra_info``, as far as this package looks at it."""

    common: OperationCommon | None = None
    resource: OperationResource | None = None
    replication: OperationReplication | None = None
    restore: Any = None


class OperationLog(ServiceRow, frozen=True):
    """One task of the service: ``success``, ``skipped``, ``failed``, ``running``, ``timeout`` or ``waiting``."""

    id: str
    status: str | None = None
    operation_type: str | None = None
    project_id: str | None = None
    vault_id: str | None = None
    vault_name: str | None = None
    checkpoint_id: str | None = None
    created_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    error_info: OperationError | None = None
    extra_info: OperationExtra | str | None = None

    @property
    def created(self) -> datetime | None:
        """Return the creation time as an aware datetime, if the service said it."""
        return parse_time(self.created_at)

    @property
    def extra(self) -> OperationExtra:
        """Return ``extra_info`` as an object; empty where there is none, or none that can be read."""
        extra = self.extra_info
        if isinstance(extra, str):
            with contextlib.suppress(*UNREADABLE):
                extra = decode_json(extra.encode(), OperationExtra)
        return extra if isinstance(extra, OperationExtra) else OperationExtra()

    @property
    def state(self) -> CopyState | None:
        """Return what the status of a replication's log says; None where it says nothing."""
        return state_of_log(self.status)

    @property
    def replication(self) -> OperationReplication:
        """Return ``extra_info.replication``, empty where the log is of another kind."""
        return self.extra.replication or OperationReplication()

    @property
    def resource_id(self) -> str | None:
        """Return the id of the resource that the task was about, if the service said it."""
        resource = self.extra.resource
        return resource.id if resource is not None else None

    @property
    def progress(self) -> int | float | None:
        """Return the percentage done, if the service said it."""
        common = self.extra.common
        return common.progress if common is not None else None

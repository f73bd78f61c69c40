"""What the service knows, in memory: projects, vaults, backups with their records, checkpoints and operation logs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_cbr.emulator.bounds import MOST_BACKUPS
from airflow_cbr.emulator.kinds import IN_FLIGHT, MB_PER_GB, PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class WorldError(ValueError):
    """A world, or a change to one, that makes no sense; the text says where and why."""


@dataclass(slots=True)
class Project:
    """A project; it belongs to one region."""

    id: str
    name: str
    region: str
    replication: bool


@dataclass(slots=True)
class Resource:
    """What is bound to a vault; ``size`` in GB."""

    id: str
    name: str
    type: str
    size: int
    protect_status: str = "available"


@dataclass(slots=True)
class Vault:
    """A vault; ``size`` in GB, ``used`` in MB. ``reserved`` (MB) is what copies on their way to it will use."""

    id: str
    name: str
    project_id: str
    protect_type: str
    object_type: str
    status: str
    size: int
    created_at: float
    used: int = 0
    locked: bool = False
    resources: dict[str, Resource] = field(default_factory=dict)
    row: dict[str, Any] = field(default_factory=dict)
    reserved: int = 0
    in_flight: int = 0
    copying: int = 0
    waiting: list[Callable[[float], None]] = field(default_factory=list)

    @property
    def provider_id(self) -> str:
        """Return the id of the kind of resource that the vault holds."""
        return PROVIDERS[self.object_type]


@dataclass(slots=True)
class Record:
    """One replication of one backup to one destination. ``started_at`` and ``ends_at`` are known once it copies."""

    id: str
    backup_id: str
    checkpoint_id: str
    vault_id: str
    project_id: str
    region: str
    destination_project_id: str
    destination_region: str
    destination_vault_id: str
    created_at: float
    visible_at: float
    auto_trigger: bool
    status: str = "waiting_replicate"
    shown_status: str | None = None
    started_at: float | None = None
    ends_at: float | None = None
    destination_backup_id: str | None = None
    destination_checkpoint_id: str | None = None
    fail_code: str = ""
    fail_reason: str = ""
    row: dict[str, Any] = field(default_factory=dict)

    @property
    def in_flight(self) -> bool:
        """Return whether the copy has not ended."""
        return self.status in IN_FLIGHT


@dataclass(slots=True)
class Backup:
    """A backup or a replica; ``resource_size`` in GB. The encoded rows are kept until something changes."""

    id: str
    name: str
    vault_id: str
    project_id: str
    checkpoint_id: str
    provider_id: str
    resource_id: str
    resource_name: str
    resource_type: str
    resource_size: int
    status: str
    image_type: str
    created_at: float
    updated_at: float
    expired_at: float | None = None
    incremental: bool = True
    auto_trigger: bool = False
    contain_system_disk: bool = True
    system_disk_picked: bool = False
    description: str = ""
    visible_at: float = 0.0
    protected_at: float | None = None
    images: list[str] = field(default_factory=list)
    row: dict[str, Any] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    encoded: bytes | None = None
    encoded_with_records: bytes | None = None

    def forget_row(self) -> None:
        """Drop the encoded rows: something changed."""
        self.encoded = self.encoded_with_records = None


@dataclass(slots=True)
class OperationLog:
    """One task of the service."""

    id: str
    project_id: str
    operation_type: str
    provider_id: str
    vault_id: str
    vault_name: str
    checkpoint_id: str | None
    created_at: float
    visible_at: float
    resource_id: str
    resource_name: str
    resource_type: str
    request_id: str
    detail: dict[str, Any]
    status: str = "waiting"
    started_at: float | None = None
    ended_at: float | None = None
    updated_at: float | None = None
    progress_of: Record | None = None
    error_code: str = ""
    error_message: str = ""


@dataclass(slots=True)
class Checkpoint:
    """A checkpoint of a vault with the resources that it covers and those that were left out."""

    id: str
    project_id: str
    vault_id: str
    vault_name: str
    created_at: float
    status: str
    resources: list[dict[str, Any]]
    skipped: list[dict[str, Any]]
    extra_info: dict[str, Any] | None
    visible_at: float = 0.0


class Store:
    """Everything by id, and backups by vault and project in the order in which lists show them."""

    def __init__(self) -> None:
        self.most_backups = MOST_BACKUPS
        self.projects: dict[str, Project] = {}
        self.replicates_to: dict[str, list[str]] = {}
        self.clocks_ahead: dict[str, float] = {}
        self.vaults: dict[str, Vault] = {}
        self.backups: dict[str, Backup] = {}
        self.records: dict[str, Record] = {}
        self.checkpoints: dict[str, Checkpoint] = {}
        self.logs: dict[str, OperationLog] = {}
        self._by_vault: dict[str, dict[str, Backup]] = {}
        self._listings: dict[tuple[str, str | None], list[Backup]] = {}

    @property
    def room(self) -> int:
        """Return how many backups may still come."""
        return max(0, self.most_backups - len(self.backups))

    def add_backup(self, backup: Backup) -> None:
        """Put a backup into its vault, which it fills.

        :param backup: the backup; its vault must be there.
        """
        self.backups[backup.id] = backup
        self._by_vault.setdefault(backup.vault_id, {})[backup.id] = backup
        self.vaults[backup.vault_id].used += backup.resource_size * MB_PER_GB
        self.forget_listings()

    def remove_backup(self, backup: Backup) -> None:
        """Take a backup out of its vault; its records go with it.

        :param backup: the backup.
        """
        if self.backups.pop(backup.id, None) is None:
            return
        self._by_vault[backup.vault_id].pop(backup.id)
        vault = self.vaults.get(backup.vault_id)
        if vault is not None:
            vault.used = max(0, vault.used - backup.resource_size * MB_PER_GB)
        for record in backup.records:
            self.records.pop(record.id, None)
        self.forget_listings()

    def move_backup(self, backup: Backup, vault_id: str) -> None:
        """Put a backup into another vault, also one that does not exist; neither's used capacity changes.

        :param backup: the backup.
        :param vault_id: the vault's id.
        """
        self._by_vault[backup.vault_id].pop(backup.id)
        backup.vault_id = vault_id
        self._by_vault.setdefault(vault_id, {})[backup.id] = backup
        self.forget_listings()

    def add_record(self, record_id: str, backup: Backup, destination: Vault, created_at: float, **more: Any) -> Record:
        """Attach a new record to a backup.

        :param record_id: its id.
        :param backup: the source backup.
        :param destination: the vault that it is copied to.
        :param created_at: simulated time.
        :param more: further fields of the record.
        """
        record = Record(
            id=record_id,
            backup_id=backup.id,
            checkpoint_id=backup.checkpoint_id,
            vault_id=backup.vault_id,
            project_id=backup.project_id,
            region=self.projects[backup.project_id].region,
            destination_project_id=destination.project_id,
            destination_region=self.projects[destination.project_id].region,
            destination_vault_id=destination.id,
            created_at=created_at,
            **more,
        )
        backup.records.append(record)
        self.records[record.id] = record
        backup.forget_row()
        return record

    def add_log(self, log_id: str, operation: str, backup: Backup, created_at: float, **more: Any) -> OperationLog:
        """Enter a task in the operation log.

        :param log_id: its id.
        :param operation: ``replication``, ``backup`` or ``delete``.
        :param backup: the backup that is copied, made or deleted; its vault exists.
        :param created_at: simulated time.
        :param more: further fields of the log.
        """
        self.logs[log_id] = OperationLog(
            id=log_id,
            project_id=backup.project_id,
            operation_type=operation,
            provider_id=backup.provider_id,
            vault_id=backup.vault_id,
            vault_name=self.vaults[backup.vault_id].name,
            checkpoint_id=backup.checkpoint_id,
            created_at=created_at,
            updated_at=created_at,
            resource_id=backup.resource_id,
            resource_name=backup.resource_name,
            resource_type=backup.resource_type,
            **more,
        )
        return self.logs[log_id]

    def remove_record(self, record: Record) -> None:
        """Let a record vanish.

        :param record: the record.
        """
        self.records.pop(record.id, None)
        backup = self.backups.get(record.backup_id)
        if backup is not None:
            backup.records = [one for one in backup.records if one is not record]
            backup.forget_row()

    def in_vault(self, vault_id: str) -> Iterable[Backup]:
        """Return the backups of a vault in the order in which they came.

        :param vault_id: the vault's id.
        """
        return self._by_vault.get(vault_id, {}).values()

    def count_in_vault(self, vault_id: str) -> int:
        """Return the number of backups in a vault.

        :param vault_id: the vault's id.
        """
        return len(self._by_vault.get(vault_id, {}))

    def listing(self, project_id: str, vault_id: str | None) -> list[Backup]:
        """Return the backups of a project, newest first; the list is kept until a backup comes or goes.

        :param project_id: the project.
        :param vault_id: only those of this vault; None for all.
        """
        key = (project_id, vault_id)
        rows = self._listings.get(key)
        if rows is None:
            among = self.backups.values() if vault_id is None else self.in_vault(vault_id)
            rows = sorted((one for one in among if one.project_id == project_id), key=lambda one: (one.created_at, one.id), reverse=True)
            self._listings[key] = rows
        return rows

    def forget_listings(self) -> None:
        """Drop the sorted lists: a backup came, went or changed its time."""
        self._listings.clear()

    def forget_rows(self) -> None:
        """Drop all encoded rows: a switch changes how they look."""
        for backup in self.backups.values():
            backup.forget_row()

    def set_status(self, record: Record, status: str) -> None:
        """Change a record's status.

        :param record: the record.
        :param status: the new status.
        """
        record.status = status
        backup = self.backups.get(record.backup_id)
        if backup is not None:
            backup.forget_row()

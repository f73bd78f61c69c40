"""Simulated copies: from ``waiting_replicate`` through ``replicating`` to their end, with the replica and the operation log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_cbr.emulator.changes import change_backup
from airflow_cbr.emulator.clock import Timeline, moment_text
from airflow_cbr.emulator.faults import (
    CopyFailsFault,
    CopyFault,
    CopySkippedFault,
    Faults,
    RecordVanishesFault,
    ReplicaChangedFault,
    ReplicaMissingFault,
    SourceDeletedFault,
    UnknownStatusFault,
    WaitingFault,
)
from airflow_cbr.emulator.kinds import MB_PER_GB
from airflow_cbr.emulator.ledger import Ledger, ReplicationEntry
from airflow_cbr.emulator.store import Backup, OperationLog, Project, Record, Store, Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.emulator.ids import Ids
    from airflow_cbr.emulator.populate import Populator
    from airflow_cbr.emulator.switches import Switches


@dataclass(frozen=True)
class Order:
    """What a replicate call asks for, and who asks."""

    destination: Vault
    destination_project: Project
    auto_trigger: bool = False
    name: str | None = None
    description: str | None = None
    by: str | None = None
    call_number: int | None = None
    request_id: str = ""


@dataclass
class _Copy:
    source: Backup
    vault: Vault
    record: Record
    log: OperationLog
    order: Order
    fault: CopyFault | None
    checkpoint_key: tuple[int | str, str]
    reserved: int


class Copies:
    """Starts copies and carries them to their end on the timeline."""

    def __init__(
        self, *, store: Store, timeline: Timeline, switches: Switches, faults: Faults, ids: Ids, ledger: Ledger, populator: Populator
    ) -> None:
        self._store = store
        self._timeline = timeline
        self._switches = switches
        self._faults = faults
        self._ids = ids
        self._ledger = ledger
        self._populator = populator
        self._destination_checkpoints: dict[tuple[int | str, str], str] = {}

    def start(self, backup: Backup, order: Order, now: float) -> Record:
        """Start a copy.

        :param backup: what is copied; its vault exists.
        :param order: where to, and for whom.
        :param now: simulated time.
        :return: the record, which waits.
        """
        vault = self._store.vaults[backup.vault_id]
        region = self._store.projects[backup.project_id].region
        record = Record(
            id=self._ids.uuid(),
            backup_id=backup.id,
            checkpoint_id=backup.checkpoint_id,
            vault_id=vault.id,
            project_id=backup.project_id,
            region=region,
            destination_project_id=order.destination_project.id,
            destination_region=order.destination_project.region,
            destination_vault_id=order.destination.id,
            created_at=now,
            visible_at=now + self._switches.record_delay,
            auto_trigger=order.auto_trigger,
        )
        self._store.add_record(backup, record)
        log = self._log(backup, vault, record, order, now)
        reserved = backup.resource_size * MB_PER_GB
        order.destination.reserved += reserved
        vault.in_flight += 1
        self._ledger.started(
            ReplicationEntry(
                record.id,
                backup.id,
                vault.id,
                record.destination_region,
                record.destination_project_id,
                record.destination_vault_id,
                moment_text(now),
                order.by,
                order.call_number,
            )
        )
        copy = _Copy(
            backup,
            vault,
            record,
            log,
            order,
            self._faults.on_copy(vault.id, backup.id),
            (order.call_number or record.id, backup.checkpoint_id),
            reserved,
        )
        wait: float | None = self._switches.queue_seconds
        if isinstance(copy.fault, WaitingFault):
            wait = copy.fault.seconds
        if wait is not None:
            self._timeline.at(now + wait, lambda moment: self._ready(copy, moment))
        return record

    def skip(self, backup: Backup, order: Order, now: float) -> Record:
        """Make a record that says ``skip`` at once: the backup is copied already.

        :param backup: the backup.
        :param order: where to, and for whom.
        :param now: simulated time.
        """
        record = Record(
            id=self._ids.uuid(),
            backup_id=backup.id,
            checkpoint_id=backup.checkpoint_id,
            vault_id=backup.vault_id,
            project_id=backup.project_id,
            region=self._store.projects[backup.project_id].region,
            destination_project_id=order.destination_project.id,
            destination_region=order.destination_project.region,
            destination_vault_id=order.destination.id,
            created_at=now,
            visible_at=now + self._switches.record_delay,
            auto_trigger=order.auto_trigger,
            status="skip",
        )
        self._store.add_record(backup, record)
        return record

    def _log(self, backup: Backup, vault: Vault, record: Record, order: Order, now: float) -> OperationLog:
        log = OperationLog(
            id=self._ids.uuid(),
            project_id=backup.project_id,
            operation_type="replication",
            provider_id=backup.provider_id,
            vault_id=vault.id,
            vault_name=vault.name,
            checkpoint_id=backup.checkpoint_id,
            created_at=now,
            visible_at=now + self._switches.operation_log_delay,
            resource_id=backup.resource_id,
            resource_name=backup.resource_name,
            resource_type=backup.resource_type,
            request_id=f"req-{order.request_id}",
            detail_key="replication",
            detail={
                "source_backup_id": backup.id,
                "source_backup_name": backup.name,
                "source_checkpoint_id": backup.checkpoint_id,
                "source_project_id": record.project_id,
                "source_region": record.region,
                "destination_backup_id": None,
                "destination_backup_name": None,
                "destination_checkpoint_id": None,
                "destination_project_id": record.destination_project_id,
                "destination_region": record.destination_region,
            },
            updated_at=now,
            progress_of=record,
        )
        self._store.logs[log.id] = log
        return log

    def _ready(self, copy: _Copy, now: float) -> None:
        limit = self._switches.copies_at_once
        if limit is not None and copy.vault.copying >= limit:
            copy.vault.waiting.append(lambda moment: self._begin(copy, moment))
        else:
            self._begin(copy, now)

    def _begin(self, copy: _Copy, now: float) -> None:
        copy.vault.copying += 1
        record, fault = copy.record, copy.fault
        whole = self._switches.copy_seconds + self._switches.copy_seconds_per_gb * copy.source.resource_size
        record.started_at, record.ends_at = now, now + whole
        self._store.set_status(record, "replicating")
        copy.log.status = "running"
        copy.log.started_at = copy.log.updated_at = now
        middle: Callable[[float], None] | None = None
        if isinstance(fault, UnknownStatusFault):
            record.shown_status = fault.status
        elif isinstance(fault, RecordVanishesFault):
            middle = lambda _moment: self._store.remove_record(record)  # noqa: E731
        elif isinstance(fault, SourceDeletedFault):
            middle = lambda _moment: self._store.remove_backup(copy.source)  # noqa: E731
        if middle is not None:
            self._timeline.at(now + whole / 2, middle)
        self._timeline.at(now + whole, lambda moment: self._end(copy, moment))

    def _end(self, copy: _Copy, now: float) -> None:
        record, fault, log = copy.record, copy.fault, copy.log
        outcome = "success"
        if isinstance(fault, CopyFailsFault):
            outcome, record.fail_code, record.fail_reason = "fail", fault.fail_code, fault.fail_reason
        elif isinstance(fault, CopySkippedFault):
            outcome = "skip"
        elif isinstance(fault, SourceDeletedFault) and fault.copy_ends == "fail":
            outcome, record.fail_code, record.fail_reason = "fail", "BackupService.6200", "The backup does not exist."
        elif copy.order.destination.id not in self._store.vaults:
            outcome, record.fail_code, record.fail_reason = "fail", "BackupService.6120", "The destination vault does not exist."
        if outcome == "success":
            self._deliver(copy, now)
        if isinstance(fault, UnknownStatusFault) and not fault.at_end:
            record.shown_status = None
        self._store.set_status(record, outcome)
        log.status = {"success": "success", "fail": "failed", "skip": "skipped"}[outcome]
        log.ended_at = log.updated_at = now
        log.error_code, log.error_message = record.fail_code, record.fail_reason
        copy.order.destination.reserved -= copy.reserved
        copy.vault.in_flight -= 1
        copy.vault.copying -= 1
        self._ledger.ended(record.id, outcome)
        if copy.vault.waiting:
            copy.vault.waiting.pop(0)(now)

    def _deliver(self, copy: _Copy, now: float) -> None:
        checkpoint_id = self._destination_checkpoints.setdefault(copy.checkpoint_key, self._ids.uuid())
        destination, order, record = copy.order.destination, copy.order, copy.record
        if self._switches.replica_checkpoint == "source":
            checkpoint_id = copy.source.checkpoint_id
        record.destination_checkpoint_id = checkpoint_id
        replica_name = order.name or copy.source.name
        if isinstance(copy.fault, ReplicaMissingFault):
            record.destination_backup_id = self._ids.uuid()
        else:
            replica = self._populator.make_replica(copy.source, destination, checkpoint_id, now, order.name, order.description)
            record.destination_backup_id, replica_name = replica.id, replica.name
            if self._switches.replica_settle_seconds > 0:
                replica.status = "protecting"
                self._timeline.at(now + self._switches.replica_settle_seconds, lambda _moment: _settle(replica))
            if isinstance(copy.fault, ReplicaChangedFault):
                change_backup(self._store, replica, copy.fault.changes)
        copy.log.detail |= {
            "destination_backup_id": record.destination_backup_id,
            "destination_backup_name": replica_name,
            "destination_checkpoint_id": checkpoint_id,
        }


def _settle(replica: Backup) -> None:
    if replica.status == "protecting":
        replica.status = "available"
        replica.forget_row()

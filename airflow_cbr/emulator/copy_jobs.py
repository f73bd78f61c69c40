"""Simulated copies: from ``waiting_replicate`` through ``replicating`` to their end, with the replica and the operation log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_cbr.emulator.clock import Timeline, moment_text
from airflow_cbr.emulator.faults import Copy, CopyFault, Ending, FaultsInForce
from airflow_cbr.emulator.kinds import MB_PER_GB
from airflow_cbr.emulator.ledger import Ledger, ReplicationEntry

if TYPE_CHECKING:
    from airflow_cbr.emulator.ids import Ids
    from airflow_cbr.emulator.populate import Populator
    from airflow_cbr.emulator.store import Backup, OperationLog, Project, Record, Store, Vault
    from airflow_cbr.emulator.switches import Switches


@dataclass(frozen=True)
class CopyRequest:
    """What a replicate call asks for, and who asks."""

    destination: Vault
    destination_project: Project
    auto_trigger: bool = False
    name: str | None = None
    description: str | None = None
    by: str | None = None
    call_number: int | None = None
    request_id: str = ""


@dataclass(kw_only=True)
class _Copy(Copy):
    vault: Vault
    log: OperationLog
    request: CopyRequest
    fault: CopyFault
    checkpoint_key: tuple[int | str, str]
    reserved: int


class CopyJobs:
    """Starts copies and carries them to their end on the timeline."""

    def __init__(
        self, *, store: Store, timeline: Timeline, switches: Switches, faults: FaultsInForce, ids: Ids, ledger: Ledger, populator: Populator
    ) -> None:
        self._store = store
        self._timeline = timeline
        self._switches = switches
        self._faults = faults
        self._ids = ids
        self._ledger = ledger
        self._populator = populator
        self._destination_checkpoints: dict[tuple[int | str, str], str] = {}

    def start(self, backup: Backup, request: CopyRequest, now: float) -> Record:
        """Start a copy.

        :param backup: what is copied; its vault exists.
        :param request: where to, and for whom.
        :param now: simulated time.
        :return: the record, which waits.
        """
        record = self._record(backup, request, now, "waiting_replicate")
        copy = _Copy(
            backup,
            record,
            self._store,
            self._timeline,
            vault=self._store.vaults[backup.vault_id],
            log=self._log(backup, record, request, now),
            request=request,
            fault=self._faults.on_copy(backup.vault_id, backup.id),
            checkpoint_key=(request.call_number or record.id, backup.checkpoint_id),
            reserved=backup.resource_size * MB_PER_GB,
        )
        request.destination.reserved += copy.reserved
        copy.vault.in_flight += 1
        self._ledger.started(
            ReplicationEntry(
                record.id,
                backup.id,
                backup.vault_id,
                record.destination_region,
                record.destination_project_id,
                record.destination_vault_id,
                moment_text(now),
                request.by,
                request.call_number,
            )
        )
        wait = copy.fault.on_queue(self._switches.queue_seconds)
        if wait is not None:
            self._timeline.at(now + wait, lambda moment: self._ready(copy, moment))
        return record

    def skip(self, backup: Backup, request: CopyRequest, now: float) -> Record:
        """Make a record that says ``skip`` at once: the backup is copied already.

        :param backup: the backup.
        :param request: where to, and for whom.
        :param now: simulated time.
        """
        return self._record(backup, request, now, "skip")

    def _record(self, backup: Backup, request: CopyRequest, now: float, status: str) -> Record:
        return self._store.add_record(
            self._ids.uuid(),
            backup,
            request.destination,
            now,
            visible_at=now + self._switches.record_delay,
            auto_trigger=request.auto_trigger,
            status=status,
        )

    def _log(self, backup: Backup, record: Record, request: CopyRequest, now: float) -> OperationLog:
        return self._store.add_log(
            self._ids.uuid(),
            "replication",
            backup,
            now,
            visible_at=now + self._switches.operation_log_delay,
            request_id=f"req-{request.request_id}",
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
            progress_of=record,
        )

    def _ready(self, copy: _Copy, now: float) -> None:
        limit = self._switches.copies_at_once
        if limit is not None and copy.vault.copying >= limit:
            copy.vault.waiting.append(lambda moment: self._begin(copy, moment))
        else:
            self._begin(copy, now)

    def _begin(self, copy: _Copy, now: float) -> None:
        copy.vault.copying += 1
        whole = self._switches.copy_seconds + self._switches.copy_seconds_per_gb * copy.source.resource_size
        copy.record.started_at, copy.middle, copy.record.ends_at = now, now + whole / 2, now + whole
        self._store.set_status(copy.record, "replicating")
        copy.log.status = "running"
        copy.log.started_at = copy.log.updated_at = now
        copy.fault.on_start(copy)
        self._timeline.at(now + whole, lambda moment: self._end(copy, moment))

    def _end(self, copy: _Copy, now: float) -> None:
        record, log, destination = copy.record, copy.log, copy.request.destination
        ending = copy.fault.on_end(copy) or Ending()
        if ending == Ending() and destination.id not in self._store.vaults:
            ending = Ending("fail", "BackupService.6120", "The destination vault does not exist.")
        if ending.outcome == "success":
            self._deliver(copy, now)
        if ending.outcome == "fail":
            record.fail_code, record.fail_reason = ending.code, ending.reason
        self._store.set_status(record, ending.outcome)
        log.status = {"success": "success", "fail": "failed", "skip": "skipped"}[ending.outcome]
        log.ended_at = log.updated_at = now
        log.error_code, log.error_message = record.fail_code, record.fail_reason
        destination.reserved -= copy.reserved
        copy.vault.in_flight -= 1
        copy.vault.copying -= 1
        self._ledger.ended(record.id, ending.outcome)
        if copy.vault.waiting:
            copy.vault.waiting.pop(0)(now)

    def _deliver(self, copy: _Copy, now: float) -> None:
        checkpoint_id = self._destination_checkpoints.setdefault(copy.checkpoint_key, self._ids.uuid())
        request, record = copy.request, copy.record
        if self._switches.replica_checkpoint == "source":
            checkpoint_id = copy.source.checkpoint_id

        def make() -> Backup:
            replica = self._populator.make_replica(copy.source, request.destination, checkpoint_id, now, request.name, request.description)
            if self._switches.replica_settle_seconds > 0:
                replica.status = "protecting"
                self._timeline.at(now + self._switches.replica_settle_seconds, lambda _moment: _settle(replica))
            return replica

        replica = copy.fault.on_replica(copy, make)
        record.destination_checkpoint_id = checkpoint_id
        record.destination_backup_id = replica.id if replica is not None else self._ids.uuid()
        copy.log.detail |= {
            "destination_backup_id": record.destination_backup_id,
            "destination_backup_name": replica.name if replica is not None else request.name or copy.source.name,
            "destination_checkpoint_id": checkpoint_id,
        }


def _settle(replica: Backup) -> None:
    if replica.status == "protecting":
        replica.status = "available"
        replica.forget_row()

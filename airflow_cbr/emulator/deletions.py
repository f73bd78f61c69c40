"""Deletions: what is refused, how a backup goes, and what goes by itself because it has expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cbr.emulator.clock import Timeline, moment_text
from airflow_cbr.emulator.error_responses import cbr
from airflow_cbr.emulator.ledger import DeletionEntry, Ledger

if TYPE_CHECKING:
    from airflow_cbr.emulator.ids import Ids
    from airflow_cbr.emulator.machines import Machines
    from airflow_cbr.emulator.populate import Populator
    from airflow_cbr.emulator.store import Backup, OperationLog, Store
    from airflow_cbr.emulator.switches import Switches


class Deletions:
    """Judges calls that delete a backup, and carries the deletions to their end on the timeline."""

    def __init__(
        self,
        *,
        store: Store,
        timeline: Timeline,
        switches: Switches,
        ids: Ids,
        ledger: Ledger,
        populator: Populator,
        machines: Machines,
    ) -> None:
        self._store = store
        self._timeline = timeline
        self._switches = switches
        self._ids = ids
        self._ledger = ledger
        self._populator = populator
        self._machines = machines

    def delete(self, backup: Backup, now: float, *, by: str | None, call_number: int | None, request_id: str) -> None:
        """Delete a backup or a replica.

        :param backup: the backup.
        :param now: simulated time.
        :param by: who asks.
        :param call_number: the call's number in the ledger.
        :param request_id: of the call.
        :raises Refusal: 6220, 6204, 6216 or 6201.
        """
        if backup.status == "deleting" and self._switches.delete_while_deleting == "204":
            return
        vault = self._store.vaults.get(backup.vault_id)
        if vault is not None and vault.locked and (backup.auto_trigger or self._switches.locked_vault_keeps == "all"):
            raise cbr("6220")
        if backup.images:
            raise cbr("6204", f"The backup {backup.id} is used by the image {backup.images[0]}.")
        if self._machines.uses(backup.id):
            raise cbr("6204")
        if any(record.in_flight for record in backup.records):
            raise cbr("6216")
        if backup.status not in ("available", "error"):
            raise cbr("6201", f"The backup {backup.id} is {backup.status} and cannot be deleted.")
        log = self._log(backup, now, request_id) if vault is not None else None
        self._enter(backup, now, by=by, call_number=call_number, how="asked")
        if self._switches.delete_seconds:
            backup.status = "deleting"
            backup.forget_row()
            self._timeline.at(now + self._switches.delete_seconds, lambda moment: self._end(backup, log, moment))
        else:
            self._end(backup, log, now)

    def expire(self, now: float) -> None:
        """Remove what has expired, if the switch says so; a lock does not prevent that.

        :param now: simulated time.
        """
        if self._switches.expiry == "kept":
            return
        for backup in [one for one in self._store.backups.values() if one.expired_at is not None and one.expired_at <= now]:
            self._enter(backup, now, by=None, call_number=None, how="expired")
            self._populator.remove_backups([backup])

    def _enter(self, backup: Backup, now: float, *, by: str | None, call_number: int | None, how: str) -> None:
        self._ledger.deletions.append(
            DeletionEntry(backup.id, backup.vault_id, backup.image_type, backup.resource_id, moment_text(now), by, call_number, how)
        )

    def _log(self, backup: Backup, now: float, request_id: str) -> OperationLog:
        return self._store.add_log(
            self._ids.uuid(),
            "delete",
            backup,
            now,
            visible_at=now + self._switches.operation_log_delay,
            request_id=f"req-{request_id}",
            detail={"backup_id": backup.id, "backup_name": backup.name},
            status="running",
            started_at=now,
        )

    def _end(self, backup: Backup, log: OperationLog | None, now: float) -> None:
        self._populator.remove_backups([backup])
        if log is not None:
            log.status, log.ended_at, log.updated_at = "success", now, now

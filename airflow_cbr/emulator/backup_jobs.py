"""Checkpoints: backing up a vault, which takes simulated time and ends in available backups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cbr.emulator.clock import Timeline, moment_text
from airflow_cbr.emulator.error_responses import cbr
from airflow_cbr.emulator.kinds import MB_PER_GB, RUNNING_BACKUP
from airflow_cbr.emulator.ledger import CheckpointEntry, Ledger
from airflow_cbr.emulator.populate import checkpoint_resource
from airflow_cbr.emulator.store import Backup, Checkpoint, OperationLog, Resource, Store, Vault

if TYPE_CHECKING:
    from airflow_cbr.emulator.bodies import CheckpointParameters
    from airflow_cbr.emulator.faults import CheckpointFault, FaultsInForce
    from airflow_cbr.emulator.ids import Ids
    from airflow_cbr.emulator.switches import Switches


class BackupJobs:
    """Judges calls that create checkpoints, and carries them to their end on the timeline."""

    def __init__(self, *, store: Store, timeline: Timeline, switches: Switches, faults: FaultsInForce, ids: Ids, ledger: Ledger) -> None:
        self._store = store
        self._timeline = timeline
        self._switches = switches
        self._faults = faults
        self._ids = ids
        self._ledger = ledger

    def create(
        self, vault: Vault, parameters: CheckpointParameters, now: float, *, by: str | None, call_number: int | None, request_id: str
    ) -> Checkpoint:
        """Back up a vault, or some of its resources.

        :param vault: the vault.
        :param parameters: of the request.
        :param now: simulated time.
        :param by: who asks.
        :param call_number: the call's number in the ledger.
        :param request_id: of the call.
        :return: the checkpoint, which is ``protecting``.
        :raises Refusal: 6124, 6113, 6114, 6125, 9900 or 0001.
        """
        if vault.protect_type == "replication":
            raise cbr("6124")
        if vault.status != "available":
            raise cbr("6113")
        if not self._switches.careless and any(backup.status in RUNNING_BACKUP for backup in self._store.in_vault(vault.id)):
            raise cbr("6125", f"The vault {vault.id} is executing.")
        taken, skipped = self._choose(vault, parameters)
        if not taken:
            raise cbr("0001")
        if len(taken) > self._store.room or vault.used + sum(resource.size for resource in taken) * MB_PER_GB > vault.size * MB_PER_GB:
            raise cbr("6114")
        checkpoint = Checkpoint(
            id=self._ids.uuid(),
            project_id=vault.project_id,
            vault_id=vault.id,
            vault_name=vault.name,
            created_at=now,
            status="protecting",
            resources=[checkpoint_resource(one.id, one.name, one.type, one.size) for one in taken],
            skipped=skipped,
            extra_info={"name": parameters.name, "description": parameters.description, "retention_duration": -1},
            visible_at=now + self._switches.checkpoint_delay,
        )
        self._store.checkpoints[checkpoint.id] = checkpoint
        backups = [self._backup(vault, checkpoint, one, parameters, now) for one in taken]
        logs = [self._log(backup, now, request_id) for backup in backups]
        self._ledger.checkpoints.append(
            CheckpointEntry(checkpoint.id, vault.id, [backup.id for backup in backups], moment_text(now), by, call_number)
        )
        fault = self._faults.on_checkpoint(vault.id)
        self._timeline.at(now + self._switches.checkpoint_seconds, lambda moment: _end(checkpoint, backups, logs, moment, fault))
        return checkpoint

    def _choose(self, vault: Vault, parameters: CheckpointParameters) -> tuple[list[Resource], list[dict[str, str]]]:
        asked = list(parameters.resources or ()) + [detail.id for detail in parameters.resource_details or ()]
        unbound = [one for one in asked if one not in vault.resources]
        if unbound:
            raise cbr("9900", f"Parameter check failed: resource {unbound[0]} is not bound to the vault.")
        chosen = [vault.resources[one] for one in asked] if asked else list(vault.resources.values())
        taken = [one for one in chosen if one.protect_status == "available"]
        skipped = [
            {
                "id": one.id,
                "name": one.name,
                "type": one.type,
                "code": "BackupService.6113",
                "reason": f"The resource is in status {one.protect_status}.",
            }
            for one in chosen
            if one.protect_status != "available"
        ]
        return taken, skipped

    def _backup(self, vault: Vault, checkpoint: Checkpoint, resource: Resource, parameters: CheckpointParameters, now: float) -> Backup:
        backup = Backup(
            id=self._ids.uuid(),
            name=parameters.name
            if parameters.name and self._switches.checkpoint_backup_names == "given"
            else f"manualbk_{checkpoint.id[:4]}",
            vault_id=vault.id,
            project_id=vault.project_id,
            checkpoint_id=checkpoint.id,
            provider_id=vault.provider_id,
            resource_id=resource.id,
            resource_name=resource.name,
            resource_type=resource.type,
            resource_size=resource.size,
            status="protecting",
            image_type="backup",
            created_at=now,
            updated_at=now,
            incremental=parameters.incremental,
            auto_trigger=parameters.auto_trigger,
            description=parameters.description or "",
            visible_at=checkpoint.visible_at,
        )
        self._store.add_backup(backup)
        return backup

    def _log(self, backup: Backup, now: float, request_id: str) -> OperationLog:
        return self._store.add_log(
            self._ids.uuid(),
            "backup",
            backup,
            now,
            visible_at=now + self._switches.operation_log_delay,
            request_id=f"req-{request_id}",
            detail={
                "backup_id": backup.id,
                "backup_name": backup.name,
                "incremental": str(backup.incremental).lower(),
                "app_consistency_status": "0",
                "app_consistency_error_code": None,
                "app_consistency_error_message": None,
            },
            status="running",
            started_at=now,
        )


def _end(checkpoint: Checkpoint, backups: list[Backup], logs: list[OperationLog], now: float, fault: CheckpointFault) -> None:
    for backup, log in zip(backups, logs, strict=True):
        ending = fault.on_backup(backup)
        fails = ending.outcome == "fail"
        if backup.status in RUNNING_BACKUP:
            backup.status = "error" if fails else "available"
            backup.updated_at = now
            backup.forget_row()
        log.status = "failed" if fails else "success"
        log.ended_at = log.updated_at = now
        log.error_code, log.error_message = ending.code, ending.reason
    checkpoint.status = "available"
    fault.on_end(checkpoint)

"""What each call of CBR does, once it is known who calls."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

from airflow_cbr.emulator.bodies import CopyBackupBody, CopyCheckpointBody, CreateCheckpointBody, DestinationFields, read_body
from airflow_cbr.emulator.copy_jobs import CopyRequest
from airflow_cbr.emulator.error_responses import cbr, gateway, malformed_url
from airflow_cbr.emulator.exchange import Answer, Call
from airflow_cbr.emulator.kinds import BackupStatus, ImageType, ObjectType, ProtectType, VaultStatus
from airflow_cbr.emulator.listing import flag, moment, page, sort_backups, whole, words
from airflow_cbr.emulator.rows import backup_json, checkpoint_row, log_row, page_json, vault_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_cbr.emulator.backup_jobs import BackupJobs
    from airflow_cbr.emulator.deletions import Deletions
    from airflow_cbr.emulator.iam import Principal
    from airflow_cbr.emulator.ledger import CallEntry
    from airflow_cbr.emulator.replication_rules import ReplicationRules
    from airflow_cbr.emulator.store import Backup, Project, Store, Vault
    from airflow_cbr.emulator.switches import Switches

RESOURCE_ID: Final = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}")
LOG_STATUS: Final = ("success", "skipped", "failed", "running", "timeout", "waiting")
LOG_TYPES: Final = (
    "backup", "copy", "replication", "restore", "delete", "sync", "vault_delete", "remove_resource", "migrate_resources",
)  # fmt: skip

LOG_TYPES_WITHOUT_REPLICATION: Final = tuple(word for word in LOG_TYPES if word != "replication")
"""What Open Telekom Cloud lists for the filter, although its rows may say ``replication``."""


@dataclass(frozen=True)
class Visit:
    """A call that was let in: who makes it, in which project, and when (simulated time)."""

    call: Call
    caller: Principal
    project: Project
    now: float
    request_id: str
    entry: CallEntry | None

    def id_of(self, name: str) -> str:
        """Return an id from the path.

        :param name: the path's parameter.
        :raises Refusal: it is no id.
        """
        value = self.call.path[name]
        if RESOURCE_ID.fullmatch(value) is None:
            raise malformed_url()
        return value


class CbrCalls:
    """The calls of CBR, by their published names."""

    def __init__(
        self, *, store: Store, switches: Switches, replication: ReplicationRules, checkpoints: BackupJobs, deletions: Deletions
    ) -> None:
        self._store = store
        self._switches = switches
        self._replication = replication
        self._checkpoints = checkpoints
        self._deletions = deletions
        self.by_name: dict[str, Callable[[Visit], Answer]] = {
            "CopyCheckpoint": self.copy_checkpoint,
            "CopyBackup": self.copy_backup,
            "ListBackups": self.list_backups,
            "ShowBackup": self.show_backup,
            "DeleteBackup": self.delete_backup,
            "ListOpLogs": self.list_operation_logs,
            "ShowOpLog": self.show_operation_log,
            "ListVault": self.list_vaults,
            "ShowVault": self.show_vault,
            "ListExternalVault": self.list_external_vaults,
            "ShowReplicationCapabilities": self.replication_capabilities,
            "CreateCheckpoint": self.create_checkpoint,
            "ShowCheckpoint": self.show_checkpoint,
        }

    # --- replication ------------------------------------------------------------------------------------------------

    def copy_checkpoint(self, visit: Visit) -> Answer:
        """Replicate a vault."""
        asked = read_body(visit.call, CopyCheckpointBody).replicate
        vault = self._vault(asked.vault_id, visit.project)
        self._replication.check_source(vault)
        request = self._request(visit, asked, vault, auto_trigger=asked.auto_trigger)
        records = self._replication.replicate_vault(vault, request, visit.now)
        return Answer.of(
            {
                "replication": {
                    "backups": [{"backup_id": record.backup_id, "replication_record_id": record.id} for record in records],
                    "vault_id": vault.id,
                }
                | _echo(visit, asked, vault)
            }
        )

    def copy_backup(self, visit: Visit) -> Answer:
        """Replicate one backup."""
        backup = self._backup(visit)
        asked = read_body(visit.call, CopyBackupBody).replicate
        vault = self._vault(backup.vault_id, visit.project)
        if backup.image_type != "backup":
            raise cbr("1002")
        self._replication.check_source(vault)
        request = self._request(visit, asked, vault, name=asked.name, description=asked.description)
        record = self._replication.replicate_backup(backup, vault, request, visit.now)
        return Answer.of({"replication": {"backup_id": backup.id, "replication_record_id": record.id} | _echo(visit, asked, vault)})

    def _request(self, visit: Visit, asked: DestinationFields, vault: Vault, **more: Any) -> CopyRequest:
        unknown = self._switches.replication_records == "unlisted" and "enable_acceleration" in asked.model_fields_set
        if unknown or (asked.enable_acceleration and self._switches.refuse_acceleration):
            raise cbr("9900", "Parameter check failed: invalid key enable_acceleration.")
        destination, project = self._replication.destination(
            source=visit.project,
            region=asked.destination_region,
            project_id=asked.destination_project_id,
            vault_id=asked.destination_vault_id,
            object_type=vault.object_type,
        )
        return CopyRequest(
            destination,
            project,
            by=visit.caller.name,
            call_number=visit.entry.number if visit.entry else None,
            request_id=visit.request_id,
            **more,
        )

    def replication_capabilities(self, visit: Visit) -> Answer:
        """List where backups of each region may go."""
        return Answer.of(
            {"regions": [{"name": name, "replication_destinations": to} for name, to in self._store.replicates_to.items() if to]}
        )

    # --- backups ----------------------------------------------------------------------------------------------------

    def list_backups(self, visit: Visit) -> Answer:
        """List backups, newest first."""
        call = visit.call
        offset, limit = page(call)
        records = "filled" if flag(call, "show_replication") else "null"
        rows = sort_backups(self._filtered_backups(visit), call.asked("sort"))
        marker = call.asked("marker")
        start = offset
        if marker is not None:
            place = next((index for index, backup in enumerate(rows) if backup.id == marker), None)
            if place is None:
                raise cbr("9900", "Parameter check failed: marker is not a row of this list.")
            start += place + 1
        encoded = [backup_json(backup, visit.now, self._switches, records) for backup in rows[start : start + limit]]
        return Answer(200, page_json("backups", encoded, count=len(rows), offset=offset, limit=limit))

    def _filtered_backups(self, visit: Visit) -> list[Backup]:
        call = visit.call
        rows = self._store.listing(visit.project.id, call.asked("vault_id"))
        if self._switches.checkpoint_delay:
            rows = [backup for backup in rows if backup.visible_at <= visit.now]
        words(call, "member_status", ("pending", "accepted", "rejected"))
        if words(call, "own_type", ("private", "shared", "all_granted")) == {"shared"} or call.asked("member_status") is not None:
            return []
        for name in ("checkpoint_id", "resource_id", "resource_name", "resource_type", "name", "image_type"):
            wanted = call.asked(name)
            if name == "image_type":
                words(call, name, get_args(ImageType))
            if wanted is not None:
                rows = [backup for backup in rows if getattr(backup, name) == wanted]
        statuses = words(call, "status", get_args(BackupStatus))
        if statuses:
            rows = [backup for backup in rows if backup.status in statuses]
        incremental = flag(call, "incremental")
        if incremental is not None:
            rows = [backup for backup in rows if backup.incremental is incremental]
        start, end = moment(call, "start_time"), moment(call, "end_time")
        if start is not None:
            rows = [backup for backup in rows if backup.created_at >= start]
        if end is not None:
            rows = [backup for backup in rows if backup.created_at <= end]
        if call.asked("used_percent") is not None:
            most_used = whole(call, "used_percent", 0, 1, 100)
            rows = [backup for backup in rows if self._used_percent(backup) > most_used]
        # Fields that have one value in this service: a filter for another value matches nothing.
        nothing = (
            call.asked("resource_az") not in (None, "emulator-1a")
            or call.asked("parent_id") is not None
            or bool(flag(call, "dec"))
            or call.asked("enterprise_project_id") not in (None, "0", "all_granted_eps")
        )
        return [] if nothing else rows

    def _used_percent(self, backup: Backup) -> float:
        vault = self._store.vaults.get(backup.vault_id)
        return vault.used / (vault.size * 10.24) if vault else 0.0

    def show_backup(self, visit: Visit) -> Answer:
        """Show one backup."""
        backup = self._backup(visit)
        return Answer(200, b'{"backup":%s}' % backup_json(backup, visit.now, self._switches, self._switches.show_backup_records))

    def delete_backup(self, visit: Visit) -> Answer:
        """Delete a backup or a replica."""
        self._deletions.delete(
            self._backup(visit),
            visit.now,
            by=visit.caller.name,
            call_number=visit.entry.number if visit.entry else None,
            request_id=visit.request_id,
        )
        return Answer(204)

    def _backup(self, visit: Visit) -> Backup:
        backup = self._store.backups.get(visit.id_of("backup_id"))
        if backup is None or backup.project_id != visit.project.id or backup.visible_at > visit.now:
            raise cbr("6200")
        return backup

    # --- operation logs ---------------------------------------------------------------------------------------------

    def list_operation_logs(self, visit: Visit) -> Answer:
        """List operation logs, newest first."""
        call = visit.call
        offset, limit = page(call)
        statuses = words(call, "status", LOG_STATUS)
        by_replication = self._switches.operation_log_replication_filter
        types = words(call, "operation_type", LOG_TYPES if by_replication else LOG_TYPES_WITHOUT_REPLICATION)
        start, end = moment(call, "start_time"), moment(call, "end_time")
        equal = [(name, call.asked(name)) for name in ("provider_id", "resource_id", "resource_name", "vault_id", "vault_name")]
        rows = [
            log
            for log in self._store.logs.values()
            if log.project_id == visit.project.id
            and log.visible_at <= visit.now
            and (not statuses or log.status in statuses)
            and (not types or log.operation_type in types)
            and (start is None or log.created_at >= start)
            and (end is None or (log.ended_at is not None and log.ended_at <= end))
            and all(value is None or getattr(log, name) == value for name, value in equal)
        ]
        rows.sort(key=lambda log: log.created_at, reverse=True)
        shown = [log_row(log, visit.now, self._switches) for log in rows[offset : offset + limit]]
        return Answer.of({"operation_logs": shown, "count": len(rows), "offset": offset, "limit": limit})

    def show_operation_log(self, visit: Visit) -> Answer:
        """Show one operation log."""
        log = self._store.logs.get(visit.id_of("operation_log_id"))
        if log is None or log.project_id != visit.project.id or log.visible_at > visit.now:
            raise cbr("6500")
        return Answer.of({"operation_log": log_row(log, visit.now, self._switches)})

    # --- vaults -----------------------------------------------------------------------------------------------------

    def list_vaults(self, visit: Visit) -> Answer:
        """List the project's vaults."""
        call = visit.call
        ids = {value for key, value in call.query if key == "id"}
        resources = {one for one in (call.asked("resource_ids") or "").split(",") if one}
        rows = [
            vault
            for vault in self._store.vaults.values()
            if vault.project_id == visit.project.id
            and (not ids or vault.id in ids)
            and (not resources or resources.intersection(vault.resources))
            and call.asked("name") in (None, vault.name)
        ]
        statuses = words(call, "status", get_args(VaultStatus))
        if statuses:
            rows = [vault for vault in rows if vault.status in statuses]
        if call.asked("policy_id") is not None or call.asked("enterprise_project_id") not in (None, "0", "all_granted_eps"):
            rows = []
        return self._vault_page(call, self._by_kind(call, rows, "object_type"))

    def list_external_vaults(self, visit: Visit) -> Answer:
        """List vaults of another region's project."""
        call = visit.call
        region, project_id, vault_id = call.asked("region_id"), call.asked("external_project_id"), call.asked("vault_id")
        if region is None or project_id is None:
            raise cbr("9900", "Parameter check failed: region_id and external_project_id are required.")
        project = self._store.projects.get(project_id)
        if project is None or project.region != region or not project.replication:
            raise cbr("1011")
        if not visit.caller.user.may_use(project_id):
            raise gateway("APIG.0302", "The IAM user has no access to the external project.", 403)
        rows = [vault for vault in self._store.vaults.values() if vault.project_id == project_id]
        if vault_id is not None:
            return self._vault_page(call, [vault for vault in rows if vault.id == vault_id])
        return self._vault_page(call, self._by_kind(call, rows, "objcet_type"))

    def _by_kind(self, call: Call, rows: list[Vault], object_type: str) -> list[Vault]:
        words(call, "protect_type", get_args(ProtectType))
        words(call, object_type, get_args(ObjectType))
        words(call, "cloud_type", ("public", "hybrid"))
        return [
            vault
            for vault in rows
            if call.asked("protect_type") in (None, vault.protect_type)
            and call.asked(object_type) in (None, vault.object_type)
            and call.asked("cloud_type") in (None, "hybrid" if vault.protect_type == "hybrid" else "public")
        ]

    def _vault_page(self, call: Call, rows: Iterable[Vault]) -> Answer:
        offset, limit = page(call)
        every = list(rows)
        shown = [vault_row(vault, self._store, self._switches.time_notation) for vault in every[offset : offset + limit]]
        return Answer.of({"vaults": shown, "count": len(every), "offset": offset, "limit": limit})

    def show_vault(self, visit: Visit) -> Answer:
        """Show one vault."""
        vault = self._vault(visit.id_of("vault_id"), visit.project)
        return Answer.of({"vault": vault_row(vault, self._store, self._switches.time_notation)})

    def _vault(self, vault_id: str, project: Project) -> Vault:
        vault = self._store.vaults.get(vault_id)
        if vault is None or vault.project_id != project.id:
            raise cbr("6105")
        return vault

    # --- checkpoints ------------------------------------------------------------------------------------------------

    def create_checkpoint(self, visit: Visit) -> Answer:
        """Back up a vault."""
        asked = read_body(visit.call, CreateCheckpointBody).checkpoint
        checkpoint = self._checkpoints.create(
            self._vault(asked.vault_id, visit.project),
            asked.parameters,
            visit.now,
            by=visit.caller.name,
            call_number=visit.entry.number if visit.entry else None,
            request_id=visit.request_id,
        )
        return Answer.of({"checkpoint": checkpoint_row(checkpoint, self._switches.time_notation)})

    def show_checkpoint(self, visit: Visit) -> Answer:
        """Show one checkpoint."""
        checkpoint = self._store.checkpoints.get(visit.id_of("checkpoint_id"))
        if checkpoint is None or checkpoint.project_id != visit.project.id or checkpoint.visible_at > visit.now:
            raise cbr("6217")
        extra = {} if self._switches.show_checkpoint_extra == "filled" else {"extra_info": None}
        return Answer.of({"checkpoint": checkpoint_row(checkpoint, self._switches.time_notation) | extra})


def _echo(visit: Visit, asked: DestinationFields, vault: Vault) -> dict[str, str]:
    return {
        "provider_id": vault.provider_id,
        "project_id": visit.project.id,
        "source_region": visit.project.region,
        "destination_project_id": asked.destination_project_id,
        "destination_region": asked.destination_region,
        "destination_vault_id": asked.destination_vault_id,
    }

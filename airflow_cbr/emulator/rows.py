"""How the service writes its rows. Rows of backups are encoded once and kept, since a page may hold a thousand of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from airflow_cbr.emulator.clock import moment_text
from airflow_cbr.emulator.kinds import MB_PER_GB, spec_code

if TYPE_CHECKING:
    from airflow_cbr.emulator.store import Backup, Checkpoint, OperationLog, Record, Store, Vault
    from airflow_cbr.emulator.switches import Switches

_STUCK_AT = 37


def progress(record: Record, now: float, how: str) -> int | None:
    """Return the percentage of a copy.

    :param record: the record.
    :param now: simulated time.
    :param how: ``linear``, ``bursty``, ``stuck`` or ``null``.
    """
    if how == "null":
        return None
    if record.status == "success":
        return 100
    if record.started_at is None or record.ends_at is None:
        return 0
    whole = record.ends_at - record.started_at
    share = min(1.0, (now - record.started_at) / whole) if whole > 0 else 1.0
    if how == "stuck":
        return min(_STUCK_AT, int(share * 100))
    if how == "bursty":
        return min(75, int(share * 4) * 25)
    return min(99, int(share * 100))


def _without(row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names} if names else row


def record_row(record: Record, now: float, switches: Switches) -> dict[str, Any]:
    """Return an item of ``replication_records``.

    :param record: the record.
    :param now: simulated time.
    :param switches: of the world.
    """
    extra: Any = {
        "progress": progress(record, now, switches.progress),
        "fail_code": record.fail_code,
        "fail_reason": record.fail_reason,
        "auto_trigger": record.auto_trigger,
        "destination_vault_id": record.destination_vault_id,
    }
    if switches.extra_info_as_text:
        extra = msgspec.json.encode(extra).decode()
    return {
        "id": record.id,
        "status": record.shown_status or record.status,
        "created_at": moment_text(record.created_at, switches.time_notation),
        "vault_id": record.vault_id,
        "source_backup_id": record.backup_id,
        "source_checkpoint_id": record.checkpoint_id,
        "source_project_id": record.project_id,
        "source_region": record.region,
        "destination_backup_id": record.destination_backup_id,
        "destination_checkpoint_id": record.destination_checkpoint_id,
        "destination_project_id": record.destination_project_id,
        "destination_region": record.destination_region,
        "destination_vault_id": record.destination_vault_id,
        "extra_info": extra,
    } | record.row


def _backup_row(backup: Backup, switches: Switches) -> dict[str, Any]:
    notation = switches.time_notation
    row: dict[str, Any] = {
        "id": backup.id,
        "name": backup.name,
        "description": backup.description,
        "status": backup.status,
        "image_type": backup.image_type,
        "checkpoint_id": backup.checkpoint_id,
        "vault_id": backup.vault_id,
        "project_id": backup.project_id,
        "provider_id": backup.provider_id,
        "parent_id": None,
        "children": [],
        "resource_id": backup.resource_id,
        "resource_name": backup.resource_name,
        "resource_type": backup.resource_type,
        "resource_az": "emulator-1a",
        "resource_size": backup.resource_size,
        "created_at": moment_text(backup.created_at, notation),
        "updated_at": moment_text(backup.updated_at, notation),
        "expired_at": moment_text(backup.expired_at, notation),
        "protected_at": moment_text(backup.protected_at, notation),
        "incremental": backup.incremental,
        "version": 3,
        "enterprise_project_id": "0",
        "extend_info": {
            "auto_trigger": backup.auto_trigger,
            "bootable": None,
            "contain_system_disk": backup.contain_system_disk,
            "encrypted": False,
            "os_images_data": [{"image_id": image} for image in backup.images] or None,
            "progress": None,
            "snapshot_id": None,
            "support_lld": True,
            "supported_restore_mode": "backup",
            "system_disk": backup.system_disk_picked,
        },
        "replication_records": None,
    }
    if switches.replication_records == "unlisted":
        del row["replication_records"]
    return _without(row | backup.row, switches.backup_lacks)


def backup_json(backup: Backup, now: float, switches: Switches, records: str) -> bytes:
    """Return a backup's row, encoded.

    :param backup: the backup.
    :param now: simulated time: a copy's percentage, and whether a record shows already, depend on it.
    :param switches: of the world.
    :param records: ``filled``, ``empty``, ``null`` or ``absent``.
    """
    if switches.replication_records == "unlisted" or "replication_records" in switches.backup_lacks:
        records = "null"
    if records == "filled":
        if backup.encoded_with_records is not None:
            return backup.encoded_with_records
        row = _backup_row(backup, switches)
        visible = [record for record in backup.records if record.visible_at <= now]
        row["replication_records"] = [_without(record_row(record, now, switches), switches.record_lacks) for record in visible]
        encoded = msgspec.json.encode(row)
        if len(visible) == len(backup.records) and not any(record.in_flight for record in visible):
            backup.encoded_with_records = encoded
        return encoded
    if records == "null":
        if backup.encoded is None:
            backup.encoded = msgspec.json.encode(_backup_row(backup, switches))
        return backup.encoded
    row = _backup_row(backup, switches)
    if records == "absent":
        row.pop("replication_records", None)
    else:
        row["replication_records"] = []
    return msgspec.json.encode(row)


def page_json(key: str, rows: list[bytes], *, count: int, offset: int, limit: int) -> bytes:
    """Return a page of encoded rows as a body.

    :param key: the list's name.
    :param rows: the page's rows.
    :param count: number of all matches.
    :param offset: index of the first row.
    :param limit: greatest number of rows.
    """
    return b'{"%s":[%s],"count":%d,"offset":%d,"limit":%d}' % (key.encode(), b",".join(rows), count, offset, limit)


def vault_row(vault: Vault, store: Store, notation: str) -> dict[str, Any]:
    """Return a vault's row.

    :param vault: the vault.
    :param store: holds its backups, whose sizes the resources sum up.
    :param notation: of times.
    """
    sizes: dict[str, list[int]] = {}
    if vault.resources:
        for backup in store.in_vault(vault.id):
            sizes.setdefault(backup.resource_id, []).append(backup.resource_size)
    return {
        "id": vault.id,
        "name": vault.name,
        "description": None,
        "project_id": vault.project_id,
        "provider_id": vault.provider_id,
        "resources": [
            {
                "id": resource.id,
                "name": resource.name,
                "type": resource.type,
                "protect_status": resource.protect_status,
                "size": resource.size,
                "backup_size": sum(sizes.get(resource.id, ())) * MB_PER_GB,
                "backup_count": len(sizes.get(resource.id, ())),
                "extra_info": {},
                "auto_protect": False,
            }
            for resource in vault.resources.values()
        ],
        "billing": {
            "protect_type": vault.protect_type,
            "object_type": vault.object_type,
            "status": vault.status,
            "size": vault.size,
            "used": vault.used,
            "allocated": sum(resource.size for resource in vault.resources.values()),
            "charging_mode": "post_paid",
            "cloud_type": "hybrid" if vault.protect_type == "hybrid" else "public",
            "consistent_level": "crash_consistent",
            "spec_code": spec_code(vault.protect_type, vault.object_type),
            "frozen_scene": None,
            "order_id": None,
            "product_id": None,
            "storage_unit": None,
            "is_multi_az": False,
        },
        "tags": [],
        "bind_rules": {},
        "auto_bind": False,
        "auto_expand": False,
        "smn_notify": True,
        "threshold": 80,
        "user_id": None,
        "locked": vault.locked,
        "availability_zone": None,
        "sys_lock_source_service": None,
        "enterprise_project_id": "0",
        "created_at": moment_text(vault.created_at, notation),
    } | vault.row


def log_row(log: OperationLog, now: float, switches: Switches) -> dict[str, Any]:
    """Return an operation log's row. It names no replication record; its vault, and what was copied where, only if the switches say so.

    :param log: the log.
    :param now: simulated time.
    :param switches: of the world.
    """
    notation = switches.time_notation
    percent = progress(log.progress_of, now, switches.progress) if log.progress_of is not None else None
    if percent is None:
        percent = 100 if log.status == "success" else 0
    named = switches.operation_log_vault_id
    silent = log.operation_type == "replication" and switches.replication_records == "unlisted"
    row: dict[str, Any] = {
        "id": log.id,
        "project_id": log.project_id,
        "operation_type": log.operation_type,
        "status": log.status,
        "provider_id": log.provider_id,
        "checkpoint_id": log.checkpoint_id,
        "policy_id": None,
        "vault_id": log.vault_id if named else None,
        "vault_name": log.vault_name if named else None,
        "created_at": moment_text(log.created_at, notation),
        "started_at": moment_text(log.started_at, notation),
        "ended_at": moment_text(log.ended_at, notation),
        "updated_at": moment_text(log.updated_at, notation),
        "error_info": {"code": log.error_code, "message": log.error_message},
        "extra_info": {
            "common": {"progress": percent, "request_id": log.request_id, "task_id": log.id},
            "resource": {"id": log.resource_id, "name": log.resource_name, "type": log.resource_type, "extra_info": {}},
        }
        | ({} if silent else {log.operation_type: log.detail}),
    }
    return _without(row, switches.operation_log_lacks)


def checkpoint_row(checkpoint: Checkpoint, notation: str) -> dict[str, Any]:
    """Return a checkpoint's row.

    :param checkpoint: the checkpoint.
    :param notation: of times.
    """
    return {
        "id": checkpoint.id,
        "project_id": checkpoint.project_id,
        "status": checkpoint.status,
        "created_at": moment_text(checkpoint.created_at, notation),
        "vault": {
            "id": checkpoint.vault_id,
            "name": checkpoint.vault_name,
            "resources": checkpoint.resources,
            "skipped_resources": checkpoint.skipped,
        },
        "extra_info": checkpoint.extra_info,
    }

"""Changes to single things while the emulator runs, so that a test can produce any wrong copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.emulator.kinds import PROVIDERS
from airflow_cbr.emulator.store import Backup, Record, Store, Vault, WorldError

if TYPE_CHECKING:
    from collections.abc import Mapping

_BACKUP: Final[dict[str, tuple[type, ...]]] = {
    "name": (str,),
    "vault_id": (str,),
    "checkpoint_id": (str,),
    "resource_id": (str,),
    "resource_name": (str,),
    "resource_type": (str,),
    "resource_size": (int,),
    "status": (str,),
    "image_type": (str,),
    "created_at": (float, int),
    "expired_at": (float, int, type(None)),
    "incremental": (bool,),
    "auto_trigger": (bool,),
    "contain_system_disk": (bool,),
    "system_disk_picked": (bool,),
    "row": (dict,),
}
_RECORD: Final[dict[str, tuple[type, ...]]] = {
    "status": (str,),
    "shown_status": (str, type(None)),
    "fail_code": (str,),
    "fail_reason": (str,),
    "destination_backup_id": (str, type(None)),
    "destination_checkpoint_id": (str, type(None)),
    "destination_vault_id": (str,),
    "destination_project_id": (str,),
    "destination_region": (str,),
    "created_at": (float, int),
    "visible_at": (float, int),
    "auto_trigger": (bool,),
    "row": (dict,),
}
_VAULT: Final[dict[str, tuple[type, ...]]] = {
    "name": (str,),
    "protect_type": (str,),
    "object_type": (str,),
    "status": (str,),
    "size": (int,),
    "used": (int,),
    "locked": (bool,),
    "row": (dict,),
}


def change_backup(store: Store, backup: Backup, changes: Mapping[str, Any]) -> None:
    """Change a backup or a replica. ``row`` puts any further field, or another value of a field, into its row.

    :param store: holds it.
    :param backup: the backup.
    :param changes: new values by the names of the fields; times in seconds since 1970.
    :raises WorldError: a field cannot be changed, or the value has the wrong type.
    """
    check_backup_changes(changes)
    for name, value in changes.items():
        if name == "vault_id":
            store.move_backup(backup, value)
        elif name == "row":
            backup.row.update(value)
        else:
            setattr(backup, name, value)
    backup.forget_row()
    store.forget_listings()


def check_backup_changes(changes: Mapping[str, Any]) -> None:
    """Check what :func:`change_backup` would do.

    :param changes: new values by the names of the fields.
    :raises WorldError: a field cannot be changed, or the value has the wrong type.
    """
    _check("backup", _BACKUP, changes)


def change_record(store: Store, record: Record, changes: Mapping[str, Any]) -> None:
    """Change a replication record; what its copy does goes on.

    :param store: holds it.
    :param record: the record.
    :param changes: new values by the names of the fields; times in seconds since 1970.
    :raises WorldError: a field cannot be changed, or the value has the wrong type.
    """
    _check("record", _RECORD, changes)
    for name, value in changes.items():
        if name == "row":
            record.row.update(value)
        else:
            setattr(record, name, value)
    store.set_status(record, record.status)


def change_vault(vault: Vault, changes: Mapping[str, Any]) -> None:
    """Change a vault.

    :param vault: the vault.
    :param changes: new values by the names of the fields.
    :raises WorldError: a field cannot be changed, or the value has the wrong type.
    """
    _check("vault", _VAULT, changes)
    if changes.get("object_type", "server") not in PROVIDERS:
        raise WorldError(f"vault: object_type must be one of {', '.join(PROVIDERS)}")
    for name, value in changes.items():
        if name == "row":
            vault.row.update(value)
        else:
            setattr(vault, name, value)


def _check(what: str, fields: dict[str, tuple[type, ...]], changes: Mapping[str, Any]) -> None:
    for name, value in changes.items():
        if name not in fields:
            raise WorldError(f"{what}: {name} cannot be changed; what can: {', '.join(fields)}")
        if not isinstance(value, fields[name]) or (isinstance(value, bool) and bool not in fields[name]):
            raise WorldError(f"{what}: {name} has a value of the wrong type")

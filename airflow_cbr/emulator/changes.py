"""Changes to single things while the emulator runs, so that a test can produce any wrong copy. Each is checked whole before it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from airflow_cbr.emulator.bounds import LONGEST_TEXT, MOST_FIELDS, MOST_THINGS, AnyGigabytes, Megabytes, Moment, Row, VaultSize
from airflow_cbr.emulator.kinds import PROVIDERS, ObjectType
from airflow_cbr.emulator.store import Backup, Record, Store, Vault, WorldError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]
Id = Annotated[str, StringConstraints(max_length=255)]


class _Change(BaseModel):
    """Only what is given is a change; the defaults are never used."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class BackupChange(_Change):
    """What can be changed of a backup; times in seconds since 1970."""

    name: Text = ""
    vault_id: Id = ""
    checkpoint_id: Id = ""
    resource_id: Id = ""
    resource_name: Text = ""
    resource_type: Text = ""
    resource_size: AnyGigabytes = 0
    status: Text = ""
    image_type: Text = ""
    created_at: Moment = 0.0
    expired_at: Moment | None = None
    incremental: bool = False
    auto_trigger: bool = False
    contain_system_disk: bool = False
    system_disk_picked: bool = False
    images: Annotated[list[Id], Field(max_length=MOST_THINGS)] = []
    row: Row = {}


class RecordChange(_Change):
    """What can be changed of a record; times in seconds since 1970."""

    status: Text = ""
    shown_status: Text | None = None
    fail_code: Text = ""
    fail_reason: Text = ""
    destination_backup_id: Id | None = None
    destination_checkpoint_id: Id | None = None
    destination_vault_id: Id = ""
    destination_project_id: Id = ""
    destination_region: Id = ""
    created_at: Moment = 0.0
    visible_at: Moment = 0.0
    auto_trigger: bool = False
    row: Row = {}


class VaultChange(_Change):
    """What can be changed of a vault."""

    name: Text = ""
    protect_type: Text = ""
    object_type: ObjectType = "server"
    status: Text = ""
    size: VaultSize = 1
    used: Megabytes = 0
    locked: bool = False
    row: Row = {}


def change_backup(store: Store, backup: Backup, changes: Mapping[str, Any]) -> None:
    """Change a backup or a replica. ``row`` puts any further field, or another value of a field, into its row.

    :param store: holds it.
    :param backup: the backup.
    :param changes: new values by the names of the fields; times in seconds since 1970.
    :raises WorldError: a field cannot be changed, or a value has the wrong type or is out of bounds; then nothing is changed.
    """
    checked = check_backup_changes(changes)
    vault_id = checked.pop("vault_id", backup.vault_id)
    _make("backup", backup, checked)
    if vault_id != backup.vault_id:
        store.move_backup(backup, vault_id)
    backup.forget_row()
    store.forget_listings()


def check_backup_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Check what :func:`change_backup` would do.

    :param changes: new values by the names of the fields.
    :return: the same, checked.
    :raises WorldError: a field cannot be changed, or a value has the wrong type or is out of bounds.
    """
    return _checked("backup", BackupChange, changes)


def change_record(store: Store, record: Record, changes: Mapping[str, Any]) -> None:
    """Change a replication record; what its copy does goes on.

    :param store: holds it.
    :param record: the record.
    :param changes: new values by the names of the fields; times in seconds since 1970.
    :raises WorldError: a field cannot be changed, or a value has the wrong type or is out of bounds; then nothing is changed.
    """
    _make("record", record, _checked("record", RecordChange, changes))
    store.set_status(record, record.status)


def change_vault(vault: Vault, changes: Mapping[str, Any]) -> None:
    """Change a vault.

    :param vault: the vault.
    :param changes: new values by the names of the fields.
    :raises WorldError: a field cannot be changed, or a value has the wrong type or is out of bounds; then nothing is changed.
    """
    _make("vault", vault, _checked("vault", VaultChange, changes))


def _checked(what: str, change: type[_Change], changes: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return change.model_validate(dict(changes)).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise WorldError(f"{what}: {_told(error, change.model_fields)}") from None


def _told(error: ValidationError, fields: Collection[str]) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = str(first["loc"][0])[:100]
    if first["type"] == "extra_forbidden":
        return f"{name} cannot be changed; what can: {', '.join(fields)}"
    if first["type"] == "literal_error":
        return f"{name} must be one of {', '.join(PROVIDERS)}"
    if first["type"].endswith("_type"):
        return f"{name} has a value of the wrong type"
    return f"{name}: {first['msg']}"


def _make(what: str, thing: Backup | Record | Vault, checked: Mapping[str, Any]) -> None:
    row = thing.row | checked.get("row", {})
    if len(row) > MOST_FIELDS:
        raise WorldError(f"{what}: row has more than {MOST_FIELDS} fields")
    for name, value in {**checked, "row": row}.items():
        setattr(thing, name, value)

"""Rows of a verification by the names of what they say, whatever a row holds packed or shared."""

from __future__ import annotations

from typing import Any

from airflow_cbr.verification.source_inventory import BackupKind, BackupRow, packed

__all__ = ["backup_row"]


def backup_row(id: str, name: str | None = None, *, record_id: str | None = None, begun_at: str | None = None, **fields: Any) -> BackupRow:
    """Return a row of a backup of 1 GB.

    :param id: the backup.
    :param name: its name. Default: none.
    :param record_id: the record that decides. Default: none.
    :param begun_at: when its copy was begun. Default: not known.
    :param fields: fields of the row and of its kind.
    """
    kind = BackupKind(**{field: fields.pop(field) for field in BackupKind._fields if field in fields})
    said: dict[str, Any] = {"checkpoint_id": None, "size": 1, "created": None} | fields
    return BackupRow(packed(id, name, record_id, begun_at), kind, **said)

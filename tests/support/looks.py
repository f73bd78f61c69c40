"""Looks at a vault as plain rows, for tests of what follows from one: no service, no clock."""

from __future__ import annotations

from typing import Any

from airflow_cbr.api.models import Backup, ReplicationExtra, ReplicationRecord
from airflow_cbr.inventory.coverage import Coverage, assess
from tests.support.hostile_service import BEGIN, DESTINATION, time_text


def record(id: str, status: str, *, at: float | None = BEGIN, to: str = DESTINATION.vault_id, **extra: Any) -> ReplicationRecord:
    """Return a record to the destination, or to another vault of its region.

    :param at: when it was made; None: it does not say.
    :param to: the vault that it leads to.
    :param extra: fields of its ``extra_info``.
    """
    return ReplicationRecord(
        id=id,
        status=status,
        created_at=None if at is None else time_text(at),
        destination_region=DESTINATION.region,
        destination_project_id=DESTINATION.project_id,
        destination_vault_id=to,
        extra_info=ReplicationExtra(**extra),
    )


def backup(id: str, *records: ReplicationRecord, **fields: Any) -> Backup:
    """Return a backup that can be replicated; the later the first letter of its id, the younger it is.

    :param fields: of its row, where they differ.
    """
    given: dict[str, Any] = {
        "status": "available",
        "image_type": "backup",
        "created_at": time_text(BEGIN - 7200 + ord(id[0])),
        "name": f"night-{id}",
        "replication_records": list(records),
    }
    return Backup(id=id, **{**given, **fields})


def look(*backups: Backup, own: tuple[str, ...] = ()) -> Coverage:
    """Return what a look at these backups finds.

    :param own: ids of the records that the service named in answer to a call of ours.
    """
    return assess(backups, DESTINATION, own=own)

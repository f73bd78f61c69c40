"""What the operation log says about copies whose records are missing.

A log row of a replication names the source backup and the destination's region and project, but no record and no vault (schema
``OpExtendInfoReplication``), and on some clouds only the checkpoint and the resource. So it can show that a copy began or ended,
but never replaces an existing record.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.api.models import OperationLog, ReplicationExtra, ReplicationRecord
from airflow_cbr.api.texts import LONGEST_MESSAGE, one_line
from airflow_cbr.inventory.coverage import CoverageStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_cbr.inventory.destination import Destination

__all__ = ["CopiedResource", "as_record", "newest_by_backup", "newest_by_resource", "status_by_log", "trace_of", "words_of"]

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)

CopiedResource = tuple[str | None, str | None]
"""Checkpoint and resource of a source backup."""


def newest_by_backup(
    rows: Iterable[OperationLog], *, destination: Destination | None = None, since: datetime | None = None
) -> dict[str, OperationLog]:
    """Return the newest replication log of each backup, by backup id.

    :param rows: operation logs of replications, in any order.
    :param destination: only copies to its region and project count. Default: all.
    :param since: only logs created then or later, in the service's clock. Default: all.
    """
    there = None if destination is None else (destination.region, destination.project_id)
    found: dict[str, OperationLog] = {}
    for row in sorted(rows, key=_age):
        copy = row.replication
        is_elsewhere = there is not None and (copy.destination_region, copy.destination_project_id) != there
        is_old = since is not None and row.created is not None and row.created < since
        if copy.source_backup_id and not is_elsewhere and not is_old:
            found[copy.source_backup_id] = row
    return found


def newest_by_resource(rows: Iterable[OperationLog]) -> dict[CopiedResource, OperationLog]:
    """Return the newest replication log by checkpoint and resource, for logs that name no backup.

    :param rows: operation logs of replications, in any order.
    """
    return {
        (row.checkpoint_id, row.resource_id): row
        for row in sorted(rows, key=_age)
        if row.checkpoint_id is not None and row.resource_id is not None
    }


def _age(row: OperationLog) -> tuple[datetime, str]:
    return row.created or _BEGINNING, row.id


def status_by_log(row: OperationLog | None) -> tuple[CoverageStatus, str]:
    """Return the status of a copy whose record is no longer listed, with the reason in words.

    :param row: the copy's newest operation log, if there is one.
    """
    if row is None:
        return CoverageStatus.LOST, "its record is no longer listed, and the operation log does not show the copy"
    said = one_line(f"its record is no longer listed, and the operation log says {row.status or 'no status'}")
    match row.state:
        case CopyState.SUCCEEDED:
            return CoverageStatus.SUCCEEDED, said
        case CopyState.RUNNING | CopyState.WAITING:
            return CoverageStatus.IN_FLIGHT, said
        case _:
            return CoverageStatus.FAILED, f"{said} {words_of(row)}".rstrip()


def trace_of(row: OperationLog | None, record_id: str | None = None) -> str:
    """Return the ids of what a status by the operation log rests on.

    :param row: the copy's newest operation log, if there is one.
    :param record_id: the record that is not listed, if it is known. Default: it is not.
    """
    parts = (f"record {record_id}" if record_id else "", f"operation log {row.id}" if row is not None else "")
    return ", ".join(part for part in parts if part)


def words_of(row: OperationLog) -> str:
    """Return code and message of a log's error; empty where it has none.

    :param row: an operation log.
    """
    error = row.error_info
    return "" if error is None else " ".join(one_line(part, LONGEST_MESSAGE) for part in (error.code, error.message) if part)


def as_record(row: OperationLog, status: str) -> ReplicationRecord:
    """Return a log in the form that progress and failures are read from.

    :param row: an operation log.
    :param status: the status of the record that it replaces.
    """
    error = row.error_info
    extra = ReplicationExtra(
        progress=row.progress,
        fail_code=error.code if error is not None else None,
        fail_reason=error.message if error is not None else None,
    )
    return ReplicationRecord(id=row.id, status=status, created_at=row.created_at, extra_info=extra)

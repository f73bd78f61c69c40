"""What the operation log proves: the second witness, asked when the backups' records cannot tell.

A log row of a replication names the source backup and the destination's region and project, but no record and no vault (facts of the
published schema), so it can show that a copy began or ended, and never stands in for a record that is there.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from airflow_cbr.replication.coverage import Destination, Standing

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import OperationLog

__all__ = ["CLOCK_MARGIN", "newest_logs", "standing_by_log"]

CLOCK_MARGIN: Final = timedelta(seconds=5)
"""How far the service's ``Date`` header and its rows' times may lie apart; the header has whole seconds."""

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


def newest_logs(
    client: CbrClient, *, vault_id: str, destination: Destination, backup_ids: Collection[str], since: datetime
) -> dict[str, OperationLog]:
    """Return the newest replication log of each backup to the destination.

    :param client: a client of the source region and project.
    :param vault_id: the source vault. Whether the service fills it in for replications is not documented, so the logs of all vaults
        are asked for when this one has none.
    :param destination: only copies to its region and project count.
    :param backup_ids: the source backups in question.
    :param since: only logs created then or later, in the service's clock.
    :return: log by backup id; a backup without a log is not in it.
    """
    start = since - CLOCK_MARGIN
    rows = list(client.list_operation_logs(operation_type="replication", vault_id=vault_id, start_time=start))
    if not rows:
        rows = list(client.list_operation_logs(operation_type="replication", start_time=start))
    found: dict[str, OperationLog] = {}
    for row in sorted(rows, key=lambda row: row.created or _BEGINNING):
        copy = row.replication
        here = copy.destination_region == destination.region and copy.destination_project_id == destination.project_id
        recent = row.created is None or row.created >= start
        if here and recent and copy.source_backup_id in backup_ids:
            found[copy.source_backup_id] = row
    return found


def standing_by_log(row: OperationLog | None, record_id: str) -> tuple[Standing, str]:
    """Return where a copy stands whose record is gone, with the reason in words.

    :param row: the copy's newest operation log, if there is one.
    :param record_id: the record that the service does not list any more.
    """
    if row is None:
        return Standing.LOST, f"record {record_id} is gone, and the operation log does not know the copy"
    told = f"record {record_id} is gone; operation log {row.id} says {row.status}"
    match row.status:
        case "success":
            return Standing.SUCCEEDED, told
        case "running" | "waiting":
            return Standing.IN_FLIGHT, told
        case _:
            error = row.error_info
            said = " ".join(str(part) for part in (error.code, error.message) if part) if error is not None else ""
            return Standing.FAILED, f"{told} {said}".rstrip()

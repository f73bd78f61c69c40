"""What the operation log proves: the second witness, asked when the backups' records cannot tell.

A log row of a replication names the source backup and the destination's region and project, but no record and no vault (facts of the
published schema), so it can show that a copy began or ended, and never stands in for a record that is there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.models import Backup
from airflow_cbr.api.texts import LONGEST_MESSAGE, one_line
from airflow_cbr.exceptions import CbrError
from airflow_cbr.replication import verdict
from airflow_cbr.replication.coverage import BackupStanding, Coverage, Standing
from airflow_cbr.replication.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import OperationLog
    from airflow_cbr.replication.coverage import Destination
    from airflow_cbr.replication.memory import Memory
    from airflow_cbr.replication.order import Order

__all__ = ["CLOCK_MARGIN", "Witness", "newest_logs", "standing_by_log"]

CLOCK_MARGIN: Final = timedelta(seconds=5)
"""How far the service's ``Date`` header and its rows' times may lie apart; the header has whole seconds."""

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


class Witness:
    """Asks the operation log about the copies that one attempt answers for.

    :param client: a client of the source region and project.
    :param order: what was asked for.
    :param memory: what the attempt knows.
    :param at: marks the step, so that a test can stop there.
    :param service_now: the service's clock, Unix time.
    """

    def __init__(
        self,
        client: CbrClient,
        order: Order,
        memory: Memory,
        *,
        at: Callable[[Step], AbstractContextManager[None]],
        service_now: Callable[[], float],
    ) -> None:
        self._client = client
        self._order = order
        self._memory = memory
        self._at = at
        self._service_now = service_now

    def follow_unlisted(self, coverage: Coverage) -> Coverage:
        """Say where the copies stand that the service accepted and does not list: not yet, or not any more.

        :param coverage: a look's coverage.
        :return: the coverage with these copies' standings put right.
        """
        memory = self._memory
        unlisted = verdict.unlisted(coverage, memory)
        if not unlisted:
            return coverage
        settled = self._service_now() >= memory.accepted_at + self._order.settle_time
        logs: dict[str, OperationLog] = {}
        if settled:
            try:
                logs = self._newest_logs(set(unlisted.values()))
            except CbrError as error:
                if error.permanent:
                    raise
                # Without the log there is no telling, and a copy of which nothing is known is not called lost.
                settled = False
        standings = dict(coverage.standings)
        for record_id, backup_id in unlisted.items():
            listed = standings.get(backup_id)
            if listed is not None and listed.record is not None and listed.record.id not in memory.stale:
                continue
            standing, reason = Standing.IN_FLIGHT, f"record {record_id} was accepted and is not listed yet"
            if settled:
                standing, reason = standing_by_log(logs.get(backup_id), record_id)
            backup = listed.backup if listed is not None else Backup(id=backup_id, name="a backup that is not listed any more")
            standings[backup_id] = BackupStanding(backup, standing, reason)
        return replace(coverage, standings=standings)

    def begun_unseen(self, wanted: list[BackupStanding]) -> dict[str, OperationLog]:
        """Return the logs of copies that a call of unknown outcome did begin, though no record shows them.

        :param wanted: the backups that would be asked for next.
        :return: log by backup id.
        """
        memory = self._memory
        doubtful = {one.backup.id for one in wanted if one.backup.id in memory.sent or memory.unsettled_until}
        if not doubtful or not self._order.durable:
            return {}
        logs = self._newest_logs(doubtful)
        return {backup_id: row for backup_id, row in logs.items() if row.status in ("running", "waiting", "success")}

    def _newest_logs(self, backup_ids: set[str]) -> dict[str, OperationLog]:
        """Return the newest replication log of each backup to the destination, by backup id."""
        memory, order = self._memory, self._order
        since = memory.began or (memory.unsettled_until or self._service_now()) - order.settle_time
        start = datetime.fromtimestamp(since, tz=UTC) - CLOCK_MARGIN
        with self._at(Step.LOOK_AT_LOG):
            logs = newest_logs(self._client, order.vault_id, destination=order.destination, since=start)
        return {backup_id: row for backup_id, row in logs.items() if backup_id in backup_ids}


def newest_logs(
    client: CbrClient, vault_id: str, *, destination: Destination | None = None, since: datetime | None = None
) -> dict[str, OperationLog]:
    """Return the newest replication log of each backup of a vault, by backup id.

    :param client: a client of the source region and project.
    :param vault_id: the source vault. Whether the service fills it in for replications is not documented, so the logs of all vaults
        are asked for when this one has none.
    :param destination: only copies to its region and project count. Default: all.
    :param since: only logs created then or later, in the service's clock. Default: all that the service keeps.
    """
    rows = list(client.list_operation_logs(operation_type="replication", vault_id=vault_id, start_time=since))
    if not rows:
        rows = list(client.list_operation_logs(operation_type="replication", start_time=since))
    found: dict[str, OperationLog] = {}
    for row in sorted(rows, key=lambda row: row.created or _BEGINNING):
        copy = row.replication
        elsewhere = destination is not None and (copy.destination_region, copy.destination_project_id) != (
            destination.region,
            destination.project_id,
        )
        old = since is not None and row.created is not None and row.created < since
        if copy.source_backup_id and not elsewhere and not old:
            found[copy.source_backup_id] = row
    return found


def standing_by_log(row: OperationLog | None, record_id: str) -> tuple[Standing, str]:
    """Return where a copy stands whose record is gone, with the reason in words.

    :param row: the copy's newest operation log, if there is one.
    :param record_id: the record that is not listed any more.
    """
    if row is None:
        return Standing.LOST, f"record {record_id} is gone, and the operation log does not know the copy"
    told = one_line(f"record {record_id} is gone; operation log {row.id} says {row.status}")
    match row.status:
        case "success":
            return Standing.SUCCEEDED, told
        case "running" | "waiting":
            return Standing.IN_FLIGHT, told
        case _:
            error = row.error_info
            said = " ".join(one_line(part, LONGEST_MESSAGE) for part in (error.code, error.message) if part) if error is not None else ""
            return Standing.FAILED, f"{told} {said}".rstrip()

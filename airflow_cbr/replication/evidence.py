"""What the operation log proves: the second witness, asked when the backups' records cannot tell.

A log row of a replication names the source backup and the destination's region and project, but no record and no vault (facts of the
published schema), so it can show that a copy began or ended, and never stands in for a record that is there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.api.models import Backup
from airflow_cbr.api.texts import LONGEST_MESSAGE, one_line
from airflow_cbr.exceptions import CbrError, CbrNotFoundError, CbrProtocolError
from airflow_cbr.once.clock import CLOCK_MARGIN, ServiceClock, moment
from airflow_cbr.replication import verdict
from airflow_cbr.replication.coverage import BackupStanding, Coverage, Standing
from airflow_cbr.replication.refusals import note_of_log
from airflow_cbr.replication.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import OperationLog
    from airflow_cbr.replication.coverage import Destination
    from airflow_cbr.replication.memory import Memory
    from airflow_cbr.replication.order import Order

__all__ = ["Witness", "newest_logs", "standing_by_log"]

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


class Witness:
    """Asks the operation log about the copies that one attempt answers for.

    :param client: a client of the source region and project.
    :param order: what was asked for.
    :param memory: what the attempt knows.
    :param clock: the two clocks.
    :param at: marks the step, so that a test can stop there.
    :param log: takes the lines.
    """

    def __init__(
        self,
        client: CbrClient,
        order: Order,
        memory: Memory,
        *,
        clock: ServiceClock,
        at: Callable[[Step], AbstractContextManager[None]],
        log: Any,
    ) -> None:
        self._client = client
        self._order = order
        self._memory = memory
        self._clock = clock
        self._at = at
        self._log = log

    def follow_unlisted(self, coverage: Coverage) -> Coverage:
        """Say where the copies stand that the service accepted and does not list: not yet, or not any more.

        :param coverage: a look's coverage.
        :return: the coverage with these copies' standings put right.
        """
        memory = self._memory
        unlisted = verdict.unlisted(coverage, memory)
        if not unlisted:
            return coverage
        settled = self._clock.local >= memory.accepted_at + self._order.settle_time
        logs: dict[str, OperationLog] = {}
        if settled:
            try:
                # A copy that somebody else began may be older than anything that this task has sent.
                is_foreign = any(record_id in memory.adopted for record_id in unlisted)
                logs = self._newest_logs(set(unlisted.values()), since=None if is_foreign else self._since)
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

        A copy that has ended by the log, and whose record does not show within ``settle_time``, is given up.

        :param wanted: the backups that would be asked for next.
        :return: log by backup id.
        """
        memory = self._memory
        doubtful = {one.backup.id for one in wanted if memory.unsettled_until or one.backup.id in memory.sent or self._was_asked_for(one)}
        if not doubtful or not self._order.durable:
            return {}
        logs = self._newest_logs(doubtful, since=self._since)
        shown = {backup_id: row for backup_id, row in logs.items() if row.status in ("running", "waiting", "success")}
        now = self._clock.local
        for backup_id, row in shown.items():
            if backup_id not in memory.unseen:
                self._log.info("Operation log %s shows a copy of backup %s: %s", row.id, backup_id, row.status)
            since = memory.unseen.setdefault(backup_id, now)
            if row.status == "success" and now >= since + self._order.settle_time:
                memory.given_up[backup_id] = note_of_log(row.id)
        return shown

    def look_for_missing(self, coverage: Coverage) -> None:
        """Make sure that what the first look found without a copy, and a later one does not list, is really gone.

        :param coverage: a look's coverage.
        :raises CbrProtocolError: it is there, so the listing is not whole.
        """
        memory = self._memory
        followed = set(memory.followed.values())
        for backup_id in [one for one in memory.wanted or () if one not in coverage.standings and one not in followed]:
            try:
                self._client.show_backup(backup_id)
            except CbrNotFoundError:
                self._log.warning("Backup %s was deleted before it was copied; it does not count any more", backup_id)
                memory.wanted = [one for one in memory.wanted or () if one != backup_id]
            else:
                raise CbrProtocolError(f"The list of vault {self._order.vault_id}'s backups lacks backup {backup_id}, which is there.")

    def _was_asked_for(self, one: BackupStanding) -> bool:
        """Return whether a call of this Dag run asked for a backup that has no record: the record may be hidden."""
        return one.standing is Standing.UNRECORDED and self._memory.calls.by_item.get(one.backup.id, 0) > 0

    @property
    def _since(self) -> datetime:
        """Return a time before which no copy of this Dag run's task was begun."""
        memory, now = self._memory, self._clock.local
        first = memory.first_sent_at if memory.first_sent_at is not None else (memory.unsettled_until or now) - self._order.settle_time
        return moment(self._clock.not_before(first)) - CLOCK_MARGIN

    def _newest_logs(self, backup_ids: set[str], *, since: datetime | None) -> dict[str, OperationLog]:
        """Return the newest replication log of each backup to the destination, by backup id."""
        order = self._order
        with self._at(Step.LOOK_AT_LOG):
            logs = newest_logs(self._client, order.vault_id, destination=order.destination, since=since)
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

"""Reading the operation log where the backups' records do not show what became of a copy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.api.models import Backup
from airflow_cbr.api.replication_logs import list_replication_logs
from airflow_cbr.exceptions import CbrError, CbrNotFoundError, CbrProtocolError
from airflow_cbr.inventory.backups import name_of, resource_of
from airflow_cbr.inventory.coverage import BackupCoverage, Coverage, CoverageStatus
from airflow_cbr.inventory.operation_log import newest_by_backup, status_by_log, trace_of
from airflow_cbr.once.clock import CLOCK_MARGIN, ServiceClock, moment
from airflow_cbr.replication import decisions
from airflow_cbr.replication.refusals import note_of_log
from airflow_cbr.replication.steps import Step
from airflow_cbr.replication.vault_names import source_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import OperationLog
    from airflow_cbr.replication.spec import ReplicationSpec
    from airflow_cbr.replication.state import ReplicationState

__all__ = ["OperationLogLookup"]

_BEGUN: Final = frozenset({CopyState.WAITING, CopyState.RUNNING, CopyState.SUCCEEDED})


class OperationLogLookup:
    """Looks up the copies that one attempt is responsible for in the operation log.

    :param client: a client of the source region and project.
    :param spec: what was asked for.
    :param state: what the attempt knows.
    :param clock: the two clocks.
    :param at: marks the step, so that a test can stop there.
    :param log: takes the lines.
    """

    def __init__(
        self,
        client: CbrClient,
        spec: ReplicationSpec,
        state: ReplicationState,
        *,
        clock: ServiceClock,
        at: Callable[[Step], AbstractContextManager[None]],
        log: Any,
    ) -> None:
        self._client = client
        self._spec = spec
        self._state = state
        self._clock = clock
        self._at = at
        self._log = log

    def follow_unlisted(self, coverage: Coverage) -> Coverage:
        """Set the status of copies that the service accepted and does not list: not yet, or no longer.

        :param coverage: a look's coverage.
        :return: the coverage with the statuses of these copies corrected.
        """
        state = self._state
        unlisted = decisions.unlisted(coverage, state)
        if not unlisted:
            return coverage
        settled = self._clock.local >= state.accepted_at + self._spec.settle_time
        logs: dict[str, OperationLog] = {}
        if settled:
            try:
                # A copy that somebody else began may be older than anything that this task has sent.
                is_foreign = any(record_id in state.adopted for record_id in unlisted)
                logs = self._newest_logs(set(unlisted.values()), since=None if is_foreign else self._since)
            except CbrError as error:
                if error.permanent:
                    raise
                # Without the log there is no telling, and a copy of which nothing is known is not called lost.
                settled = False
        by_backup = dict(coverage.by_backup)
        for record_id, backup_id in unlisted.items():
            listed = by_backup.get(backup_id)
            if listed is not None and listed.record is not None and listed.record.id not in state.stale:
                continue
            status, reason = CoverageStatus.IN_FLIGHT, "its copy was accepted and is not listed yet"
            if settled:
                status, reason = status_by_log(logs.get(backup_id))
            backup = listed.backup if listed is not None else Backup(id=backup_id, name="a backup that is no longer listed")
            by_backup[backup_id] = BackupCoverage(backup, status, reason, trace=trace_of(logs.get(backup_id), record_id))
        return replace(coverage, by_backup=by_backup)

    def begun_unseen(self, wanted: list[BackupCoverage]) -> dict[str, OperationLog]:
        """Return the logs of copies that a call of unknown outcome started, although no record shows them.

        A copy that has ended according to the log, and whose record is not listed within ``settle_time``, is given up.

        :param wanted: the backups that would be requested next.
        :return: log by backup id.
        """
        state = self._state
        doubtful = {one.backup.id for one in wanted if state.unsettled_until or one.backup.id in state.sent or self._was_asked_for(one)}
        if not doubtful or not self._spec.durable:
            return {}
        logs = self._newest_logs(doubtful, since=self._since)
        shown = {backup_id: row for backup_id, row in logs.items() if row.state in _BEGUN}
        now = self._clock.local
        named = {one.backup.id: one.backup for one in wanted}
        for backup_id, row in shown.items():
            if backup_id not in state.unseen:
                backup = named[backup_id]
                self._log.info(
                    "The operation log shows a copy of %s: %s; backup %s, operation log %s",
                    resource_of(backup),
                    row.status,
                    name_of(backup),
                    row.id,
                )
            since = state.unseen.setdefault(backup_id, now)
            if row.state is CopyState.SUCCEEDED and now >= since + self._spec.settle_time:
                state.given_up[backup_id] = note_of_log(row.id)
        return shown

    def look_for_missing(self, coverage: Coverage) -> None:
        """Make sure that a backup that the first look found without a copy, and that a later look does not list, was deleted.

        :param coverage: a look's coverage.
        :raises CbrProtocolError: the backup exists, so the list is incomplete.
        """
        state = self._state
        followed = set(state.followed.values())
        for backup_id in [one for one in state.wanted or () if one not in coverage.by_backup and one not in followed]:
            try:
                self._client.show_backup(backup_id)
            except CbrNotFoundError:
                self._log.warning("A backup was deleted before it was copied, and no longer counts (backup %s)", backup_id)
                state.wanted = [one for one in state.wanted or () if one != backup_id]
            else:
                raise CbrProtocolError(
                    f"The list of the backups of vault {source_text(self._spec, state)} is incomplete: "
                    f"it lacks one that exists, backup {backup_id}."
                )

    def _was_asked_for(self, one: BackupCoverage) -> bool:
        """Return whether a call of this Dag run requested a backup that has no record: the record may not be listed yet."""
        return one.status is CoverageStatus.UNRECORDED and self._state.calls.by_item.get(one.backup.id, 0) > 0

    @property
    def _since(self) -> datetime:
        """Return a time before which no copy of this Dag run's task was begun."""
        state, now = self._state, self._clock.local
        first = state.first_sent_at if state.first_sent_at is not None else (state.unsettled_until or now) - self._spec.settle_time
        since = moment(self._clock.not_before(first)) - CLOCK_MARGIN
        if state.lost_at is None:
            return since
        # The log names no record. A call of this task comes at least settle_time later, so half of that tells the two apart.
        after = min(CLOCK_MARGIN.total_seconds(), self._spec.settle_time / 2)
        return max(since, moment(state.lost_at + after))

    def _newest_logs(self, backup_ids: set[str], *, since: datetime | None) -> dict[str, OperationLog]:
        """Return the newest replication log of each backup to the destination, by backup id."""
        spec = self._spec
        with self._at(Step.LOOK_AT_LOG):
            logs = newest_by_backup(
                list_replication_logs(self._client, spec.vault_id, since=since), destination=spec.destination, since=since
            )
        return {backup_id: row for backup_id, row in logs.items() if backup_id in backup_ids}

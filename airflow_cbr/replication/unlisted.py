"""The status of copies on a cloud that lists no replication records, as Open Telekom Cloud publishes the API.

Two sources are left: the destination vault's list, whose rows are the replicas, and the operation log, whose rows name the checkpoint and
the resource of the source backup, but not the destination. A replica has no documented link to its source, so it is recognised by its
resource together with its checkpoint, its times or its name. Where that leaves open which backup a replica belongs to, no copy is
requested, and no backup counts as covered.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.api.models import parse_time
from airflow_cbr.api.replication_logs import list_replication_logs
from airflow_cbr.inventory.backups import BEING_MADE
from airflow_cbr.inventory.coverage import BackupCoverage, Coverage, CoverageStatus
from airflow_cbr.inventory.operation_log import as_record, newest_by_resource, trace_of, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup, OperationLog
    from airflow_cbr.api.summaries import BackupSummary
    from airflow_cbr.once.clock import ServiceClock
    from airflow_cbr.replication.spec import ReplicationSpec
    from airflow_cbr.replication.state import ReplicationState

__all__ = ["NOTICE", "UnlistedCopies", "find_replicas"]

NOTICE: Final = (
    "The service lists no replication records: the task follows copies in the operation log and in the list of the destination vault; "
    "record ids that an earlier attempt received are not known."
)


class UnlistedCopies:
    """Finds the status of a vault's backups where no records are listed.

    :param client: a client of the source region and project.
    :param destination: returns a client of the destination region and project; called only where it is needed.
    :param spec: what was asked for.
    :param state: what the attempt knows.
    :param clock: the two clocks.
    """

    def __init__(
        self, client: CbrClient, destination: Callable[[], CbrClient], spec: ReplicationSpec, state: ReplicationState, clock: ServiceClock
    ) -> None:
        self._client = client
        self._destination = destination
        self._spec = spec
        self._state = state
        self._clock = clock

    def judge(self, coverage: Coverage) -> Coverage:
        """Return a coverage with the statuses that the destination's list and the operation log give.

        :param coverage: a look's coverage, of rows without records.
        :raises CbrError: one of the two cannot be read.
        """
        there = self._spec.destination
        open_ones = [one for one in coverage.by_backup.values() if one.status is CoverageStatus.UNRECORDED]
        if not open_ones:
            return coverage
        replicas = [
            row
            for row in self._destination().list_backups(vault_id=there.vault_id, image_type="replication")
            if row.vault_id in (None, there.vault_id) and row.image_type in (None, "replication")
        ]
        sources = [one.backup for one in coverage.by_backup.values() if one.status is not CoverageStatus.SKIPPED]
        held, free = find_replicas(sources, replicas)
        by_backup = dict(coverage.by_backup)
        unheld = []
        for one in open_ones:
            replica = held.get(one.backup.id)
            if replica is None:
                unheld.append(one)
            else:
                by_backup[one.backup.id] = _by_replica(one.backup, replica)
        logs = newest_by_resource(list_replication_logs(self._client)) if unheld else {}
        accepted = frozenset(self._state.accepted.values())
        for one in unheld:
            backup = one.backup
            candidates = [row for row in free.get(backup.resource_id or "", ()) if _may_be_of(row, backup)]
            by_backup[backup.id] = self._by_log(
                backup, logs.get((backup.checkpoint_id, backup.resource_id)), candidates, was_accepted=backup.id in accepted
            )
        return replace(coverage, by_backup=by_backup)

    def _by_log(self, backup: BackupSummary, row: OperationLog | None, candidates: list[Backup], *, was_accepted: bool) -> BackupCoverage:
        state = self._state
        is_young = self._clock.local < max(state.accepted_at, state.unseen.get(backup.id, 0.0)) + self._spec.settle_time
        log_state = None if row is None else row.state
        if row is not None and log_state in (CopyState.RUNNING, CopyState.WAITING):
            said = f"the operation log says {row.status}"
            return BackupCoverage(backup, CoverageStatus.IN_FLIGHT, said, as_record(row, "replicating"), trace=trace_of(row))
        if row is not None and log_state is CopyState.SUCCEEDED:
            state.unseen.setdefault(backup.id, self._clock.local)
            if candidates:
                return _by_replica(backup, candidates[0])
            if self._clock.local < state.unseen[backup.id] + self._spec.settle_time:
                said = f"the operation log says {row.status or 'no status'}, but its replica is not listed yet"
                return BackupCoverage(backup, CoverageStatus.IN_FLIGHT, said, trace=trace_of(row))
            if was_accepted:
                reason = "the operation log says that its copy succeeded, but the destination vault lists no replica of it"
                return BackupCoverage(backup, CoverageStatus.UNCLEAR, reason, trace=trace_of(row))
        if was_accepted and is_young:
            return BackupCoverage(backup, CoverageStatus.IN_FLIGHT, "its copy was accepted and is not listed yet")
        if row is not None and log_state not in (CopyState.SUCCEEDED, None):
            record = as_record(row, "fail")
            said = f"the operation log says {row.status or 'no status'} {words_of(row)}".rstrip()
            return BackupCoverage(backup, CoverageStatus.FAILED, said, record, (record,), trace=trace_of(row))
        if candidates:
            reason = "the destination vault holds a replica of the resource, but of which of its backups is not known"
            return BackupCoverage(backup, CoverageStatus.UNCLEAR, reason, trace=f"replica {candidates[0].id}")
        if was_accepted:
            return BackupCoverage(
                backup, CoverageStatus.LOST, "its copy was accepted, but neither the operation log nor the destination vault shows it"
            )
        return BackupCoverage(backup, CoverageStatus.UNRECORDED)


def find_replicas(sources: Sequence[BackupSummary], replicas: Iterable[Backup]) -> tuple[dict[str, Backup], dict[str, list[Backup]]]:
    """Match the replicas of a destination vault with their source backups.

    :param sources: the source vault's backups.
    :param replicas: the destination vault's backups.
    :return: replica by source backup id, where the match is certain, and by resource id the replicas that match no backup.
    """
    by_resource: dict[str, list[Backup]] = defaultdict(list)
    for replica in replicas:
        by_resource[replica.resource_id or ""].append(replica)
    names = Counter((source.resource_id, source.name) for source in sources)
    held: dict[str, Backup] = {}
    for source in sources:
        for replica in sorted(by_resource.get(source.resource_id or "", ()), key=lambda row: (row.status != "available", row.id)):
            if source.resource_id and _is_linked(replica, source, is_only_name=names[source.resource_id, source.name] == 1):
                held[source.id] = replica
                break
    taken = {replica.id for replica in held.values()}
    return held, {resource: [row for row in rows if row.id not in taken] for resource, rows in by_resource.items()}


def _is_linked(replica: Backup, source: BackupSummary, *, is_only_name: bool) -> bool:
    """Return whether something beyond the resource shows that a replica belongs to this backup."""
    if not _may_be_of(replica, source):
        return False
    times = {time for time in (replica.created, parse_time(replica.protected_at)) if time is not None}
    return (
        (replica.checkpoint_id is not None and replica.checkpoint_id == source.checkpoint_id)
        or (source.created is not None and source.created in times)
        or (is_only_name and bool(source.name) and replica.name == source.name)
    )


def _may_be_of(replica: Backup, source: BackupSummary) -> bool:
    """Return whether a replica can be of this backup: the same size, and not made before its source."""
    sizes_agree = None in (replica.resource_size, source.resource_size) or replica.resource_size == source.resource_size
    return sizes_agree and (replica.created is None or source.created is None or replica.created >= source.created)


def _by_replica(backup: BackupSummary, replica: Backup) -> BackupCoverage:
    trace = f"replica {replica.id}"
    if replica.status == "available":
        return BackupCoverage(backup, CoverageStatus.SUCCEEDED, "the destination vault holds its replica", trace=trace)
    if replica.status in BEING_MADE:
        return BackupCoverage(backup, CoverageStatus.IN_FLIGHT, f"its replica is {replica.status}", trace=trace)
    return BackupCoverage(backup, CoverageStatus.UNCLEAR, f"its replica is {replica.status or 'in an unknown state'}", trace=trace)

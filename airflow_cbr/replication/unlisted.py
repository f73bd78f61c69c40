"""A cloud that lists no replication records, as Open Telekom Cloud publishes the API: what tells there where a copy stands.

Two things are left: the destination vault's list, whose rows are the replicas, and the operation log, whose rows name the checkpoint and
the resource of the source backup, and not the destination. A replica has no documented link to its source, so it is told by its resource
together with its checkpoint, its times or its name. Where that leaves open which backup a replica is of, no copy is asked for, and none is
called covered.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.errors import normalise_code
from airflow_cbr.api.models import OperationLog, ReplicationExtra, ReplicationRecord, parse_time
from airflow_cbr.exceptions import CbrApiError
from airflow_cbr.replication.coverage import BEING_MADE, BackupStanding, Coverage, Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup
    from airflow_cbr.once.clock import ServiceClock
    from airflow_cbr.replication.memory import Memory
    from airflow_cbr.replication.order import Order

__all__ = ["NOTICE", "UnlistedCopies", "find_replicas"]

NOTICE: Final = (
    "The service lists no replication records: copies are followed by the operation log and by the list of the destination vault, and "
    "the ids of records that an earlier attempt was told are not known."
)


class UnlistedCopies:
    """Says where the backups of a vault stand that have no records because none are listed.

    :param client: a client of the source region and project.
    :param destination: returns a client of the destination region and project; called only where it is needed.
    :param order: what was asked for.
    :param memory: what the attempt knows.
    :param clock: the two clocks.
    """

    def __init__(self, client: CbrClient, destination: Callable[[], CbrClient], order: Order, memory: Memory, clock: ServiceClock) -> None:
        self._client = client
        self._destination = destination
        self._order = order
        self._memory = memory
        self._clock = clock

    def judge(self, coverage: Coverage) -> Coverage:
        """Return a coverage with the standings that the destination's list and the operation log give.

        :param coverage: a look's coverage, of rows without records.
        :raises CbrError: one of the two cannot be read.
        """
        there = self._order.destination
        open_ones = [one for one in coverage.standings.values() if one.standing is Standing.UNRECORDED]
        if not open_ones:
            return coverage
        replicas = [
            row
            for row in self._destination().list_backups(vault_id=there.vault_id, image_type="replication")
            if row.vault_id in (None, there.vault_id) and row.image_type in (None, "replication")
        ]
        sources = [one.backup for one in coverage.standings.values() if one.standing is not Standing.SKIPPED]
        held, free = find_replicas(sources, replicas)
        standings = dict(coverage.standings)
        unheld = []
        for one in open_ones:
            replica = held.get(one.backup.id)
            if replica is None:
                unheld.append(one)
            else:
                standings[one.backup.id] = _by_replica(one.backup, replica)
        logs = self._logs() if unheld else {}
        accepted = frozenset(self._memory.accepted.values())
        for one in unheld:
            backup = one.backup
            candidates = [row for row in free.get(backup.resource_id or "", ()) if _may_be_of(row, backup)]
            standings[backup.id] = self._by_log(
                backup, logs.get((backup.checkpoint_id, backup.resource_id)), candidates, was_accepted=backup.id in accepted
            )
        return replace(coverage, standings=standings)

    def _logs(self) -> dict[tuple[str | None, str | None], OperationLog]:
        """Return the newest replication log by checkpoint and resource."""
        newest: dict[tuple[str | None, str | None], OperationLog] = {}
        for row in self._replications():
            key = (row.checkpoint_id, row.resource_id)
            known = newest.get(key)
            if None not in key and (known is None or (row.created_at or "", row.id) > (known.created_at or "", known.id)):
                newest[key] = row
        return newest

    def _replications(self) -> Iterable[OperationLog]:
        try:
            yield from self._client.list_operation_logs(operation_type="replication")
        except CbrApiError as error:
            # The published API does not name the word among those that the log can be filtered by.
            if normalise_code(error.error_code or "") != "BackupService.9900":
                raise
            yield from (row for row in self._client.list_operation_logs() if row.operation_type == "replication")

    def _by_log(self, backup: Backup, row: OperationLog | None, candidates: list[Backup], *, was_accepted: bool) -> BackupStanding:
        memory = self._memory
        is_young = self._clock.local < max(memory.accepted_at, memory.unseen.get(backup.id, 0.0)) + self._order.settle_time
        if row is not None and row.status in ("running", "waiting"):
            return BackupStanding(backup, Standing.IN_FLIGHT, f"operation log {row.id}: {row.status}", _as_record(row, "replicating"))
        if row is not None and row.status == "success":
            memory.unseen.setdefault(backup.id, self._clock.local)
            if candidates:
                return _by_replica(backup, candidates[0])
            if self._clock.local < memory.unseen[backup.id] + self._order.settle_time:
                return BackupStanding(
                    backup, Standing.IN_FLIGHT, f"operation log {row.id}: {row.status}, and its replica is not listed yet"
                )
            if was_accepted:
                reason = f"operation log {row.id} says that its copy succeeded, and the destination vault lists no replica of it"
                return BackupStanding(backup, Standing.UNCLEAR, reason)
        if was_accepted and is_young:
            return BackupStanding(backup, Standing.IN_FLIGHT, "its copy was accepted and does not show yet")
        if row is not None and row.status not in ("success", None):
            record = _as_record(row, "fail")
            said = row.error_info.message if row.error_info is not None else None
            return BackupStanding(backup, Standing.FAILED, f"operation log {row.id}: {row.status} {said or ''}".rstrip(), record, (record,))
        if candidates:
            reason = f"the destination vault holds {candidates[0].id}, and nothing says of which backup of its resource it is a replica"
            return BackupStanding(backup, Standing.UNCLEAR, reason)
        if was_accepted:
            return BackupStanding(
                backup, Standing.LOST, "its copy was accepted, and neither the operation log nor the destination knows it"
            )
        return BackupStanding(backup, Standing.UNRECORDED)


def find_replicas(sources: Sequence[Backup], replicas: Iterable[Backup]) -> tuple[dict[str, Backup], dict[str, list[Backup]]]:
    """Match the replicas of a destination vault with their source backups.

    :param sources: the source vault's backups.
    :param replicas: the destination vault's backups.
    :return: replica by source backup id, where both sides leave no doubt, and by resource id the replicas that match none.
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


def _is_linked(replica: Backup, source: Backup, *, is_only_name: bool) -> bool:
    """Return whether something beyond the resource says that a replica is of this backup."""
    if not _may_be_of(replica, source):
        return False
    times = {time for time in (replica.created, parse_time(replica.protected_at)) if time is not None}
    return (
        (replica.checkpoint_id is not None and replica.checkpoint_id == source.checkpoint_id)
        or (source.created is not None and source.created in times)
        or (is_only_name and bool(source.name) and replica.name == source.name)
    )


def _may_be_of(replica: Backup, source: Backup) -> bool:
    """Return whether nothing speaks against it: the same size, and not made before its source."""
    sizes_agree = None in (replica.resource_size, source.resource_size) or replica.resource_size == source.resource_size
    return sizes_agree and (replica.created is None or source.created is None or replica.created >= source.created)


def _by_replica(backup: Backup, replica: Backup) -> BackupStanding:
    if replica.status == "available":
        return BackupStanding(backup, Standing.SUCCEEDED, f"the destination vault holds its replica {replica.id}")
    if replica.status in BEING_MADE:
        return BackupStanding(backup, Standing.IN_FLIGHT, f"its replica {replica.id} is {replica.status}")
    return BackupStanding(backup, Standing.UNCLEAR, f"its replica {replica.id} is {replica.status or 'in an unknown state'}")


def _as_record(row: OperationLog, status: str) -> ReplicationRecord:
    """Return a log row in the form that progress and failures are read from."""
    error = row.error_info
    extra = ReplicationExtra(
        progress=row.progress,
        fail_code=error.code if error is not None else None,
        fail_reason=error.message if error is not None else None,
    )
    return ReplicationRecord(id=row.id, status=status, created_at=row.created_at, extra_info=extra)

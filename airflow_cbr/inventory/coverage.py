"""The coverage of a source vault: the status of each of its backups with regard to one destination.

Whatever decides between success and failure takes its facts from here, from one listing of the source vault's backups with their
replication records. The order of rows decides nothing, and neither do the times of records: a successful record to exactly this
destination covers its backup, whatever failed before or after; without one, a running copy counts; without that, the failures. A record
that ended in ``skip`` means that there was nothing to do, and does not count: the reason is in another record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Final

import msgspec

from airflow_cbr.api.copy_state import ENDS, CopyState, state_of_record
from airflow_cbr.api.texts import LONGEST_MESSAGE, one_line
from airflow_cbr.inventory.backups import BEING_MADE, name_of, reason_not_eligible, resource_of
from airflow_cbr.inventory.destination import OR, Destination, vault_of
from airflow_cbr.inventory.settled import Settled, digest_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from airflow_cbr.api.summaries import BackupSummary, RecordSummary
    from airflow_cbr.inventory.settled import SettledBackups

__all__ = [
    "BackupCoverage",
    "Coverage",
    "CoverageStatus",
    "assess",
    "coverage_of",
    "deciding_record",
    "failure_of",
    "success_beside",
]


_RANKS: Final = {CopyState.FAILED: 1, CopyState.SUCCEEDED: 3}
"""What decides where there are several records; those that have not ended rank 2, and 4 if a call of this task started them."""

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_END: Final = datetime.max.replace(tzinfo=UTC)


class CoverageStatus(StrEnum):
    """The status of a backup with regard to the destination."""

    SUCCEEDED = "succeeded"
    """A record to the destination is ``success``."""
    IN_FLIGHT = "in flight"
    """No record is ``success``, and one has not ended; an undocumented status counts as not ended."""
    FAILED = "failed"
    """All records to the destination are ``fail``."""
    UNRECORDED = "not replicated"
    """Eligible, and no record to the destination counts."""
    ELSEWHERE = "in another vault"
    """Copied, or being copied, to another vault of the destination region, where the service allows one replica (code 1009)."""
    UNCLEAR = "not known"
    """A record has not failed and does not say where it goes: it may be a copy to the destination, so no other copy is requested."""
    BEING_MADE = "being made"
    """The backup itself has not ended yet."""
    SKIPPED = "skipped"
    """Not eligible; the reason says why."""
    LOST = "lost"
    """The service accepted a copy, but neither a record nor the operation log shows it any more."""


@dataclass(frozen=True, slots=True)
class BackupCoverage:
    """One backup with its status.

    :param backup: the backup as the service listed it.
    :param status: its status.
    :param reason: why it has this status; may be empty.
    :param record: the record that decided it, if any.
    :param failed: all records to the destination that failed, where that decided it.
    :param trace: ids that belong to the reason, in words. Default: that of the record.
    """

    backup: BackupSummary
    status: CoverageStatus
    reason: str = ""
    record: RecordSummary | None = None
    failed: tuple[RecordSummary, ...] = ()
    trace: str = ""

    @property
    def ids(self) -> str:
        """Return the backup's name and id, and the ids that belong to the reason, as a line ends with them."""
        trace = self.trace or (f"record {self.record.id}" if self.record is not None and self.reason else "")
        return ", ".join(part for part in (f"backup {name_of(self.backup)}", one_line(trace)) if part)

    def __str__(self) -> str:
        """Return the resource with the status of its backup and the reason, and the ids last."""
        reason = f" ({self.reason})" if self.reason else ""
        return f"{resource_of(self.backup)}: {self.status}{reason}; {self.ids}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """The status of every backup that counts.

    :param destination: the destination in question.
    :param as_of: only backups created until then count, in the service's clock.
    :param by_backup: status by backup id, but for the settled ones.
    :param records: every record to the destination, by record id, with the id of its backup; but for those of settled backups.
    :param lists_records: whether any row had a list of records, even an empty one. The rows of some clouds never have one.
    :param settled: covered backups that nothing more is to be known of than their number. Default: none, every backup is in ``by_backup``.
    """

    destination: Destination
    as_of: datetime
    by_backup: Mapping[str, BackupCoverage]
    records: Mapping[str, tuple[str, RecordSummary]] = field(default_factory=dict)
    lists_records: bool = True
    settled: Settled = field(default_factory=Settled)

    def of(self, *by_backup: CoverageStatus) -> list[BackupCoverage]:
        """Return the backups with one of these statuses, oldest first; without the settled ones."""
        return sorted((one for one in self.by_backup.values() if one.status in by_backup), key=_age)

    def number_of(self, *statuses: CoverageStatus) -> int:
        """Return how many backups have one of these statuses, the settled ones among them."""
        settled = self.settled.backups if CoverageStatus.SUCCEEDED in statuses else 0
        return settled + sum(one.status in statuses for one in self.by_backup.values())

    @property
    def eligible(self) -> list[BackupCoverage]:
        """Return the backups that must be covered, but for the settled ones, oldest first: all but the skipped and those being made."""
        return sorted((one for one in self.by_backup.values() if one.status not in _NOT_ELIGIBLE), key=_age)

    @property
    def eligible_number(self) -> int:
        """Return how many backups must be covered, the settled ones among them."""
        return self.settled.backups + sum(one.status not in _NOT_ELIGIBLE for one in self.by_backup.values())

    def record_times(self) -> Iterator[float]:
        """Return the Unix time (service) at which each record to the destination was made, of those that say it."""
        own = (record.created for _, record in self.records.values())
        return chain(self.settled.times, (created.timestamp() for created in own if created is not None))

    @property
    def has_timeless_record(self) -> bool:
        """Return whether a record to the destination does not say when it was made."""
        return self.settled.timeless or any(record.created is None for _, record in self.records.values())

    @property
    def record_digest(self) -> int:
        """Return a number that shows whether a record to the destination has appeared."""
        return self.settled.digest + digest_of(self.records)


_NOT_ELIGIBLE: Final = (CoverageStatus.SKIPPED, CoverageStatus.BEING_MADE)


def _age(one: BackupCoverage) -> datetime:
    return one.backup.created or _BEGINNING


def assess(
    backups: Iterable[BackupSummary],
    destination: Destination,
    *,
    as_of: datetime | None = None,
    counted: Collection[str] = (),
    own: Collection[str] = (),
    declined: Mapping[str, str] | None = None,
    settled: SettledBackups | None = None,
) -> Coverage:
    """Assess every backup of a source vault.

    :param backups: the vault's backups, listed with their replication records; any order, repeated rows allowed.
    :param destination: where the copies go.
    :param as_of: count only backups created until then. Default: all rows count, and the newest one sets this time.
    :param counted: backups that count whenever they were made.
    :param own: record ids that the service returned to a call of this task; they count for the destination even if
        the record leaves its destination empty, and whenever their backup was made.
    :param declined: backups that the service refused to copy because of what they are, with the reason.
    :param settled: takes the backups about which nothing is left to decide. Default: every backup is kept.
    :return: the coverage.
    """
    by_backup: dict[str, BackupCoverage] = {}
    records: dict[str, tuple[str, RecordSummary]] = {}
    newest = _BEGINNING
    lists_records = False

    def counts(backup: BackupSummary, created: datetime | None) -> bool:
        is_newer = as_of is not None and created is not None and created > as_of and backup.id not in counted
        # A vault's call also takes a backup that was made since the first look; what it began is followed to its end.
        return not is_newer or any(record.id in own for record in backup.replication_records or ())

    def keep(row: BackupSummary) -> None:
        known = by_backup.get(row.id)
        # Pages may overlap while rows move: a row that comes twice is one backup, seen twice.
        backup = _merge(known.backup, row) if known is not None else _distinct(row)
        if known is not None:
            if not counts(backup, backup.created):
                return
            # Two readings of a record that contradict each other may leave open that it leads here.
            for record in known.backup.replication_records or ():
                if records.get(record.id, ("",))[0] == backup.id:
                    del records[record.id]
        here = _records_here(backup, destination, own)
        records.update((record.id, (backup.id, record)) for record in here)
        by_backup[backup.id] = _assess_one(backup, here, destination, own, (declined or {}).get(backup.id))

    for row in backups:
        lists_records = lists_records or row.replication_records is not None
        created = row.created
        does_count = counts(row, created)
        if does_count:
            newest = max(newest, created or _BEGINNING)
        if settled is not None:
            if does_count and row.id not in by_backup and settled.take(row):
                continue
            if (before := settled.give_back(row.id)) is not None:
                keep(before)
        if does_count or row.id in by_backup:
            keep(row)
    sum_of_settled = Settled() if settled is None else settled.settled
    is_empty = not by_backup and not sum_of_settled.backups
    return Coverage(destination, as_of or newest, by_backup, records, lists_records or is_empty, sum_of_settled)


def coverage_of(backup: BackupSummary, destination: Destination) -> BackupCoverage:
    """Assess one backup, as :func:`assess` does for a task that has sent nothing.

    :param backup: the backup, listed with its replication records.
    :param destination: where its copy goes.
    """
    backup = _distinct(backup)
    return _assess_one(backup, _records_here(backup, destination, ()), destination, (), None)


def _distinct(backup: BackupSummary) -> BackupSummary:
    """Return a row in which no record is listed twice."""
    records = backup.replication_records or ()
    return backup if len(records) < 2 or len({record.id for record in records}) == len(records) else _merge(backup, backup)


def _merge(one: BackupSummary, other: BackupSummary) -> BackupSummary:
    """Return one row for a backup that was listed twice; which of the rows came first does not matter."""
    records: dict[str, RecordSummary] = {}
    for record in [*(one.replication_records or ()), *(other.replication_records or ())]:
        known = records.get(record.id)
        records[record.id] = record if known is None else _merge_records(known, record)
    later = max(one, other, key=_order_of_readings)
    lists_records = one.replication_records is not None or other.replication_records is not None
    return msgspec.structs.replace(later, replication_records=list(records.values()) if lists_records else None)


def _order_of_readings(row: BackupSummary) -> tuple[bool, bool, str, str, bytes]:
    """Return the key by which one of two readings of a backup is preferred, however they were listed."""
    rest = msgspec.json.encode(msgspec.structs.replace(row, replication_records=None))
    return row.status == "available", row.status in BEING_MADE, row.status or "", row.created_at or "", rest


def _merge_records(one: RecordSummary, other: RecordSummary) -> RecordSummary:
    """Return one record for two readings of it: a final status counts more than an earlier one, and contradictory values are unknown."""
    words = _words(one.status, other.status)
    ends = {word for word in words if state_of_record(word) in ENDS}
    later = max(one, other, key=lambda record: (record.is_final, repr(record)))
    return msgspec.structs.replace(
        later,
        status=OR.join(sorted(ends)) if ends else max(words, default=None),
        created_at=min((text for text in (one.created_at, other.created_at) if text), default=None),
        destination_region=_join(one.destination_region, other.destination_region),
        destination_project_id=_join(one.destination_project_id, other.destination_project_id),
        destination_vault_id=_join(vault_of(one), vault_of(other)),
    )


def _words(*values: str | None) -> set[str]:
    return {word for value in values if value for word in value.split(OR)}


def _join(*values: str | None) -> str | None:
    return OR.join(sorted(_words(*values))) or None


def _records_here(backup: BackupSummary, destination: Destination, own: Collection[str]) -> list[RecordSummary]:
    return [record for record in backup.replication_records or () if destination.holds(record) or record.id in own]


def _assess_one(
    backup: BackupSummary, here: Collection[RecordSummary], destination: Destination, own: Collection[str], declined: str | None
) -> BackupCoverage:
    record = deciding_record(here, own)
    if record is not None and (record.id in own or not record.is_final):
        # A copy that has begun is followed to its end, whatever becomes of its source backup meanwhile.
        return _assess_by(record, backup, here)
    if backup.status in BEING_MADE and backup.image_type in (None, "backup"):
        return BackupCoverage(backup, CoverageStatus.BEING_MADE, f"its status is {backup.status}")
    if reason := reason_not_eligible(backup):
        return BackupCoverage(backup, CoverageStatus.SKIPPED, reason)
    if record is not None and record.state is not CopyState.FAILED:
        return _assess_by(record, backup, here)
    others = [one for one in backup.replication_records or () if one not in here and one.state not in (CopyState.FAILED, CopyState.SKIPPED)]
    if unclear := min((one for one in others if destination.may_hold(one)), key=lambda one: one.id, default=None):
        return BackupCoverage(backup, CoverageStatus.UNCLEAR, "its record does not say where the copy goes", unclear)
    if record is not None:
        return _assess_by(record, backup, here)
    if declined:
        return BackupCoverage(backup, CoverageStatus.SKIPPED, declined)
    if elsewhere := deciding_record([one for one in others if one.destination_region == destination.region]):
        vault_id = elsewhere.destination_vault_id or elsewhere.extra.destination_vault_id
        reason = f"the destination region has it in vault {vault_id}, and CBR keeps one replica in a region"
        return BackupCoverage(backup, CoverageStatus.ELSEWHERE, reason, elsewhere)
    return BackupCoverage(backup, CoverageStatus.UNRECORDED)


def _assess_by(record: RecordSummary, backup: BackupSummary, here: Collection[RecordSummary]) -> BackupCoverage:
    if record.state is CopyState.SUCCEEDED:
        return BackupCoverage(backup, CoverageStatus.SUCCEEDED, record=record)
    if record.state is CopyState.FAILED:
        failed = tuple(one for one in here if one.state is CopyState.FAILED)
        return BackupCoverage(backup, CoverageStatus.FAILED, failure_of(record), record, failed)
    return BackupCoverage(backup, CoverageStatus.IN_FLIGHT, record.status or "no status yet", record)


def deciding_record(records: Collection[RecordSummary], own: Collection[str] = ()) -> RecordSummary | None:
    """Return the record that decides a backup's status, or None; a ``skip`` does not count.

    A running copy that this task started comes first, even if there is an older one. Then comes any success, then what is running, then the
    failures; the newest of its kind where there are several, and a record without a time counts as made just now.

    :param records: records of one backup to one destination, in any order.
    :param own: ids of the records that the service returned to a call of this task. Default: none.
    """
    telling = [record for record in records if record.state is not CopyState.SKIPPED]
    # Most backups have one record, and reading times is what a long list spends its time with.
    if len(telling) < 2:
        return telling[0] if telling else None

    def rank(record: RecordSummary) -> tuple[int, bool, datetime, str]:
        is_own = record.id in own
        kind = _RANKS.get(record.state, 4 if is_own else 2)
        return kind, is_own, record.created or _END, record.id

    return max(telling, key=rank)


def failure_of(record: RecordSummary) -> str:
    """Return what the service says about a failed record, without the id: its ``fail_code`` and ``fail_reason``."""
    extra = record.extra
    said = ": ".join(one_line(part, LONGEST_MESSAGE) for part in (extra.fail_code, extra.fail_reason) if part)
    return one_line(said or "the service gives no reason")


def success_beside(backup: BackupSummary, skipped: RecordSummary) -> RecordSummary | None:
    """Return the newest successful record to the destination of a skipped record: the copy that made it superfluous.

    :param backup: the backup that both records belong to.
    :param skipped: a record with the status ``skip``.
    """
    there = Destination(
        skipped.destination_region or "",
        skipped.destination_project_id or "",
        skipped.destination_vault_id or skipped.extra.destination_vault_id or "",
    )
    return deciding_record([one for one in backup.replication_records or () if one.state is CopyState.SUCCEEDED and there.holds(one)])

"""What the source side says of each backup, before the destination is asked: read as it streams by, kept in a small row each."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Final

import msgspec

from airflow_cbr.replication.coverage import Standing, failure_of, newest_record, reason_not_eligible, stand, success_beside
from airflow_cbr.replication.verdict import lacks_system_disk
from airflow_cbr.verification.faults import Fault
from airflow_cbr.verification.levels import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_cbr.api.models import Backup, ReplicationRecord
    from airflow_cbr.verification.levels import Assignment

__all__ = ["BackupRow", "Claims", "Verdict", "read_claims"]

_NOT_ELIGIBLE: Final = (Standing.SKIPPED, Standing.BEING_MADE)


class Verdict(StrEnum):
    """What the verification says of one backup."""

    VERIFIED = "verified"
    """Every level that was asked for holds."""
    FAILED = "failed"
    """The copy failed, has not ended, or the replica is not what it must be."""
    MISSING = "missing"
    """There is no record, or no replica."""
    SKIPPED = "skipped"
    """Not eligible, or not judged; the reason says why."""


class BackupRow(msgspec.Struct, gc=False):
    """One source backup and what is known of its copy. There is one for each backup of the vault, so it holds texts and numbers only.

    :param verdict: None as long as the destination must be asked.
    :param created: when it was made; None if the service does not say it.
    :param begun_at: when its copy was begun, as the service writes it.
    :param is_eligible: whether the backup must be covered.
    :param is_judged: whether it gets a verdict of its own.
    """

    id: str
    name: str | None
    resource_id: str | None
    checkpoint_id: str | None
    size: int | float | None
    created: datetime | None
    is_judged: bool = False
    is_eligible: bool = True
    record_id: str | None = None
    replica_id: str | None = None
    begun_at: str | None = None
    verdict: Verdict | None = None
    faults: tuple[Fault, ...] = ()
    reason: str = ""
    replica_checkpoint_id: str | None = None

    @property
    def subject(self) -> str:
        """Return how a message names the backup."""
        return f"{self.name} ({self.id})" if self.name else self.id

    @property
    def is_verified(self) -> bool:
        """Return whether both sides agree that a good replica exists."""
        return self.verdict is Verdict.VERIFIED

    def is_older_than(self, other: BackupRow) -> bool:
        """Return whether the other backup was made later, as far as both times are said; one that says none counts as older."""
        return other.created is not None and (self.created is None or self.created < other.created)

    def settle(self, verdict: Verdict, reason: str, *faults: Fault) -> None:
        """Give the row its verdict.

        :param verdict: the verdict.
        :param reason: why.
        :param faults: what is wrong. Default: nothing.
        """
        self.verdict, self.reason, self.faults = verdict, reason, faults


class Claims:
    """What the source says of all backups of its vault.

    :param rows: the backups, in the order of the listing.
    :param unlisted: ids of the records in question that no backup lists.
    :param newest: the newest eligible backup by resource.
    :param undated: the other eligible backups by resource whose time is not said: each may be the newest.
    """

    def __init__(
        self, rows: list[BackupRow], unlisted: list[str], newest: dict[str, BackupRow], undated: dict[str, list[BackupRow]]
    ) -> None:
        self.rows = rows
        self.unlisted = unlisted
        self.newest = newest
        self.undated = undated

    def perhaps_newest(self, resource_id: str) -> list[BackupRow]:
        """Return the newest eligible backup of a resource, with all that may be newer; none of one that has no eligible backup.

        :param resource_id: the resource.
        """
        newest = self.newest.get(resource_id)
        return [] if newest is None else [newest, *(row for row in self.undated.get(resource_id, ()) if row is not newest)]

    @property
    def all_perhaps_newest(self) -> Iterator[BackupRow]:
        """Return the same of all resources."""
        return chain(self.newest.values(), *self.undated.values())

    @property
    def judged(self) -> Iterator[BackupRow]:
        """Return the rows that get a verdict."""
        return (row for row in self.rows if row.is_judged)


def read_claims(backups: Iterable[Backup], assignment: Assignment) -> Claims:
    """Read the source vault's backups.

    :param backups: the vault's backups, listed with their replication records; none of them is kept.
    :param assignment: what is asked.
    """
    wanted = set(assignment.record_ids)
    reader = _Reader(assignment)
    row_by_standing = reader.row_by_standing
    rows: list[BackupRow] = []
    newest: dict[str, BackupRow] = {}
    undated: dict[str, list[BackupRow]] = {}
    found: set[str] = set()
    for backup in backups:
        if wanted and (mine := [record for record in backup.replication_records or () if record.id in wanted]):
            found.update(record.id for record in mine)
            row = reader.row_by_records(backup, mine)
        else:
            row = row_by_standing(backup)
        rows.append(row)
        if row.is_eligible:
            key, created = row.resource_id or row.id, row.created
            known = newest.get(key)
            if known is None or known.created is None or (created is not None and created >= known.created):
                newest[key] = row
            if created is None:
                undated.setdefault(key, []).append(row)
    claims = Claims(rows, [record_id for record_id in assignment.record_ids if record_id not in found], newest, undated)
    if assignment.scope is Scope.NEWEST:
        for row in claims.all_perhaps_newest:
            row.is_judged = True
    return claims


class _Reader:
    def __init__(self, assignment: Assignment) -> None:
        self._destination = assignment.destination
        self._judges_all = assignment.scope is Scope.ALL
        self._names_skipped = assignment.scope is not Scope.RECORDS
        self._no_record: Final = f"it has no replication record to {assignment.destination}"
        self._resources: dict[str, str] = {}
        self._right: tuple[str | None, ...] | None = None
        self._checkpoint: str | None = None

    def row_by_records(self, backup: Backup, wanted: Sequence[ReplicationRecord]) -> BackupRow:
        """Return the row of a backup whose records were asked about; the newest one that says something decides.

        :param backup: the backup.
        :param wanted: those of its records that were asked about.
        """
        row = self._row(backup)
        row.is_judged = True
        row.is_eligible = stand(backup, self._destination).standing not in _NOT_ELIGIBLE
        record = newest_record(wanted)
        if record is None:
            record = success_beside(backup, wanted[0]) or wanted[0]
        if record.status == "success":
            _claim(row, record)
        else:
            _refuse(row, record)
        return row

    def row_by_standing(self, backup: Backup) -> BackupRow:
        """Return the row of any other backup; its newest record to the destination decides.

        :param backup: the backup.
        """
        records = backup.replication_records
        # Nearly every row of a long list is like this: one record, a success that names its replica. It is read in a fraction of the time.
        if (
            records is not None
            and len(records) == 1
            and (record := records[0]).status == "success"
            and record.destination_backup_id
            and record.source_backup_id == backup.id
            and self._is_eligible_copy(backup, record)
        ):
            return self._row(backup, record.id, record.destination_backup_id, record.created_at)
        row = self._row(backup)
        self._claim_by_standing(row, backup)
        return row

    def _is_eligible_copy(self, backup: Backup, record: ReplicationRecord) -> bool:
        """Return whether an eligible backup was copied to the destination."""
        decisive = (
            record.destination_vault_id,
            record.destination_project_id,
            record.destination_region,
            backup.status,
            backup.image_type,
            backup.provider_id,
            backup.resource_type,
        )
        # The rows of a long list are alike; what was right for the one before is right for the next.
        if decisive == self._right:
            return True
        if not self._destination.holds(record) or reason_not_eligible(backup) is not None:
            return False
        if record.destination_vault_id:
            self._right = decisive
        return True

    def _row(self, backup: Backup, record_id: str | None = None, replica_id: str | None = None, begun_at: str | None = None) -> BackupRow:
        # The rows of a checkpoint stand next to each other; one text for all of them is enough, as it is for a resource.
        if backup.checkpoint_id != self._checkpoint:
            self._checkpoint = backup.checkpoint_id
        resource_id = backup.resource_id
        return BackupRow(
            backup.id,
            backup.name,
            self._resources.setdefault(resource_id, resource_id) if resource_id else None,
            self._checkpoint,
            backup.resource_size,
            backup.created,
            self._judges_all,
            True,
            record_id,
            replica_id,
            begun_at,
        )

    def _claim_by_standing(self, row: BackupRow, backup: Backup) -> None:
        one = stand(backup, self._destination)
        record, standing = one.record, one.standing
        row.is_eligible = standing not in _NOT_ELIGIBLE
        if standing is Standing.SUCCEEDED and record is not None:
            _claim(row, record)
        elif not row.is_eligible:
            row.is_judged = self._names_skipped
            row.settle(Verdict.SKIPPED, one.reason)
        elif record is None:
            if lacks_system_disk(backup):
                row.is_eligible, row.is_judged = False, self._names_skipped
                row.settle(Verdict.SKIPPED, "it lacks the system disk, and CBR does not replicate such backups (BackupService.1004)")
            else:
                row.settle(Verdict.MISSING, self._no_record, Fault.NO_RECORD)
        elif standing is Standing.ELSEWHERE:
            row.record_id = record.id
            row.settle(Verdict.FAILED, one.reason, Fault.ELSEWHERE)
        else:
            _refuse(row, record)


def _claim(row: BackupRow, record: ReplicationRecord) -> None:
    row.record_id, row.replica_id, row.begun_at = record.id, record.destination_backup_id, record.created_at
    owner = record.source_backup_id
    if owner and owner != row.id:
        row.settle(Verdict.FAILED, f"record {record.id} says that it belongs to backup {owner}", Fault.RECORD_FOREIGN)
    elif not row.replica_id:
        row.replica_id = None
        row.settle(Verdict.MISSING, f"record {record.id} is success and names no replica", Fault.REPLICA_UNNAMED)


def _refuse(row: BackupRow, record: ReplicationRecord) -> None:
    row.record_id = record.id
    if record.status == "fail":
        row.settle(Verdict.FAILED, failure_of(record), Fault.RECORD_FAILED)
    else:
        fault = Fault.RECORD_SKIPPED if record.status == "skip" else Fault.RECORD_UNFINISHED
        row.settle(Verdict.FAILED, f"record {record.id} is {record.status}, not success", fault)

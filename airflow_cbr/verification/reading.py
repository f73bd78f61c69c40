"""Reading the source vault's backups one by one, each into a row that says what is known of its copy."""

from __future__ import annotations

from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Final, cast

import msgspec

from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.api.models import JudgedBackup, parse_time
from airflow_cbr.inventory.backups import lacks_system_disk, reason_not_eligible
from airflow_cbr.inventory.coverage import CoverageStatus, coverage_of, failure_of
from airflow_cbr.verification.comparisons import RecordCase, where_it_leads, wrongs_of_record
from airflow_cbr.verification.faults import Fault
from airflow_cbr.verification.levels import Scope, Source
from airflow_cbr.verification.source_inventory import BackupKind, BackupRow, SourceInventory, packed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import ReplicationRecord
    from airflow_cbr.verification.levels import VerificationSpec

__all__ = ["Reader", "read_source"]

_NOT_ELIGIBLE: Final = (CoverageStatus.SKIPPED, CoverageStatus.BEING_MADE)
_END: Final = datetime.max.replace(tzinfo=UTC)


def read_source(client: CbrClient, spec: VerificationSpec) -> SourceInventory:
    """Read the source vault's backups; none of them is kept.

    :param client: a client of the source region and project.
    :param spec: what is asked.
    """
    wanted = set(spec.record_ids)
    reader = Reader(spec, Source(client.region, client.project_id, spec.vault_id))
    read, rows, repeated = reader.row_by_status, list[BackupRow](), list[BackupRow]()
    found: set[str] = set()

    def read_asked(backup: JudgedBackup) -> BackupRow:
        if mine := [record for record in backup.replication_records or () if record.id in wanted]:
            found.update(record.id for record in mine)
            return reader.row_by_records(backup, mine)
        return read(backup)

    read_one = read_asked if wanted else read

    def read_again(backup: JudgedBackup) -> None:
        row = read_one(backup)
        # With the last row of each page the next one begins, mostly unchanged.
        if rows[-1:] != [row]:
            repeated.append(row)

    keep = rows.append
    for backup in client.read_backups(JudgedBackup, vault_id=spec.vault_id, show_replication=True, on_repeat=read_again):
        keep(read_one(backup))
    _compare_repeated(rows, repeated)
    inventory = SourceInventory(rows, [record_id for record_id in spec.record_ids if record_id not in found], reader.resource_names)
    if spec.scope is Scope.NEWEST:
        for row in inventory.all_perhaps_newest:
            row.is_judged = True
    return inventory


def _compare_repeated(rows: list[BackupRow], repeated: Sequence[BackupRow]) -> None:
    """Judge the rows that were listed again with other contents."""
    if not repeated:
        return
    again: dict[str, list[BackupRow]] = {}
    for row in repeated:
        again.setdefault(row.id, []).append(row)
    for position, first in [(position, row) for position, row in enumerate(rows) if row.id in again]:
        both = [first, *(other for other in again[first.id] if other != first)]
        if len(both) == 1:
            continue
        # Whichever came first: what is said of the others must not hang on it.
        row = rows[position] = min(both, key=lambda one: msgspec.json.encode(_contents(one)))
        row.is_judged = any(one.is_judged for one in both)
        row.is_eligible = any(one.is_eligible for one in both)
        if any(one.created != row.created for one in both):
            row.created = None
        if any(Fault.RECORD_UNFINISHED in one.faults for one in both):
            row.refuse("its copy had not ended when the verification began", Fault.RECORD_UNFINISHED)
        else:
            row.refuse("the source vault lists it more than once, with different contents", Fault.BACKUP_TWICE)


class Reader:
    """Makes rows of backups.

    :param spec: what is asked.
    :param source: where the backups are looked for.
    """

    def __init__(self, spec: VerificationSpec, source: Source) -> None:
        self._source = source
        self._destination = spec.destination
        self._judges_all = spec.scope is Scope.ALL
        self._names_skipped = spec.scope is not Scope.RECORDS
        self._no_record: Final = f"it has no replication record to {spec.destination}"
        self.resource_names: dict[str | None, str] = {}
        self._kinds: dict[tuple[str | bool | None, ...], BackupKind] = {}
        self._right_backup: tuple[str | None, ...] = ()
        self._right_record: tuple[str | None, ...] = ()
        self._right_vault_beside: str | None = None
        self._checkpoint: str | None = None
        self._checkpoint_there: str | None = None

    def row_by_status(self, backup: JudgedBackup) -> BackupRow:
        """Return the row of a backup whose records were not asked about; its best record to the destination decides.

        :param backup: the backup.
        """
        return self.plain_row(backup) or self.judged_row(backup)

    def row_by_records(self, backup: JudgedBackup, wanted: Sequence[ReplicationRecord]) -> BackupRow:
        """Return the row of a backup whose records were asked about; the best of these decides.

        A record that leads elsewhere is wrong whatever other records there are, because it was asked about.

        :param backup: the backup.
        :param wanted: those of its records that were asked about.
        """
        row = self.plain_row(backup)
        if row is not None:
            row.is_judged = True
            return row
        row = self._row(backup)
        row.is_judged = True
        row.is_eligible = coverage_of(backup, self._destination).status not in _NOT_ELIGIBLE
        for record in sorted(wanted, key=_order):
            if astray := where_it_leads(RecordCase(backup, record, self._source, self._destination)):
                row.decide_by(record.id)
                _settle_wrongs(row, astray)
                return row
        record = _best(wanted)
        if record.state is CopyState.SKIPPED:
            here = [one for one in backup.replication_records or () if one.state is CopyState.SUCCEEDED and self._destination.holds(one)]
            record = _best([record, *here])
        self._claim_or_refuse(row, backup, record)
        return row

    # --- plain rows -------------------------------------------------------------------------------------------------------

    def plain_row(self, backup: JudgedBackup) -> BackupRow | None:
        """Return the row of a backup that is plainly right; None of one that must be judged line by line.

        Nearly every row of a long list is plain: it has one record, a success that names its replica, and what decides is the same as in
        the row before it that was found right line by line. Such a row is read in a fraction of the time.

        :param backup: the backup.
        """
        records = backup.replication_records
        if records is None or len(records) != 1:
            return None
        record = records[0]
        replica_id, right_backup = record.destination_backup_id, self._right_backup
        # Written out, as a call for each row costs more than all the comparisons.
        if (
            not replica_id
            or replica_id == backup.id
            or record.source_backup_id != backup.id
            or record.source_checkpoint_id != backup.checkpoint_id
            or (backup.provider_id, backup.resource_type, backup.vault_id, backup.project_id, backup.status, backup.image_type)
            != right_backup
            or (
                record.status,
                record.destination_vault_id,
                record.destination_project_id,
                record.destination_region,
                record.vault_id,
                record.source_project_id,
                record.source_region,
            )
            != self._right_record
            or record.extra.destination_vault_id != self._right_vault_beside
        ):
            return None
        there = record.destination_checkpoint_id
        if there != self._checkpoint_there:
            self._checkpoint_there = there
        return self._row(backup, right_backup, record.id, replica_id, self._checkpoint_there, record.created_at)

    def _learn(self, backup: JudgedBackup, record: ReplicationRecord) -> None:
        """Take what decided here for what is right in the rows that follow."""
        self._right_backup, self._right_record = _decisive_of_backup(backup), _decisive_of_record(record)
        self._right_vault_beside = record.extra.destination_vault_id

    def _row(
        self,
        backup: JudgedBackup,
        alike: tuple[str | None, ...] | None = None,
        record_id: str | None = None,
        replica_id: str | None = None,
        checkpoint_there: str | None = None,
        begun_at: str | None = None,
    ) -> BackupRow:
        # The rows of a checkpoint stand next to each other; one text for all of them is enough.
        if backup.checkpoint_id != self._checkpoint:
            self._checkpoint = backup.checkpoint_id
        resource_id, extend_info = backup.resource_id, backup.extend_info
        if resource_id not in self.resource_names and resource_id and backup.resource_name:
            self.resource_names[resource_id] = backup.resource_name
        provider_id, resource_type = (backup.provider_id, backup.resource_type) if alike is None else alike[:2]
        has_system_disk = None if extend_info is None else extend_info.contain_system_disk
        kind = self._kinds.get((resource_id or None, provider_id, resource_type, has_system_disk))
        if kind is None:
            kind = BackupKind(resource_id or None, provider_id, resource_type, has_system_disk)
            self._kinds[kind] = kind
        return BackupRow(
            packed(backup.id, backup.name, record_id, begun_at),
            kind,
            self._checkpoint,
            backup.resource_size,
            parse_time(backup.created_at),
            self._judges_all,
            True,
            replica_id,
            checkpoint_there,
        )

    # --- line by line -----------------------------------------------------------------------------------------------------

    def judged_row(self, backup: JudgedBackup) -> BackupRow:
        """Return the row of a backup of which no record was asked about, judged line by line.

        :param backup: the backup.
        """
        row = self._row(backup)
        one = coverage_of(backup, self._destination)
        record, status = one.record, one.status
        row.is_eligible = status not in _NOT_ELIGIBLE
        if not row.is_eligible:
            row.is_judged = self._names_skipped
            row.skip(one.reason)
        elif record is None:
            if lacks_system_disk(backup):
                row.is_eligible, row.is_judged = False, self._names_skipped
                row.skip("it lacks the system disk, and CBR does not replicate such backups (BackupService.1004)")
            else:
                row.refuse(self._no_record, Fault.NO_RECORD)
        elif status is CoverageStatus.ELSEWHERE:
            row.decide_by(record.id)
            row.refuse(one.reason, Fault.ELSEWHERE)
        elif status is CoverageStatus.UNCLEAR:
            row.decide_by(record.id)
            row.refuse(f"{self._no_record}; {one.reason}", Fault.NO_RECORD)
        else:
            self._claim_or_refuse(row, backup, cast("ReplicationRecord", record))
        return row

    def _claim_or_refuse(self, row: BackupRow, backup: JudgedBackup, record: ReplicationRecord) -> None:
        row.decide_by(record.id)
        records = backup.replication_records or ()
        if any(other.id == record.id and other != record for other in records):
            row.refuse("its record is listed more than once, with different contents", Fault.RECORD_TWICE)
        elif record.state is not CopyState.SUCCEEDED:
            _refuse(row, record)
        else:
            self._claim(row, backup, record)
            is_plain = row.verdict is None and len(records) == 1 and self._destination.holds(record)
            if is_plain and row.is_eligible and reason_not_eligible(backup) is None:
                self._learn(backup, record)

    def _claim(self, row: BackupRow, backup: JudgedBackup, record: ReplicationRecord) -> None:
        row.decide_by(record.id, record.created_at)
        row.replica_checkpoint_id = record.destination_checkpoint_id
        row.replica_id = record.destination_backup_id or None
        if wrong := wrongs_of_record(RecordCase(backup, record, self._source, self._destination)):
            _settle_wrongs(row, wrong)
        elif row.replica_id is None:
            row.refuse("its record is success, but names no replica", Fault.REPLICA_UNNAMED)
        elif row.replica_id == row.id:
            row.refuse("its record names its source backup as the replica", Fault.REPLICA_IS_SOURCE)


_contents: Final = attrgetter(
    *("texts.name", "kind.resource_id", "checkpoint_id", "size", "created", "kind.provider_id", "kind.resource_type"),
    *("kind.has_system_disk", "is_judged", "is_eligible", "texts.record_id", "replica_id", "replica_checkpoint_id", "begun_at"),
    *("verdict", "faults", "reason"),
)

# What decides about a backup with a single record, apart from what differs from one backup to the next. The kind comes first.
_decisive_of_backup: Final = attrgetter("provider_id", "resource_type", "vault_id", "project_id", "status", "image_type")
_decisive_of_record: Final = attrgetter(
    "status", "destination_vault_id", "destination_project_id", "destination_region", "vault_id", "source_project_id", "source_region"
)


def _order(record: ReplicationRecord) -> tuple[datetime, str, bytes]:
    """Return the key that puts records into one order, however they are listed; one without a time was made just now."""
    return record.created or _END, record.id, msgspec.json.encode(record)


def _best(records: Sequence[ReplicationRecord]) -> ReplicationRecord:
    """Return the newest success; else the newest copy that has not ended; else the newest failure; else the newest skip."""
    return max(records, key=lambda record: (_RANKS.get(record.state, 2), _order(record)))


_RANKS: Final = {CopyState.SKIPPED: 0, CopyState.FAILED: 1, CopyState.SUCCEEDED: 3}


def _settle_wrongs(row: BackupRow, wrong: Iterable[tuple[Fault, str]]) -> None:
    texts = "; ".join(text for _, text in wrong)
    row.refuse(texts, *dict.fromkeys(fault for fault, _ in wrong))


def _refuse(row: BackupRow, record: ReplicationRecord) -> None:
    if record.state is CopyState.FAILED:
        row.refuse(failure_of(record), Fault.RECORD_FAILED)
    else:
        fault = Fault.RECORD_SKIPPED if record.state is CopyState.SKIPPED else Fault.RECORD_UNFINISHED
        row.refuse(f"its record is {record.status or 'without a status'}, not success", fault)

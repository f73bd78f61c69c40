"""Following replication records by their ids alone, as the sensor does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.api.ids import is_id, is_region
from airflow_cbr.api.replication_logs import list_replication_logs
from airflow_cbr.api.texts import counted, one_line
from airflow_cbr.exceptions import CbrReplicationFailedError, CbrUnlistedRecordError
from airflow_cbr.inventory.backups import ids_of, resource_of
from airflow_cbr.inventory.coverage import CoverageStatus, failure_of, success_beside
from airflow_cbr.inventory.measures import gb_text
from airflow_cbr.inventory.operation_log import newest_by_backup, status_by_log, trace_of
from airflow_cbr.waiting.progress import Progress, measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup, ReplicationRecord

__all__ = ["RecordsGone", "RecordsSeen", "find_records", "gone_records", "unlisted_error"]

_NAMED: Final = 5
"""How many servers the last line of a wait names."""


@dataclass(frozen=True, slots=True)
class RecordsSeen:
    """What one look at a vault's backups says about the records in question.

    :param listed: backup and record by record id.
    :param unlisted: ids of the records that no backup of the vault lists.
    :param is_without_records: whether there are backups, but none has the field for records: not every cloud lists them.
    """

    listed: dict[str, tuple[Backup, ReplicationRecord]]
    unlisted: list[str]
    is_without_records: bool = False

    @property
    def unfinished(self) -> list[ReplicationRecord]:
        """Return the listed records that have not ended."""
        return [record for _, record in self.listed.values() if not record.is_final]

    @property
    def are_final(self) -> bool:
        """Return whether every record is listed and has ended."""
        return not self.unlisted and not self.unfinished

    def progress(self, now: datetime) -> Progress:
        """Return the progress of the records.

        :param now: the service's clock.
        """
        return measure((record for _, record in self.listed.values()), unlisted=len(self.unlisted), now=now)

    @property
    def resources(self) -> dict[str, str]:
        """Return what each listed record copies, by record id."""
        return {record_id: resource_of(backup) for record_id, (backup, _) in self.listed.items()}

    def closing_line(self, vault_id: str) -> str:
        """Return the last line of a wait in which every record ended in a copy: how many, of what, how much, and where.

        :param vault_id: the source vault.
        """
        backups = {backup.id: backup for backup, _ in self.listed.values()}
        names = sorted({resource_of(backup) for backup in backups.values()})
        servers = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        gb = sum(backup.resource_size or 0 for backup in backups.values())
        where = f" to {self.destination[0]}" if self.destination is not None else ""
        total = len(self.listed)
        return one_line(f"{total}/{total} replicated{where}, at most {gb_text(gb)}: {servers} (vault {vault_id})")

    def counts(self, gone: RecordsGone) -> dict[str, int]:
        """Return how many of the records ended how: ``succeeded``, ``failed``, ``skipped``, and ``missing``, of which nothing is known.

        :param gone: what the operation log says of the unlisted ones.
        """
        states = Counter(record.state for _, record in self.listed.values())
        return {
            "succeeded": states[CopyState.SUCCEEDED] + gone.succeeded,
            "failed": states[CopyState.FAILED] + gone.failed,
            "skipped": states[CopyState.SKIPPED],
            "missing": len(self.unlisted) - gone.succeeded - gone.failed - len(gone.running),
        }

    @property
    def destination(self) -> tuple[str, str] | None:
        """Return region and vault that all listed records lead to; None where they differ, or do not say so."""
        found = {(record.destination_region, record.destination_vault_id) for _, record in self.listed.values()}
        if len(found) != 1:
            return None
        region, vault_id = found.pop()
        return (str(region), str(vault_id)) if is_region(region) and is_id(vault_id) else None

    def failure(self, gone: Sequence[str] = ()) -> CbrReplicationFailedError | None:
        """Return the error of records that have all ended; None when every backup was copied.

        A record that ended in ``skip`` copied nothing. It is accepted only where another record shows that a copy existed before.

        :param gone: what is wrong with records that are no longer listed.
        :return: a permanent error: a record that has ended never changes again.
        """
        problems = list(gone)
        for backup, record in self.listed.values():
            if record.state is CopyState.FAILED:
                problems.append(f"{resource_of(backup)}: {failure_of(record)}; {ids_of(backup, record.id)}")
            elif record.state is CopyState.SKIPPED and success_beside(backup, record) is None:
                reason = "the service skipped the copy, and no earlier one is recorded"
                problems.append(f"{resource_of(backup)}: {reason}; {ids_of(backup, record.id)}")
        if not problems:
            return None
        return CbrReplicationFailedError(
            f"{len(problems)} of {counted(len(self.listed) + len(self.unlisted), 'replication record')} did not end in a copy.",
            problems=problems,
            advice="Run the replicate task again: it requests only the failed backups.",
            permanent=True,
        )


@dataclass(frozen=True, slots=True)
class RecordsGone:
    """What the operation log says about records that were listed once and no longer are.

    :param running: ids of the records whose copies are still running.
    :param problems: one line for each copy that failed, or that is not in the log.
    :param succeeded: how many of the copies ended in success.
    :param failed: how many failed.
    """

    running: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    succeeded: int = 0
    failed: int = 0


def find_records(backups: Iterable[Backup], record_ids: Iterable[str]) -> RecordsSeen:
    """Find replication records in a listing of their source vault's backups.

    :param backups: the vault's backups, listed with their replication records.
    :param record_ids: the records in question.
    :return: what was seen.
    """
    wanted = dict.fromkeys(record_ids)
    listed: dict[str, tuple[Backup, ReplicationRecord]] = {}
    is_without_records: bool | None = None
    for backup in backups:
        is_without_records = is_without_records is not False and backup.replication_records is None
        for record in backup.replication_records or ():
            if record.id in wanted:
                listed[record.id] = (backup, record)
    unlisted = [record_id for record_id in wanted if record_id not in listed]
    return RecordsSeen(listed, unlisted, is_without_records=is_without_records is True)


def unlisted_error(vault_id: str, seen: RecordsSeen, unlisted: Sequence[str], *, after: float) -> CbrUnlistedRecordError:
    """Return the error of records that the vault has never listed.

    :param vault_id: the source vault.
    :param seen: the newest look.
    :param unlisted: the records.
    :param after: seconds that the task has waited for them.
    """
    return CbrUnlistedRecordError(
        f"No backup has listed {counted(len(unlisted), 'replication record')} within {after:g} s (vault {vault_id}).",
        problems=[f"never listed (record {record_id})" for record_id in unlisted],
        advice="This cloud lists no replication records. Follow the copies with the replicate task, and verify them at the destination."
        if seen.is_without_records
        else "Check that vault_id, region and project_id are those of the vault in which the copies were started, and that these are ids "
        "of records, not of backups. If they are right, check the vault's tasks in the CBR console.",
    )


def gone_records(client: CbrClient, vault_id: str, vanished: Mapping[str, str]) -> RecordsGone:
    """Look up copies whose records have vanished in the operation log, before they count as lost.

    :param client: a client of the source region and project.
    :param vault_id: the source vault.
    :param vanished: backup id by record id.
    """
    logs = newest_by_backup(list_replication_logs(client, vault_id))
    running, problems = [], []
    ends = Counter[CoverageStatus]()
    for record_id, backup_id in vanished.items():
        status, reason = status_by_log(logs.get(backup_id))
        ends[status] += 1
        if status is CoverageStatus.IN_FLIGHT:
            running.append(record_id)
        elif status is not CoverageStatus.SUCCEEDED:
            ids = f"backup {backup_id}, {trace_of(logs.get(backup_id), record_id)}"
            problems.append(one_line(f"A copy: {status} ({reason}); {ids}"))
    return RecordsGone(running, problems, succeeded=ends[CoverageStatus.SUCCEEDED], failed=ends[CoverageStatus.FAILED])

"""Reading a coverage with an attempt's state: what is needed, what is running, what is published, and what is wrong.

Pure functions: the same look and the same state always give the same answer, whichever process asks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.api.texts import counted
from airflow_cbr.exceptions import CbrLimitError, CbrNothingToReplicateError, CbrReplicationFailedError
from airflow_cbr.inventory.backups import full_name_of, lacks_system_disk, reason_of_kind, resource_of
from airflow_cbr.inventory.coverage import BackupCoverage, Coverage, CoverageStatus, coverage_of
from airflow_cbr.inventory.settled import SettledBackups
from airflow_cbr.replication.refusals import describe, fails_for_good
from airflow_cbr.replication.vault_names import destination_text, source_text
from airflow_cbr.waiting.progress import Progress, measure, timeout_error

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_cbr.api.summaries import RecordSummary
    from airflow_cbr.exceptions import CbrReplicationTimeoutError
    from airflow_cbr.inventory.destination import Destination
    from airflow_cbr.replication.spec import ReplicationSpec
    from airflow_cbr.replication.state import ReplicationState

__all__ = [
    "Counts",
    "adoptable",
    "asks_for_vault",
    "check_limits",
    "counts_before_looking",
    "counts_of",
    "failure",
    "has_begun",
    "in_flight",
    "line_of",
    "needed",
    "newest_record_time",
    "progress_of",
    "record_ids_of",
    "running",
    "succeeded",
    "takes_settled",
    "timed_out",
    "uncovered",
    "unlisted",
]

Counts = dict[str, int]

SKIPS_LIMIT = 2
"""A copy that the vault call skipped is requested once more, individually; a second skip is final."""

MISSING = (CoverageStatus.UNRECORDED, CoverageStatus.ELSEWHERE, CoverageStatus.UNCLEAR, CoverageStatus.LOST)
PROBLEMS = (CoverageStatus.FAILED, *MISSING)


def takes_settled(destination: Destination, state: ReplicationState) -> SettledBackups:
    """Return what takes, from a look, the backups that were covered before and are nothing to this task; only their number is kept.

    :param destination: where the copies go.
    """
    return SettledBackups(
        lambda backup: coverage_of(backup, destination).status is CoverageStatus.SUCCEEDED,
        backup_ids={*(state.wanted or ()), *state.followed.values()},
        record_ids=state.followed,
        since=state.began,
    )


def needed(coverage: Coverage, state: ReplicationState) -> list[BackupCoverage]:
    """Return the backups whose copies must be requested, oldest first."""
    skips = skips_of(coverage, state)
    wanted = None if state.wanted is None else frozenset(state.wanted)
    return [
        one
        for one in coverage.of(CoverageStatus.UNRECORDED, CoverageStatus.FAILED, CoverageStatus.IN_FLIGHT)
        if one.backup.id not in state.given_up
        and skips[one.backup.id] < SKIPS_LIMIT
        and (wanted is None or one.backup.id in wanted)
        and _is_to_be_asked_for(one, state)
    ]


def uncovered(coverage: Coverage) -> list[str]:
    """Return the ids of the backups that an attempt's first look found without a copy, or that may still become eligible.

    What is requested later is among them: a record that a later look does not show must not make its backup look new.
    """
    return [
        one.backup.id
        for one in coverage.by_backup.values()
        if one.status is not CoverageStatus.SUCCEEDED
        and (one.status is not CoverageStatus.SKIPPED or (one.backup.status != "available" and reason_of_kind(one.backup) is None))
    ]


def _is_to_be_asked_for(one: BackupCoverage, state: ReplicationState) -> bool:
    if one.status is CoverageStatus.UNRECORDED:
        return True
    if one.status is CoverageStatus.FAILED:
        return bool(one.failed) and all(_is_worth_a_retry(record, state) for record in one.failed)
    return one.record is not None and one.record.id in state.disowned


def asks_for_vault(coverage: Coverage, state: ReplicationState, wanted: list[BackupCoverage]) -> bool:
    """Return whether what is needed is requested with one call for the vault, and not individually.

    The service refuses a server backup without a system disk each night (code 1004), so such a backup alone does not cause the call for the
    vault. Nor is that call sent to a service that was seen to copy a backup twice, which none is documented to do, or, where any backup has
    a replica, to a service that lists no records: its call is documented to copy all backups of the vault.
    """
    if (
        state.one_by_one
        or _copies_again(coverage)
        or (not coverage.lists_records and coverage.number_of(CoverageStatus.SUCCEEDED, CoverageStatus.UNCLEAR))
    ):
        return False
    return any(one.status is not CoverageStatus.FAILED and not lacks_system_disk(one.backup) for one in wanted)


def _copies_again(coverage: Coverage) -> bool:
    copies = Counter(
        backup_id for backup_id, record in coverage.records.values() if record.state not in (CopyState.FAILED, CopyState.SKIPPED)
    )
    return any(count > 1 for count in copies.values())


def _is_worth_a_retry(record: RecordSummary, state: ReplicationState) -> bool:
    """Return whether a copy that had failed before this attempt is requested again.

    A copy that failed permanently in this Dag run would fail again; the cause of an earlier failure may have been fixed since.
    """
    of_this_run = state.began is not None and _made_since(record, state.began)
    return record.id in state.stale and not (of_this_run and fails_for_good(record))


def skips_of(coverage: Coverage, state: ReplicationState) -> Counter[str]:
    """Return how often the service accepted a copy of a backup from this attempt and then skipped it."""
    return Counter(
        backup_id
        for record_id, (backup_id, record) in coverage.records.items()
        if record_id in state.accepted and record.state is CopyState.SKIPPED
    )


def unlisted(coverage: Coverage, state: ReplicationState) -> dict[str, str]:
    """Return backup id by record id for the followed copies that the listing does not show."""
    return {record_id: backup_id for record_id, backup_id in state.followed.items() if record_id not in coverage.records}


def in_flight(coverage: Coverage, state: ReplicationState) -> list[BackupCoverage]:
    """Return the backups whose copies have not ended."""
    return [one for one in coverage.of(CoverageStatus.IN_FLIGHT) if one.record is None or one.record.id not in state.disowned]


def running(coverage: Coverage, state: ReplicationState) -> list[str]:
    """Return the ids of the records that have not ended."""
    in_flight = coverage.of(CoverageStatus.IN_FLIGHT)
    listed = [one.record.id for one in in_flight if one.record is not None and one.record.id not in state.disowned]
    without_record = {one.backup.id for one in in_flight if one.record is None}
    return listed + [record_id for record_id, backup_id in unlisted(coverage, state).items() if backup_id in without_record]


def progress_of(coverage: Coverage, state: ReplicationState, *, now: datetime) -> Progress:
    """Return the progress of the followed copies.

    :param now: the service's clock.
    """
    listed = [coverage.records[record_id][1] for record_id in state.followed if record_id in coverage.records]
    return measure(listed, unlisted=sum(record_id not in coverage.records for record_id in running(coverage, state)), now=now)


def has_begun(coverage: Coverage, *, since: float | None) -> bool:
    """Return whether a record was made since this Dag run's task sent its first call.

    :param since: Unix time (service) after which every record of this Dag run's task was made, or None when it has sent nothing.
    """
    return since is not None and (coverage.has_timeless_record or any(made > since for made in coverage.record_times()))


def newest_record_time(coverage: Coverage) -> float:
    """Return the Unix time (service) of the newest record to the destination; 0 when no record has a time."""
    return max(coverage.record_times(), default=0.0)


def adoptable(coverage: Coverage, state: ReplicationState, *, since: float | None) -> dict[str, RecordSummary]:
    """Return the records, not followed yet, that this task adopts: all that are running, and all that were made since it began.

    :param since: Unix time (service) after which every record of this Dag run's task was made, or None when it has sent nothing.
    """
    return {
        record_id: record
        for record_id, (_, record) in coverage.records.items()
        if record_id not in state.followed
        and record.state is not CopyState.SKIPPED
        and (not record.is_final or (since is not None and _made_since(record, since)))
    }


def _made_since(record: RecordSummary, since: float) -> bool:
    return record.created is None or record.created.timestamp() > since


def record_ids_of(coverage: Coverage, state: ReplicationState) -> list[str]:
    """Return the accepted and adopted records, without those that a newer record of the same backup has replaced."""
    kept = []
    for record_id, backup_id in state.followed.items():
        one = coverage.by_backup.get(backup_id)
        replaced = one is not None and one.record is not None and one.record.id != record_id
        if not replaced or record_id not in coverage.records:
            kept.append(record_id)
    return kept


def counts_of(coverage: Coverage, state: ReplicationState) -> Counts:
    """Return the counts that go into the XCom: ``accepted`` and ``adopted`` count records, the others backups."""
    record_ids = record_ids_of(coverage, state)
    covered = succeeded(coverage, state)
    return {
        "accepted": sum(record_id in state.accepted for record_id in record_ids),
        "adopted": sum(record_id not in state.accepted for record_id in record_ids),
        "already": coverage.number_of(CoverageStatus.SUCCEEDED) - len(covered),
        "succeeded": len(covered),
        "failed": coverage.number_of(CoverageStatus.FAILED),
        "skipped": coverage.number_of(CoverageStatus.SKIPPED),
        "missing": coverage.number_of(*MISSING),
    }


def succeeded(coverage: Coverage, state: ReplicationState) -> list[BackupCoverage]:
    """Return the backups that are covered by a copy which this task is responsible for."""
    backups = {state.followed[record_id] for record_id in record_ids_of(coverage, state)}
    return [one for one in coverage.of(CoverageStatus.SUCCEEDED) if one.backup.id in backups]


def counts_before_looking(state: ReplicationState) -> Counts:
    """Return the counts at the moment of an acceptance, when only the number of copies is known."""
    unknown = dict.fromkeys(("already", "succeeded", "failed", "skipped", "missing"), 0)
    return {"accepted": len(state.accepted), "adopted": len(state.adopted), **unknown}


def check_limits(coverage: Coverage, state: ReplicationState, spec: ReplicationSpec, wanted: list[BackupCoverage]) -> None:
    """Refuse, before anything is sent, to start or to name more copies than the limits allow.

    :raises CbrLimitError: when a limit would be exceeded.
    """
    if spec.max_backups is not None and len(wanted) > spec.max_backups:
        raise CbrLimitError(
            f"{counted(len(wanted), 'backup')} would be replicated, more than max_backups={spec.max_backups}. Nothing was sent.",
            advice="If that many copies are intended, raise max_backups.",
        )
    named = len(record_ids_of(coverage, state)) + len(wanted)
    if spec.max_records is not None and named > spec.max_records:
        raise CbrLimitError(
            f"{counted(named, 'record id')} would be passed to a mapped task, more than [core] max_map_length={spec.max_records}. "
            "Nothing was sent.",
            advice="Map over batches of record ids, as the example Dag does, or raise max_map_length.",
        )


def failure(
    coverage: Coverage, state: ReplicationState, spec: ReplicationSpec
) -> CbrReplicationFailedError | CbrNothingToReplicateError | None:
    """Return why the task fails once nothing is running and nothing more can be requested; None when it succeeds."""
    problems = coverage.of(*PROBLEMS)
    skips = skips_of(coverage, state)
    if problems:
        lasting = all(one.status is CoverageStatus.ELSEWHERE or (one.record is not None and fails_for_good(one.record)) for one in problems)
        return CbrReplicationFailedError(
            f"Vault {source_text(spec, state)} is not fully replicated to {destination_text(spec, state)}: "
            f"{len(problems)} of {counted(coverage.eligible_number, 'eligible backup')} not covered.",
            problems=[_line(one, state, skips[one.backup.id]) for one in problems],
            advice="Fix what each line says; a retry would be refused again."
            if lasting
            else "Copies that succeeded are kept. Run the task again: it requests only these backups.",
            permanent=lasting,
        )
    if not coverage.eligible_number and not spec.allow_empty:
        skipped = "".join(f"\n  - {one}" for one in coverage.of(CoverageStatus.SKIPPED))
        return CbrNothingToReplicateError(
            f"Nothing to replicate in vault {source_text(spec, state)}: it holds no eligible backup.{skipped}",
            advice="Check vault_id and that backups are made; only if an empty vault is fine, set allow_empty=True.",
        )
    return None


def timed_out(spec: ReplicationSpec, state: ReplicationState, coverage: Coverage, still_running: list[str]) -> CbrReplicationTimeoutError:
    """Return the error of a task whose deadline has passed.

    :param coverage: the newest look.
    """
    seen = {one: coverage.by_backup[state.followed[one]] for one in still_running if state.followed.get(one) in coverage.by_backup}
    resources = {record_id: resource_of(one.backup) for record_id, one in seen.items()}
    return timeout_error(f"vault {source_text(spec, state)}", spec.timeout, still_running, resources)


def line_of(being_made: list[BackupCoverage]) -> str:
    """Return which backups are still being made, the first five by name."""
    names = ", ".join(full_name_of(one.backup) for one in being_made[:5])
    return f"{counted(len(being_made), 'backup is', 'backups are')} still being made: {names}"


def _line(one: BackupCoverage, state: ReplicationState, skips: int) -> str:
    reason = one.reason
    if note := state.given_up.get(one.backup.id):
        reason = ", ".join(part for part in (reason, describe(note)) if part)
    elif skips:
        reason = ", ".join(part for part in (reason, f"the service accepted the copy and skipped it, {counted(skips, 'time')}") if part)
    return str(replace(one, reason=reason))

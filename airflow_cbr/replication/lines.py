"""The lines in which a submission says what it does: what is copied first, and ids last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cbr.api.texts import counted
from airflow_cbr.inventory.backups import name_of, resource_of
from airflow_cbr.inventory.measures import gb_of, gb_text
from airflow_cbr.replication.vault_names import destination_text

if TYPE_CHECKING:
    from airflow_cbr.api.models import ReplicationReference
    from airflow_cbr.api.summaries import RecordSummary
    from airflow_cbr.inventory.coverage import BackupCoverage, Coverage
    from airflow_cbr.replication.spec import ReplicationSpec
    from airflow_cbr.replication.state import ReplicationState

__all__ = ["about_to_replicate", "accepted", "adopted"]


def about_to_replicate(coverage: Coverage, ready: list[BackupCoverage], spec: ReplicationSpec, state: ReplicationState) -> str:
    """Return what is about to be asked for, and paid.

    :param coverage: the look that it rests on.
    :param ready: the backups that are asked for.
    """
    gb = gb_text(gb_of(ready))
    of = counted(coverage.eligible_number, "eligible backup")
    return f"About to replicate {len(ready)} of {of}, at most {gb}, to {destination_text(spec, state)}"


def accepted(coverage: Coverage, pair: ReplicationReference) -> str:
    """Return that the service accepted a copy.

    :param coverage: the newest look.
    :param pair: backup and record.
    """
    what, backup = _named(coverage, pair.backup_id)
    return f"CBR accepted the copy of {what}; backup {backup}, replication record {pair.replication_record_id}"


def adopted(coverage: Coverage, record: RecordSummary, *, foreign: bool) -> str:
    """Return that a copy is followed which this attempt has not asked for.

    :param coverage: the look that shows it.
    :param record: its record.
    :param foreign: whether something else started it.
    """
    what, backup = _named(coverage, coverage.records[record.id][0])
    by = "; by its auto_trigger flag, something else started it" if foreign else ""
    return (
        f"Adopted the copy of {what}: {record.status}, created at {record.created_at}{by}; backup {backup}, replication record {record.id}"
    )


def _named(coverage: Coverage, backup_id: str) -> tuple[str, str]:
    """Return how a line names what was backed up, and its backup."""
    one = coverage.by_backup.get(backup_id)
    return (resource_of(one.backup), name_of(one.backup)) if one is not None else ("a backup", backup_id)

"""The one table of what is compared, of replication records and of replicas. A further field is a further line.

What a missing field means follows from the API reference. Of a record only the id is guaranteed, so a field that a record leaves
out is not compared. A backup's row is guaranteed to name its resource, its vault and its time, so a replica that leaves one of these
out is wrong. A field that both sides have, and that differs, is wrong in any case. Ids are compared as they are written.

Long lists are not judged line by line: plain rows are passed by a single condition, in :mod:`airflow_cbr.verification.reading` and
:mod:`airflow_cbr.verification.replica_check`. A property test holds those to this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_cbr.verification import rules
from airflow_cbr.verification.faults import Fault

if TYPE_CHECKING:
    from airflow_cbr.api.models import JudgedBackup, ReplicationRecord
    from airflow_cbr.inventory.destination import Destination
    from airflow_cbr.verification.levels import Source
    from airflow_cbr.verification.source_inventory import BackupRow

__all__ = [
    "Comparison",
    "RecordCase",
    "ReplicaCase",
    "where_it_leads",
    "wrongs_of_record",
    "wrongs_of_replica",
]

_STAYS: Final = (None, "error", "deleting", "waiting_delete")
"""A replica with one of these statuses will not become available; any other status, documented or not, may pass."""


class RecordCase(NamedTuple):
    """A successful record with what it is compared with.

    :param backup: the backup that lists it.
    :param record: the record.
    :param source: where the backup was looked for.
    :param destination: where its copy must be.
    """

    backup: JudgedBackup
    record: ReplicationRecord
    source: Source
    destination: Destination


class ReplicaCase(NamedTuple):
    """A replica with what it is compared with.

    :param row: the source backup that claims it.
    :param replica: what the destination region lists under the id that the row claims.
    :param destination: where it must be.
    :param now: the time until which it must not have expired.
    :param retention: seconds after the creation of the source backup for which it must be kept, or None.
    """

    row: BackupRow
    replica: JudgedBackup
    destination: Destination
    now: datetime
    retention: float | None


class Comparison(NamedTuple):
    """One line of the table.

    :param fault: what is wrong where the rule does not hold.
    :param ours: reads from a case what is expected.
    :param theirs: reads from a case what is found.
    :param rule: whether that is right, given both in this order.
    :param wording: says what is wrong, with ``{ours}`` and ``{theirs}``.
    """

    fault: Fault
    ours: Callable[[Any], Any]
    theirs: Callable[[Any], Any]
    rule: Callable[[Any, Any], bool]
    wording: str


# --- the table ----------------------------------------------------------------------------------------------------------------


def _system_disk_of(backup: JudgedBackup) -> bool | None:
    return None if backup.extend_info is None else backup.extend_info.contain_system_disk


def _nothing(_: object) -> None:
    """Stand for what is expected where the rule knows it."""


def _retention_of(case: ReplicaCase) -> tuple[datetime | None, float | None]:
    return case.row.created, case.retention


_WHERE_IT_LEADS: Final = (
    Comparison(
        Fault.RECORD_DESTINATION,
        lambda case: case.destination.region,
        lambda case: case.record.destination_region,
        rules.not_contrary,
        "its record leads to region {theirs}, not to {ours}",
    ),
    Comparison(
        Fault.RECORD_DESTINATION,
        lambda case: case.destination.project_id,
        lambda case: case.record.destination_project_id,
        rules.not_contrary,
        "its record leads to project {theirs}, not to {ours}",
    ),
    Comparison(
        Fault.RECORD_DESTINATION,
        lambda case: case.destination.vault_id,
        lambda case: case.record.destination_vault_id,
        rules.not_contrary,
        "its record leads to vault {theirs}, not to {ours}",
    ),
    Comparison(
        Fault.RECORD_DESTINATION,
        lambda case: case.destination.vault_id,
        lambda case: case.record.extra.destination_vault_id,
        rules.not_contrary,
        "the extra_info of its record leads to vault {theirs}, not to {ours}",
    ),
)
_RECORD: Final = (
    *_WHERE_IT_LEADS,
    Comparison(
        Fault.RECORD_FOREIGN,
        lambda case: case.backup.id,
        lambda case: case.record.source_backup_id,
        rules.not_contrary,
        "its record says that it belongs to backup {theirs}",
    ),
    Comparison(
        Fault.RECORD_CHECKPOINT,
        lambda case: case.backup.checkpoint_id,
        lambda case: case.record.source_checkpoint_id,
        rules.not_contrary,
        "its record says that it belongs to checkpoint {theirs}, but its backup belongs to {ours}",
    ),
    Comparison(
        Fault.RECORD_VAULT,
        lambda case: case.source.vault_id,
        lambda case: case.record.vault_id,
        rules.not_contrary,
        "its record says that it comes from vault {theirs}, not from {ours}",
    ),
    Comparison(
        Fault.RECORD_PROJECT,
        lambda case: case.source.project_id,
        lambda case: case.record.source_project_id,
        rules.not_contrary,
        "its record says that it comes from project {theirs}, not from {ours}",
    ),
    Comparison(
        Fault.RECORD_REGION,
        lambda case: case.source.region,
        lambda case: case.record.source_region,
        rules.no_other_region,
        "its record says that it comes from region {theirs}, not from {ours}",
    ),
    Comparison(
        Fault.BACKUP_FOREIGN,
        lambda case: case.source.vault_id,
        lambda case: case.backup.vault_id,
        rules.not_contrary,
        "the source vault {ours} lists it, but its row says that it is in vault {theirs}",
    ),
    Comparison(
        Fault.BACKUP_FOREIGN,
        lambda case: case.source.project_id,
        lambda case: case.backup.project_id,
        rules.not_contrary,
        "the source project {ours} lists it, but its row says that it is in project {theirs}",
    ),
    Comparison(
        Fault.BACKUP_FOREIGN,
        lambda case: (None, "backup"),
        lambda case: case.backup.image_type,
        rules.among,
        "its image_type is {theirs}, not backup",
    ),
)
_REPLICA: Final = (
    Comparison(
        Fault.REPLICA_KIND,
        lambda case: "replication",
        lambda case: case.replica.image_type,
        rules.both_say_the_same,
        "its image_type is {theirs}, not {ours}",
    ),
    Comparison(
        Fault.REPLICA_KIND,
        lambda case: case.replica.id,
        lambda case: case.replica.parent_id,
        rules.other,
        "it names itself as its parent",
    ),
    Comparison(
        Fault.REPLICA_STATUS,
        lambda case: _STAYS,
        lambda case: case.replica.status,
        rules.not_among,
        "its status is {theirs}, not available",
    ),
    Comparison(
        Fault.REPLICA_UNSETTLED,
        lambda case: ("available", *_STAYS),
        lambda case: case.replica.status,
        rules.among,
        "its status is {theirs}, not available",
    ),
    Comparison(
        Fault.REPLICA_VAULT,
        lambda case: case.destination.vault_id,
        lambda case: case.replica.vault_id,
        rules.both_say_the_same,
        "it is in vault {theirs}, not in {ours}",
    ),
    Comparison(
        Fault.REPLICA_PROJECT,
        lambda case: case.destination.project_id,
        lambda case: case.replica.project_id,
        rules.both_say_the_same,
        "it is in project {theirs}, not in {ours}",
    ),
    Comparison(
        Fault.REPLICA_CHECKPOINT,
        lambda case: case.row.replica_checkpoint_id,
        lambda case: case.replica.checkpoint_id,
        rules.said_and_not_contrary,
        "it belongs to checkpoint {theirs}, but its record names checkpoint {ours}",
    ),
    Comparison(
        Fault.REPLICA_RESOURCE,
        lambda case: case.row.kind.resource_id,
        lambda case: case.replica.resource_id,
        rules.both_say_the_same,
        "it is of resource {theirs}, not of {ours}",
    ),
    Comparison(
        Fault.REPLICA_TYPE,
        lambda case: case.row.kind.resource_type,
        lambda case: case.replica.resource_type,
        rules.as_the_source_says,
        "its resource_type is {theirs}, the source's {ours}",
    ),
    Comparison(
        Fault.REPLICA_PROVIDER,
        lambda case: case.row.kind.provider_id,
        lambda case: case.replica.provider_id,
        rules.as_the_source_says,
        "its provider_id is {theirs}, the source's {ours}",
    ),
    Comparison(
        Fault.REPLICA_DISKS,
        lambda case: case.row.kind.has_system_disk,
        lambda case: _system_disk_of(case.replica),
        rules.not_contrary,
        "its contain_system_disk is {theirs}, the source's {ours}",
    ),
    Comparison(
        Fault.REPLICA_SIZE,
        lambda case: case.row.size,
        lambda case: case.replica.resource_size,
        rules.both_say_the_same,
        "its size is {theirs} GB, the source's {ours} GB",
    ),
    Comparison(
        Fault.SIZE_IMPLAUSIBLE,
        _nothing,
        lambda case: case.replica.resource_size,
        rules.plausible,
        "its size is {theirs} GB, which is not a possible size",
    ),
    Comparison(
        Fault.REPLICA_TOO_EARLY,
        lambda case: case.row.created,
        lambda case: case.replica.created_at,
        rules.not_before,
        "it was made at {theirs}, but its source at {ours}",
    ),
    Comparison(
        Fault.REPLICA_EXPIRED,
        lambda case: case.now,
        lambda case: case.replica.expired_at,
        rules.after,
        "it expired at {theirs}; the time now is {ours:%Y-%m-%dT%H:%M:%S%z}",
    ),
    Comparison(
        Fault.REPLICA_EXPIRES,
        _nothing,
        lambda case: case.replica.expired_at,
        rules.readable_if_said,
        "its expiry time cannot be read: {theirs!r}",
    ),
    Comparison(
        Fault.REPLICA_EXPIRES,
        _retention_of,
        lambda case: case.replica.expired_at,
        rules.kept_for,
        "it expires at {theirs}, less than {ours[1]:g} s after its source was made",
    ),
    Comparison(
        Fault.REPLICA_EXPIRES,
        _retention_of,
        lambda case: case.replica.expired_at,
        rules.counted_from_a_time,
        "it expires at {theirs}, but the service does not return when its source was made",
    ),
)


def where_it_leads(case: RecordCase) -> list[tuple[Fault, str]]:
    """Return what is wrong with where a record leads, whatever its status.

    :param case: the record.
    """
    return list(_wrongs(_WHERE_IT_LEADS, case))


def wrongs_of_record(case: RecordCase) -> list[tuple[Fault, str]]:
    """Return what is wrong with a successful record, each with its wording.

    :param case: the record.
    """
    return list(_wrongs(_RECORD, case))


def wrongs_of_replica(case: ReplicaCase) -> list[tuple[Fault, str]]:
    """Return what is wrong with a replica, each with its wording.

    :param case: the replica.
    """
    return list(_wrongs(_REPLICA, case))


def _wrongs(table: tuple[Comparison, ...], case: RecordCase | ReplicaCase) -> Iterator[tuple[Fault, str]]:
    for fault, ours_of, theirs_of, rule, wording in table:
        ours, theirs = ours_of(case), theirs_of(case)
        if not rule(ours, theirs):
            yield fault, wording.format(ours=ours, theirs=theirs)

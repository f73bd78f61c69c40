"""The one table of what is compared, of replication records and of replicas. A further field is a further line.

What a missing field means follows from the API reference. Of a record only the id is guaranteed, so a field that a record leaves
out is not compared. A backup's row is guaranteed to name its resource, its vault and its time, so a replica that leaves one of these
out is wrong. A field that both sides have, and that differs, is wrong in any case. Ids are compared as they are written.

Long lists are not judged line by line: plain rows are passed by a single condition, in :mod:`airflow_cbr.verification.reading` and
:mod:`airflow_cbr.verification.replica_check`. A property test holds those to this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_cbr.api.models import parse_time
from airflow_cbr.verification.faults import Fault

if TYPE_CHECKING:
    from airflow_cbr.api.models import Backup, ReplicationRecord
    from airflow_cbr.inventory.coverage import Destination
    from airflow_cbr.verification.levels import Source
    from airflow_cbr.verification.source_inventory import BackupRow

__all__ = [
    "CLOCK_MARGIN",
    "LARGEST_GB",
    "Comparison",
    "RecordCase",
    "ReplicaCase",
    "is_plausible_size",
    "where_it_leads",
    "wrongs_of_record",
    "wrongs_of_replica",
]

CLOCK_MARGIN: Final = timedelta(minutes=5)
"""How far the clocks of two regions may differ."""

LARGEST_GB: Final = 10**9
"""An exabyte; no resource is larger."""
_STAYS: Final = (None, "error", "deleting", "waiting_delete")
"""A replica with one of these statuses will not become available; any other status, documented or not, may pass."""


class RecordCase(NamedTuple):
    """A successful record with what it is compared with.

    :param backup: the backup that lists it.
    :param record: the record.
    :param source: where the backup was looked for.
    :param destination: where its copy must be.
    """

    backup: Backup
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
    replica: Backup
    destination: Destination
    now: datetime
    retention: float | None


class Comparison(NamedTuple):
    """One line of the table.

    :param fault: what is wrong where the rule does not hold.
    :param ours: reads from a case what is expected.
    :param theirs: reads from a case what is found.
    :param rule: whether that is right, given both in this order.
    :param wording: says what is wrong, with ``{ours}``, ``{theirs}`` and ``{case}``.
    """

    fault: Fault
    ours: Callable[[Any], Any]
    theirs: Callable[[Any], Any]
    rule: Callable[[Any, Any], bool]
    wording: str


# --- rules --------------------------------------------------------------------------------------------------------------------


def is_plausible_size(size: float | None) -> bool:
    """Return whether a number can be a resource's size: more than nothing, at most an exabyte. Infinity and ``nan`` cannot.

    :param size: GB, or None when it is not said.
    """
    return size is not None and 0 < size <= LARGEST_GB


def _both_say_the_same(ours: object, theirs: object) -> bool:
    return ours is not None and ours == theirs


def _as_the_source_says(ours: object, theirs: object) -> bool:
    return ours is None or ours == theirs


def _not_contrary(ours: object, theirs: object) -> bool:
    return ours is None or theirs is None or ours == theirs


def _no_other_region(ours: str | None, theirs: str | None) -> bool:
    # The published answers name regions by nicknames too, such as southchina; every region id has a hyphen.
    return ours is None or theirs is None or "-" not in theirs or ours == theirs


def _other(ours: object, theirs: object) -> bool:
    return ours != theirs


def _said_and_not_contrary(ours: object, theirs: object) -> bool:
    return bool(theirs) and (ours is None or ours == theirs)


def _among(ours: tuple[object, ...], theirs: object) -> bool:
    return theirs in ours


def _not_among(ours: tuple[object, ...], theirs: object) -> bool:
    return theirs not in ours


def _plausible(_: object, theirs: float | None) -> bool:
    return theirs is None or is_plausible_size(theirs)


def _not_before(ours: datetime | None, theirs: str | None) -> bool:
    made = parse_time(theirs)
    return ours is None or (made is not None and made - ours >= -CLOCK_MARGIN)


def _readable_if_said(_: object, theirs: str | None) -> bool:
    return theirs is None or parse_time(theirs) is not None


def _after(ours: datetime, theirs: str | None) -> bool:
    expiry = parse_time(theirs)
    return expiry is None or expiry > ours


def _kept_for(ours: tuple[datetime | None, float | None], theirs: str | None) -> bool:
    (made, retention), expiry = ours, parse_time(theirs)
    # A difference cannot overflow; a time in the year 9999 and a retention can.
    return retention is None or made is None or expiry is None or (expiry - made).total_seconds() >= retention


def _counted_from_a_time(ours: tuple[datetime | None, float | None], theirs: str | None) -> bool:
    made, retention = ours
    return retention is None or theirs is None or made is not None


# --- the table ----------------------------------------------------------------------------------------------------------------


def _system_disk_of(backup: Backup) -> bool | None:
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
        _not_contrary,
        "record {case.record.id} leads to region {theirs}, not to {ours}",
    ),
    Comparison(
        Fault.RECORD_DESTINATION,
        lambda case: case.destination.project_id,
        lambda case: case.record.destination_project_id,
        _not_contrary,
        "record {case.record.id} leads to project {theirs}, not to {ours}",
    ),
    Comparison(
        Fault.RECORD_DESTINATION,
        lambda case: case.destination.vault_id,
        lambda case: case.record.destination_vault_id,
        _not_contrary,
        "record {case.record.id} leads to vault {theirs}, not to {ours}",
    ),
    Comparison(
        Fault.RECORD_DESTINATION,
        lambda case: case.destination.vault_id,
        lambda case: case.record.extra.destination_vault_id,
        _not_contrary,
        "the extra_info of record {case.record.id} leads to vault {theirs}, not to {ours}",
    ),
)
_RECORD: Final = (
    *_WHERE_IT_LEADS,
    Comparison(
        Fault.RECORD_FOREIGN,
        lambda case: case.backup.id,
        lambda case: case.record.source_backup_id,
        _not_contrary,
        "record {case.record.id} says that it belongs to backup {theirs}",
    ),
    Comparison(
        Fault.RECORD_CHECKPOINT,
        lambda case: case.backup.checkpoint_id,
        lambda case: case.record.source_checkpoint_id,
        _not_contrary,
        "record {case.record.id} says that it belongs to checkpoint {theirs}, but its backup belongs to {ours}",
    ),
    Comparison(
        Fault.RECORD_VAULT,
        lambda case: case.source.vault_id,
        lambda case: case.record.vault_id,
        _not_contrary,
        "record {case.record.id} says that it comes from vault {theirs}, not from {ours}",
    ),
    Comparison(
        Fault.RECORD_PROJECT,
        lambda case: case.source.project_id,
        lambda case: case.record.source_project_id,
        _not_contrary,
        "record {case.record.id} says that it comes from project {theirs}, not from {ours}",
    ),
    Comparison(
        Fault.RECORD_REGION,
        lambda case: case.source.region,
        lambda case: case.record.source_region,
        _no_other_region,
        "record {case.record.id} says that it comes from region {theirs}, not from {ours}",
    ),
    Comparison(
        Fault.BACKUP_FOREIGN,
        lambda case: case.source.vault_id,
        lambda case: case.backup.vault_id,
        _not_contrary,
        "the source vault {ours} lists it, but its row says that it is in vault {theirs}",
    ),
    Comparison(
        Fault.BACKUP_FOREIGN,
        lambda case: case.source.project_id,
        lambda case: case.backup.project_id,
        _not_contrary,
        "the source project {ours} lists it, but its row says that it is in project {theirs}",
    ),
    Comparison(
        Fault.BACKUP_FOREIGN,
        lambda case: (None, "backup"),
        lambda case: case.backup.image_type,
        _among,
        "its image_type is {theirs}, not backup",
    ),
)
_REPLICA: Final = (
    Comparison(
        Fault.REPLICA_KIND,
        lambda case: "replication",
        lambda case: case.replica.image_type,
        _both_say_the_same,
        "its image_type is {theirs}, not {ours}",
    ),
    Comparison(
        Fault.REPLICA_KIND,
        lambda case: case.replica.id,
        lambda case: case.replica.parent_id,
        _other,
        "it names itself as its parent",
    ),
    Comparison(
        Fault.REPLICA_STATUS,
        lambda case: _STAYS,
        lambda case: case.replica.status,
        _not_among,
        "its status is {theirs}, not available",
    ),
    Comparison(
        Fault.REPLICA_UNSETTLED,
        lambda case: ("available", *_STAYS),
        lambda case: case.replica.status,
        _among,
        "its status is {theirs}, not available",
    ),
    Comparison(
        Fault.REPLICA_VAULT,
        lambda case: case.destination.vault_id,
        lambda case: case.replica.vault_id,
        _both_say_the_same,
        "it is in vault {theirs}, not in {ours}",
    ),
    Comparison(
        Fault.REPLICA_PROJECT,
        lambda case: case.destination.project_id,
        lambda case: case.replica.project_id,
        _both_say_the_same,
        "it is in project {theirs}, not in {ours}",
    ),
    Comparison(
        Fault.REPLICA_CHECKPOINT,
        lambda case: case.row.replica_checkpoint_id,
        lambda case: case.replica.checkpoint_id,
        _said_and_not_contrary,
        "it belongs to checkpoint {theirs}, but its record names checkpoint {ours}",
    ),
    Comparison(
        Fault.REPLICA_RESOURCE,
        lambda case: case.row.resource_id,
        lambda case: case.replica.resource_id,
        _both_say_the_same,
        "it is of resource {theirs}, not of {ours}",
    ),
    Comparison(
        Fault.REPLICA_TYPE,
        lambda case: case.row.resource_type,
        lambda case: case.replica.resource_type,
        _as_the_source_says,
        "its resource_type is {theirs}, the source's {ours}",
    ),
    Comparison(
        Fault.REPLICA_PROVIDER,
        lambda case: case.row.provider_id,
        lambda case: case.replica.provider_id,
        _as_the_source_says,
        "its provider_id is {theirs}, the source's {ours}",
    ),
    Comparison(
        Fault.REPLICA_DISKS,
        lambda case: case.row.has_system_disk,
        lambda case: _system_disk_of(case.replica),
        _not_contrary,
        "its contain_system_disk is {theirs}, the source's {ours}",
    ),
    Comparison(
        Fault.REPLICA_SIZE,
        lambda case: case.row.size,
        lambda case: case.replica.resource_size,
        _both_say_the_same,
        "its size is {theirs} GB, the source's {ours} GB",
    ),
    Comparison(
        Fault.SIZE_IMPLAUSIBLE,
        _nothing,
        lambda case: case.replica.resource_size,
        _plausible,
        "its size is {theirs} GB, which is not a possible size",
    ),
    Comparison(
        Fault.REPLICA_TOO_EARLY,
        lambda case: case.row.created,
        lambda case: case.replica.created_at,
        _not_before,
        "it was made at {theirs}, but its source at {ours}",
    ),
    Comparison(
        Fault.REPLICA_EXPIRED,
        lambda case: case.now,
        lambda case: case.replica.expired_at,
        _after,
        "it expired at {theirs}; the time now is {ours:%Y-%m-%dT%H:%M:%S%z}",
    ),
    Comparison(
        Fault.REPLICA_EXPIRES,
        _nothing,
        lambda case: case.replica.expired_at,
        _readable_if_said,
        "its expiry time cannot be read: {theirs!r}",
    ),
    Comparison(
        Fault.REPLICA_EXPIRES,
        _retention_of,
        lambda case: case.replica.expired_at,
        _kept_for,
        "it expires at {theirs}, less than {ours[1]:g} s after its source was made",
    ),
    Comparison(
        Fault.REPLICA_EXPIRES,
        _retention_of,
        lambda case: case.replica.expired_at,
        _counted_from_a_time,
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
            yield fault, wording.format(ours=ours, theirs=theirs, case=case)

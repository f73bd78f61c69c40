"""The ways in which a copy can be wrong: each with the level that catches it, and with what to do."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from airflow_cbr.verification.levels import Level

__all__ = ["MAY_SETTLE", "Fault", "advice_on", "level_of"]


class Fault(StrEnum):
    """One way to be wrong; the values are part of reports and do not change."""

    RECORD_UNLISTED = "record_unlisted"
    """No backup of the source vault lists the record."""
    NO_RECORD = "no_record"
    """The backup has no replication record to the destination."""
    RECORD_FAILED = "record_failed"
    """The record is ``fail``."""
    RECORD_UNFINISHED = "record_unfinished"
    """The record has not ended, or its status is not documented."""
    RECORD_SKIPPED = "record_skipped"
    """The record is ``skip``, and no earlier success explains it."""
    RECORD_FOREIGN = "record_foreign"
    """The record says that it belongs to another backup than the one that lists it."""
    RECORD_CHECKPOINT = "record_checkpoint"
    """The record says that it belongs to another checkpoint than its backup."""
    RECORD_VAULT = "record_vault"
    """The record says that it comes from another vault than the one that was asked about."""
    RECORD_PROJECT = "record_project"
    """The record says that it comes from another project."""
    RECORD_REGION = "record_region"
    """The record says that it comes from another region."""
    RECORD_DESTINATION = "record_destination"
    """The record that was asked about leads to another region, project or vault."""
    RECORD_TWICE = "record_twice"
    """The backup lists the record more than once, with different contents."""
    BACKUP_FOREIGN = "backup_foreign"
    """The source vault lists a backup whose row says that it belongs to another vault or project, or is not a backup."""
    BACKUP_TWICE = "backup_twice"
    """The source vault lists the backup more than once, with different contents."""
    ELSEWHERE = "elsewhere"
    """The destination region has the copy in another vault."""

    REPLICA_UNNAMED = "replica_unnamed"
    """The record is ``success`` and names no replica."""
    REPLICA_MISSING = "replica_missing"
    """The replica does not exist in the destination region."""
    REPLICA_SHARED = "replica_shared"
    """Two backups claim the same replica."""
    REPLICA_IS_SOURCE = "replica_is_source"
    """The record names a backup of the source vault as the replica, mostly the one that was copied."""
    REPLICA_TWICE = "replica_twice"
    """The destination lists the replica more than once, with different contents."""
    REPLICA_UNSETTLED = "replica_unsettled"
    """The replica exists, but is not available yet."""
    REPLICA_STATUS = "replica_status"
    """The replica's status will not become available, or is missing."""
    REPLICA_KIND = "replica_kind"
    """The replica's ``image_type`` is not ``replication``, or it names itself as its parent."""
    REPLICA_VAULT = "replica_vault"
    """The replica is in another vault."""
    REPLICA_PROJECT = "replica_project"
    """The replica belongs to another project, or its row does not name one."""
    REPLICA_CHECKPOINT = "replica_checkpoint"
    """The replica belongs to no checkpoint, or to another one than its record names."""
    REPLICA_RESOURCE = "replica_resource"
    """The replica belongs to another resource, or one side does not name one."""
    REPLICA_TYPE = "replica_type"
    """The replica's ``resource_type`` is not that of its source."""
    REPLICA_PROVIDER = "replica_provider"
    """The replica's ``provider_id`` is not that of its source."""
    REPLICA_DISKS = "replica_disks"
    """One side contains the server's system disk, and the other does not."""
    REPLICA_SIZE = "replica_size"
    """The replica has another size, or one side does not name it."""
    SIZE_IMPLAUSIBLE = "size_implausible"
    """The replica's size is not a possible one: zero, negative, or not a number."""
    REPLICA_TOO_EARLY = "replica_too_early"
    """The replica was made before its source backup, or its time is missing."""
    REPLICA_EXPIRED = "replica_expired"
    """The replica has expired already."""
    REPLICA_EXPIRES = "replica_expires"
    """The replica expires before the required retention is over, or its expiry time is not known."""
    CHECKPOINT_INCOMPLETE = "checkpoint_incomplete"
    """Another backup of the same checkpoint has no good replica, or another backup in the replica's checkpoint is not available."""
    CHECKPOINT_UNSETTLED = "checkpoint_unsettled"
    """The same, but it may pass: that other replica is not available yet."""

    BOUND_RESOURCES_UNKNOWN = "bound_resources_unknown"
    """The resources that are bound to the source vault cannot be read."""
    RESOURCE_UNCOVERED = "resource_uncovered"
    """A bound resource has no verified replica at all."""
    NEWEST_UNCOVERED = "newest_uncovered"
    """A bound resource has a verified replica, but its newest eligible backup has none."""

    TOO_OLD = "too_old"
    """The newest verified replica of a resource is older than ``max_age``."""
    AGE_UNKNOWN = "age_unknown"
    """The age of a resource's newest verified replica is not known, or there is no such replica."""
    FROM_THE_FUTURE = "from_the_future"
    """The source backup of a resource's newest verified replica says that it was made later than now."""

    VAULT_UNREADABLE = "vault_unreadable"
    """The destination vault does not exist, or cannot be read."""
    VAULT_KIND = "vault_kind"
    """The destination vault's ``protect_type`` is not ``replication``."""
    VAULT_OBJECT_TYPE = "vault_object_type"
    """The destination vault is for another kind of resources than the source vault, or one side does not name the kind."""
    VAULT_STATUS = "vault_status"
    """The destination vault's status is not ``available``."""
    VAULT_ROOM = "vault_room"
    """The destination vault has no room for the next night, or its free capacity is not known."""
    VAULT_UNLOCKED = "vault_unlocked"
    """The destination vault is not locked, but must be."""


MAY_SETTLE: Final = frozenset({Fault.REPLICA_MISSING, Fault.REPLICA_UNSETTLED, Fault.CHECKPOINT_UNSETTLED})
"""What may become right by itself a little later."""

_LEVELS: Final = {
    Level.RECORD: (
        Fault.RECORD_UNLISTED,
        Fault.NO_RECORD,
        Fault.RECORD_FAILED,
        Fault.RECORD_UNFINISHED,
        Fault.RECORD_SKIPPED,
        Fault.RECORD_FOREIGN,
        Fault.RECORD_CHECKPOINT,
        Fault.RECORD_VAULT,
        Fault.RECORD_PROJECT,
        Fault.RECORD_REGION,
        Fault.RECORD_DESTINATION,
        Fault.RECORD_TWICE,
        Fault.BACKUP_FOREIGN,
        Fault.BACKUP_TWICE,
        Fault.ELSEWHERE,
    ),
    Level.COVERAGE: (Fault.BOUND_RESOURCES_UNKNOWN, Fault.RESOURCE_UNCOVERED, Fault.NEWEST_UNCOVERED),
    Level.RPO: (Fault.TOO_OLD, Fault.AGE_UNKNOWN, Fault.FROM_THE_FUTURE),
    Level.VAULT: (
        Fault.VAULT_UNREADABLE,
        Fault.VAULT_KIND,
        Fault.VAULT_OBJECT_TYPE,
        Fault.VAULT_STATUS,
        Fault.VAULT_ROOM,
        Fault.VAULT_UNLOCKED,
    ),
}
_LEVEL_OF: Final = {fault: level for level, faults in _LEVELS.items() for fault in faults}

_REPLICATE_AGAIN: Final = "Run the replicate task again: it requests only what is not copied yet."
_LOOK_AGAIN: Final = "Wait for the copy to end, then verify again."
_COPY_AGAIN: Final = "run CbrReplicateBackupOperator for this backup"
_REPLACE: Final = f"Delete this replica in the destination vault, then {_COPY_AGAIN}."
_VAULT: Final = "Name the right destination_vault_id."
_CONTRADICTED: Final = "Ask Huawei Cloud support, quoting the record id: the record contradicts the backup that lists it."
_LISTED_TWICE: Final = "Verify again. If it lasts, ask Huawei Cloud support, quoting the id: which of the two rows is right is not known."

_ADVICE: Final = {
    Fault.RECORD_UNLISTED: "Check vault_id; if it is right, the source backup was deleted, and the copy can only be looked up by hand.",
    Fault.NO_RECORD: _REPLICATE_AGAIN,
    Fault.RECORD_FAILED: _REPLICATE_AGAIN,
    Fault.RECORD_UNFINISHED: _LOOK_AGAIN,
    Fault.RECORD_SKIPPED: _REPLICATE_AGAIN,
    Fault.RECORD_FOREIGN: _CONTRADICTED,
    Fault.RECORD_CHECKPOINT: _CONTRADICTED,
    Fault.RECORD_VAULT: "Check vault_id; if it is right, ask Huawei Cloud support, quoting the record id.",
    Fault.RECORD_PROJECT: "Check project_id; if it is right, ask Huawei Cloud support, quoting the record id.",
    Fault.RECORD_REGION: "Check region; if it is right, ask Huawei Cloud support, quoting the record id.",
    Fault.RECORD_DESTINATION: "Name the destination to which it leads, or pass the record ids of the copies to this destination.",
    Fault.RECORD_TWICE: _LISTED_TWICE,
    Fault.BACKUP_FOREIGN: "Check vault_id and project_id; if they are right, ask Huawei Cloud support, quoting the backup id.",
    Fault.BACKUP_TWICE: _LISTED_TWICE,
    Fault.ELSEWHERE: "Name that vault as the destination, or delete the replica there.",
    Fault.REPLICA_UNNAMED: f"Look for the replica in the destination vault; if it is not there, {_COPY_AGAIN}.",
    Fault.REPLICA_MISSING: f"Find out what deleted it, then {_COPY_AGAIN}: the call for a vault leaves it out.",
    Fault.REPLICA_SHARED: "Ask Huawei Cloud support, quoting both records: a replica is the copy of one backup.",
    Fault.REPLICA_IS_SOURCE: "Ask Huawei Cloud support, quoting the record id: a replica is never its own source.",
    Fault.REPLICA_TWICE: _LISTED_TWICE,
    Fault.REPLICA_UNSETTLED: "Verify again a little later, or raise settle_timeout.",
    Fault.REPLICA_STATUS: _REPLACE,
    Fault.REPLICA_KIND: "Check this backup in the CBR console: a record should name a replica.",
    Fault.REPLICA_VAULT: "Name that vault as destination_vault_id, or delete the replica there and replicate again.",
    Fault.REPLICA_PROJECT: "Check destination_project_id; if it is right, ask Huawei Cloud support, quoting the replica id.",
    Fault.REPLICA_CHECKPOINT: _REPLACE,
    Fault.REPLICA_RESOURCE: _REPLACE,
    Fault.REPLICA_TYPE: _REPLACE,
    Fault.REPLICA_PROVIDER: _REPLACE,
    Fault.REPLICA_DISKS: _REPLACE,
    Fault.REPLICA_SIZE: _REPLACE,
    Fault.SIZE_IMPLAUSIBLE: "Check the backup in the console of both regions: one without a size holds nothing that could be restored.",
    Fault.REPLICA_TOO_EARLY: _REPLACE,
    Fault.REPLICA_EXPIRED: f"Raise the retention of the destination's policy, and {_COPY_AGAIN}.",
    Fault.REPLICA_EXPIRES: "Raise the retention of the destination's policy, or extend this replica's expiry in the console.",
    Fault.CHECKPOINT_INCOMPLETE: "Find out what is wrong with that other backup: a restore of the whole checkpoint would lack it.",
    Fault.CHECKPOINT_UNSETTLED: "Verify again a little later, or raise settle_timeout.",
    Fault.BOUND_RESOURCES_UNKNOWN: "Grant cbr:vaults:get in the source project, and check vault_id.",
    Fault.RESOURCE_UNCOVERED: "Check whether the resource is backed up at all, then run the replicate task.",
    Fault.NEWEST_UNCOVERED: "Find out what is wrong with that backup's copy, and fix it; until then only the older copy could be restored.",
    Fault.TOO_OLD: "Check when the resource was last backed up, and whether the replicate task ran since.",
    Fault.AGE_UNKNOWN: "Check whether the resource is backed up and replicated at all.",
    Fault.FROM_THE_FUTURE: "Compare that backup's time with the service's time in the line; ask Huawei Cloud support about the wrong one.",
    Fault.VAULT_UNREADABLE: "Check destination_vault_id, and grant cbr:vaults:get in the destination project.",
    Fault.VAULT_KIND: _VAULT,
    Fault.VAULT_OBJECT_TYPE: _VAULT,
    Fault.VAULT_STATUS: "Check the vault in the CBR console: an unpaid or deleted vault loses its replicas.",
    Fault.VAULT_ROOM: "Expand the vault, turn on its automatic expansion, or delete replicas that are not needed.",
    Fault.VAULT_UNLOCKED: "Lock the vault in the CBR console, so that nobody can delete its replicas.",
}


def level_of(fault: Fault) -> Level:
    """Return the level that catches a fault.

    :param fault: the fault.
    """
    return _LEVEL_OF.get(fault, Level.REPLICA)


def advice_on(faults: Iterable[Fault]) -> str:
    """Return what to do about faults of one thing, each advice once.

    :param faults: the faults.
    """
    return " ".join(dict.fromkeys(_ADVICE[fault] for fault in faults))

"""How the emulator comes to each row of the tables of faults, and of what is none, in ``docs/explanation/verification.md``.

A case is named by the row's first cell. It gets two nights, of which last night's copies are good and tonight's are still to be made.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from airflow_cbr.emulator.world import DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT
from tests.support.replicated_nights import DAY, HERE, HOUR, THERE, TwoNights

if TYPE_CHECKING:
    from typing import Any

Case = Callable[[TwoNights], None]

CASES: Final[dict[str, Case]] = {}
"""By row of the table of faults."""
RIGHT_CASES: Final[dict[str, Case]] = {}
"""By row of the table of what is no fault."""
ANOTHER: Final = "9b1c0f66-6b0e-4a3e-8f43-0d7c5f1f8a55"
"""An id that nothing has."""
NEW_SERVER: Final = "0d6c1a50-7b52-4f3c-9d5e-6f0e8f0e4a11"


def case(name: str) -> Callable[[Case], Case]:
    """Enter the case of a row."""

    def enter(arrange: Case) -> Case:
        assert name not in CASES, name
        CASES[name] = arrange
        return arrange

    return enter


def while_copying(name: str, kind: str, **details: Any) -> None:
    """Enter a case of one copy that meets a fault."""

    def arrange(nights: TwoNights) -> None:
        nights.control.fault(kind, backup_id=nights.tonight[0], **details)
        nights.copy()

    case(name)(arrange)


def record_says(name: str, **changes: Any) -> None:
    """Enter a case of one record that is not as it should be after a good copy."""

    def arrange(nights: TwoNights) -> None:
        nights.copy()
        nights.change_record(nights.tonight[0], **changes)

    case(name)(arrange)


def replica_is(name: str, **changes: Any) -> None:
    """Enter a case of one replica that is not as it should be after a good copy."""

    def arrange(nights: TwoNights) -> None:
        nights.copy()
        nights.change_replica(nights.tonight[0], **changes)

    case(name)(arrange)


def source_is(name: str, **changes: Any) -> None:
    """Enter a case of one source backup that is not as it should be after a good copy."""

    def arrange(nights: TwoNights) -> None:
        nights.copy()
        nights.control.change_backup(nights.tonight[0], **changes)

    case(name)(arrange)


def destination_is(name: str, **changes: Any) -> None:
    """Enter a case of a destination vault that is not as it should be after a good copy."""

    def arrange(nights: TwoNights) -> None:
        nights.copy()
        nights.control.change_vault(DESTINATION_VAULT, **changes)

    case(name)(arrange)


# --- record -----------------------------------------------------------------------------------------------------------------

while_copying("The copy failed", "copy_fails", fail_code="BackupService.1006", fail_reason="No room in the lift.")
while_copying("The copy waits in its queue", "copy_waits")
while_copying("The record's status is not documented", "unknown_status", at_end=True)
while_copying("The copy was skipped, and there is no earlier one (record ids)", "copy_skipped")
while_copying("The copy was skipped, and there is no earlier one (vault ids alone)", "copy_skipped")
record_says("The record's status is not said", row={"status": None})
record_says("The record says that it belongs to another backup", row={"source_backup_id": "4cbfd4b0-ad54-4d75-a9fd-b0d3bb1d0b11"})
record_says("The record leads to another region (vault ids alone)", destination_region="cn-east-3")
record_says("The record says that it is of another checkpoint", row={"source_checkpoint_id": ANOTHER})
record_says("The record says that it comes from another vault", row={"vault_id": ANOTHER})
record_says("The record says that it comes from another project", row={"source_project_id": DESTINATION_PROJECT})
record_says("The record says that it comes from another region", row={"source_region": "cn-south-1"})
record_says("The record leads to another region (record ids)", destination_region="cn-east-3")
record_says("The record leads to another project (record ids)", destination_project_id=SOURCE_PROJECT)
record_says("The record leads to another vault in its extra_info", row={"extra_info": {"destination_vault_id": ANOTHER}})
source_is("The vault lists a backup of another vault", row={"vault_id": ANOTHER})
source_is("The vault lists a backup of another project", row={"project_id": DESTINATION_PROJECT})
source_is("What lists the record is itself a replica (record ids)", image_type="replication")


@case("The backup lists its record twice, and they differ")
def _(nights: TwoNights) -> None:
    nights.control.fault("copy_fails", backup_id=nights.tonight[0])
    nights.copy()
    failed = nights.record(nights.tonight[0])["id"]
    nights.copy()
    nights.control.change_record(failed, row={"id": nights.record(nights.tonight[0])["id"]})


@case("The vault lists a backup twice, and they differ")
def _(nights: TwoNights) -> None:
    nights.copy()
    other = nights.control.add_backup(SOURCE_VAULT, resource_id=nights.resources[0]["id"], status="error")["id"]
    nights.control.change_backup(other, row={"id": nights.tonight[0]})


@case("The copy still runs")
def _(nights: TwoNights) -> None:
    nights.control.switch(copy_seconds=9 * HOUR)
    nights.copy()


def _vanish(nights: TwoNights) -> None:
    nights.copy()
    nights.control.remove_record(nights.record(nights.tonight[0])["id"])


case("The record vanished after its copy (record ids)")(_vanish)
case("The record vanished after its copy (vault ids alone)")(_vanish)


@case("The source backup was deleted after its copy (record ids)")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.control.remove_backup(nights.tonight[0])


while_copying("The source backup was deleted while it was copied (record ids)", "source_deleted")


@case("The record is one of another vault's (record ids)")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.record_ids.append(str(uuid.uuid4()))


@case("The backup was never replicated (vault ids alone)")
def _(nights: TwoNights) -> None:
    nights.copy_individually(*nights.tonight[1:])


def _copy_elsewhere(nights: TwoNights) -> None:
    other = nights.control.add_vault(project_id=DESTINATION_PROJECT, protect_type="replication")["id"]
    nights.copy_individually(nights.tonight[0], vault_id=other)
    nights.copy_individually(*nights.tonight[1:])


case("The copy went to another vault of the region (vault ids alone)")(_copy_elsewhere)
case("The copy went to another vault of the region (record ids)")(_copy_elsewhere)


# --- replica ----------------------------------------------------------------------------------------------------------------

while_copying("The replica was never made", "replica_missing")
replica_is("The replica is in error", status="error")
replica_is("The replica is being deleted", status="deleting")
replica_is("The replica's status is not said", row={"status": None})
replica_is("The replica's status is not documented", status="archiving")
replica_is("The replica has another size", resource_size=39)
replica_is("The replica's size is not said", row={"resource_size": None})
replica_is("The replica is of another resource", resource_id=NEW_SERVER)
replica_is("The replica's resource is not said", row={"resource_id": None})
replica_is("What the record names is no replica but a backup", image_type="backup")
replica_is("When the replica expires cannot be read", row={"expired_at": "soon"})
replica_is("The replica is of another resource type", row={"resource_type": "OS::Sfs::Turbo"})
replica_is("The replica's resource type is not said", row={"resource_type": None})
replica_is("The replica is of another provider", row={"provider_id": "3f3c3220-245c-4805-b811-758870015881"})
replica_is("The replica lacks the system disk", contain_system_disk=False)
replica_is("When the replica was made is not said", row={"created_at": None})
replica_is("The replica is of another checkpoint than its record says", row={"checkpoint_id": ANOTHER})
replica_is("The replica is of no checkpoint", row={"checkpoint_id": None})
replica_is("The replica is one of another project", row={"project_id": SOURCE_PROJECT})
record_says("The record names no replica", destination_backup_id=None)


def _now(nights: TwoNights) -> float:
    return float(nights.control.state()["clock"]["seconds"])


def _both_have_the_size(size: Any) -> Case:
    def arrange(nights: TwoNights) -> None:
        nights.copy()
        nights.control.change_backup(nights.tonight[0], row={"resource_size": size})
        nights.change_replica(nights.tonight[0], row={"resource_size": size})

    return arrange


case("Backup and replica have the size of nothing")(_both_have_the_size(0))
case("Backup and replica have a size that is no number")(_both_have_the_size("nan"))


@case("The replica was made before its source")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.change_replica(nights.tonight[0], created_at=_now(nights) - DAY)


@case("The replica names itself as its parent")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.change_replica(nights.tonight[0], row={"parent_id": nights.replica(nights.tonight[0])})


@case("The record names its source backup as the replica")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.change_record(nights.tonight[0], destination_backup_id=nights.tonight[0])


@case("The record names another source backup as the replica")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.change_record(nights.tonight[0], destination_backup_id=nights.last_night[1])


@case("The destination lists the replica twice, and they differ")
def _(nights: TwoNights) -> None:
    nights.copy()
    other = nights.control.add_backup(DESTINATION_VAULT, image_type="replication", status="error")["id"]
    nights.control.change_backup(other, row={"id": nights.replica(nights.tonight[0])})


@case("The replica has expired")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.change_replica(nights.tonight[0], expired_at=_now(nights) - HOUR)


@case("The replica was deleted")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.control.remove_backup(nights.replica(nights.tonight[0]))


@case("The replica does not become available")
def _(nights: TwoNights) -> None:
    nights.control.switch(replica_settle_seconds=9 * HOUR)
    nights.copy()


@case("The replica was moved to another vault")
def _(nights: TwoNights) -> None:
    nights.copy()
    other = nights.control.add_vault(project_id=DESTINATION_PROJECT, protect_type="replication")["id"]
    nights.change_replica(nights.tonight[0], vault_id=other)


@case("The replica expires before the retention is over")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.change_replica(nights.tonight[0], expired_at=_now(nights) + 3 * DAY)


@case("Two records name each other's replica")
def _(nights: TwoNights) -> None:
    nights.copy()
    first, second = nights.tonight[:2]
    names = nights.replica(first), nights.replica(second)
    nights.change_record(first, destination_backup_id=names[1])
    nights.change_record(second, destination_backup_id=names[0])


@case("The record names the replica of an earlier night")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.change_record(nights.tonight[0], destination_backup_id=nights.replica(nights.last_night[0]))


@case("Another backup of the checkpoint was never replicated (record ids)")
def _(nights: TwoNights) -> None:
    nights.copy_individually(*nights.tonight[1:])


@case("Another backup's copy failed (record ids of the good ones)")
def _(nights: TwoNights) -> None:
    nights.control.fault("copy_fails", backup_id=nights.tonight[0])
    nights.copy()
    nights.record_ids.remove(nights.record(nights.tonight[0])["id"])


def _delete_another(nights: TwoNights) -> None:
    nights.copy()
    nights.record_ids.remove(nights.record(nights.tonight[0])["id"])
    nights.control.remove_backup(nights.replica(nights.tonight[0]))


case("Another backup's replica was deleted (record ids of the good ones)")(_delete_another)


@case("Another backup's replica was deleted two days ago (record ids of the good ones)")
def _(nights: TwoNights) -> None:
    _delete_another(nights)
    nights.control.advance(2 * DAY)


def _beside(status: str) -> Case:
    def arrange(nights: TwoNights) -> None:
        nights.copy()
        checkpoint_id = nights.record(nights.tonight[0])["destination_checkpoint_id"]
        nights.control.add_backup(DESTINATION_VAULT, checkpoint_id=checkpoint_id, image_type="replication", status=status)

    return arrange


case("Another row of the replica's checkpoint is in error")(_beside("error"))
case("Another row of the replica's checkpoint does not become available")(_beside("protecting"))


# --- coverage ---------------------------------------------------------------------------------------------------------------


def _bind(nights: TwoNights) -> None:
    server = {"id": NEW_SERVER, "name": "ecs-new-01", "type": "OS::Nova::Server", "size": 40, "protect_status": "available"}
    nights.control.change_vault(SOURCE_VAULT, row={"resources": [*nights.resources, server]})


@case("A bound resource was never backed up")
def _(nights: TwoNights) -> None:
    nights.copy()
    _bind(nights)


@case("All backups of a bound resource are in error")
def _(nights: TwoNights) -> None:
    nights.copy()
    _bind(nights)
    nights.control.add_backup(SOURCE_VAULT, resource_id=NEW_SERVER, status="error")


@case("A newly bound resource was backed up, and not replicated yet (record ids)")
def _(nights: TwoNights) -> None:
    nights.copy()
    _bind(nights)
    nights.control.add_backup(SOURCE_VAULT, resource_id=NEW_SERVER)


@case("A resource has a newer backup without a copy (record ids)")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.control.add_backup(SOURCE_VAULT, resource_id=nights.resources[0]["id"], name="at noon")


@case("The copy of a newer backup failed (record ids of the older)")
def _(nights: TwoNights) -> None:
    nights.control.fault("copy_fails", count=None)
    nights.copy()
    nights.record_ids = nights.last_records


@case("The replica of a newer backup is in error (record ids of the older)")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.change_replica(nights.tonight[0], status="error")
    nights.record_ids = nights.last_records


@case("What is bound to the source vault is not said")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.control.change_vault(SOURCE_VAULT, row={"resources": None})


@case("The credentials may not look at the source vault")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.control.change_user(HERE, denied_calls=["ShowVault"])


# --- rpo --------------------------------------------------------------------------------------------------------------------


@case("Backups have stopped")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.control.advance(2 * DAY)


@case("Backups go on, and end in error")
def _(nights: TwoNights) -> None:
    nights.copy()
    for _night in range(2):
        nights.control.advance(DAY)
        nights.back_up(status="error")


@case("Backups go on, and copies have stopped (record ids)")
def _(nights: TwoNights) -> None:
    nights.copy()
    for _night in range(2):
        nights.control.advance(DAY)
        nights.back_up()


@case("The newest replicas are broken, and only one that is too old is good")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.change_replica(nights.tonight[0], status="error")
    nights.control.advance(DAY)
    newest = nights.back_up()[0]
    nights.copy()
    nights.change_replica(newest, resource_size=1)


@case("When a resource's backups were made is not said")
def _(nights: TwoNights) -> None:
    nights.copy()
    for backup_id in (nights.last_night[0], nights.tonight[0]):
        nights.control.change_backup(backup_id, row={"created_at": None})


@case("The backups say that they were made in ten days")
def _(nights: TwoNights) -> None:
    nights.copy()
    for backup_id in nights.tonight:
        nights.control.change_backup(backup_id, created_at=_now(nights) + 10 * DAY)
        nights.change_replica(backup_id, created_at=_now(nights) + 10 * DAY)


# --- vault ------------------------------------------------------------------------------------------------------------------

destination_is("The destination vault is not made for replicas", protect_type="backup")
destination_is("The destination vault is for another kind of resource", object_type="turbo")
destination_is("The destination vault is frozen", status="frozen")
destination_is("The destination vault has no room for the next night", used=900 * 1024)
destination_is("The destination vault is not locked", locked=False)
destination_is("Whether the destination vault is locked is not said", row={"locked": None})
destination_is("What kind of vault the destination is is not said", row={"billing": None})
destination_is(
    "How full the destination vault is is not said",
    row={"billing": {"protect_type": "replication", "object_type": "server", "status": "available", "size": 1000}},
)


@case("The destination vault was deleted")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.control.remove_vault(DESTINATION_VAULT)


@case("The credentials may not look at the destination vault")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.control.change_user(THERE, denied_calls=["ShowVault"])


# --- no fault ---------------------------------------------------------------------------------------------------------------


def right(name: str) -> Callable[[Case], Case]:
    """Enter the case of a row of the table of what is no fault."""

    def enter(arrange: Case) -> Case:
        assert name not in RIGHT_CASES, name
        RIGHT_CASES[name] = arrange
        return arrange

    return enter


def _newest_is(**backup: Any) -> Case:
    def arrange(nights: TwoNights) -> None:
        nights.copy()
        nights.control.add_backup(SOURCE_VAULT, resource_id=nights.resources[0]["id"], **backup)

    return arrange


right("The newest backup of a resource is in error")(_newest_is(status="error"))
right("A backup is still being made")(_newest_is(status="protecting"))
right("A backup lacks its system disk")(_newest_is(contain_system_disk=False))
right("An older backup has no copy")(_newest_is(age_seconds=5 * DAY))


@right("A copy failed, and a later one succeeded")
def _(nights: TwoNights) -> None:
    nights.control.fault("copy_fails", backup_id=nights.tonight[0])
    nights.copy()
    failed = nights.record_ids
    nights.copy()
    nights.record_ids += failed


@right("A copy was skipped, as there was one already")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.control.switch(when_all_copied="skip")
    nights.copy()


@right("The source backup was deleted after its copy (vault ids alone)")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.control.remove_backup(nights.tonight[0])


@right("The destination vault holds a broken replica that no backup claims")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.control.add_backup(DESTINATION_VAULT, image_type="replication", status="error")


@right("The replica has another name")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.change_replica(nights.tonight[0], name="another")


@right("The replica expires after the retention")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.change_replica(nights.tonight[0], expired_at=_now(nights) + 8 * DAY)


@right("The destination vault is full, and expands by itself")
def _(nights: TwoNights) -> None:
    nights.copy()
    nights.control.change_vault(DESTINATION_VAULT, used=1000 * 1024, row={"auto_expand": True})

"""Each line of the table: a backup that would go stays for that reason, and without it it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.vault_parts import BackupPart
from airflow_cbr.emulator.world import DESTINATION_VAULT, SOURCE_VAULT
from airflow_cbr.pruning.protection import KeepReason
from airflow_cbr.pruning.spec import Side
from tests.support.prune_world import DAY, PruneWorld, prune_world

if TYPE_CHECKING:
    from airflow_cbr.pruning.pruning import Pruning

RESOURCE = "94eba8b2-acc9-4d82-badc-127144cc5526"
OLD = "b0b0b0b0-0000-4000-8000-000000000002"
OTHER = "0f0f0f0f-0000-4000-8000-000000000001"


def three_days(**spec: Any) -> PruneWorld:
    """Return a world with a backup and its replica on each of three days, of which the keep rules keep the newest."""
    parts = [
        BackupPart(
            id=f"b0b0b0b0-0000-4000-8000-{day:012}",
            checkpoint_id=f"c0c0c0c0-0000-4000-8000-{day:012}",
            resource_id=RESOURCE,
            age_seconds=(day + 1) * DAY,
            replicated_to=[DESTINATION_VAULT],
        )
        for day in range(3)
    ]
    return PruneWorld(prune_world(parts), **spec)


def replica_of(world: PruneWorld, backup_id: str = OLD) -> Any:
    return world.store.backups[str(world.store.backups[backup_id].records[0].destination_backup_id)]


def orphan(world: PruneWorld) -> Any:
    """Take the oldest source backup away; return its replica."""
    replica = replica_of(world)
    world.store.remove_backup(world.store.backups[OLD])
    return replica


def change(backup: Any, **changes: Any) -> Any:
    for name, value in changes.items():
        setattr(backup, name, value)
    backup.forget_row()


def reason_of(pruning: Pruning, backup_id: str) -> KeepReason | None:
    assert pruning.plan is not None
    return next((one.reason for one in pruning.plan.kept if one.row.backup.id == backup_id), None)


def test_without_a_protection_the_old_ones_go_with_their_replicas() -> None:
    world = three_days()
    expected = [OLD, "b0b0b0b0-0000-4000-8000-000000000001", replica_of(world).id]
    assert world.run().removed_ids[:3] == expected == world.deleted[:3]
    assert len(world.deleted) == 4
    assert world.violations == []


def restore(world: PruneWorld, backup: Any, **detail: Any) -> None:
    world.store.add_log(
        OTHER, "restore", backup, world.clock.now(), visible_at=0.0, request_id="req-1", detail=detail, status="running"
    )  # fmt: skip


def copying(world: PruneWorld, status: str) -> None:
    vault = world.store.vaults[DESTINATION_VAULT]
    record = world.store.add_record(OTHER, world.store.backups[OLD], vault, world.clock.now(), visible_at=0.0, auto_trigger=False)
    record.status, record.shown_status = "replicating", status


def skipped_in(world: PruneWorld) -> None:
    world.store.checkpoints["c0c0c0c0-0000-4000-8000-000000000002"].skipped.append({"id": OTHER})


def beside(world: PruneWorld, status: str) -> None:
    part = BackupPart(checkpoint_id="c0c0c0c0-0000-4000-8000-000000000002", status=status, resource_id=OTHER)  # type: ignore[arg-type]
    world.service.populator.add_backup(world.store.vaults[SOURCE_VAULT], part, world.clock.now())


Distort = Callable[[PruneWorld], Any]
OF_A_BACKUP: list[tuple[KeepReason, str, Distort]] = [
    (KeepReason.VAULT_LOCKED, "locked", lambda world: world.control.change_vault(SOURCE_VAULT, locked=True)),
    (KeepReason.VAULT_LOCKED, "lock not said", lambda world: world.control.change_vault(SOURCE_VAULT, row={"locked": None})),
    (KeepReason.VAULT_STATUS, "vault", lambda world: world.control.change_vault(SOURCE_VAULT, status="frozen")),
    (KeepReason.VAULT_KIND, "kind of vault", lambda world: world.control.change_vault(SOURCE_VAULT, protect_type="replication")),
    *[
        (KeepReason.STATUS, status, lambda world, status=status: change(world.store.backups[OLD], status=status))
        for status in ("error", "restoring", "protecting", "waiting_restore", "waiting_delete", "deleting", "thawing")
    ],
    (KeepReason.STATUS, "no status", lambda world: change(world.store.backups[OLD], row={"status": None})),
    (KeepReason.KIND, "image type", lambda world: change(world.store.backups[OLD], row={"image_type": "sync"})),
    (KeepReason.PLACE, "vault id", lambda world: change(world.store.backups[OLD], row={"vault_id": OTHER})),
    (KeepReason.PART, "parent", lambda world: change(world.store.backups[OLD], row={"parent_id": OTHER})),
    (KeepReason.INCOMPLETE_ROW, "extend_info", lambda world: change(world.store.backups[OLD], row={"extend_info": None})),
    (KeepReason.INCOMPLETE_ROW, "resource", lambda world: change(world.store.backups[OLD], row={"resource_id": None})),
    (KeepReason.INCOMPLETE_ROW, "checkpoint", lambda world: change(world.store.backups[OLD], row={"checkpoint_id": None})),
    (KeepReason.INCOMPLETE_ROW, "size", lambda world: change(world.store.backups[OLD], row={"resource_size": None})),
    (KeepReason.UNDATED, "no date", lambda world: change(world.store.backups[OLD], row={"created_at": None})),
    (KeepReason.UNDATED, "ancient", lambda world: change(world.store.backups[OLD], row={"created_at": "0001-01-01T00:00:00"})),
    (KeepReason.UNDATED, "from the future", lambda world: change(world.store.backups[OLD], created_at=world.clock.now() + 900)),
    (KeepReason.UNDATED, "expiry", lambda world: change(world.store.backups[OLD], row={"expired_at": "never"})),
    (KeepReason.EXPIRED, "expired", lambda world: change(world.store.backups[OLD], expired_at=world.clock.now() - 1)),
    (KeepReason.UNVERIFIED, "no replica", lambda world: world.control.remove_backup(replica_of(world).id)),
    (KeepReason.UNVERIFIED, "replica in error", lambda world: change(replica_of(world), status="error")),
    (KeepReason.UNVERIFIED, "failed copy", lambda world: change_record(world, status="fail")),
    (KeepReason.CHECKPOINT_INCOMPLETE, "skipped resource", skipped_in),
    (KeepReason.CHECKPOINT_INCOMPLETE, "beside error", lambda world: beside(world, "error")),
    (KeepReason.CHECKPOINT_INCOMPLETE, "beside not copied", lambda world: beside(world, "available")),
    (KeepReason.IN_USE, "image", lambda world: change(world.store.backups[OLD], images=[OTHER])),
    (KeepReason.RESTORING, "restore", lambda world: restore(world, world.store.backups[OLD], backup_id=OLD)),
    (KeepReason.RESTORING, "restore of the resource", lambda world: restore(world, world.store.backups[OLD])),
    (KeepReason.COPYING, "copy", lambda world: copying(world, "replicating")),
    (KeepReason.COPYING, "undocumented copy", lambda world: copying(world, "thawing")),
]


def change_record(world: PruneWorld, **changes: Any) -> None:
    world.control.change_record(world.store.backups[OLD].records[0].id, **changes)


@pytest.mark.parametrize(("reason", "name", "distort"), OF_A_BACKUP, ids=[name for _, name, _ in OF_A_BACKUP])
def test_a_backup_stays(reason: KeepReason, name: str, distort: Distort) -> None:
    world = three_days()
    distort(world)
    world.take_reference()
    world.control.change_vault(DESTINATION_VAULT, locked=True)
    pruning = world.run(sides=(Side.SOURCE,))
    assert reason_of(pruning, OLD) is reason
    assert OLD not in world.deleted
    assert world.violations == []


OF_A_REPLICA: list[tuple[KeepReason, str, Callable[[PruneWorld, Any], Any]]] = [
    (KeepReason.VAULT_LOCKED, "locked", lambda world, _: world.control.change_vault(DESTINATION_VAULT, locked=True)),
    (KeepReason.VAULT_KIND, "kind of vault", lambda world, _: world.control.change_vault(DESTINATION_VAULT, protect_type="backup")),
    (KeepReason.STATUS, "error", lambda _, replica: change(replica, status="error")),
    (KeepReason.KIND, "image type", lambda _, replica: change(replica, row={"image_type": "backup"})),
    (KeepReason.IN_USE, "image", lambda _, replica: change(replica, images=[OTHER])),
    (KeepReason.RESTORING, "restore", lambda world, replica: restore(world, replica, backup_id=replica.id)),
    (KeepReason.UNDATED, "no date", lambda _, replica: change(replica, row={"created_at": None})),
    (KeepReason.NO_SURVIVOR, "no good one", lambda world, _: [change(one, status="error") for one in claimed(world)]),
    (
        KeepReason.NO_SURVIVOR,
        "the others end earlier",
        lambda world, _: [change(one, expired_at=world.clock.now() + DAY) for one in claimed(world)],
    ),
    (KeepReason.SOURCE_UNCLEAR, "a record is hidden", lambda world, _: hide_records(world)),
]


def claimed(world: PruneWorld) -> list[Any]:
    return [replica_of(world, backup.id) for backup in list(world.store.in_vault(SOURCE_VAULT)) if backup.id != OLD]


def hide_records(world: PruneWorld) -> None:
    """Put a backup into the source vault that is as old as the replica, and of which the service lists no record."""
    part = BackupPart(resource_id=RESOURCE, age_seconds=3 * DAY)
    world.service.populator.add_backup(world.store.vaults[SOURCE_VAULT], part, world.clock.now())


@pytest.mark.parametrize(("reason", "name", "distort"), OF_A_REPLICA, ids=[name for _, name, _ in OF_A_REPLICA])
def test_a_replica_without_its_source_stays(reason: KeepReason, name: str, distort: Callable[[PruneWorld, Any], Any]) -> None:
    world = three_days()
    replica = orphan(world)
    distort(world, replica)
    world.take_reference()
    pruning = world.run(sides=(Side.REPLICA,))
    assert reason_of(pruning, replica.id) is reason
    assert world.deleted == []


def test_without_a_protection_such_a_replica_goes() -> None:
    world = three_days()
    replica = orphan(world)
    assert world.run(sides=(Side.REPLICA,)).removed_ids == [replica.id] == world.deleted
    assert world.violations == []


def test_a_replica_stays_as_long_as_its_source() -> None:
    world = three_days(sides=(Side.REPLICA,))
    pruning = world.run()
    assert reason_of(pruning, replica_of(world).id) is KeepReason.SOURCE_EXISTS
    assert world.deleted == []


def test_a_replica_is_claimed_by_a_record_in_another_vault_too() -> None:
    world = three_days()
    replica = orphan(world)
    vault = world.control.add_vault(project_id=world.store.vaults[SOURCE_VAULT].project_id, name="elsewhere")
    other = world.control.add_backup(vault["id"], resource_id=RESOURCE, age_seconds=3 * DAY, replicated_to=[DESTINATION_VAULT])
    record = world.store.backups[other["id"]].records[0]
    world.control.change_record(record.id, destination_backup_id=replica.id)
    pruning = world.run(sides=(Side.REPLICA,))
    assert reason_of(pruning, replica.id) is KeepReason.SOURCE_EXISTS
    assert replica.id not in world.deleted


def test_the_only_verified_replica_stays() -> None:
    world = three_days()
    for backup_id in list(world.store.backups):
        backup = world.store.backups.get(backup_id)
        if backup is not None and backup.vault_id == SOURCE_VAULT and backup_id != OLD:
            world.control.remove_backup(replica_of(world, backup_id).id)
    pruning = world.run()
    assert reason_of(pruning, replica_of(world).id) is KeepReason.LAST_VERIFIED
    assert reason_of(pruning, OLD) is KeepReason.KEEP_RULE, "it is the newest that has a verified replica"
    assert world.deleted == []


def test_what_is_too_new_stays_and_takes_its_place() -> None:
    world = three_days(min_age=2.5 * DAY)
    pruning = world.run()
    assert reason_of(pruning, "b0b0b0b0-0000-4000-8000-000000000001") is KeepReason.TOO_NEW
    assert world.deleted[0] == OLD, "the newest is kept by the rule, and holds its place although it is new"


def test_a_broken_backup_is_nobodys_place_holder() -> None:
    world = three_days()
    change(world.store.backups["b0b0b0b0-0000-4000-8000-000000000000"], status="error")
    world.take_reference()
    pruning = world.run()
    assert reason_of(pruning, "b0b0b0b0-0000-4000-8000-000000000001") is KeepReason.KEEP_RULE
    assert world.violations == []


@pytest.mark.parametrize("ahead", [7200.0, -7200.0])
def test_clocks_that_differ_keep_everything(ahead: float) -> None:
    world = three_days()
    world.store.clocks_ahead["cn-shenzhen-1"] = ahead
    pruning = world.run()
    assert pruning.plan is not None
    assert {one.reason for one in pruning.plan.kept} == {KeepReason.TIME_UNKNOWN}
    assert world.deleted == []


def test_every_reason_has_its_case() -> None:
    elsewhere = {
        KeepReason.SOURCE_EXISTS, KeepReason.LAST_VERIFIED, KeepReason.KEEP_RULE, KeepReason.TOO_NEW, KeepReason.TIME_UNKNOWN,
        KeepReason.OTHER_SIDE, KeepReason.LISTED_TWICE, KeepReason.UNSEEN,
    }  # fmt: skip
    assert {reason for reason, _, _ in OF_A_BACKUP} | {reason for reason, _, _ in OF_A_REPLICA} | elsewhere == set(KeepReason)


def test_what_only_one_look_shows_stays() -> None:
    """A backup that the verification has not seen, because it was listed later, is not judged by the other look alone."""
    world = three_days()
    world.control.fault("rows_inserted", call="ListBackups", nth=3)
    world.control.fault("rows_repeated", call="ListBackups", nth=1, when="after")
    pruning = world.run(sides=(Side.SOURCE,), plan_only=True)
    assert pruning.plan is not None
    assert KeepReason.UNSEEN in {one.reason for one in pruning.plan.kept}


def test_the_side_that_is_not_pruned_stays() -> None:
    world = three_days()
    pruning = world.run(sides=(Side.SOURCE,))
    assert pruning.plan is not None
    assert {one.reason for one in pruning.plan.kept if one.row.side is Side.REPLICA} == {KeepReason.OTHER_SIDE}

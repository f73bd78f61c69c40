"""A pruning from beginning to end: what is sent, what is reported, and what becomes of it when something goes wrong."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.vault_parts import BackupPart
from airflow_cbr.emulator.world import DESTINATION_VAULT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrLimitError, CbrNothingToReplicateError, CbrPermissionError, CbrPruneStoppedError
from airflow_cbr.pruning.document import document_of
from airflow_cbr.pruning.spec import Side
from airflow_cbr.pruning.steps import PruneStep
from tests.support.cleared_attempts import Intents
from tests.support.prune_world import DAY, Killed, PruneWorld, prune_world
from tests.support.thinned import thinned

if TYPE_CHECKING:
    from airflow_cbr.pruning.pruning import Pruning

RESOURCES = ("94eba8b2-acc9-4d82-badc-127144cc5526", "1a503932-ee8f-4dd5-8248-8dfb57e584c5")
OTHER = "0f0f0f0f-0000-4000-8000-000000000001"


def four_days(*, switches: dict[str, Any] | None = None, **spec: Any) -> PruneWorld:
    """Return a world with two resources, backed up and copied on each of four days, of which the keep rules keep the newest."""
    parts = [
        BackupPart(
            id=f"b0b0b0b0-0000-4000-8000-{day:06}{number:06}",
            checkpoint_id=f"c0c0c0c0-0000-4000-8000-{day:012}",
            resource_id=resource,
            resource_size=10 * (number + 1),
            age_seconds=(day + 1) * DAY,
            replicated_to=[DESTINATION_VAULT],
        )
        for day in range(4)
        for number, resource in enumerate(RESOURCES)
    ]
    return PruneWorld(prune_world(parts, switches=switches), **spec)


def fault(world: PruneWorld, kind: str, **details: Any) -> None:
    world.control.fault(kind, **details)


def is_finished(world: PruneWorld) -> bool:
    """Return whether only the newest of each resource are left, with their replicas."""
    return (world.store.count_in_vault(SOURCE_VAULT), world.store.count_in_vault(DESTINATION_VAULT)) == (2, 2)


def document(world: PruneWorld, pruning: Pruning) -> dict[str, Any]:
    return document_of(pruning, world.spec, time_zone="UTC")


def test_what_no_rule_keeps_goes_oldest_first_and_the_source_before_its_replica() -> None:
    world = four_days()
    backups = dict(world.store.backups)
    pruning = world.run()
    assert is_finished(world)
    assert world.violations == []
    assert pruning.removed_ids == world.deleted
    gone = [backups[id_] for id_ in world.deleted]
    assert [backup.image_type for backup in gone] == ["backup"] * 6 + ["replication"] * 6
    assert [backup.created_at for backup in gone[:6]] == sorted(backup.created_at for backup in gone[:6])
    told = document(world, pruning)
    assert (told["removed_total"], told["size_gb"], told["adopted"], told["planned"]) == (12, 180.0, 0, 12)
    assert told["kept"] == {"source_exists": 2, "keep_rule": 2}
    assert told["removed"][0] | {"why": ""} == {
        "id": gone[0].id,
        "side": "source",
        "name": gone[0].name,
        "resource_id": gone[0].resource_id,
        "resource_name": gone[0].resource_name,
        "created_at": told["removed"][0]["created_at"],
        "size_gb": float(gone[0].resource_size),
        "why": "",
        "is_adopted": False,
    }
    assert "is verified" in told["removed"][0]["why"]


def test_a_plan_deletes_nothing_and_names_the_same() -> None:
    world = four_days()
    pruning = world.run(plan_only=True)
    assert world.deleted == []
    assert "DeleteBackup" not in world.control.requests()
    assert pruning.removed_ids == world.run().removed_ids == world.deleted


def test_a_second_run_has_nothing_to_do() -> None:
    world = four_days()
    world.run()
    assert world.run().removed_ids == []
    assert len(world.deleted) == 12


def test_the_document_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_cbr.pruning.document.MOST_LISTED", 5)
    world = four_days()
    told = document(world, world.run())
    assert (len(told["removed"]), told["removed_total"], told["size_gb"]) == (5, 12, 180.0)


# --- limits and refusals before anything is deleted ---------------------------------------------------------------------------


def test_a_plan_beyond_the_limit_deletes_nothing() -> None:
    world = four_days(max_deletions=11)
    with pytest.raises(CbrLimitError, match=r"12 backups would be deleted, but max_deletions is 11; nothing was deleted"):
        world.run()
    assert world.deleted == []
    world.run(max_deletions=12)
    assert is_finished(world)


@pytest.mark.parametrize("call", ["ListBackups", "ListOpLogs", "ShowVault", "ShowCheckpoint"])
def test_without_a_look_nothing_is_deleted(call: str) -> None:
    world = four_days()
    world.control.change_user("backup-bot", denied_calls=[call])
    with pytest.raises(CbrPermissionError):
        world.run()
    assert world.deleted == []


def test_a_list_that_says_nothing_is_no_reason_to_delete() -> None:
    world = four_days()
    fault(world, "empty_backups", call="ListBackups", vault_id=SOURCE_VAULT, count=None)
    with pytest.raises(CbrNothingToReplicateError):
        world.run()
    assert world.deleted == []


@pytest.mark.parametrize("nth", range(1, 7))
def test_one_empty_list_deletes_nothing_that_the_other_look_protects(nth: int) -> None:
    world = four_days()
    fault(world, "empty_backups", call="ListBackups", nth=nth)
    with contextlib.suppress(CbrNothingToReplicateError, CbrPruneStoppedError):
        world.run()
    assert world.violations == []


# --- lost answers --------------------------------------------------------------------------------------------------------------

LOST: list[dict[str, Any]] = [
    {"kind": "reset", "when": "before"},
    {"kind": "reset", "when": "after"},
    {"kind": "timeout", "when": "after"},
    {"kind": "status", "status": 500, "when": "after"},
    {"kind": "status", "status": 502, "when": "before"},
    {"kind": "status", "status": 504, "when": "after"},
    {"kind": "code", "code": "9910", "when": "after"},
    {"kind": "html", "when": "after"},
    {"kind": "throttle", "retry_after": 20},
    {"kind": "throttle"},
    {"kind": "late", "seconds": 4},
]


@pytest.mark.parametrize("takes", [0.0, 30.0], ids=["at once", "by and by"])
@pytest.mark.parametrize("lost", thinned(LOST, every=3), ids=lambda lost: f"{lost['kind']}-{lost.get('when', '')}-{lost.get('status', '')}")
def test_a_lost_answer_is_looked_up_and_everything_is_finished(lost: dict[str, Any], takes: float) -> None:
    world = four_days(switches={"delete_seconds": takes})
    world.control.fault(call="DeleteBackup", nth=2, count=2, **lost)
    pruning = world.run()
    assert is_finished(world)
    assert world.violations == []
    assert sorted(pruning.removed_ids) == sorted(world.deleted)
    assert not any(one.is_adopted for one in pruning.removed)


def test_before_it_is_sent_again_everything_is_looked_at_again() -> None:
    """Between two tries of one deletion its replica goes: there is no second try."""
    world = four_days()
    fault(world, "throttle", call="DeleteBackup", retry_after=30)
    replica = world.store.backups["b0b0b0b0-0000-4000-8000-000003000000"].records[0].destination_backup_id
    seen: list[PruneStep] = []

    def observe(step: PruneStep, moment: str) -> None:
        seen.append(step)
        if seen.count(PruneStep.LOOK_AGAIN) == 3:
            seen.append(step)
            world.control.remove_backup(str(replica))

    with pytest.raises(CbrPruneStoppedError, match=f"replica {replica}, without which it must stay, no longer exists"):
        world.run(observe=observe)
    assert world.deleted == []


def test_a_deletion_that_is_never_done_stops_the_run() -> None:
    world = four_days()
    fault(world, "reset", call="DeleteBackup", when="before", count=None)
    with pytest.raises(CbrPruneStoppedError, match="it was still there after 5 tries"):
        world.run()
    assert world.control.requests()["DeleteBackup"] == 5
    assert world.deleted == []


# --- refusals ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "permanent"), [("6216", False), ("6201", False), ("6204", True), ("6220", True)])
def test_a_refusal_stops_the_run(code: str, permanent: bool) -> None:
    world = four_days()
    fault(world, "code", call="DeleteBackup", when="before", code=code, nth=3)
    pruning = world.pruning()
    with pytest.raises(CbrPruneStoppedError) as caught, world.time_is_virtual():
        pruning.run()
    assert caught.value.error_code == f"BackupService.{code}"
    assert caught.value.request_id
    assert caught.value.permanent is permanent
    assert caught.value.deleted == pruning.removed_ids == world.deleted
    assert len(world.deleted) == 2
    assert document(world, pruning)["removed_total"] == 2
    world.run()
    assert is_finished(world)
    assert world.violations == []


# --- what changes between the plan and the deletion -------------------------------------------------------------------------------

VICTIM = "b0b0b0b0-0000-4000-8000-000003000001"


def change(world: PruneWorld, backup_id: str, **changes: Any) -> Any:
    world.control.change_backup(backup_id, **changes)


def replica_of(world: PruneWorld, backup_id: str = VICTIM) -> str:
    return str(world.store.backups[backup_id].records[0].destination_backup_id)


def copy_it(world: PruneWorld) -> None:
    vault = world.store.vaults[DESTINATION_VAULT]
    record = world.store.add_record(OTHER, world.store.backups[VICTIM], vault, world.clock.now(), visible_at=0.0, auto_trigger=False)
    record.status = "replicating"


CHANGES: dict[str, Callable[[PruneWorld], Any]] = {
    "it is restored": lambda world: change(world, VICTIM, status="restoring"),
    "it is in error": lambda world: change(world, VICTIM, status="error"),
    "an image is made of it": lambda world: change(world, VICTIM, images=[OTHER]),
    "it is copied": copy_it,
    "its retention is extended": lambda world: change(world, VICTIM, expired_at=world.clock.now() + 400 * DAY),
    "it is another one": lambda world: change(world, VICTIM, resource_size=77),
    "its vault is locked": lambda world: world.control.change_vault(SOURCE_VAULT, locked=True),
    "its vault is frozen": lambda world: world.control.change_vault(SOURCE_VAULT, status="frozen"),
    "its replica is gone": lambda world: world.control.remove_backup(replica_of(world)),
    "its replica is in error": lambda world: change(world, replica_of(world), status="error"),
    "its replica is another one": lambda world: change(world, replica_of(world), resource_size=78),
    "its record names another replica": lambda world: world.control.change_record(
        world.store.backups[VICTIM].records[0].id, destination_backup_id=OTHER
    ),
    "its record has vanished": lambda world: world.control.remove_record(world.store.backups[VICTIM].records[0].id),
    "it moves to another vault": lambda world: world.store.move_backup(world.store.backups[VICTIM], OTHER),
    "a clock is wrong": lambda world: world.store.clocks_ahead.update({"cn-shenzhen-1": 7200.0}),
}


def before_look(number: int, happens: Callable[[], Any]) -> Callable[[PruneStep, str], None]:
    """Return an observer that lets something happen before the look that precedes a deletion, the first or a later one."""
    looks = itertools.count(1)

    def observe(step: PruneStep, moment: str) -> None:
        if (step, moment) == (PruneStep.LOOK_AGAIN, "before") and next(looks) == number:
            happens()

    return observe


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_since_the_plan_stops_the_run_before_that_backup(what: str) -> None:
    """The change is made after the second look before a deletion: the first two backups are gone, and the fourth is not touched."""
    world = four_days()

    with pytest.raises(CbrPruneStoppedError, match=rf"Source .*{VICTIM}.* was not deleted") as caught:
        world.run(observe=before_look(2, lambda: CHANGES[what](world)))
    assert world.deleted == caught.value.deleted == ["b0b0b0b0-0000-4000-8000-000003000000"]
    assert not caught.value.permanent
    assert world.violations == []


FIRST = "b0b0b0b0-0000-4000-8000-000003000000"
"""Goes before the victim, and is of the same checkpoint."""
SIBLING_CHANGES: dict[str, Callable[[PruneWorld], Any]] = {
    "its record runs again": lambda world: world.control.change_record(world.store.backups[VICTIM].records[0].id, status="replicating"),
    "its record fails": lambda world: world.control.change_record(world.store.backups[VICTIM].records[0].id, status="fail"),
    "another one joins them": lambda world: world.control.add_backup(
        SOURCE_VAULT, checkpoint_id="c0c0c0c0-0000-4000-8000-000000000003", resource_id=RESOURCES[0], age_seconds=4 * DAY
    ),
    **{
        what: CHANGES[what]
        for what in (
            "it is restored",
            "it is in error",
            "it is another one",
            "its replica is gone",
            "its replica is in error",
            "its replica is another one",
            "its record names another replica",
            "its record has vanished",
        )
    },
}


@pytest.mark.parametrize("checkpoint", ["own", "source"])
@pytest.mark.parametrize("what", SIBLING_CHANGES)
def test_a_change_of_another_backup_of_the_checkpoint_stops_the_run_too(what: str, checkpoint: str) -> None:
    """The checkpoint was complete when the plan was made, and is not any more: nothing of it goes."""
    world = four_days(switches={"replica_checkpoint": checkpoint})

    with pytest.raises(CbrPruneStoppedError, match=rf"Source .*{FIRST}.* was not deleted: .*checkpoint"):
        world.run(observe=before_look(1, lambda: SIBLING_CHANGES[what](world)))
    assert world.deleted == []
    assert world.violations == []


@pytest.mark.parametrize("checkpoint", ["own", "source"])
@pytest.mark.parametrize("whose", [FIRST, VICTIM], ids=["its own", "that of another backup of its checkpoint"])
def test_a_replica_that_has_expired_since_the_plan_is_none_although_it_is_still_listed(whose: str, checkpoint: str) -> None:
    world = four_days(switches={"replica_checkpoint": checkpoint})
    world.control.change_backup(replica_of(world, whose), expired_at=world.clock.now() + 1800)

    with pytest.raises(CbrPruneStoppedError, match=rf"Source .*{FIRST}.* was not deleted: replica .* has expired"):
        world.run(observe=before_look(1, lambda: world.clock.advance(3600)))
    assert world.deleted == []
    assert world.violations == []


REPLICA_CHANGES: dict[str, Callable[[PruneWorld, str], Any]] = {
    "it is in error": lambda world, id_: change(world, id_, status="error"),
    "an image is made of it": lambda world, id_: change(world, id_, images=[OTHER]),
    "its vault is locked": lambda world, _: world.control.change_vault(DESTINATION_VAULT, locked=True),
    "the last good one goes": lambda world, _: remove(world, newest_replicas(world)),
    "the last good one is in error": lambda world, _: [change(world, id_, status="error") for id_ in newest_replicas(world)],
    "the source of the last good one goes": lambda world, _: remove(world, [f"b0b0b0b0-0000-4000-8000-{number:012}" for number in (0, 1)]),
    "a source backup claims it": lambda world, id_: [
        world.control.change_record(backup.records[0].id, destination_backup_id=id_)
        for backup in world.store.in_vault(SOURCE_VAULT)
        if backup.resource_id == world.store.backups[id_].resource_id
    ],
}


def remove(world: PruneWorld, ids: list[str]) -> None:
    for id_ in ids:
        world.control.remove_backup(id_)


def newest_replicas(world: PruneWorld) -> list[str]:
    return [replica_of(world, f"b0b0b0b0-0000-4000-8000-{number:012}") for number in (0, 1)]


@pytest.mark.parametrize("what", REPLICA_CHANGES)
def test_a_change_since_the_plan_stops_the_run_before_that_replica(what: str) -> None:
    world = four_days()
    # The one whose turn comes first.
    replica_id = min(replica_of(world, f"b0b0b0b0-0000-4000-8000-000003{number:06}") for number in (0, 1))
    for backup in list(world.store.in_vault(SOURCE_VAULT)):
        if not backup.id.startswith("b0b0b0b0-0000-4000-8000-000000"):
            world.store.remove_backup(backup)

    with pytest.raises(CbrPruneStoppedError, match=r"Replica .* was not deleted"):
        world.run(observe=before_look(1, lambda: REPLICA_CHANGES[what](world, replica_id)))
    assert world.deleted == []


def test_what_somebody_else_deleted_is_no_surprise() -> None:
    world = four_days()
    gone: list[str] = []

    def observe(step: PruneStep, moment: str) -> None:
        if step is PruneStep.LOOK_AGAIN and not gone:
            gone.append(VICTIM)
            world.control.remove_backup(VICTIM)

    pruning = world.run(observe=observe)
    assert is_finished(world)
    assert VICTIM not in world.deleted
    assert [one.id for one in pruning.removed if one.is_adopted] == [VICTIM]


# --- kills ---------------------------------------------------------------------------------------------------------------------

MOMENTS = [(step, moment, number) for step in PruneStep for moment in ("before", "after") for number in (1, 3)]


@pytest.mark.parametrize("takes", [0.0, 30.0], ids=["at once", "by and by"])
@pytest.mark.parametrize("kept", [True, False], ids=["3.3", "3.1"])
@pytest.mark.parametrize(("step", "moment", "number"), thinned(MOMENTS, every=5), ids=lambda value: str(value).replace(" ", "-"))
@pytest.mark.campaign
def test_a_kill_at_every_step(step: PruneStep, moment: str, number: int, kept: bool, takes: float) -> None:
    world = four_days(switches={"delete_seconds": takes})
    intents = Intents() if kept else None
    seen: list[tuple[PruneStep, str]] = []

    def kill(at: PruneStep, when: str) -> None:
        seen.append((at, when))
        if seen.count((step, moment)) == number and (at, when) == (step, moment):
            raise Killed

    try:
        world.run(observe=kill, intents=intents)
    except Killed:
        deleted_before = list(world.deleted)
    else:
        assert seen.count((step, moment)) < number, "this step is not taken that often"
        return
    pruning = world.run(intents=intents)
    # What a source backup that was still going kept is for the run after that.
    world.clock.advance(60)
    world.run(intents=intents)
    assert is_finished(world)
    assert world.violations == []
    if kept:
        assert set(deleted_before) <= set(pruning.removed_ids), "what the first attempt deleted is named by the second"
        assert set(deleted_before) == {one.id for one in pruning.removed if one.is_adopted}


def test_a_note_of_another_vault_is_not_adopted() -> None:
    world = four_days()
    intents = Intents({"vault_id": OTHER, "destination_vault_id": DESTINATION_VAULT, "planned": []})
    pruning = world.run(intents=intents)
    assert not any(one.is_adopted for one in pruning.removed)
    assert intents.stored is not None
    assert (intents.stored["vault_id"], len(intents.stored["planned"])) == (SOURCE_VAULT, 12)
    assert world.run(intents=Intents({"nonsense": 1})).removed_ids == []


# --- until it is gone -------------------------------------------------------------------------------------------------------------


def test_a_replica_goes_only_when_its_source_backup_is_gone() -> None:
    world = four_days(switches={"delete_seconds": 200.0})
    world.run()
    assert is_finished(world)
    assert world.violations == []


def test_what_does_not_go_stops_the_run() -> None:
    world = four_days(switches={"delete_seconds": 5000.0}, settle_timeout=100.0, sides=(Side.SOURCE,))
    with pytest.raises(
        CbrPruneStoppedError, match=r"6 backups are still there, although the service accepted the deletion 100 s ago"
    ) as caught:
        world.run()
    assert len(caught.value.problems) == len(caught.value.deleted) == 6
    assert not caught.value.permanent

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_VAULT
from tests.support.plain_client import Plain, code_of

if TYPE_CHECKING:
    from tests.support.emulator import ControlClient, InProcessAdapter


def progress(cbr: Plain) -> int | None:
    percent: int | None = cbr.records(BACKUPS[0])[0]["extra_info"]["progress"]
    return percent


def test_a_copy_waits_copies_and_ends(cbr: Plain, adapter: InProcessAdapter) -> None:
    cbr.accepted()
    assert set(cbr.statuses()) == {"waiting_replicate"}
    adapter.clock.advance(1)
    assert set(cbr.statuses()) == {"replicating"}
    adapter.clock.advance(4)
    assert set(cbr.statuses()) == {"success"}


@pytest.mark.parametrize(
    ("how", "percentages"),
    [
        ("linear", [0, 0, 25, 50, 97, 100]),
        ("bursty", [0, 0, 25, 50, 75, 100]),
        ("stuck", [0, 0, 25, 37, 37, 100]),
        ("null", [None] * 6),
    ],
)
def test_how_the_percentage_moves(
    cbr: Plain, control: ControlClient, adapter: InProcessAdapter, how: str, percentages: list[int | None]
) -> None:
    control.switch(progress=how)
    cbr.accepted()
    seen = [progress(cbr)]
    for step in (1, 1, 1, 1.9, 0.2):
        adapter.clock.advance(step)
        seen.append(progress(cbr))
    assert seen == percentages


def test_the_replica_is_the_backup_again(cbr: Plain, adapter: InProcessAdapter) -> None:
    cbr.accepted()
    before = cbr.get(f"/vaults/{DESTINATION_VAULT}", project_id=DESTINATION_PROJECT)["vault"]["billing"]["used"]
    adapter.clock.advance(10)
    record = cbr.records(BACKUPS[2])[0]
    source = cbr.get(f"/backups/{BACKUPS[2]}")["backup"]
    replica = cbr.get(f"/backups/{record['destination_backup_id']}", project_id=DESTINATION_PROJECT)["backup"]
    assert (replica["image_type"], replica["status"], replica["vault_id"]) == ("replication", "available", DESTINATION_VAULT)
    for same in ("resource_id", "resource_size", "resource_type", "resource_name", "name"):
        assert replica[same] == source[same]
    assert replica["id"] != source["id"]
    assert replica["checkpoint_id"] == record["destination_checkpoint_id"] != source["checkpoint_id"]
    checkpoint = cbr.get(f"/checkpoints/{replica['checkpoint_id']}", project_id=DESTINATION_PROJECT)["checkpoint"]
    assert len(checkpoint["vault"]["resources"]) == 3
    after = cbr.get(f"/vaults/{DESTINATION_VAULT}", project_id=DESTINATION_PROJECT)["vault"]["billing"]["used"]
    assert after - before == (40 + 60 + 100) * 1024


def test_until_its_end_a_copy_has_no_replica(cbr: Plain, adapter: InProcessAdapter) -> None:
    cbr.accepted()
    adapter.clock.advance(4)
    assert cbr.records(BACKUPS[0])[0]["destination_backup_id"] is None
    assert cbr.get("/backups", project_id=DESTINATION_PROJECT)["count"] == 0


def test_copies_queue_for_their_turn(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.switch(copies_at_once=1)
    cbr.accepted()
    adapter.clock.advance(2)
    assert sorted(cbr.statuses()) == ["replicating", "waiting_replicate", "waiting_replicate"]
    adapter.clock.advance(4)
    assert sorted(cbr.statuses()) == ["replicating", "success", "waiting_replicate"]
    adapter.clock.advance(8)
    assert set(cbr.statuses()) == {"success"}


def test_long_steps_of_the_clock_end_like_short_ones(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.switch(copies_at_once=1)
    cbr.accepted()
    adapter.clock.advance(3600)
    assert set(cbr.statuses()) == {"success"}
    created = sorted(row["created_at"] for row in cbr.get("/backups", project_id=DESTINATION_PROJECT)["backups"])
    assert len(set(created)) == 3


def test_the_size_may_count(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.switch(copy_seconds=0, copy_seconds_per_gb=1, queue_seconds=0)
    cbr.accepted()
    adapter.clock.advance(61)
    assert sorted(cbr.statuses()) == ["replicating", "success", "success"]


def test_a_new_replica_may_have_to_settle(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.switch(replica_settle_seconds=30)
    cbr.accepted()
    adapter.clock.advance(10)

    def at_destination() -> set[str]:
        return {row["status"] for row in cbr.get("/backups", project_id=DESTINATION_PROJECT)["backups"]}

    assert at_destination() == {"protecting"}
    adapter.clock.advance(30)
    assert at_destination() == {"available"}


# --- faults of copies -----------------------------------------------------------------------------------------------------


def test_a_record_that_waits_for_ever(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.fault("copy_waits", backup_id=BACKUPS[0])
    cbr.accepted()
    adapter.clock.advance(80000)
    assert sorted(cbr.statuses()) == ["success", "success", "waiting_replicate"]
    assert code_of(cbr.replicate()) == (400, "BackupService.6130")


def test_a_record_that_waits_for_a_while(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.fault("copy_waits", seconds=100)
    cbr.accepted()
    adapter.clock.advance(100)
    assert sorted(cbr.statuses()) == ["replicating", "success", "success"]


@pytest.mark.parametrize(("kind", "status", "log"), [("copy_fails", "fail", "failed"), ("copy_skipped", "skip", "skipped")])
def test_a_copy_that_ends_otherwise(
    cbr: Plain, control: ControlClient, adapter: InProcessAdapter, kind: str, status: str, log: str
) -> None:
    control.fault(kind, backup_id=BACKUPS[1])
    cbr.accepted()
    adapter.clock.advance(10)
    record = cbr.records(BACKUPS[1])[0]
    assert (record["status"], record["destination_backup_id"]) == (status, None)
    assert record["extra_info"]["fail_code"] == ("BackupService.1006" if kind == "copy_fails" else "")
    assert cbr.get("/operation-logs", status=log)["count"] == 1
    assert cbr.get("/backups", project_id=DESTINATION_PROJECT)["count"] == 2
    assert cbr.accepted() == [BACKUPS[1]]
    assert control.ledger()["duplicates"] == []


def test_a_record_that_vanishes(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.fault("record_vanishes", backup_id=BACKUPS[0])
    cbr.accepted()
    adapter.clock.advance(2)
    assert len(cbr.records(BACKUPS[0])) == 1
    adapter.clock.advance(2)
    assert cbr.records(BACKUPS[0]) == []
    adapter.clock.advance(2)
    assert cbr.get("/operation-logs", status="success")["count"] == 3
    assert cbr.get("/backups", project_id=DESTINATION_PROJECT)["count"] == 3


@pytest.mark.parametrize(("copy_ends", "replicas"), [("fail", 2), ("success", 3)])
def test_a_source_that_is_deleted_meanwhile(
    cbr: Plain, control: ControlClient, adapter: InProcessAdapter, copy_ends: str, replicas: int
) -> None:
    control.fault("source_deleted", backup_id=BACKUPS[0], copy_ends=copy_ends)
    cbr.accepted()
    adapter.clock.advance(4)
    assert cbr.send("GET", f"/backups/{BACKUPS[0]}").status_code == 404
    adapter.clock.advance(2)
    assert cbr.get("/backups", project_id=DESTINATION_PROJECT)["count"] == replicas
    assert cbr.get("/operation-logs", status="failed")["count"] == 3 - replicas
    assert control.state(SOURCE_VAULT)["vaults"][0]["copies_in_flight"] == 0


@pytest.mark.parametrize(("at_end", "last"), [(False, "success"), (True, "archiving")])
@pytest.mark.usefixtures("wrong_answers")
def test_a_word_that_nobody_knows(cbr: Plain, control: ControlClient, adapter: InProcessAdapter, at_end: bool, last: str) -> None:
    control.fault("unknown_status", backup_id=BACKUPS[0], at_end=at_end)
    cbr.accepted()
    adapter.clock.advance(2)
    assert cbr.records(BACKUPS[0])[0]["status"] == "archiving"
    adapter.clock.advance(10)
    assert cbr.records(BACKUPS[0])[0]["status"] == last


def test_a_replica_that_is_missing(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.fault("replica_missing", backup_id=BACKUPS[0])
    cbr.accepted()
    adapter.clock.advance(10)
    record = cbr.records(BACKUPS[0])[0]
    assert record["status"] == "success"
    assert cbr.send("GET", f"/backups/{record['destination_backup_id']}", project_id=DESTINATION_PROJECT).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "error"},
        {"resource_size": 39},
        {"vault_id": "22222222-2222-4333-8444-555555555555"},
        {"resource_id": "33333333-2222-4333-8444-555555555555"},
        {"row": {"expired_at": "2020-01-01T00:00:00.000000"}},
    ],
)
def test_a_replica_that_is_not_what_it_should_be(
    cbr: Plain, control: ControlClient, adapter: InProcessAdapter, changes: dict[str, Any]
) -> None:
    control.fault("replica_changed", backup_id=BACKUPS[0], changes=changes)
    cbr.accepted()
    adapter.clock.advance(10)
    record = cbr.records(BACKUPS[0])[0]
    replica = cbr.get(f"/backups/{record['destination_backup_id']}", project_id=DESTINATION_PROJECT)["backup"]
    for name, value in changes.get("row", changes).items():
        assert replica[name] == value


# --- checkpoints ----------------------------------------------------------------------------------------------------------


def create(cbr: Plain, vault_id: str = SOURCE_VAULT, **parameters: Any) -> Any:
    return cbr.send("POST", "/checkpoints", body={"checkpoint": {"vault_id": vault_id, "parameters": parameters}})


def test_a_checkpoint_protects_and_becomes_available(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    made = create(cbr, name="before-upgrade", description="x").json()["checkpoint"]
    assert made["status"] == "protecting"
    backups = cbr.get("/backups", checkpoint_id=made["id"])["backups"]
    assert [(row["status"], row["name"]) for row in backups] == [("protecting", "before-upgrade")] * 3
    assert code_of(create(cbr)) == (400, "BackupService.6125")
    # What is not ready is left out of a replication.
    assert sorted(cbr.accepted()) == sorted(BACKUPS)
    adapter.clock.advance(5)
    assert cbr.get(f"/checkpoints/{made['id']}")["checkpoint"]["status"] == "available"
    assert {row["status"] for row in cbr.get("/backups", checkpoint_id=made["id"])["backups"]} == {"available"}
    assert cbr.get("/operation-logs", operation_type="backup", status="success")["count"] == 3
    assert [entry["checkpoint_id"] for entry in control.ledger(SOURCE_VAULT)["checkpoints"]] == [made["id"]]
    assert cbr.get(f"/vaults/{SOURCE_VAULT}")["vault"]["billing"]["used"] == 2 * 200 * 1024


def test_a_checkpoint_of_some_resources(cbr: Plain) -> None:
    resource = cbr.get(f"/backups/{BACKUPS[0]}")["backup"]["resource_id"]
    made = create(cbr, resources=[resource]).json()["checkpoint"]
    assert [one["id"] for one in made["vault"]["resources"]] == [resource]
    assert cbr.get("/backups", checkpoint_id=made["id"])["count"] == 1


def test_a_checkpoint_says_what_it_skipped(cbr: Plain, control: ControlClient) -> None:
    vault = control.add_vault(
        project_id="4229d7a45436489f8c3dc2b1d35d4987", resources=[{"name": "good"}, {"name": "bad", "protect_status": "error"}]
    )["id"]
    made = create(cbr, vault).json()["checkpoint"]["vault"]
    assert [one["name"] for one in made["resources"]] == ["good"]
    assert [one["name"] for one in made["skipped_resources"]] == ["bad"]


def test_a_checkpoint_that_fails(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.fault("backup_fails", vault_id=SOURCE_VAULT)
    made = create(cbr).json()["checkpoint"]
    adapter.clock.advance(5)
    assert cbr.get(f"/checkpoints/{made['id']}")["checkpoint"]["status"] == "error"
    assert {row["status"] for row in cbr.get("/backups", checkpoint_id=made["id"])["backups"]} == {"error"}


def test_refused_checkpoints(cbr: Plain, control: ControlClient) -> None:
    assert code_of(create(cbr, resources=["11111111-2222-4333-8444-555555555555"])) == (400, "BackupService.9900")
    assert code_of(create(cbr, name="a b")) == (400, "BackupService.9900")
    control.change_vault(SOURCE_VAULT, used=400 * 1024)
    assert code_of(create(cbr)) == (400, "BackupService.6114")
    control.change_vault(SOURCE_VAULT, status="frozen")
    assert code_of(create(cbr)) == (400, "BackupService.6113")
    control.change_vault(SOURCE_VAULT, protect_type="replication")
    assert code_of(create(cbr)) == (400, "BackupService.6124")
    empty = control.add_vault(project_id="4229d7a45436489f8c3dc2b1d35d4987")["id"]
    assert code_of(create(cbr, empty)) == (400, "BackupService.0001")


def test_a_checkpoint_that_hides_a_failed_backup(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    first, second = list(adapter.emulator.service.store.vaults[SOURCE_VAULT].resources)[:2]
    control.fault("backup_fails", resource_id=first, checkpoint_status="available")
    made = create(cbr, resources=[first, second]).json()["checkpoint"]
    adapter.clock.advance(10)
    assert cbr.get(f"/checkpoints/{made['id']}")["checkpoint"]["status"] == "available"
    rows = cbr.get("/backups", checkpoint_id=made["id"])["backups"]
    assert {row["resource_id"]: row["status"] for row in rows} == {first: "error", second: "available"}


def test_a_new_checkpoint_shows_late(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.switch(checkpoint_delay=30)
    made = create(cbr).json()["checkpoint"]
    assert code_of(cbr.send("GET", f"/checkpoints/{made['id']}")) == (404, "BackupService.6217")
    assert cbr.get("/backups", checkpoint_id=made["id"])["count"] == 0
    adapter.clock.advance(31)
    assert cbr.get(f"/checkpoints/{made['id']}")["checkpoint"]["status"] == "available"
    assert cbr.get("/backups", checkpoint_id=made["id"])["count"] == 3


def test_a_checkpoint_that_does_not_tell_its_name(cbr: Plain, control: ControlClient) -> None:
    control.switch(checkpoint_backup_names="own", show_checkpoint_extra="null")
    made = create(cbr, name="before-upgrade").json()["checkpoint"]
    assert made["extra_info"]["name"] == "before-upgrade"
    assert cbr.get(f"/checkpoints/{made['id']}")["checkpoint"]["extra_info"] is None
    assert {row["name"] for row in cbr.get("/backups", checkpoint_id=made["id"])["backups"]} == {f"manualbk_{made['id'][:4]}"}


def test_a_careless_service_backs_a_vault_up_twice_at_once(cbr: Plain, control: ControlClient) -> None:
    control.switch(careless=True)
    control.change_vault(SOURCE_VAULT, size=1000)
    assert {create(cbr).status_code for _ in range(2)} == {200}
    assert len(control.ledger(SOURCE_VAULT)["checkpoints"]) == 2

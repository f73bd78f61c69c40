from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT, default_world
from tests.support.emulator import ControlError

if TYPE_CHECKING:
    from tests.support.emulator import ControlClient, InProcessAdapter
    from tests.support.plain_client import Plain

UNKNOWN = "11111111-2222-4333-8444-555555555555"


# --- the ledger ---------------------------------------------------------------------------------------------------------


def test_the_ledger_has_every_call_that_writes(cbr: Plain, control: ControlClient) -> None:
    cbr.accepted()
    cbr.replicate()
    cbr.replicate_backup(BACKUPS[0])
    cbr.send("DELETE", f"/backups/{BACKUPS[0]}")
    calls = control.ledger()["calls"]
    assert [(call["call"], call["outcome"], call["status"]) for call in calls] == [
        ("CopyCheckpoint", "accepted", 200),
        ("CopyCheckpoint", "BackupService.6130", 400),
        ("CopyBackup", "BackupService.1009", 400),
        ("DeleteBackup", "BackupService.6216", 400),
    ]
    assert all(call["answer_delivered"] and call["vault_id"] == SOURCE_VAULT for call in calls)
    assert calls[0]["by"] == "backup-bot (token)"
    assert len(calls[0]["answer"]["replication"]["backups"]) == 3
    assert calls[0]["request"]["replicate"]["destination_vault_id"] == DESTINATION_VAULT


def test_the_ledger_has_every_replication_and_its_end(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.fault("copy_fails", backup_id=BACKUPS[1])
    pairs = cbr.replicate().json()["replication"]["backups"]
    assert [entry["outcome"] for entry in control.ledger()["replications"]] == ["in_flight"] * 3
    adapter.clock.advance(10)
    entries = control.ledger()["replications"]
    assert [(entry["backup_id"], entry["record_id"]) for entry in entries] == [
        (pair["backup_id"], pair["replication_record_id"]) for pair in pairs
    ]
    assert [entry["outcome"] for entry in entries] == ["success", "fail", "success"]
    assert {entry["call_number"] for entry in entries} == {1}


def test_the_ledger_counts_requests_also_of_one_vault(cbr: Plain, control: ControlClient) -> None:
    cbr.get("/backups", vault_id=SOURCE_VAULT)
    cbr.get("/backups")
    cbr.records(BACKUPS[0])
    assert control.requests() == {"KeystoneCreateUserTokenByPassword": 1, "ListBackups": 2, "ShowBackup": 1}
    assert control.requests(SOURCE_VAULT) == {"ListBackups": 1, "ShowBackup": 1}
    assert control.requests(DESTINATION_VAULT) == {}


def test_the_ledger_of_one_vault(cbr: Plain, control: ControlClient) -> None:
    other = control.add_vault(project_id=SOURCE_PROJECT, generate={"count": 2})["id"]
    cbr.accepted()
    cbr.accepted(other)
    ledger = control.ledger(other)
    assert (len(ledger["calls"]), len(ledger["replications"])) == (1, 2)
    assert len(control.ledger()["replications"]) == 5


def test_a_retry_after_a_failure_is_no_duplicate_and_a_second_copy_is(
    cbr: Plain, control: ControlClient, adapter: InProcessAdapter
) -> None:
    control.fault("copy_fails", backup_id=BACKUPS[0])
    cbr.accepted()
    adapter.clock.advance(10)
    cbr.accepted()
    assert control.ledger()["duplicates"] == []
    control.switch(careless=True)
    cbr.replicate_backup(BACKUPS[0])
    (duplicate,) = control.ledger(SOURCE_VAULT)["duplicates"]
    assert duplicate["backup_id"] == BACKUPS[0]
    assert control.ledger(DESTINATION_VAULT)["duplicates"] == []


# --- changing the world ---------------------------------------------------------------------------------------------------


def test_another_world_takes_the_place_of_this_one(cbr: Plain, control: ControlClient) -> None:
    cbr.accepted()
    world = default_world().model_dump(mode="json")
    world["vaults"][0]["backups"].pop()
    state = control.world(world)
    assert [vault["backups"] for vault in state["vaults"]] == [0, 2]
    assert control.ledger()["calls"] == []
    cbr.forget_tokens()
    assert cbr.get("/backups")["count"] == 2
    control.reset()
    cbr.forget_tokens()
    assert cbr.get("/backups")["count"] == 2


def test_reset_starts_the_world_anew(cbr: Plain, control: ControlClient) -> None:
    cbr.accepted()
    control.change_vault(SOURCE_VAULT, size=77)
    control.switch(careless=True)
    control.fault("reset", call="ListBackups")
    state = control.reset()
    assert (state["faults"], state["switches"]["careless"]) == ([], False)
    cbr.forget_tokens()
    assert cbr.get("/backups", show_replication="true")["backups"][0]["replication_records"] == []
    assert cbr.get(f"/vaults/{SOURCE_VAULT}")["vault"]["billing"]["size"] == 500


def test_the_clock(cbr: Plain, control: ControlClient) -> None:
    cbr.accepted()
    assert control.advance(2)["next_due"] is not None
    assert set(cbr.statuses()) == {"replicating"}
    control.advance(4)
    assert set(cbr.statuses()) == {"success"}
    assert control.speed(60)["speed"] == 60


def test_the_state_of_a_vault(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    cbr.accepted()
    adapter.clock.advance(3)
    state = control.state(SOURCE_VAULT)
    assert state["vaults"][0] | {"used": 0} == {
        "id": SOURCE_VAULT,
        "name": "vault-nightly",
        "project_id": SOURCE_PROJECT,
        "protect_type": "backup",
        "object_type": "server",
        "status": "available",
        "size": 500,
        "used": 0,
        "backups": 3,
        "copies_in_flight": 3,
    }
    assert {record["status"] for backup in state["backups"] for record in backup["records"]} == {"replicating"}


@pytest.mark.usefixtures("wrong_answers")
def test_any_wrong_copy_can_be_made(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    cbr.accepted()
    adapter.clock.advance(10)
    record = cbr.records(BACKUPS[0])[0]
    control.change_record(record["id"], status="fail", fail_code="1", row={"extra": 1, "created_at": None})
    changed = cbr.records(BACKUPS[0])[0]
    assert (changed["status"], changed["extra"], changed["created_at"]) == ("fail", 1, None)
    replica = record["destination_backup_id"]
    control.change_backup(replica, status="error", row={"resource_size": "40"})
    row = cbr.get(f"/backups/{replica}", project_id=DESTINATION_PROJECT)["backup"]
    assert (row["status"], row["resource_size"]) == ("error", "40")
    control.remove_backup(replica)
    assert cbr.send("GET", f"/backups/{replica}", project_id=DESTINATION_PROJECT).status_code == 404
    control.remove_record(record["id"])
    assert cbr.records(BACKUPS[0]) == []
    control.change_vault(DESTINATION_VAULT, row={"locked": None})
    assert cbr.get(f"/vaults/{DESTINATION_VAULT}", project_id=DESTINATION_PROJECT)["vault"]["locked"] is None
    control.remove_vault(DESTINATION_VAULT)
    assert cbr.get("/vaults", project_id=DESTINATION_PROJECT)["count"] == 0


def test_a_destination_that_is_removed_while_copies_run(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    cbr.accepted()
    control.remove_vault(DESTINATION_VAULT)
    adapter.clock.advance(10)
    assert set(cbr.statuses()) == {"fail"}


def test_a_new_backup_is_the_newest(cbr: Plain, control: ControlClient) -> None:
    new = control.add_backup(SOURCE_VAULT, name="tonight")["id"]
    assert cbr.get("/backups")["backups"][0]["id"] == new
    old = control.add_backup(SOURCE_VAULT, age_seconds=86400)["id"]
    assert cbr.get("/backups")["backups"][-1]["id"] == old


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "message"),
    [
        ("POST", "/world", {"users": []}, 400, "users: List should have at least 1 item"),
        ("POST", "/world", {"vault": []}, 400, "vault: Extra inputs are not permitted"),
        ("POST", "/faults", {"kind": "explode"}, 400, "explode"),
        ("POST", "/faults", {"kind": "reset", "calls": 1}, 400, "0.reset.calls: Extra inputs are not permitted"),
        ("POST", "/faults", {"kind": "throttle", "when": "after"}, 400, "when"),
        ("POST", "/faults", {"kind": "replica_changed", "changes": {"colour": "red"}}, 400, "colour cannot be changed"),
        ("POST", "/clock", {"advance": -1}, 400, "advance"),
        ("POST", "/clock", {"sped": 1}, 400, "sped: Extra inputs are not permitted"),
        ("POST", "/vaults", {"project_id": "0" * 32}, 400, "unknown project"),
        ("POST", "/vaults", {"project_id": SOURCE_PROJECT, "id": SOURCE_VAULT}, 400, "exists already"),
        ("PATCH", f"/vaults/{UNKNOWN}", {}, 404, f"vault {UNKNOWN} does not exist"),
        ("PATCH", f"/vaults/{SOURCE_VAULT}", {"used": "much"}, 400, "vault: used has a value of the wrong type"),
        ("PATCH", f"/vaults/{SOURCE_VAULT}", {"object_type": "moon"}, 400, "object_type must be one of"),
        ("POST", f"/vaults/{SOURCE_VAULT}/backups", {"id": BACKUPS[0]}, 400, "exists already"),
        ("POST", f"/vaults/{SOURCE_VAULT}/backups", {"replicated_to": [SOURCE_VAULT]}, 400, "which is not a replication vault"),
        ("PATCH", f"/backups/{UNKNOWN}", {}, 404, f"backup {UNKNOWN} does not exist"),
        ("PATCH", f"/backups/{BACKUPS[0]}", {"colour": 1}, 400, "colour cannot be changed; what can: name, vault_id"),
        ("PATCH", f"/backups/{BACKUPS[0]}", [1], 400, "must be a JSON object"),
        ("DELETE", f"/records/{UNKNOWN}", None, 404, f"record {UNKNOWN} does not exist"),
        ("DELETE", "/faults/7", None, 404, "fault 7 is not in force"),
        ("PATCH", "/users/nobody", {}, 404, "user nobody does not exist"),
        ("PATCH", "/users/backup-bot", {"colour": 1}, 400, "colour"),
        ("POST", "/tokens/revoke", {"how": "burn"}, 400, "how"),
        ("GET", "/nowhere", None, 404, "there is no control call GET /_emulator/nowhere"),
    ],
)
def test_mistakes_are_told(cbr: Plain, method: str, path: str, content: Any, status: int, message: str) -> None:
    answer = cbr.session.request(method, f"{cbr.url}/_emulator{path}", json=content, timeout=5)
    assert answer.status_code == status
    assert message in answer.json()["error"]


def test_a_body_that_is_no_json(cbr: Plain) -> None:
    answer = cbr.session.post(f"{cbr.url}/_emulator/faults", data="{", timeout=5)
    assert (answer.status_code, answer.json()["error"][:20]) == (400, "the body is not JSON")


def test_the_helper_fails_on_a_mistake(control: ControlClient) -> None:
    with pytest.raises(ControlError, match="does not exist"):
        control.remove_backup(UNKNOWN)

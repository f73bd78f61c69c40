from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT, default_world
from tests.support.emulator import InProcessAdapter
from tests.support.plain_client import Plain, code_of

if TYPE_CHECKING:
    from tests.support.emulator import ControlClient

UNKNOWN = "11111111-2222-4333-8444-555555555555"
SECOND = "22222222-2222-4333-8444-555555555555"


def refused(code: str, status: int = 400) -> tuple[int, str]:
    return status, f"BackupService.{code}"


def test_the_published_request_gets_the_published_backups(cbr: Plain) -> None:
    answer = cbr.replicate(auto_trigger=False, enable_acceleration=False)
    replication = answer.json()["replication"]
    assert [pair["backup_id"] for pair in replication["backups"]] == list(BACKUPS)
    assert (replication["vault_id"], replication["source_region"]) == (SOURCE_VAULT, "cn-north-4")
    assert replication["provider_id"] == "0daac4c5-6707-4851-97ba-169e36266b66"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"destination_region": "cn-north-4", "destination_project_id": SOURCE_PROJECT}, "1005"),
        ({"destination_region": "region2"}, "1005"),
        ({"destination_project_id": SOURCE_PROJECT}, "1011"),
        ({"destination_project_id": "0" * 32}, "1011"),
        ({"destination_vault_id": UNKNOWN}, "6120"),
        ({"destination_vault_id": SOURCE_VAULT}, "6120"),
        ({"destination_region": "cn shenzhen"}, "9900"),
        ({"auto_trigger": "false"}, "9900"),
        ({"retention": 3}, "9900"),
        ({"destination_vault_id": None}, "9900"),
    ],
)
def test_refused_destinations(cbr: Plain, changes: dict[str, Any], code: str) -> None:
    assert code_of(cbr.replicate(**changes)) == refused(code)
    single = {name: value for name, value in changes.items() if name != "auto_trigger"}
    if single:
        assert code_of(cbr.replicate_backup(BACKUPS[0], **single)) == refused(code)


@pytest.mark.parametrize(
    ("vault", "code"),
    [
        ({"protect_type": "backup"}, "6119"),
        ({"object_type": "turbo"}, "6119"),
        ({"status": "frozen"}, "6112"),
    ],
)
def test_destinations_of_another_kind(cbr: Plain, control: ControlClient, vault: dict[str, Any], code: str) -> None:
    control.change_vault(DESTINATION_VAULT, **vault)
    assert code_of(cbr.replicate()) == refused(code)


@pytest.mark.parametrize(
    ("vault", "code"),
    [
        ({"protect_type": "replication"}, "6128"),
        ({"object_type": "disk"}, "6122"),
        ({"object_type": "workspace"}, "6122"),
        ({"status": "lock"}, "6112"),
    ],
)
def test_sources_that_cannot_replicate(cbr: Plain, control: ControlClient, vault: dict[str, Any], code: str) -> None:
    control.change_vault(SOURCE_VAULT, **vault)
    assert code_of(cbr.replicate()) == refused(code)
    assert code_of(cbr.replicate_backup(BACKUPS[0])) == refused(code)


def test_a_project_that_is_closed_to_replication() -> None:
    world = default_world()
    world.projects[1].replication = False
    cbr = Plain.in_process(InProcessAdapter(Emulator(world, Clock(speed=0))))
    assert code_of(cbr.replicate()) == refused("1011")


def test_what_is_not_there(cbr: Plain) -> None:
    assert code_of(cbr.replicate(UNKNOWN)) == refused("6105", 404)
    assert code_of(cbr.replicate(DESTINATION_VAULT)) == refused("6105", 404)
    assert code_of(cbr.replicate_backup(UNKNOWN)) == refused("6200", 404)
    assert code_of(cbr.send("POST", "/checkpoints/replicate", body=[1])) == refused("9900")


def test_a_full_destination(cbr: Plain, control: ControlClient) -> None:
    control.change_vault(DESTINATION_VAULT, used=(1000 - 199) * 1024)
    assert code_of(cbr.replicate()) == refused("6129")
    assert cbr.replicate_backup(BACKUPS[2]).status_code == 200
    # The first copy has reserved its 100 GB: 99 are left.
    assert cbr.replicate_backup(BACKUPS[1]).status_code == 200
    assert code_of(cbr.replicate_backup(BACKUPS[0])) == refused("6129")


def test_a_vault_that_replicates_is_busy_until_the_last_copy_ends(cbr: Plain, adapter: InProcessAdapter) -> None:
    cbr.accepted()
    answer = cbr.replicate()
    assert code_of(answer) == refused("6130")
    assert "is replicating" in answer.json()["error_msg"]
    adapter.clock.advance(4.9)
    assert code_of(cbr.replicate()) == refused("6130")
    adapter.clock.advance(0.2)
    assert code_of(cbr.replicate()) == refused("1009")


def test_a_single_copy_makes_the_vault_busy_too(cbr: Plain) -> None:
    assert cbr.replicate_backup(BACKUPS[0]).status_code == 200
    assert code_of(cbr.replicate()) == refused("6130")
    assert cbr.replicate_backup(BACKUPS[1]).status_code == 200


def test_a_backup_is_copied_once_for_each_region(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.add_vault(id=SECOND, project_id=DESTINATION_PROJECT, protect_type="replication")
    assert cbr.replicate_backup(BACKUPS[0]).status_code == 200
    assert code_of(cbr.replicate_backup(BACKUPS[0])) == refused("1009")
    adapter.clock.advance(10)
    assert code_of(cbr.replicate_backup(BACKUPS[0])) == refused("1009")
    assert code_of(cbr.replicate_backup(BACKUPS[0], destination_vault_id=SECOND)) == refused("1009")


def test_a_vault_call_takes_what_is_not_copied_yet(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    cbr.accepted()
    adapter.clock.advance(10)
    new = control.add_backup(SOURCE_VAULT)["id"]
    assert cbr.accepted() == [new]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": "error"}, "1001"),
        ({"status": "protecting"}, "1001"),
        ({"image_type": "replication"}, "1002"),
        ({"resource_type": "OS::Ironic::BareMetalServer"}, "1003"),
        ({"contain_system_disk": False}, "1004"),
        ({"system_disk_picked": True}, "1013"),
        ({"resource_type": "OS::Cinder::Volume"}, "6122"),
    ],
)
def test_backups_that_do_not_qualify_are_left_out(cbr: Plain, control: ControlClient, changes: dict[str, Any], code: str) -> None:
    control.change_backup(BACKUPS[1], **changes)
    assert code_of(cbr.replicate_backup(BACKUPS[1])) == refused(code)
    assert cbr.accepted() == [BACKUPS[0], BACKUPS[2]]


@pytest.mark.parametrize(("how", "code"), [("reason", "1001"), ("0001", "0001"), ("empty", None)])
def test_a_vault_without_any_backup_that_qualifies(cbr: Plain, control: ControlClient, how: str, code: str | None) -> None:
    control.switch(when_none_qualifies=how)
    for backup in BACKUPS:
        control.change_backup(backup, status="error")
    if code is None:
        assert cbr.accepted() == []
    else:
        assert code_of(cbr.replicate()) == refused(code)


def test_an_empty_vault(cbr: Plain, control: ControlClient) -> None:
    control.add_vault(id=SECOND, project_id=SOURCE_PROJECT)
    assert code_of(cbr.replicate(SECOND)) == refused("0001")


def test_a_replica_cannot_be_replicated(cbr: Plain, adapter: InProcessAdapter) -> None:
    cbr.accepted()
    adapter.clock.advance(10)
    replica = cbr.records(BACKUPS[0])[0]["destination_backup_id"]
    back = {"destination_region": "cn-north-4", "destination_project_id": SOURCE_PROJECT, "destination_vault_id": SOURCE_VAULT}
    answer = cbr.send("POST", f"/backups/{replica}/replicate", project_id=DESTINATION_PROJECT, body={"replicate": back})
    assert code_of(answer) == refused("1002")


def test_other_kinds_replicate_too(cbr: Plain, control: ControlClient) -> None:
    control.add_vault(id=SECOND, project_id=DESTINATION_PROJECT, protect_type="replication", object_type="turbo")
    control.add_vault(id=UNKNOWN, project_id=SOURCE_PROJECT, object_type="turbo", generate={"count": 2})
    assert len(cbr.accepted(UNKNOWN, destination_vault_id=SECOND)) == 2
    assert code_of(cbr.replicate(UNKNOWN, destination_vault_id=SECOND)) == refused("6130")


def test_a_single_copy_has_its_own_name(cbr: Plain, adapter: InProcessAdapter) -> None:
    assert code_of(cbr.replicate_backup(BACKUPS[0], name="no spaces")) == refused("9900")
    assert cbr.replicate_backup(BACKUPS[0], name="copy-1", description="for the audit").status_code == 200
    adapter.clock.advance(10)
    replica = cbr.get("/backups", project_id=DESTINATION_PROJECT)["backups"][0]
    assert (replica["name"], replica["description"]) == ("copy-1", "for the audit")


# --- deleting -----------------------------------------------------------------------------------------------------------


def test_deleting_a_backup(cbr: Plain) -> None:
    used = cbr.get(f"/vaults/{SOURCE_VAULT}")["vault"]["billing"]["used"]
    answer = cbr.send("DELETE", f"/backups/{BACKUPS[0]}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert cbr.get("/backups")["count"] == 2
    assert cbr.get(f"/vaults/{SOURCE_VAULT}")["vault"]["billing"]["used"] == used - 40 * 1024


def test_what_cannot_be_deleted(cbr: Plain, control: ControlClient) -> None:
    control.change_backup(BACKUPS[1], status="protecting")
    assert code_of(cbr.send("DELETE", f"/backups/{BACKUPS[1]}")) == refused("6201")
    cbr.accepted()
    assert code_of(cbr.send("DELETE", f"/backups/{BACKUPS[0]}")) == refused("6216")
    control.change_vault(SOURCE_VAULT, locked=True)
    assert code_of(cbr.send("DELETE", f"/backups/{BACKUPS[0]}")) == refused("6220")


def test_after_its_replica_was_deleted_only_a_single_call_copies_again(
    cbr: Plain, control: ControlClient, adapter: InProcessAdapter
) -> None:
    cbr.accepted()
    adapter.clock.advance(10)
    replica = cbr.records(BACKUPS[0])[0]["destination_backup_id"]
    cbr.send("DELETE", f"/backups/{replica}", project_id=DESTINATION_PROJECT)
    assert code_of(cbr.replicate()) == refused("1009")
    control.switch(deleted_taken_again=True)
    assert cbr.accepted() == [BACKUPS[0]]
    adapter.clock.advance(10)
    assert code_of(cbr.replicate_backup(BACKUPS[0])) == refused("1009")
    replica = cbr.records(BACKUPS[0])[1]["destination_backup_id"]
    cbr.send("DELETE", f"/backups/{replica}", project_id=DESTINATION_PROJECT)
    assert cbr.replicate_backup(BACKUPS[0]).status_code == 200
    assert control.ledger()["duplicates"] == []

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_VAULT
from tests.support.emulator import ControlError
from tests.support.plain_client import Plain, code_of

if TYPE_CHECKING:
    from tests.support.emulator import ControlClient, InProcessAdapter


@pytest.mark.parametrize("code", ["1009", "0001"])
def test_when_all_is_copied_a_code(cbr: Plain, control: ControlClient, adapter: InProcessAdapter, code: str) -> None:
    control.switch(when_all_copied=code)
    cbr.accepted()
    adapter.clock.advance(10)
    assert code_of(cbr.replicate()) == (400, f"BackupService.{code}")


def test_when_all_is_copied_an_empty_list(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.switch(when_all_copied="empty")
    cbr.accepted()
    adapter.clock.advance(10)
    assert cbr.accepted() == []


def test_when_all_is_copied_records_that_skip(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.switch(when_all_copied="skip")
    cbr.accepted()
    adapter.clock.advance(10)
    assert cbr.accepted() == list(BACKUPS)
    assert [record["status"] for record in cbr.records(BACKUPS[0])] == ["success", "skip"]
    assert len(control.ledger()["replications"]) == 3


@pytest.mark.parametrize("again", [True, False])
def test_failed_copies_are_taken_again_or_not(cbr: Plain, control: ControlClient, adapter: InProcessAdapter, again: bool) -> None:
    control.switch(failed_taken_again=again)
    control.fault("copy_fails", backup_id=BACKUPS[0])
    cbr.accepted()
    adapter.clock.advance(10)
    if again:
        assert cbr.accepted() == [BACKUPS[0]]
    else:
        assert code_of(cbr.replicate()) == (400, "BackupService.1009")
        assert cbr.replicate_backup(BACKUPS[0]).status_code == 200


def test_single_calls_while_the_vault_replicates(cbr: Plain, control: ControlClient) -> None:
    control.switch(single_while_replicating="6130")
    assert cbr.replicate_backup(BACKUPS[0]).status_code == 200
    assert code_of(cbr.replicate_backup(BACKUPS[1])) == (400, "BackupService.6130")


def test_a_careless_service_starts_duplicates(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.switch(careless=True)
    assert len(cbr.accepted()) == 3
    assert len(cbr.accepted()) == 3
    assert cbr.replicate_backup(BACKUPS[0]).status_code == 200
    adapter.clock.advance(10)
    assert len(cbr.accepted()) == 3
    assert len(control.ledger()["duplicates"]) == 7
    assert cbr.get("/backups", project_id=DESTINATION_PROJECT)["count"] == 7


def test_records_in_the_answer_for_one_backup(cbr: Plain, control: ControlClient) -> None:
    cbr.accepted()
    control.switch(show_backup_records="empty")
    assert cbr.get(f"/backups/{BACKUPS[0]}")["backup"]["replication_records"] == []
    control.switch(show_backup_records="absent")
    assert "replication_records" not in cbr.get(f"/backups/{BACKUPS[0]}")["backup"]
    assert cbr.get("/backups", show_replication="true")["backups"][0]["replication_records"]


def test_records_and_logs_show_late(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.switch(record_delay=30, operation_log_delay=60, copy_seconds=1000)
    cbr.accepted()
    assert cbr.records(BACKUPS[0]) == []
    assert code_of(cbr.replicate()) == (400, "BackupService.6130")
    adapter.clock.advance(30)
    assert len(cbr.statuses()) == 3
    assert cbr.get("/operation-logs")["count"] == 0
    adapter.clock.advance(30)
    assert cbr.get("/operation-logs")["count"] == 3


def test_a_record_that_shows_after_its_copy_has_ended(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.switch(record_delay=30)
    cbr.accepted()
    adapter.clock.advance(20)
    assert cbr.statuses() == []
    adapter.clock.advance(10)
    assert set(cbr.statuses()) == {"success"}


def test_the_status_of_a_code(cbr: Plain, control: ControlClient) -> None:
    control.switch(code_status={"1009": 500, "6130": 409})
    cbr.accepted()
    assert code_of(cbr.replicate()) == (409, "BackupService.6130")
    assert code_of(cbr.replicate_backup(BACKUPS[0])) == (500, "BackupService.1009")


def test_extra_info_as_text(cbr: Plain, control: ControlClient) -> None:
    cbr.accepted()
    control.switch(extra_info_as_text=True)
    assert json.loads(cbr.records(BACKUPS[0])[0]["extra_info"])["progress"] == 0


@pytest.mark.parametrize(("notation", "end"), [("offset", "+00:00"), ("zulu", "Z")])
def test_notations_of_time(cbr: Plain, control: ControlClient, notation: str, end: str) -> None:
    cbr.get("/backups")
    control.switch(time_notation=notation)
    assert all(row["created_at"].endswith(end) for row in cbr.get("/backups")["backups"])


def test_accounts_without_acceleration(cbr: Plain, control: ControlClient) -> None:
    control.switch(refuse_acceleration=True)
    answer = cbr.replicate(enable_acceleration=True)
    assert code_of(answer) == (400, "BackupService.9900")
    assert "invalid key enable_acceleration" in answer.json()["error_msg"]
    assert len(cbr.accepted(enable_acceleration=False)) == 3


def test_a_switch_that_does_not_exist(control: ControlClient) -> None:
    with pytest.raises(ControlError, match="carefull: Extra inputs are not permitted"):
        control.switch(carefull=True)
    with pytest.raises(ControlError, match="when_all_copied"):
        control.switch(when_all_copied="2000")
    assert control.state(SOURCE_VAULT)["switches"]["when_all_copied"] == "1009"


# --- a cloud that lists no replication records ----------------------------------------------------------------------------


def test_no_answer_knows_a_replication_record(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.switch(replication_records="unlisted")
    pairs = cbr.replicate().json()["replication"]["backups"]
    assert [pair["backup_id"] for pair in pairs] == list(BACKUPS)
    assert all(pair["replication_record_id"] for pair in pairs)
    for _ in range(2):
        for how in ("filled", "empty", "absent"):
            control.switch(show_backup_records=how)
            assert "replication_records" not in cbr.get(f"/backups/{BACKUPS[0]}")["backup"]
        for asked in ("true", "false"):
            assert all("replication_records" not in row for row in cbr.get("/backups", show_replication=asked)["backups"])
        assert all(set(row["extra_info"]) == {"common", "resource"} for row in cbr.get("/operation-logs")["operation_logs"])
        adapter.clock.advance(10)
    control.switch(replication_records="listed")
    assert set(cbr.statuses()) == {"success"}


def test_what_is_left_to_follow(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.switch(replication_records="unlisted", time_notation="offset")
    sources = {row["id"]: row for row in cbr.get("/backups")["backups"]}
    control.fault("copy_fails", backup_id=BACKUPS[2])
    cbr.accepted()
    query = {"operation_type": "replication", "vault_id": SOURCE_VAULT}
    for seconds, status in ((0, {"waiting"}), (3, {"running"}), (10, {"success", "failed"})):
        adapter.clock.advance(seconds)
        rows = cbr.get("/operation-logs", **query)["operation_logs"]
        assert {row["status"] for row in rows} == status
        assert {(row["checkpoint_id"], row["extra_info"]["resource"]["id"]) for row in rows} == {
            (source["checkpoint_id"], source["resource_id"]) for source in sources.values()
        }
    assert sorted(row["extra_info"]["common"]["progress"] for row in rows)[-2:] == [100, 100]
    replicas = cbr.get("/backups", project_id=DESTINATION_PROJECT, image_type="replication", vault_id=DESTINATION_VAULT)["backups"]
    copied = [sources[backup] for backup in BACKUPS[:2]]
    shared = ("resource_id", "resource_size", "name")
    assert sorted([row[key] for key in shared] for row in replicas) == sorted([row[key] for key in shared] for row in copied)


def test_acceleration_is_an_unknown_key_there(cbr: Plain, control: ControlClient) -> None:
    control.switch(replication_records="unlisted")
    assert code_of(cbr.replicate(enable_acceleration=False)) == (400, "BackupService.9900")
    assert code_of(cbr.replicate_backup(BACKUPS[0], enable_acceleration=True)) == (400, "BackupService.9900")
    assert len(cbr.accepted()) == 3


def test_the_operation_log_without_a_filter_for_replications(cbr: Plain, control: ControlClient) -> None:
    cbr.accepted()
    control.switch(operation_log_replication_filter=False)
    assert code_of(cbr.send("GET", "/operation-logs", query={"operation_type": "replication"})) == (400, "BackupService.9900")
    assert {row["operation_type"] for row in cbr.get("/operation-logs")["operation_logs"]} == {"replication"}


def test_what_a_replica_takes_from_its_source(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    before = cbr.get("/checkpoints/8b0851a8-adf3-4f4c-a914-dead08bf9664")
    control.switch(replica_created_at="source", replica_protected_at="source", replica_checkpoint="source", replica_name="own")
    cbr.accepted()
    adapter.clock.advance(10)
    sources = {row["resource_id"]: row for row in cbr.get("/backups")["backups"]}
    replicas = cbr.get("/backups", project_id=DESTINATION_PROJECT)["backups"]
    assert len(replicas) == 3
    for replica in replicas:
        source = sources[replica["resource_id"]]
        assert replica["created_at"] == replica["protected_at"] == source["created_at"]
        assert (source["protected_at"], replica["checkpoint_id"]) == (None, source["checkpoint_id"])
        assert replica["name"] == f"replica_{replica['id'][:4]}"
    record = cbr.records(BACKUPS[0])[0]
    assert record["destination_checkpoint_id"] == record["source_checkpoint_id"]
    (detail,) = [
        row["extra_info"]["replication"]
        for row in cbr.get("/operation-logs")["operation_logs"]
        if row["extra_info"]["replication"]["source_backup_id"] == BACKUPS[0]
    ]
    assert detail["destination_backup_name"].startswith("replica_")
    assert cbr.get("/checkpoints/8b0851a8-adf3-4f4c-a914-dead08bf9664") == before


def test_a_name_that_is_given_goes_before_the_switch(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.switch(replica_name="own")
    assert cbr.replicate_backup(BACKUPS[0], name="mine").status_code == 200
    adapter.clock.advance(10)
    assert [row["name"] for row in cbr.get("/backups", project_id=DESTINATION_PROJECT)["backups"]] == ["mine"]


@pytest.mark.usefixtures("wrong_answers")
def test_rows_that_lack_fields(cbr: Plain, control: ControlClient) -> None:
    cbr.accepted()
    control.switch(record_lacks=["id", "created_at"], backup_lacks=["created_at"], operation_log_lacks=["id", "extra_info"])
    row = cbr.get(f"/backups/{BACKUPS[0]}")["backup"]
    (record,) = row["replication_records"]
    assert "created_at" not in row
    assert {"id", "created_at"}.isdisjoint(record)
    assert record["status"] == "waiting_replicate"
    assert all({"id", "extra_info"}.isdisjoint(log) for log in cbr.get("/operation-logs")["operation_logs"])
    # The control calls tell all, so that a test can name what it wants to change.
    assert control.state(SOURCE_VAULT)["backups"][0]["records"][0]["id"]
    control.switch(record_lacks=[], backup_lacks=["replication_records"], operation_log_lacks=[])
    assert "replication_records" not in cbr.get(f"/backups/{BACKUPS[0]}")["backup"]
    control.switch(backup_lacks=[])
    assert cbr.records(BACKUPS[0])[0]["id"]

"""Deleting a backup or a replica, and what goes by itself: refusals, switches, and the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_VAULT
from tests.support.plain_client import Plain, code_of

if TYPE_CHECKING:
    import requests

    from tests.support.emulator import ControlClient, InProcessAdapter

IMAGE = "0f0f0f0f-0000-4000-8000-000000000001"


def delete(cbr: Plain, backup_id: str = BACKUPS[0], **options: Any) -> requests.Response:
    return cbr.send("DELETE", f"/backups/{backup_id}", **options)


def replica(cbr: Plain, adapter: InProcessAdapter) -> str:
    cbr.accepted()
    adapter.clock.advance(10)
    return str(cbr.records(BACKUPS[0])[0]["destination_backup_id"])


def test_a_deletion_is_in_the_ledger_and_in_the_operation_log(cbr: Plain, control: ControlClient) -> None:
    assert delete(cbr).status_code == 204
    (entry,) = control.ledger()["deletions"]
    (call,) = [one for one in control.ledger()["calls"] if one["call"] == "DeleteBackup"]
    assert entry | {"at": "", "resource_id": ""} == {
        "backup_id": BACKUPS[0],
        "vault_id": SOURCE_VAULT,
        "image_type": "backup",
        "resource_id": "",
        "at": "",
        "by": call["by"],
        "call_number": call["number"],
        "how": "asked",
    }
    assert control.ledger(DESTINATION_VAULT)["deletions"] == []
    (log,) = cbr.get("/operation-logs", operation_type="delete")["operation_logs"]
    assert (log["status"], log["extra_info"]["delete"]["backup_id"]) == ("success", BACKUPS[0])
    assert code_of(delete(cbr)) == (404, "BackupService.6200")


def test_a_replica_is_deleted_in_its_own_project(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    replica_id = replica(cbr, adapter)
    assert code_of(delete(cbr, replica_id)) == (404, "BackupService.6200")
    assert delete(cbr, replica_id, project_id=DESTINATION_PROJECT).status_code == 204
    assert [(one["backup_id"], one["image_type"]) for one in control.ledger()["deletions"]] == [(replica_id, "replication")]


def test_what_is_in_use_is_refused(cbr: Plain, control: ControlClient) -> None:
    control.change_backup(BACKUPS[0], images=[IMAGE])
    assert cbr.get(f"/backups/{BACKUPS[0]}")["backup"]["extend_info"]["os_images_data"] == [{"image_id": IMAGE}]
    assert code_of(delete(cbr)) == (400, "BackupService.6204")
    control.change_backup(BACKUPS[0], images=[], status="restoring")
    assert code_of(delete(cbr)) == (400, "BackupService.6201")
    control.change_backup(BACKUPS[0], status="available")
    cbr.accepted()
    assert code_of(delete(cbr)) == (400, "BackupService.6216")
    assert control.ledger()["deletions"] == []


@pytest.mark.parametrize(("keeps", "automatic", "refused"), [("automatic", True, True), ("automatic", False, False), ("all", False, True)])
def test_a_locked_vault(cbr: Plain, control: ControlClient, keeps: str, automatic: bool, refused: bool) -> None:
    control.switch(locked_vault_keeps=keeps)
    control.change_vault(SOURCE_VAULT, locked=True)
    control.change_backup(BACKUPS[0], auto_trigger=automatic)
    answer = delete(cbr)
    assert (code_of(answer) if refused else answer.status_code) == ((400, "BackupService.6220") if refused else 204)


@pytest.mark.parametrize("again", ["6201", "204"])
def test_a_deletion_takes_time(cbr: Plain, control: ControlClient, adapter: InProcessAdapter, again: str) -> None:
    control.switch(delete_seconds=30, delete_while_deleting=again)
    assert delete(cbr).status_code == 204
    assert cbr.get(f"/backups/{BACKUPS[0]}")["backup"]["status"] == "deleting"
    answer = delete(cbr)
    assert (code_of(answer) if again == "6201" else answer.status_code) == ((400, "BackupService.6201") if again == "6201" else 204)
    adapter.clock.advance(31)
    assert code_of(delete(cbr)) == (404, "BackupService.6200")
    assert len(control.ledger()["deletions"]) == 1


def test_what_has_expired_goes_if_the_switch_says_so(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.change_vault(SOURCE_VAULT, locked=True)
    control.change_backup(BACKUPS[0], expired_at=adapter.clock.now() + 60)
    adapter.clock.advance(61)
    assert cbr.get("/backups")["count"] == 3
    control.switch(expiry="removed")
    assert cbr.get("/backups")["count"] == 2
    assert [(one["backup_id"], one["how"], one["by"]) for one in control.ledger()["deletions"]] == [(BACKUPS[0], "expired", None)]

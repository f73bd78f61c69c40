"""What counts as done: each rule by which the replicate operator ends green or red, against an emulator that keeps its own book."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrNothingToReplicateError, CbrReplicationFailedError, CbrReplicationTimeoutError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator
from airflow_cbr.replication.steps import Step
from tests.support.task_run import IDS, replicating, set_connection, verifying

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import EmulatorServer

OTHER_VAULT = "5f6e2ad1-2d60-4b4a-b2a6-0de0d3c4a001"
NAMES = ["nightly-ecs-web-01", "nightly-ecs-app-01", "nightly-ecs-db-01"]
#: How CBR says that a server's backup cannot be copied: the vault's call leaves it out, and asked for by itself it is refused with 1004.
NO_SYSTEM_DISK = {"contain_system_disk": False, "name": "data-disks-only"}


def calls(emulator: EmulatorServer) -> Counter[str]:
    """Return how many replicate calls the service received, by name."""
    return Counter(call["call"] for call in emulator.control.ledger()["calls"])


def copies(emulator: EmulatorServer) -> Counter[str]:
    """Return how many copies of each backup the service started."""
    return Counter(entry["backup_id"] for entry in emulator.control.ledger()["replications"])


def at_first(step: Step, moment: str, act: Callable[[], Any]) -> type[CbrReplicateCheckpointOperator]:
    """Return an operator during which something happens, once, at a step."""

    class Watched(CbrReplicateCheckpointOperator):
        done = False

        def at_step(self, reached: Step, reached_moment: str) -> None:
            if (reached, reached_moment) == (step, moment) and not self.done:
                self.done = True
                act()

    return Watched


def copy_all(emulator: EmulatorServer) -> list[str]:
    """Let the vault be replicated to its end in an earlier night."""
    record_ids = replicating().attempt()
    assert copies(emulator) == dict.fromkeys(BACKUPS, 1)
    emulator.control.advance(24 * 3600)
    return list(record_ids)


# --- eligible -------------------------------------------------------------------------------------------------------------


def test_every_available_backup_of_a_kind_that_replicates_is_copied(emulator: EmulatorServer) -> None:
    run = replicating()
    record_ids = run.attempt()
    ledger = emulator.control.ledger()
    assert sorted(record_ids) == sorted(entry["record_id"] for entry in ledger["replications"])
    assert copies(emulator) == dict.fromkeys(BACKUPS, 1)
    assert {entry["outcome"] for entry in ledger["replications"]} == {"success"}
    assert calls(emulator) == {"CopyCheckpoint": 1}
    assert ledger["calls"][0]["request"]["replicate"] == IDS | {"auto_trigger": False}


@pytest.mark.parametrize(
    ("backup", "reason"),
    [
        ({"status": "error"}, "its status is error, not available"),
        ({"status": "restoring"}, "its status is restoring, not available"),
        ({"status": "waiting_delete"}, "its status is waiting_delete, not available"),
        ({"image_type": "replication"}, "it is itself a replication"),
        ({"resource_type": "OS::Cinder::Volume"}, "CBR does not replicate disk backups"),
        ({"resource_type": "OS::Workspace::DesktopV2"}, "CBR does not replicate workspace desktop backups"),
    ],
)
def test_what_is_not_eligible_is_skipped_and_named_with_the_reason_and_not_red(
    emulator: EmulatorServer, backup: dict[str, Any], reason: str
) -> None:
    added = emulator.control.add_backup(SOURCE_VAULT, name="odd-one", age_seconds=60, **backup)
    run = replicating()
    assert len(run.attempt()) == 3
    assert f": skipped ({reason}); backup odd-one ({added['id']})" in run.log
    assert run.xcoms["replication"]["skipped"] == 1
    assert calls(emulator) == {"CopyCheckpoint": 1}, "it is not asked for"


# --- still being made -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["protecting", "waiting_protect"])
def test_a_backup_that_is_still_being_made_is_waited_for_before_the_call(emulator: EmulatorServer, status: str) -> None:
    control = emulator.control
    added = control.add_backup(SOURCE_VAULT, name="tonight", status=status, age_seconds=5)
    calls_before_it_was_ready: list[Counter[str]] = []

    class Watched(CbrReplicateCheckpointOperator):
        looks = 0

        def at_step(self, step: Step, moment: str) -> None:
            self.looks += (step, moment) == (Step.LOOK, "before")
            if self.looks == 3 and (step, moment) == (Step.LOOK, "before"):
                calls_before_it_was_ready.append(calls(emulator))
                control.change_backup(added["id"], status="available")

    run = replicating(Watched)
    assert len(run.attempt()) == 4
    assert calls_before_it_was_ready == [Counter()]
    assert re.search(rf"still being made: tonight of \S+ \({added['id']}\)", run.log)
    assert copies(emulator) == dict.fromkeys([*BACKUPS, added["id"]], 1)
    assert calls(emulator) == {"CopyCheckpoint": 1}


def test_a_backup_that_is_still_being_made_is_waited_for_when_all_others_are_covered(emulator: EmulatorServer) -> None:
    copy_all(emulator)
    added = emulator.control.add_backup(SOURCE_VAULT, status="protecting", age_seconds=5)
    finish = at_first(Step.LOOK, "after", lambda: emulator.control.change_backup(added["id"], status="available"))
    assert len(replicating(finish).attempt()) == 1
    assert copies(emulator) == dict.fromkeys([*BACKUPS, added["id"]], 1)


def test_a_backup_whose_making_does_not_end_is_waited_for_within_the_timeout_only(emulator: EmulatorServer) -> None:
    emulator.control.add_backup(SOURCE_VAULT, status="protecting", age_seconds=5)
    with pytest.raises(AirflowFailException) as caught:
        replicating(timeout=0.5).attempt()
    assert isinstance(caught.value.__cause__, CbrReplicationTimeoutError)
    assert calls(emulator) == {}


def test_a_backup_whose_making_fails_is_skipped(emulator: EmulatorServer) -> None:
    added = emulator.control.add_backup(SOURCE_VAULT, status="protecting", age_seconds=5)
    fail = at_first(Step.LOOK, "after", lambda: emulator.control.change_backup(added["id"], status="error"))
    run = replicating(fail)
    assert len(run.attempt()) == 3
    assert run.xcoms["replication"]["skipped"] == 1


def test_only_backups_created_before_the_first_look_count(emulator: EmulatorServer) -> None:
    late = {"name": "too-late", "created_at": "2099-01-01T00:00:00Z", "contain_system_disk": False}
    run = replicating(at_first(Step.LOOK, "after", lambda: emulator.control.add_backup(SOURCE_VAULT, **late)))
    assert len(run.attempt()) == 3
    assert calls(emulator) == {"CopyCheckpoint": 1}, "the late one is not asked for individually"
    assert run.xcoms["replication"]["skipped"] == 0


def test_a_backup_that_the_call_takes_although_it_came_after_the_look_is_followed_too(emulator: EmulatorServer) -> None:
    run = replicating(at_first(Step.REPLICATE_VAULT, "before", lambda: emulator.control.add_backup(SOURCE_VAULT, age_seconds=0)))
    record_ids = run.attempt()
    replications = emulator.control.ledger()["replications"]
    assert sorted(record_ids) == sorted(entry["record_id"] for entry in replications)
    assert [entry["outcome"] for entry in replications] == ["success"] * 4


# --- covered --------------------------------------------------------------------------------------------------------------


def test_all_covered_is_success_without_a_call_and_says_so(emulator: EmulatorServer) -> None:
    copy_all(emulator)
    run = replicating()
    assert run.attempt() == []
    assert calls(emulator) == {"CopyCheckpoint": 1}, "that one was the earlier night's"
    assert "vault-nightly: cn-north-4 -> cn-shenzhen-1: 3 of 3 eligible backups are there: 0 copied now, 3 before" in run.log
    assert run.xcoms["return_value"] == []
    assert run.xcoms["replication"]["already"] == 3


def test_only_what_is_new_is_copied(emulator: EmulatorServer) -> None:
    copy_all(emulator)
    added = emulator.control.add_backup(SOURCE_VAULT, age_seconds=5)
    run = replicating()
    assert len(run.attempt()) == 1
    assert copies(emulator) == dict.fromkeys([*BACKUPS, added["id"]], 1)
    assert run.xcoms["replication"]["already"] == 3


def test_a_missing_replica_does_not_uncover_a_backup(emulator: EmulatorServer) -> None:
    copy_all(emulator)
    for replica in CbrHook(region="cn-shenzhen-1", project_id=DESTINATION_PROJECT).list_backups(image_type="replication"):
        emulator.control.remove_backup(replica.id)
    assert replicating().attempt() == []
    assert calls(emulator) == {"CopyCheckpoint": 1}, "whether the replica still exists is the verify task's question"


def destination_ids() -> dict[str, Any]:
    return {name: value for name, value in IDS.items() if name != "vault_id"}


def test_a_failure_after_a_success_leaves_the_backup_covered(emulator: EmulatorServer) -> None:
    copy_all(emulator)
    emulator.control.switch(careless=True)
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0])
    again = CbrHook().replicate_backup(BACKUPS[0], **destination_ids()).references[0].replication_record_id
    wait_for_end(emulator, again)
    emulator.control.advance(3600)
    before = calls(emulator)
    assert replicating().attempt() == []
    assert calls(emulator) == before


def test_a_success_after_a_failure_covers_the_backup(emulator: EmulatorServer) -> None:
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0])
    with pytest.raises(CbrReplicationFailedError):
        replicating().attempt()
    emulator.control.advance(3600)
    wait_for_end(emulator, CbrHook().replicate_backup(BACKUPS[0], **destination_ids()).references[0].replication_record_id)
    before = calls(emulator)
    assert replicating().attempt() == []
    assert calls(emulator) == before


def wait_for_end(emulator: EmulatorServer, record_id: str) -> None:
    end = time.monotonic() + 20
    while next(e["outcome"] for e in emulator.control.ledger()["replications"] if e["record_id"] == record_id) == "in_flight":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_copy_in_flight_covers_when_completion_is_not_waited_for(emulator: EmulatorServer) -> None:
    emulator.control.switch(copy_seconds=3600)
    run = replicating(wait_for_completion=False)
    record_ids = run.attempt()
    assert len(record_ids) == 3
    assert {entry["outcome"] for entry in emulator.control.ledger()["replications"]} == {"in_flight"}
    # Another task does not ask for what is on its way, and tells its record ids.
    assert sorted(replicating(wait_for_completion=False).attempt()) == sorted(record_ids)
    assert calls(emulator) == {"CopyCheckpoint": 1}


def test_a_copy_in_flight_is_waited_for_otherwise(emulator: EmulatorServer) -> None:
    emulator.control.switch(copy_seconds=0.5)
    replicating(wait_for_completion=False).attempt()
    run = replicating()
    assert len(run.attempt()) == 3
    assert {entry["outcome"] for entry in emulator.control.ledger()["replications"]} == {"success"}
    assert run.xcoms["replication"]["adopted"] == 3
    assert calls(emulator) == {"CopyCheckpoint": 1}


# --- in another vault of the same region ----------------------------------------------------------------------------------


def add_other_vault(emulator: EmulatorServer) -> None:
    emulator.control.add_vault(id=OTHER_VAULT, project_id=DESTINATION_PROJECT, protect_type="replication")


def test_a_backup_in_another_vault_of_the_region_is_not_covered_and_fails_for_good_naming_that_vault(emulator: EmulatorServer) -> None:
    add_other_vault(emulator)
    replicating(destination_vault_id=OTHER_VAULT).attempt()
    before = calls(emulator)
    with pytest.raises(AirflowFailException) as caught:
        replicating().attempt()
    assert str(caught.value).count(f"the destination region has it in vault {OTHER_VAULT}") == 3
    assert all(name in str(caught.value) for name in NAMES)
    assert DESTINATION_VAULT in str(caught.value)
    assert calls(emulator) == before, "what the region has already is not asked for"


def test_one_backup_in_another_vault_does_not_keep_the_others_from_being_copied(emulator: EmulatorServer) -> None:
    add_other_vault(emulator)
    added = emulator.control.add_backup(SOURCE_VAULT, name="elsewhere", replicated_to=[OTHER_VAULT], age_seconds=60)
    run = replicating()
    with pytest.raises(AirflowFailException, match=f": in another vault .*{OTHER_VAULT}.*; backup elsewhere .{added['id']}."):
        run.attempt()
    assert copies(emulator) == dict.fromkeys(BACKUPS, 1)
    counts = run.xcoms["replication"]
    assert (counts["succeeded"], counts["missing"]) == (3, 1)


def test_1009_without_a_record_that_tells_the_vault_is_missing(emulator: EmulatorServer) -> None:
    add_other_vault(emulator)
    added = emulator.control.add_backup(SOURCE_VAULT, name="untold", age_seconds=60)
    emulator.control.fault("code", call="CopyBackup", code="1009", when="before", count=None)
    emulator.control.change_backup(added["id"], contain_system_disk=False)
    with pytest.raises(CbrReplicationFailedError, match=r": not replicated \(.*BackupService\.1009.*\); backup untold "):
        replicating().attempt()
    assert copies(emulator) == dict.fromkeys(BACKUPS, 1)


# --- left out -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["1001", "1002", "1003", "1004", "1013", "6122"])
def test_what_the_vault_call_leaves_out_is_asked_for_individually_and_skipped_with_the_refusals_reason(
    emulator: EmulatorServer, code: str
) -> None:
    added = emulator.control.add_backup(SOURCE_VAULT, age_seconds=60, **NO_SYSTEM_DISK)
    emulator.control.fault("code", call="CopyBackup", code=code, when="before")
    run = replicating()
    assert len(run.attempt()) == 3
    assert calls(emulator) == {"CopyCheckpoint": 1, "CopyBackup": 1}
    assert ": skipped (the service refuses to copy it:" in run.log
    assert f"; backup data-disks-only ({added['id']})" in run.log
    assert f"BackupService.{code}" in run.log
    assert run.xcoms["replication"]["skipped"] == 1


def test_the_emulators_own_reason_for_leaving_a_backup_out_is_told(emulator: EmulatorServer) -> None:
    emulator.control.add_backup(SOURCE_VAULT, age_seconds=60, **NO_SYSTEM_DISK)
    emulator.control.add_backup(SOURCE_VAULT, age_seconds=61, system_disk_picked=True, name="picked")
    emulator.control.add_backup(SOURCE_VAULT, age_seconds=62, resource_type="OS::Ironic::BareMetalServer", name="bare-metal")
    run = replicating()
    assert len(run.attempt()) == 3
    skipped = [line for line in run.lines if "Not replicated" in line]
    codes = {"bare-metal": "1003", "data-disks-only": "1004", "picked": "1013"}
    assert len(skipped) == 3
    assert all(any(f"backup {name} " in line and f"BackupService.{code}" in line for line in skipped) for name, code in codes.items())


def test_a_backup_that_is_left_out_by_mistake_is_copied_individually(emulator: EmulatorServer) -> None:
    added = emulator.control.add_backup(SOURCE_VAULT, age_seconds=60, **NO_SYSTEM_DISK)
    repair = at_first(Step.REPLICATE_BACKUP, "before", lambda: emulator.control.change_backup(added["id"], contain_system_disk=True))
    assert len(replicating(repair).attempt()) == 4
    assert copies(emulator) == dict.fromkeys([*BACKUPS, added["id"]], 1)


@pytest.mark.parametrize("code", ["1012", "6129"])
def test_any_other_refusal_makes_it_missing_and_the_task_red_after_the_others_have_ended(emulator: EmulatorServer, code: str) -> None:
    added = emulator.control.add_backup(SOURCE_VAULT, age_seconds=60, **NO_SYSTEM_DISK)
    emulator.control.fault("code", call="CopyBackup", code=code, when="before", count=None)
    run = replicating()
    with pytest.raises(
        CbrReplicationFailedError, match=rf"not replicated .*BackupService\.{code}.*; backup data-disks-only .{added['id']}."
    ):
        run.attempt()
    assert {entry["outcome"] for entry in emulator.control.ledger()["replications"]} == {"success"}
    counts = run.xcoms["replication"]
    assert (counts["succeeded"], counts["missing"], counts["skipped"]) == (3, 1, 0)


# --- nothing eligible -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["empty", "ineligible only"])
def test_no_eligible_backup_fails_unless_empty_is_allowed(emulator: EmulatorServer, kind: str) -> None:
    for backup_id in BACKUPS:
        if kind == "empty":
            emulator.control.remove_backup(backup_id)
        else:
            emulator.control.change_backup(backup_id, status="error")
    with pytest.raises(AirflowFailException, match=rf"Nothing to replicate in vault vault-nightly \({SOURCE_VAULT}\)") as caught:
        replicating().attempt()
    assert isinstance(caught.value.__cause__, CbrNothingToReplicateError)
    assert "allow_empty" in str(caught.value)
    if kind == "ineligible only":
        assert all(name in str(caught.value) for name in NAMES)
    run = replicating(allow_empty=True)
    assert run.attempt() == []
    assert run.xcoms["replication"]["skipped"] == (0 if kind == "empty" else 3)
    assert calls(emulator) == {}


@pytest.mark.parametrize("run", [replicating, verifying], ids=["replicate", "verify"])
def test_a_vault_that_does_not_exist_fails_for_good_though_an_empty_one_is_allowed(
    emulator: EmulatorServer, run: Callable[..., Any]
) -> None:
    wrong = "00000000-0000-4000-8000-00000000dead"
    given: dict[str, Any] = {} if run is replicating else {"replication_record_ids": []}
    with pytest.raises(AirflowFailException, match=f"Vault {wrong} does not exist in cn-north-4 .*BackupService.6105.*What to do"):
        run(**given, vault_id=wrong, allow_empty=True).attempt()
    assert calls(emulator) == {}


# --- where ----------------------------------------------------------------------------------------------------------------


def test_a_record_to_another_region_covers_nothing(emulator: EmulatorServer) -> None:
    copy_all(emulator)
    for record in (record for backup in emulator.control.state(SOURCE_VAULT)["backups"] for record in backup["records"]):
        emulator.control.change_record(record["id"], destination_region="cn-east-3")
    assert len(replicating().attempt()) == 3
    assert copies(emulator) == dict.fromkeys(BACKUPS, 2)


def test_the_tasks_region_and_project_replace_the_connections(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, emulator.url, region="cn-shenzhen-1", project_id=DESTINATION_PROJECT)
    run = replicating(region="cn-north-4", project_id=SOURCE_PROJECT)
    assert len(run.attempt()) == 3
    assert run.xcoms["replication"]["source"] | {"region": "cn-north-4", "project_id": SOURCE_PROJECT} == run.xcoms["replication"]["source"]

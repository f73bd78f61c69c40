"""The verify operator against the emulator: every way in which a replica can be wrong, and what it says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.emulator.key_parts import UserPart
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT, default_world
from airflow_cbr.exceptions import CbrNothingToReplicateError, CbrPermissionError, CbrReplicationFailedError, CbrVerificationError
from airflow_cbr.hooks.cbr import CbrHook
from tests.support.task_run import IDS, replicating, set_connection, verifying

if TYPE_CHECKING:
    from tests.support.emulator import EmulatorServer

OTHER_VAULT = "5f6e2ad1-2d60-4b4a-b2a6-0de0d3c4a001"
UNKNOWN = "a1b2c3d4-0000-4000-8000-000000000001"
ALL_GOOD = {"verdict": "verified", "verified": 3, "failed": 0, "missing": 0, "skipped": 0}


def replicate() -> list[str]:
    return list(replicating().attempt())


def record_of(emulator: EmulatorServer, backup_id: str) -> dict[str, Any]:
    """Return the newest record of a backup."""
    (backup,) = [one for one in emulator.control.state(SOURCE_VAULT)["backups"] if one["id"] == backup_id]
    record: dict[str, Any] = backup["records"][-1]
    return record


def findings(run: Any) -> list[str]:
    """Return the log's lines about single backups."""
    words = ("VERIFIED", "FAILED", "MISSING", "SKIPPED")
    lines = [line.partition(" ")[2] for line in run.lines if line.split()[1] in words]
    return [line for line in lines if " vault-nightly: " not in line]


def fails(record_ids: Any, counts: dict[str, int], *needles: str, **changes: Any) -> CbrVerificationError:
    """Check that a verification fails with one wrong backup, that its result is pushed all the same, and what it says."""
    run = verifying(record_ids, **changes)
    with pytest.raises(CbrVerificationError) as caught:
        run.attempt()
    expected = {"verdict": "failed", "verified": 0, "failed": 0, "missing": 0, "skipped": 0} | counts
    assert run.xcoms["return_value"] == expected, "pushed before it fails"
    (problem,) = caught.value.problems
    assert problem in findings(run)
    for needle in needles:
        assert needle in problem
        assert needle in str(caught.value)
    return caught.value


# --- all is well ------------------------------------------------------------------------------------------------------------


def test_it_verifies_each_record_on_both_sides_with_one_line_for_each_backup(emulator: EmulatorServer) -> None:
    run = verifying(replicate())
    assert run.attempt() == ALL_GOOD
    assert run.xcoms["return_value"] == ALL_GOOD
    lines = findings(run)
    assert len(lines) == 3
    for name in ("nightly-ecs-web-01", "nightly-ecs-app-01", "nightly-ecs-db-01"):
        (line,) = [one for one in lines if name in one]
        assert line.startswith("VERIFIED ")
        assert "available in the destination vault" in line


def test_both_sides_are_asked_in_a_few_calls(emulator: EmulatorServer) -> None:
    record_ids = replicate()
    before = emulator.control.requests()["ListBackups"]
    verifying(record_ids).attempt()
    assert emulator.control.requests()["ListBackups"] - before == 2
    assert "ShowBackup" not in emulator.control.requests()


def test_one_record_id_will_do(emulator: EmulatorServer) -> None:
    assert verifying(replicate()[0]).attempt() == ALL_GOOD | {"verified": 1}


# --- the replica is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "needle"),
    [
        ({"status": "error"}, "its status is error, not available"),
        ({"status": "deleting"}, "its status is deleting, not available"),
        ({"resource_size": 39}, "its size is 39 GB, the source's 40 GB"),
        ({"resource_id": "94eba8b2-acc9-4d82-badc-127144cc5527"}, "it is of resource 94eba8b2-acc9-4d82-badc-127144cc5527"),
        ({"image_type": "backup"}, "its image_type is backup, not replication"),
    ],
    ids=["error", "deleting", "size", "resource", "image type"],
)
def test_a_replica_that_does_not_match_fails(emulator: EmulatorServer, changes: dict[str, Any], needle: str) -> None:
    emulator.control.fault("replica_changed", backup_id=BACKUPS[0], changes=changes)
    fails(replicate(), {"verified": 2, "failed": 1}, "FAILED ecs-web-01", needle)


def test_a_replica_in_another_vault_fails(emulator: EmulatorServer) -> None:
    emulator.control.add_vault(id=OTHER_VAULT, project_id=DESTINATION_PROJECT, protect_type="replication")
    record_ids = replicate()
    emulator.control.change_backup(record_of(emulator, BACKUPS[0])["destination_backup_id"], vault_id=OTHER_VAULT)
    fails(record_ids, {"verified": 2, "failed": 1}, "nightly-ecs-web-01", f"it is in vault {OTHER_VAULT}, not in {DESTINATION_VAULT}")


def test_all_that_is_wrong_with_a_replica_is_said(emulator: EmulatorServer) -> None:
    emulator.control.fault("replica_changed", backup_id=BACKUPS[0], changes={"status": "error", "resource_size": 1})
    fails(replicate(), {"verified": 2, "failed": 1}, "its status is error", "its size is 1 GB")


def test_a_replica_that_does_not_exist_is_missing(emulator: EmulatorServer) -> None:
    emulator.control.fault("replica_missing", backup_id=BACKUPS[0])
    fails(replicate(), {"verified": 2, "missing": 1}, "MISSING ecs-web-01", "does not exist in the destination region")


def test_a_replica_that_was_deleted_is_missing(emulator: EmulatorServer) -> None:
    record_ids = replicate()
    emulator.control.remove_backup(record_of(emulator, BACKUPS[0])["destination_backup_id"])
    fails(record_ids, {"verified": 2, "missing": 1}, "MISSING ecs-web-01", "does not exist in the destination region")


def test_a_record_that_names_no_replica_is_missing(emulator: EmulatorServer) -> None:
    record_ids = replicate()
    emulator.control.change_record(record_of(emulator, BACKUPS[0])["id"], destination_backup_id=None)
    fails(record_ids, {"verified": 2, "missing": 1}, "MISSING ecs-web-01", "names no replica")


def test_a_replica_that_settles_later_is_verified_by_a_retry(emulator: EmulatorServer) -> None:
    emulator.control.switch(replica_settle_seconds=600)
    record_ids = replicate()
    run = verifying(record_ids)
    with pytest.raises(CbrVerificationError, match="its status is protecting") as caught:
        run.attempt()
    assert not caught.value.permanent
    emulator.control.advance(600)
    assert run.attempt() == ALL_GOOD


# --- the record is wrong ----------------------------------------------------------------------------------------------------


def test_a_record_that_failed_fails_with_code_and_reason(emulator: EmulatorServer) -> None:
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0], fail_code="BackupService.1006", fail_reason="No room in the lift.")
    run = replicating()
    with pytest.raises(CbrReplicationFailedError):
        run.attempt()
    fails(run.xcoms["return_value"], {"verified": 2, "failed": 1}, "nightly-ecs-web-01", "BackupService.1006: No room in the lift.")


@pytest.mark.parametrize("kind", ["copy_waits", "unknown_status"])
def test_a_record_that_has_not_ended_fails(emulator: EmulatorServer, kind: str) -> None:
    emulator.control.fault(kind, backup_id=BACKUPS[0], **({"at_end": True} if kind == "unknown_status" else {}))
    record_ids = replicating(wait_for_completion=False).attempt()
    emulator.control.advance(60)
    status = "waiting_replicate" if kind == "copy_waits" else "archiving"
    fails(record_ids, {"verified": 2, "failed": 1}, "nightly-ecs-web-01", f"is {status}, not success")


def test_a_record_that_no_backup_lists_is_missing(emulator: EmulatorServer) -> None:
    fails([*replicate(), UNKNOWN], {"verified": 3, "missing": 1}, "MISSING an unknown backup: ", f"(record {UNKNOWN})")


def test_a_skipped_record_is_verified_by_the_copy_that_made_it_superfluous(emulator: EmulatorServer) -> None:
    replicate()
    emulator.control.advance(3600)
    emulator.control.switch(when_all_copied="skip")
    record_ids = [pair.replication_record_id for pair in CbrHook().replicate_checkpoint(**IDS).references]
    assert verifying(record_ids).attempt() == ALL_GOOD


def test_a_record_that_ended_in_skip_and_copied_nothing_fails(emulator: EmulatorServer) -> None:
    emulator.control.fault("copy_skipped", backup_id=BACKUPS[0])
    record_ids = replicating(wait_for_completion=False).attempt()
    emulator.control.advance(60)
    fails(record_ids, {"verified": 2, "failed": 1}, "nightly-ecs-web-01", "is skip, not success")


# --- no records are given ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [[], None], ids=["empty", "never pushed"])
def test_given_none_it_checks_the_newest_eligible_backup_of_each_resource(emulator: EmulatorServer, nothing: Any) -> None:
    replicate()
    emulator.control.advance(24 * 3600)
    # The newest of one resource is not eligible, and the one before it counts; an older one without a copy does not matter.
    server = "94eba8b2-acc9-4d82-badc-127144cc5526"
    emulator.control.add_backup(SOURCE_VAULT, resource_id=server, status="error", age_seconds=10)
    emulator.control.add_backup(SOURCE_VAULT, resource_id=server, age_seconds=40 * 24 * 3600)
    run = verifying(nothing)
    assert run.attempt() == {**ALL_GOOD, "skipped": 1}
    assert all(BACKUPS[place] in "\n".join(findings(run)) for place in range(3))


def test_given_none_a_newest_backup_without_a_copy_is_missing(emulator: EmulatorServer) -> None:
    replicate()
    emulator.control.advance(24 * 3600)
    emulator.control.add_backup(SOURCE_VAULT, name="tonight", resource_id="94eba8b2-acc9-4d82-badc-127144cc5526", age_seconds=10)
    fails([], {"verified": 2, "missing": 1}, "MISSING ecs-web-01", "no replication record to the vault in cn-shenzhen-1")


def test_given_none_a_copy_in_another_vault_is_not_enough(emulator: EmulatorServer) -> None:
    emulator.control.add_vault(id=OTHER_VAULT, project_id=DESTINATION_PROJECT, protect_type="replication")
    replicating(destination_vault_id=OTHER_VAULT).attempt()
    for backup_id in BACKUPS[1:]:
        emulator.control.remove_backup(backup_id)
    fails([], {"failed": 1}, "nightly-ecs-web-01", OTHER_VAULT)


def test_given_none_a_deleted_replica_is_missing(emulator: EmulatorServer) -> None:
    replicate()
    emulator.control.remove_backup(record_of(emulator, BACKUPS[0])["destination_backup_id"])
    fails([], {"verified": 2, "missing": 1}, "nightly-ecs-web-01", "does not exist")


def test_given_none_an_empty_vault_is_red_unless_that_is_allowed(emulator: EmulatorServer) -> None:
    for backup_id in BACKUPS:
        emulator.control.remove_backup(backup_id)
    with pytest.raises(AirflowFailException, match="Nothing to verify") as caught:
        verifying([]).attempt()
    assert isinstance(caught.value.__cause__, CbrNothingToReplicateError)
    assert verifying([], allow_empty=True).attempt() == ALL_GOOD | {"verified": 0}


# --- where and who ----------------------------------------------------------------------------------------------------------


def test_the_destination_is_asked_with_its_own_connection(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    world = default_world()
    world.switches.queue_seconds, world.switches.copy_seconds = 0, 0.2
    world.users[0].projects = [SOURCE_PROJECT]
    there = UserPart(name="there", password="x", access_key="THERE", secret_key="there-secret", projects=[DESTINATION_PROJECT])
    world.users.append(there)
    emulator.control.world(world)
    record_ids = replicate()
    with pytest.raises(AirflowFailException, match=r"APIG\.0302") as caught:
        verifying(record_ids).attempt()
    assert isinstance(caught.value.__cause__, CbrPermissionError)
    set_connection(monkeypatch, emulator.url, conn_id="there", login="THERE", password="there-secret", region="cn-shenzhen-1")
    assert verifying(record_ids, destination_conn_id="there").attempt() == ALL_GOOD


def test_a_record_of_another_destination_is_not_taken_for_this_ones(emulator: EmulatorServer) -> None:
    emulator.control.add_vault(id=OTHER_VAULT, project_id=DESTINATION_PROJECT, protect_type="replication")
    record_ids = replicating(destination_vault_id=OTHER_VAULT).attempt()
    fails(record_ids[:1], {"failed": 1}, f"leads to vault {OTHER_VAULT}, not to {DESTINATION_VAULT}")

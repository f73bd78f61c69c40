"""Records by their ids alone: found in a listing, or followed in the operation log when they are gone."""

from __future__ import annotations

import pytest

from airflow_cbr.api.models import Backup, ReplicationExtra, ReplicationRecord
from airflow_cbr.emulator.world import DESTINATION_VAULT, SOURCE_VAULT
from airflow_cbr.waiting.records import RecordsGone, find_records, gone_records
from tests.support.replication_night import Night


def backup(number: int, *statuses: str) -> Backup:
    return Backup(
        id=f"backup-{number}",
        name=f"nightly-{number}",
        replication_records=[
            ReplicationRecord(
                id=f"record-{number}-{index}",
                status=status,
                destination_region="cn-shenzhen-1",
                destination_project_id="project",
                destination_vault_id="vault",
                extra_info=ReplicationExtra(fail_code="1006", fail_reason="no room"),
            )
            for index, status in enumerate(statuses)
        ],
    )


def test_a_record_is_found_with_its_backup_and_the_others_are_unlisted() -> None:
    seen = find_records(
        [backup(1, "success", "fail"), backup(2, "replicating"), Backup(id="without")], ["record-2-0", "unknown", "record-2-0"]
    )
    assert [(one.id, record.id) for one, record in seen.listed.values()] == [("backup-2", "record-2-0")]
    assert seen.unlisted == ["unknown"]
    assert [record.id for record in seen.unfinished] == ["record-2-0"]
    assert not seen.are_final


def test_records_are_final_when_all_are_listed_and_have_ended() -> None:
    assert find_records([backup(1, "success", "fail", "skip")], ["record-1-0", "record-1-1", "record-1-2"]).are_final
    assert not find_records([backup(1, "a new word")], ["record-1-0"]).are_final
    assert not find_records([], ["record-1-0"]).are_final


def test_a_failure_names_each_record_that_did_not_end_in_a_copy() -> None:
    seen = find_records([backup(1, "success"), backup(2, "fail"), backup(3, "skip")], ["record-1-0", "record-2-0", "record-3-0"])
    error = seen.failure(["backup x: lost"])
    assert error is not None
    assert error.permanent
    assert error.problems[0] == "backup x: lost"
    assert "nightly-2" in error.problems[1]
    assert "1006" in error.problems[1]
    assert "the service skipped the copy" in error.problems[2]
    assert error.problems[2].endswith("record record-3-0")


def test_each_record_counts_once_by_how_it_ended() -> None:
    rows = [backup(1, "success"), backup(2, "fail"), backup(3, "skip"), backup(4, "replicating"), backup(5, "success")]
    asked = [f"record-{number}-0" for number in (1, 2, 3, 4)]
    seen = find_records(rows, [*asked, "gone-well", "gone-badly", "gone-on", "lost", "never"])
    gone = RecordsGone(running=["gone-on"], problems=["one failed", "one is lost"], succeeded=1, failed=1)
    assert seen.counts(gone) == {"succeeded": 2, "failed": 2, "skipped": 1, "missing": 2}
    assert find_records(rows, asked).counts(RecordsGone()) == {"succeeded": 1, "failed": 1, "skipped": 1, "missing": 0}


@pytest.mark.parametrize(
    ("ways", "found"),
    [
        ([("cn-shenzhen-1", DESTINATION_VAULT)] * 2, ("cn-shenzhen-1", DESTINATION_VAULT)),
        ([("cn-shenzhen-1", DESTINATION_VAULT), ("cn-shenzhen-1", SOURCE_VAULT)], None),
        ([("cn-shenzhen-1", DESTINATION_VAULT), ("cn-east-3", DESTINATION_VAULT)], None),
        ([(None, DESTINATION_VAULT)], None),
        ([("cn-shenzhen-1", None)], None),
        ([("a or b", DESTINATION_VAULT)], None),
        ([("cn-shenzhen-1", "vault,x=1")], None),
        ([], None),
    ],
)
def test_the_destination_is_known_where_all_records_agree_on_one(
    ways: list[tuple[str | None, str | None]], found: tuple[str, str] | None
) -> None:
    rows = [
        Backup(
            id=f"backup-{number}",
            replication_records=[ReplicationRecord(id=f"record-{number}", destination_region=region, destination_vault_id=vault_id)],
        )
        for number, (region, vault_id) in enumerate(ways)
    ]
    assert find_records(rows, [f"record-{number}" for number in range(len(ways))]).destination == found


def test_a_skip_beside_an_earlier_copy_is_fine() -> None:
    assert find_records([backup(1, "success", "skip")], ["record-1-1"]).failure() is None


@pytest.mark.parametrize(
    ("fault", "running", "problem"), [(None, True, None), ("copy_fails", False, "says failed"), ("unknown", False, "lost")]
)
def test_a_record_that_is_gone_is_looked_up_in_the_operation_log(fault: str | None, running: bool, problem: str | None) -> None:
    night = Night()
    if fault == "copy_fails":
        night.control.fault("copy_fails", vault_id=SOURCE_VAULT, count=None)
    client = night.client()
    night.submission().advance()
    vanished = {one["record_id"]: one["backup_id"] for one in night.ledger["replications"]}
    if fault == "copy_fails":
        night.clock.advance(3600)
    if fault == "unknown":
        vanished = {"record": "a-backup-that-the-log-does-not-know"}

    gone = gone_records(client, SOURCE_VAULT, vanished)

    assert gone.running == (list(vanished) if running else [])
    assert all(problem in one for one in gone.problems) if problem else not gone.problems
    assert len(gone.running) + len(gone.problems) == len(vanished)


def test_a_copy_that_ended_well_is_no_problem_though_its_record_is_gone() -> None:
    night = Night()
    night.submission().advance()
    vanished = {one["record_id"]: one["backup_id"] for one in night.ledger["replications"]}
    night.clock.advance(3600)
    gone = gone_records(night.client(), SOURCE_VAULT, vanished)
    assert (gone.running, gone.problems) == ([], [])
    assert (gone.succeeded, gone.failed) == (len(vanished), 0)

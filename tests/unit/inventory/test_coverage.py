"""Where a backup stands with regard to a destination, from its row alone: no order of rows and no missing time decides it."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cbr.api.models import Backup, ReplicationExtra, ReplicationRecord
from airflow_cbr.inventory.coverage import CoverageStatus, assess, coverage_of, deciding_record, failure_of, success_beside
from airflow_cbr.inventory.destination import Destination
from tests.support.replication_rows import HERE, THERE, record, source

Row = dict[str, Any]
OTHER = "d" * 32
MIDNIGHT = "2026-11-24T00:00:00"
ONE_O_CLOCK = "2026-11-24T01:00:00"


def status_of(*records: ReplicationRecord, own: set[str] | None = None, **fields: Any) -> CoverageStatus:
    (one,) = assess([source(*records, **fields)], THERE, own=own or ()).by_backup.values()
    return one.status


# --- one backup ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "fields", "status"),
    [
        ([record()], {}, CoverageStatus.SUCCEEDED),
        ([record("r1", "replicating")], {}, CoverageStatus.IN_FLIGHT),
        ([record("r1", "a word that nobody documented")], {}, CoverageStatus.IN_FLIGHT),
        ([record("r1", "fail")], {}, CoverageStatus.FAILED),
        ([], {}, CoverageStatus.UNRECORDED),
        ([record("r1", "skip")], {}, CoverageStatus.UNRECORDED),
        ([record("r1", "fail"), record("r2", "replicating"), record("r3")], {}, CoverageStatus.SUCCEEDED),
        ([record("r1", "fail"), record("r2", "replicating")], {}, CoverageStatus.IN_FLIGHT),
        ([record(destination_vault_id=OTHER)], {}, CoverageStatus.ELSEWHERE),
        ([record("r1", "replicating", destination_vault_id=OTHER)], {}, CoverageStatus.ELSEWHERE),
        ([record("r1", "fail", destination_vault_id=OTHER)], {}, CoverageStatus.UNRECORDED),
        ([record(destination_region="another", destination_vault_id=OTHER)], {}, CoverageStatus.UNRECORDED),
        ([record(destination_vault_id=None)], {}, CoverageStatus.UNCLEAR),
        ([record("r1", "fail"), record("r2", destination_region=None)], {}, CoverageStatus.UNCLEAR),
        (
            [record(destination_vault_id=None, extra_info=ReplicationExtra(destination_vault_id=THERE.vault_id))],
            {},
            CoverageStatus.SUCCEEDED,
        ),
        ([], {"status": "protecting"}, CoverageStatus.BEING_MADE),
        ([], {"status": "error"}, CoverageStatus.SKIPPED),
        ([record()], {"status": "error"}, CoverageStatus.SKIPPED),
        ([record("r1", "replicating")], {"status": "deleting"}, CoverageStatus.IN_FLIGHT),
        ([], {"image_type": "replication"}, CoverageStatus.SKIPPED),
    ],
    ids=[
        "copied",
        "being copied",
        "a word that nobody knows is a copy that may run",
        "failed",
        "never asked for",
        "a skip says nothing",
        "a success beside all else",
        "a copy that runs after one that failed",
        "in another vault of the region",
        "on its way to another vault of the region",
        "failed in another vault of the region",
        "in another region",
        "a record that does not say its vault",
        "a failure, and a record that does not say its region",
        "a record whose vault stands in its extra info",
        "the backup is being made",
        "the backup failed",
        "the backup failed after its copy",
        "the backup is deleted while it is copied",
        "itself a replica",
    ],
)
def test_a_backup_stands_where_its_records_say(records: list[ReplicationRecord], fields: dict[str, Any], status: CoverageStatus) -> None:
    assert status_of(*records, **fields) is status
    assert coverage_of(source(*records, **fields), THERE).status is status


def test_a_copy_that_the_service_named_to_us_counts_wherever_its_record_says_that_it_goes() -> None:
    named_to_us = record("r1", "replicating", destination_vault_id=None, destination_region=None)
    assert status_of(named_to_us) is CoverageStatus.UNCLEAR
    assert status_of(named_to_us, own={"r1"}) is CoverageStatus.IN_FLIGHT
    assert status_of(record("r1", "success"), status="error", own={"r1"}) is CoverageStatus.SUCCEEDED


def test_a_copy_of_ours_that_runs_is_followed_though_an_older_one_is_there() -> None:
    assert status_of(record("r1"), record("r2", "replicating"), own={"r2"}) is CoverageStatus.IN_FLIGHT


def test_what_the_service_declined_is_skipped_with_its_reason_unless_a_record_says_more() -> None:
    def standing(*records: ReplicationRecord) -> str:
        (one,) = assess([source(*records)], THERE, declined={"b1": "it has no system disk"}).by_backup.values()
        return str(one)

    assert standing() == "db: skipped (it has no system disk); backup db (b1)"
    assert standing(record()) == "db: succeeded; backup db (b1)"


def test_a_failure_names_each_record_that_failed_and_what_the_service_says_of_the_newest() -> None:
    old = record("r1", "fail", created_at=MIDNIGHT, extra_info=ReplicationExtra(fail_code="BackupService.1", fail_reason="No room."))
    new = record("r2", "fail", created_at=ONE_O_CLOCK, extra_info=ReplicationExtra(fail_code="BackupService.2", fail_reason="No\nlink."))
    one = coverage_of(source(new, old), THERE)
    assert one.record == new
    assert sorted(failed.id for failed in one.failed) == ["r1", "r2"]
    assert one.reason == "BackupService.2: No link."
    assert failure_of(record("r3", "fail")) == "the service gives no reason"


# --- a whole vault ------------------------------------------------------------------------------------------------------------


def test_only_backups_made_until_then_count_and_those_that_counted_before() -> None:
    rows = [source(id="old", created_at=MIDNIGHT), source(id="new", created_at=ONE_O_CLOCK), source(id="timeless", created_at=None)]
    then = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
    assert set(assess(rows, THERE).by_backup) == {"old", "new", "timeless"}
    assert assess(rows, THERE).as_of == datetime(2026, 11, 24, 1, tzinfo=UTC), "the newest backup says when this was"
    assert set(assess(rows, THERE, as_of=then).by_backup) == {"old", "timeless"}
    assert set(assess(rows, THERE, as_of=then, counted={"new"}).by_backup) == {"old", "new", "timeless"}


def test_a_copy_of_ours_is_followed_though_its_backup_was_made_later() -> None:
    then = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
    row = source(record("ours", "replicating"), id="new", created_at=ONE_O_CLOCK)
    assert not assess([row], THERE, as_of=then).by_backup
    assert set(assess([row], THERE, as_of=then, own={"ours"}).by_backup) == {"new"}


def test_standings_are_listed_oldest_first_and_what_need_not_be_covered_is_not_eligible() -> None:
    rows = [
        source(id="a, late", created_at=ONE_O_CLOCK),
        source(record(), id="z, early", created_at=MIDNIGHT),
        source(id="broken", status="error"),
        source(id="in the making", status="protecting"),
    ]
    coverage = assess(rows, THERE)
    assert [one.backup.id for one in coverage.eligible] == ["z, early", "a, late"]
    assert [one.backup.id for one in coverage.of(CoverageStatus.UNRECORDED, CoverageStatus.SUCCEEDED)] == ["z, early", "a, late"]
    assert [one.backup.id for one in coverage.of(CoverageStatus.SKIPPED)] == ["broken"]
    assert set(coverage.records) == {"r1"}


def test_whether_records_are_listed_at_all_is_said_by_any_row() -> None:
    silent = msgspec.structs.replace(source(), replication_records=None)
    assert not assess([silent], THERE).lists_records
    assert assess([silent, source(id="b2")], THERE).lists_records
    assert assess([], THERE).lists_records, "an empty vault says nothing against it"


def test_a_row_that_comes_twice_is_one_backup_with_all_its_records() -> None:
    twice = [source(record("r1", "replicating")), source(record("r1", "success"), record("r2", "fail"))]
    for rows in (twice, twice[::-1]):
        coverage = assess(rows, THERE)
        assert coverage.by_backup["b1"].status is CoverageStatus.SUCCEEDED
        assert set(coverage.records) == {"r1", "r2"}


def test_two_readings_of_a_record_that_end_differently_are_no_success() -> None:
    for statuses in (("success", "fail"), ("fail", "success")):
        assert status_of(*(record("r1", status) for status in statuses)) is CoverageStatus.IN_FLIGHT


def test_two_readings_of_a_record_that_differ_in_where_it_goes_may_be_either() -> None:
    vaults = (THERE.vault_id, OTHER)
    assert status_of(*(record("r1", destination_vault_id=vault) for vault in vaults)) is CoverageStatus.UNCLEAR


# --- records ------------------------------------------------------------------------------------------------------------------


def test_of_equals_the_newest_decides_and_one_without_a_time_was_made_just_now() -> None:
    old, new, timeless = (record(name, created_at=at) for name, at in (("old", MIDNIGHT), ("new", ONE_O_CLOCK), ("timeless", None)))
    assert deciding_record([new, old]) == deciding_record([old, new]) == new
    assert deciding_record([timeless, new]) == deciding_record([new, timeless]) == timeless
    assert deciding_record([record("r1", "skip")]) is None


def test_a_skipped_record_is_explained_by_a_success_to_the_same_place_alone() -> None:
    skipped = record("r9", "skip")
    good, failed, elsewhere = record("r1"), record("r2", "fail"), record("r3", destination_vault_id=OTHER)
    assert success_beside(source(failed, elsewhere, good, skipped), skipped) == good
    assert success_beside(source(failed, elsewhere, skipped), skipped) is None


def test_a_destination_is_region_project_and_vault_together() -> None:
    assert THERE.holds(record())
    for field in ("destination_region", "destination_project_id", "destination_vault_id"):
        changed: dict[str, Any] = {field: "another"}
        elsewhere = record(**changed)
        changed = {field: None}
        silent = record(**changed)
        assert not THERE.holds(elsewhere)
        assert not THERE.may_hold(elsewhere)
        assert not THERE.holds(silent)
        assert THERE.may_hold(silent)
    assert str(Destination("r", "p", "v")) == "the vault in r (vault v, project p)"


# --- whatever comes -----------------------------------------------------------------------------------------------------------


BACKUPS = ["b1", "b2"]
RECORD = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["r1", "r2", "r3"]),
        "status": st.sampled_from(["success", "fail", "skip", "replicating", None]),
        "created_at": st.sampled_from([None, MIDNIGHT, ONE_O_CLOCK, "9999-12-31"]),
        "destination_region": st.sampled_from([THERE.region, THERE.region, "other", None]),
        "destination_project_id": st.sampled_from([THERE.project_id, None]),
        "destination_vault_id": st.sampled_from([THERE.vault_id, THERE.vault_id, OTHER, None]),
    }
)
ROW = st.fixed_dictionaries(
    {
        "id": st.sampled_from(BACKUPS),
        "vault_id": st.just(HERE),
        "status": st.sampled_from(["available", "available", "protecting", "error"]),
        "image_type": st.just("backup"),
        "created_at": st.sampled_from([None, MIDNIGHT]),
        "replication_records": st.lists(RECORD, max_size=4),
    }
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(rows=st.lists(ROW, max_size=4), seed=st.integers(0, 2**32), own=st.sets(st.sampled_from(["r1", "r2"])))
def test_the_order_of_rows_and_records_never_changes_where_a_backup_stands(rows: list[Row], seed: int, own: set[str]) -> None:
    def by_backup(these: list[Row]) -> dict[str, tuple[CoverageStatus, str | None]]:
        coverage = assess([msgspec.convert(row, Backup) for row in these], THERE, own=own)
        return {one.backup.id: (one.status, one.record.id if one.record else None) for one in coverage.by_backup.values()}

    rng = random.Random(seed)
    shuffled = [{**row, "replication_records": rng.sample(row["replication_records"], len(row["replication_records"]))} for row in rows]
    rng.shuffle(shuffled)
    assert by_backup(shuffled) == by_backup(rows)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(records=st.lists(RECORD, min_size=1, max_size=4, unique_by=lambda record: record["id"]), at=st.integers(0, 3))
def test_a_success_to_the_destination_covers_whatever_stands_beside_it(records: list[Row], at: int) -> None:
    success = {
        "id": "r9", "status": "success", "created_at": None,
        "destination_region": THERE.region, "destination_project_id": THERE.project_id,
        "destination_vault_id": THERE.vault_id,
    }  # fmt: skip
    row = {"id": BACKUPS[0], "status": "available", "image_type": "backup", "replication_records": [*records[:at], success, *records[at:]]}
    coverage = assess([msgspec.convert(row, Backup)], THERE)
    assert coverage.by_backup[BACKUPS[0]].status is CoverageStatus.SUCCEEDED

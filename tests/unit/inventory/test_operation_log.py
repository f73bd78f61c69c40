"""What the operation log says of a copy whose record is not there: that it began or how it ended, and never more than that."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_cbr.api.models import OperationError, OperationExtra, OperationLog, OperationReplication, OperationResource
from airflow_cbr.inventory.coverage import CoverageStatus
from airflow_cbr.inventory.operation_log import as_record, newest_by_backup, newest_by_resource, status_by_log, trace_of, words_of
from tests.support.replication_rows import THERE

MIDNIGHT = "2026-11-24T00:00:00"
ONE_O_CLOCK = "2026-11-24T01:00:00"


def log(
    log_id: str = "l1", status: str | None = "success", *, backup_id: str | None = "b1", region: str = THERE.region, **fields: Any
) -> OperationLog:
    copy = OperationReplication(source_backup_id=backup_id, destination_region=region, destination_project_id=THERE.project_id)
    values: dict[str, Any] = {"created_at": MIDNIGHT, "checkpoint_id": "night", "extra_info": OperationExtra(replication=copy)}
    return OperationLog(id=log_id, status=status, **values | fields)


def ids(found: dict[Any, OperationLog]) -> dict[Any, str]:
    return {key: row.id for key, row in found.items()}


# --- which row counts -----------------------------------------------------------------------------------------------------------


def test_the_newest_log_of_each_backup_counts_in_whatever_order_they_come() -> None:
    rows = [log("old"), log("new", created_at=ONE_O_CLOCK), log("other", backup_id="b2"), log("timeless", created_at=None)]
    for order in itertools.permutations(rows):
        assert ids(newest_by_backup(order)) == {"b1": "new", "b2": "other"}


def test_a_log_that_names_no_backup_belongs_to_none() -> None:
    assert newest_by_backup([log(backup_id=None), log("bare", extra_info=None), log("odd", extra_info="no json")]) == {}


def test_copies_to_another_region_or_project_are_left_out_where_a_destination_is_given() -> None:
    elsewhere = log("elsewhere", region="another", created_at=ONE_O_CLOCK)
    assert ids(newest_by_backup([log("here"), elsewhere], destination=THERE)) == {"b1": "here"}
    assert ids(newest_by_backup([log("here"), elsewhere])) == {"b1": "elsewhere"}


def test_logs_of_an_earlier_night_are_left_out_and_one_without_a_time_is_not() -> None:
    since = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
    assert newest_by_backup([log()], since=since) == {}
    assert ids(newest_by_backup([log(created_at=ONE_O_CLOCK)], since=since)) == {"b1": "l1"}
    assert ids(newest_by_backup([log(created_at=None)], since=since)) == {"b1": "l1"}
    assert ids(newest_by_backup([log()], since=datetime(2026, 11, 24, tzinfo=UTC))) == {"b1": "l1"}, "that very moment counts"


def test_where_no_backup_is_named_the_newest_log_of_checkpoint_and_resource_counts() -> None:
    def bare(log_id: str, at: str, resource_id: str | None) -> OperationLog:
        return log(log_id, created_at=at, extra_info=OperationExtra(resource=OperationResource(id=resource_id)))

    rows = [bare("new", ONE_O_CLOCK, "server"), bare("old", MIDNIGHT, "server"), bare("nameless", ONE_O_CLOCK, None)]
    for order in itertools.permutations(rows):
        assert ids(newest_by_resource(order)) == {("night", "server"): "new"}
    assert newest_by_resource([log(checkpoint_id=None)]) == {}


# --- what it says ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "coverage"),
    [
        ("success", CoverageStatus.SUCCEEDED),
        ("running", CoverageStatus.IN_FLIGHT),
        ("waiting", CoverageStatus.IN_FLIGHT),
        ("failed", CoverageStatus.FAILED),
        ("timeout", CoverageStatus.FAILED),
        ("skipped", CoverageStatus.FAILED),
        ("a word that nobody documented", CoverageStatus.FAILED),
        (None, CoverageStatus.FAILED),
    ],
)
def test_only_a_log_that_says_success_is_one(status: str | None, coverage: CoverageStatus) -> None:
    found, reason = status_by_log(log(status=status))
    assert found is coverage
    assert reason.startswith(f"its record is no longer listed, and the operation log says {status or 'no status'}")
    assert trace_of(log(status=status), "r1") == "record r1, operation log l1"


def test_a_copy_that_neither_record_nor_log_knows_is_lost() -> None:
    found, reason = status_by_log(None)
    assert found is CoverageStatus.LOST
    assert reason == "its record is no longer listed, and the operation log does not show the copy"
    assert trace_of(None, "r1") == "record r1"


def test_a_failure_has_the_services_code_and_words_on_one_line() -> None:
    failed = log(status="failed", error_info=OperationError(code="BackupService.1006", message="No room\nin the lift."))
    assert words_of(failed) == "BackupService.1006 No room in the lift."
    assert status_by_log(failed)[1].endswith("BackupService.1006 No room in the lift.")
    assert words_of(log()) == ""


def test_a_log_is_read_like_the_record_that_it_stands_in_for() -> None:
    failed = log(status="failed", error_info=OperationError(code="BackupService.1006", message="No room."))
    record = as_record(failed, "fail")
    assert (record.id, record.status, record.created_at) == ("l1", "fail", MIDNIGHT)
    assert (record.extra.fail_code, record.extra.fail_reason) == ("BackupService.1006", "No room.")
    assert as_record(log(), "success").extra.fail_code is None

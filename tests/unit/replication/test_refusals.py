"""What a refusal of a replicate call says about the backups, and how it is told in words long after it was met."""

from __future__ import annotations

import pytest

from airflow_cbr.api.error_lookup import find
from airflow_cbr.api.models import ReplicationExtra, ReplicationRecord
from airflow_cbr.exceptions import CbrApiError
from airflow_cbr.replication.refusals import (
    declines_backup,
    describe,
    fails_for_good,
    note_of,
    note_of_log,
    says_nothing_left,
)


def refusal(code: str | None, request_id: str | None = None) -> CbrApiError:
    return CbrApiError("CopyBackup: no.", error_code=code, request_id=request_id)


@pytest.mark.parametrize("code", ["1004", "BackupService.1004"])
def test_a_note_is_told_with_the_meaning_of_its_code_and_with_its_request_id(code: str) -> None:
    row = find("BackupService.1004", None)
    assert row is not None
    assert note_of(refusal(code, "0f9e")) == "BackupService.1004 0f9e"
    assert describe(note_of(refusal(code, "0f9e"))) == f"{row.meaning} [BackupService.1004, request id 0f9e]"
    assert describe(note_of(refusal(code))) == f"{row.meaning} [BackupService.1004]"


@pytest.mark.parametrize(("code", "shown"), [("BackupService.9999", "BackupService.9999"), (None, "no-code")])
def test_a_code_that_nobody_knows_is_told_as_it_is(code: str | None, shown: str) -> None:
    assert describe(note_of(refusal(code, "0f9e"))) == f"the service refused it [{shown}, request id 0f9e]"
    assert describe(note_of(refusal(code))) == f"the service refused it [{shown}]"


def test_a_note_of_the_operation_log_names_its_row() -> None:
    assert note_of_log("log-7") == "operation-log log-7"
    assert "(row log-7)" in describe(note_of_log("log-7"))


@pytest.mark.parametrize("code", ["1001", "1002", "1003", "1004", "1013", "6122"])
def test_a_backup_is_declined_for_what_it_is(code: str) -> None:
    assert declines_backup(refusal(code))
    assert not says_nothing_left(refusal(code))


@pytest.mark.parametrize("code", ["0001", "1009"])
def test_nothing_is_left_to_copy(code: str) -> None:
    assert says_nothing_left(refusal(code))
    assert not declines_backup(refusal(code))


@pytest.mark.parametrize("code", [None, "1005", "6130"])
def test_any_other_refusal_says_neither(code: str | None) -> None:
    assert not says_nothing_left(refusal(code))
    assert not declines_backup(refusal(code))


@pytest.mark.parametrize(
    ("status", "code", "for_good"),
    [
        ("fail", "BackupService.6129", True),
        ("fail", 6129, True),
        ("fail", "BackupService.1006", False),  # the word for any copy that went wrong
        ("fail", "BackupService.1007", False),  # try again later
        ("fail", "BackupService.9999", False),
        ("fail", None, False),
        ("replicating", "BackupService.6129", False),
        ("success", "BackupService.6129", False),
    ],
)
def test_a_copy_fails_for_good_by_a_code_that_lasts(status: str, code: str | int | None, for_good: bool) -> None:
    record = ReplicationRecord(id="r", status=status, extra_info=ReplicationExtra(fail_code=code))
    assert fails_for_good(record) is for_good

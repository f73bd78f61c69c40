"""What follows from one look and an attempt's state, without any service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from airflow_cbr.api.models import Backup, BackupExtendInfo, ReplicationRecord
from airflow_cbr.api.summaries import BackupSummary
from airflow_cbr.exceptions import CbrLimitError, CbrNothingToReplicateError, CbrReplicationFailedError
from airflow_cbr.inventory.coverage import BackupCoverage, Coverage, CoverageStatus, assess
from airflow_cbr.replication import decisions
from airflow_cbr.replication.figures import figures_of
from airflow_cbr.replication.spec import ReplicationSpec
from airflow_cbr.replication.state import ReplicationState
from tests.support.hostile_service import BEGIN as BEGAN
from tests.support.hostile_service import DESTINATION, SOURCE_VAULT
from tests.support.looks import backup, look, record

NOW = datetime.fromtimestamp(BEGAN, UTC)


def spec(**fields: Any) -> ReplicationSpec:
    return ReplicationSpec(vault_id=SOURCE_VAULT, destination=DESTINATION, **fields)


def state(**fields: Any) -> ReplicationState:
    return ReplicationState(deadline=BEGAN + 86400, **fields)


def ids(found: list[BackupCoverage]) -> list[str]:
    return [one.backup.id for one in found]


# --- what a look need not keep -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "known", "is_taken"),
    [
        (record("r", "success"), {}, True),
        (record("r", "success"), {"wanted": ["b"], "accepted": {"s": "b"}, "began": BEGAN + 1}, True),
        (record("r", "success"), {"wanted": ["a"]}, False),
        (record("r", "success"), {"accepted": {"s": "a"}}, False),
        (record("r", "success"), {"adopted": {"r": "b"}}, False),
        (record("r", "success"), {"began": BEGAN - 1}, False),
        (record("r", "success", at=None), {"began": BEGAN}, False),
        (record("r", "success", to="1" * 32), {}, False),
        (record("r", "replicating"), {}, False),
        (record("r", "fail"), {}, False),
    ],
)
def test_a_look_keeps_what_is_not_covered_and_what_this_task_has_to_do_with(
    one: ReplicationRecord, known: dict[str, Any], is_taken: bool
) -> None:
    row = msgspec.convert(msgspec.to_builtins(backup("a", one)), BackupSummary)
    settled = decisions.takes_settled(DESTINATION, state(**known))
    assert settled.take(row) is is_taken
    assert settled.settled.backups == is_taken


# --- what is needed -----------------------------------------------------------------------------------------------------------


def test_what_has_no_copy_is_needed_oldest_first() -> None:
    seen = look(backup("c"), backup("a"), backup("b", record("r", "success")))
    assert ids(decisions.needed(seen, state())) == ["a", "c"]
    assert decisions.uncovered(seen) == ["c", "a"]


def test_only_what_the_first_look_found_without_a_copy_is_needed() -> None:
    seen = look(backup("a"), backup("b"))
    assert ids(decisions.needed(seen, state(wanted=["b"]))) == ["b"]
    assert ids(decisions.needed(seen, state(wanted=[]))) == []


def test_what_was_given_up_is_needed_no_more() -> None:
    assert ids(decisions.needed(look(backup("a"), backup("b")), state(given_up={"a": "BackupService.1012"}))) == ["b"]


@pytest.mark.parametrize(("skips", "needed"), [(0, True), (1, True), (2, False), (3, False)])
def test_a_second_skip_is_the_services_last_word(skips: int, needed: bool) -> None:
    own = tuple(f"r{number}" for number in range(skips))
    seen = look(backup("a", record("foreign", "skip"), *(record(one, "skip") for one in own)), own=own)
    assert bool(decisions.needed(seen, state(accepted=dict.fromkeys(own, "a")))) is needed


@pytest.mark.parametrize(
    ("code", "stale", "began", "needed"),
    [
        (None, True, None, True),
        (None, False, None, False),  # it failed in this attempt
        ("BackupService.6129", True, None, True),  # on an earlier night, and it may have been mended since
        ("BackupService.6129", True, BEGAN, True),
        ("BackupService.6129", True, BEGAN - 1, False),  # in this Dag run, and for good
        ("BackupService.1006", True, BEGAN - 1, True),
    ],
)
def test_a_failed_copy_is_asked_for_again(code: str | None, stale: bool, began: float | None, needed: bool) -> None:
    seen = look(backup("a", record("r", "fail", fail_code=code)))
    assert bool(decisions.needed(seen, state(stale=["r"] if stale else [], began=began))) is needed


def test_a_copy_that_failed_in_this_attempt_keeps_its_backup_from_being_asked_for_whatever_failed_before() -> None:
    seen = look(backup("a", record("old", "fail"), record("new", "fail")))
    assert decisions.needed(seen, state(stale=["old"])) == []
    assert ids(decisions.needed(seen, state(stale=["old", "new"]))) == ["a"]


def test_a_running_copy_is_asked_for_again_only_where_it_counts_for_nothing() -> None:
    seen = look(backup("a", record("r", "replicating")))
    assert decisions.needed(seen, state()) == []
    assert ids(decisions.needed(seen, state(disowned=["r"]))) == ["a"]
    without_record = Coverage(DESTINATION, NOW, {"a": BackupCoverage(backup("a"), CoverageStatus.IN_FLIGHT)})
    assert decisions.needed(without_record, state(disowned=["r"])) == []


def test_what_may_still_become_eligible_counts_as_uncovered() -> None:
    seen = look(
        backup("a", status="protecting"),
        backup("b", status="error"),
        backup("c", resource_type="OS::Cinder::Volume"),
        backup("d", status="error", resource_type="OS::Cinder::Volume"),
        backup("e", record("r", "success")),
        backup("f", record("s", "replicating")),
    )
    assert decisions.uncovered(seen) == ["a", "b", "f"]
    declined = assess([backup("a"), backup("b")], DESTINATION, declined={"a": "the service declines it"})
    assert decisions.uncovered(declined) == ["b"]


# --- by vault or one by one ---------------------------------------------------------------------------------------------------


def asks_for_vault(seen: Coverage, **fields: Any) -> bool:
    known = state(**fields)
    return decisions.asks_for_vault(seen, known, decisions.needed(seen, known))


def test_what_has_no_copy_is_asked_for_by_vault() -> None:
    assert asks_for_vault(look(backup("a"), backup("b", record("r", "success"))))
    assert not asks_for_vault(look(backup("a")), one_by_one=True)


def test_what_had_failed_alone_is_asked_for_individually() -> None:
    failed = backup("a", record("r", "fail"))
    assert not asks_for_vault(look(failed), stale=["r"])
    assert asks_for_vault(look(failed, backup("b")), stale=["r"])


def test_a_backup_without_its_system_disk_is_no_reason_for_the_vaults_call() -> None:
    lacking = backup("a", resource_type="OS::Nova::Server", extend_info=BackupExtendInfo(contain_system_disk=False))
    assert not asks_for_vault(look(lacking))
    assert asks_for_vault(look(lacking, backup("b")))


@pytest.mark.parametrize(
    ("first", "second", "by_vault"),
    [("success", "success", False), ("success", "replicating", False), ("success", "fail", True), ("skip", "success", True)],
)
def test_a_service_that_copies_again_is_sent_no_vault_call(first: str, second: str, by_vault: bool) -> None:
    assert asks_for_vault(look(backup("a", record("r", first), record("s", second)), backup("b"))) is by_vault


@pytest.mark.parametrize(
    ("beside", "by_vault"),
    [(CoverageStatus.SUCCEEDED, False), (CoverageStatus.UNCLEAR, False), (CoverageStatus.IN_FLIGHT, True)],
)
def test_where_no_records_are_listed_the_vaults_call_would_take_what_has_a_replica(beside: CoverageStatus, by_vault: bool) -> None:
    by_backup = {"a": BackupCoverage(backup("a"), CoverageStatus.UNRECORDED), "b": BackupCoverage(backup("b"), beside)}
    assert asks_for_vault(Coverage(DESTINATION, NOW, by_backup, {}, lists_records=False)) is by_vault
    assert asks_for_vault(Coverage(DESTINATION, NOW, by_backup, {}, lists_records=True))


# --- what runs, what is adopted -----------------------------------------------------------------------------------------------


def test_what_runs_is_what_is_listed_as_running_or_was_accepted_and_is_not_listed_yet() -> None:
    by_backup = {
        "a": BackupCoverage(backup("a"), CoverageStatus.IN_FLIGHT, record=record("r", "replicating")),
        "b": BackupCoverage(backup("b"), CoverageStatus.IN_FLIGHT),
        "c": BackupCoverage(backup("c"), CoverageStatus.LOST),
        "d": BackupCoverage(backup("d"), CoverageStatus.IN_FLIGHT, record=record("gone", "replicating")),
    }
    seen = Coverage(DESTINATION, NOW, by_backup, {"r": ("a", record("r", "replicating")), "gone": ("d", record("gone", "replicating"))})
    known = state(accepted={"r": "a", "s": "b", "t": "c"}, disowned=["gone"])
    assert decisions.running(seen, known) == ["r", "s"]
    assert ids(decisions.in_flight(seen, known)) == ["a", "b"]
    assert decisions.unlisted(seen, known) == {"s": "b", "t": "c"}


def test_progress_is_of_what_is_followed_listed_or_not() -> None:
    runs = record("r", "replicating", at=BEGAN - 60, progress=75)
    by_backup = {one: BackupCoverage(backup(one), CoverageStatus.IN_FLIGHT, record=runs if one == "a" else None) for one in "abc"}
    seen = Coverage(DESTINATION, NOW, by_backup, {"r": ("a", runs), "foreign": ("a", runs)})
    progress = decisions.progress_of(seen, state(accepted={"r": "a", "s": "b", "t": "c"}), now=NOW)
    assert (progress.total, progress.replicating, progress.waiting) == (3, 1, 2)
    assert decisions.progress_of(seen, state(accepted={"r": "a"}), now=NOW).seconds_left == 20.0


@pytest.mark.parametrize(
    ("status", "at", "since", "adopted"),
    [
        ("replicating", BEGAN, None, True),
        ("a new word", BEGAN, BEGAN + 9, True),
        ("success", BEGAN, None, False),
        ("success", BEGAN, BEGAN, False),
        ("success", BEGAN, BEGAN - 1, True),
        ("success", None, BEGAN, True),
        ("fail", BEGAN, BEGAN - 1, True),
        ("skip", BEGAN, BEGAN - 1, False),
    ],
)
def test_what_runs_and_what_was_made_since_the_task_began_is_adopted(
    status: str, at: float | None, since: float | None, adopted: bool
) -> None:
    seen = look(backup("a", record("r", status, at=at)))
    assert list(decisions.adoptable(seen, state(), since=since)) == ["r"] * adopted
    assert decisions.adoptable(seen, state(accepted={"r": "a"}), since=since) == {}
    assert decisions.adoptable(seen, state(adopted={"r": "a"}), since=since) == {}


@pytest.mark.parametrize(("since", "begun"), [(None, False), (BEGAN, False), (BEGAN - 1, True)])
def test_the_tasks_calls_have_begun_something_once_a_record_is_newer(since: float | None, begun: bool) -> None:
    assert decisions.has_begun(look(backup("a", record("r", "success"))), since=since) is begun
    assert not decisions.has_begun(look(backup("a")), since=BEGAN - 1)


def test_the_newest_record_says_when_it_was_made() -> None:
    seen = look(
        backup("a", record("r", "success", at=BEGAN - 5), record("s", "fail", at=None)), backup("b", record("t", "fail", at=BEGAN - 9))
    )
    assert decisions.newest_record_time(seen) == BEGAN - 5
    assert decisions.newest_record_time(look(backup("a"))) == 0.0


# --- what is told -------------------------------------------------------------------------------------------------------------


def test_counts_are_of_records_and_of_backups() -> None:
    seen = look(
        backup("a", record("mine", "success")),
        backup("b", record("adopted", "success")),
        backup("h", record("too", "success")),
        backup("c", record("older", "success")),
        backup("d", record("bad", "fail")),
        backup("e", status="error"),
        backup("f"),
        backup("g", record("elsewhere", "success", to="1" * 32)),
        own=("mine", "too"),
    )
    known = state(accepted={"mine": "a", "too": "h"}, adopted={"adopted": "b"})
    assert decisions.record_ids_of(seen, known) == ["adopted", "mine", "too"]
    assert decisions.counts_of(seen, known) == {
        "accepted": 2, "adopted": 1, "already": 1, "succeeded": 3, "failed": 1, "skipped": 1, "missing": 2,
    }  # fmt: skip
    assert decisions.counts_before_looking(known) == {
        "accepted": 2, "adopted": 1, "already": 0, "succeeded": 0, "failed": 0, "skipped": 0, "missing": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sizes", "gb"),
    [
        ((40, 60.5), 100.5),
        ((0, 40), 40.0),
        ((40, None), None),
        ((40, -1), None),
        ((40, float("inf")), None),
        ((40, float("nan")), None),
        ((), 0.0),
    ],
)
def test_what_was_copied_is_measured_by_the_copies_of_this_run_alone(sizes: tuple[Any, ...], gb: float | None) -> None:
    mine = [backup("abc"[number], record(f"r{number}", "success"), resource_size=size) for number, size in enumerate(sizes)]
    others = [backup("f", record("old", "success"), resource_size=None), backup("g", record("bad", "fail"))]
    known = state(accepted={f"r{number}": "abc"[number] for number in range(len(sizes))} | {"bad": "g"})
    assert figures_of(look(*mine, *others), known, now=0.0).gb == gb


def test_a_record_that_a_newer_one_of_its_backup_has_replaced_is_told_no_more() -> None:
    seen = look(backup("a", record("old", "fail", at=BEGAN - 60), record("new", "success")))
    assert decisions.record_ids_of(seen, state(adopted={"old": "a", "new": "a"})) == ["new"]
    hidden = look(backup("a", record("new", "success")))
    assert decisions.record_ids_of(hidden, state(adopted={"old": "a", "new": "a"})) == ["old", "new"], (
        "a record that is gone is not replaced"
    )
    assert decisions.record_ids_of(look(), state(accepted={"r": "deleted"})) == ["r"]


@pytest.mark.parametrize(("count", "text"), [(1, "1 backup is still being made: night-a"), (2, "2 backups are still being made: night-a")])
def test_the_backups_that_are_being_made_are_named(count: int, text: str) -> None:
    made = look(*(backup("abcdefgh"[number], status="protecting") for number in range(count))).of(CoverageStatus.BEING_MADE)
    assert decisions.line_of(made).startswith(text)


def test_five_of_many_backups_that_are_being_made_are_named() -> None:
    line = decisions.line_of(look(*(backup(one, status="protecting") for one in "abcdefg")).of(CoverageStatus.BEING_MADE))
    assert line.startswith("7 backups are still being made: ")
    assert [one for one in "abcdefg" if f"night-{one}" in line] == ["a", "b", "c", "d", "e"]
    assert line.count(", ") == 4


# --- limits and failures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "refused"), [(None, False), (3, False), (2, False), (1, True)])
def test_no_more_backups_are_asked_for_than_the_limit_says(limit: int | None, refused: bool) -> None:
    seen = look(backup("a"), backup("b"))
    if refused:
        with pytest.raises(CbrLimitError, match="2 backups would be replicated, more than max_backups=1") as caught:
            decisions.check_limits(seen, state(), spec(max_backups=limit), seen.eligible)
        assert caught.value.advice
    else:
        decisions.check_limits(seen, state(), spec(max_backups=limit), seen.eligible)


@pytest.mark.parametrize(("limit", "refused"), [(None, False), (3, False), (2, True)])
def test_no_more_records_are_named_than_can_be_mapped_over(limit: int | None, refused: bool) -> None:
    seen = look(backup("a"), backup("b"), backup("c", record("r", "replicating")))
    known = state(adopted={"r": "c"})
    if refused:
        with pytest.raises(CbrLimitError, match=r"3 record ids .*max_map_length=2") as caught:
            decisions.check_limits(seen, known, spec(max_records=limit), decisions.needed(seen, known))
        assert caught.value.advice
    else:
        decisions.check_limits(seen, known, spec(max_records=limit), decisions.needed(seen, known))


def failure(seen: Coverage, **fields: Any) -> CbrReplicationFailedError | CbrNothingToReplicateError | None:
    return decisions.failure(seen, state(**fields), spec())


def test_a_vault_whose_backups_are_all_covered_fails_nothing() -> None:
    assert failure(look(backup("a", record("r", "success")), backup("b", status="error"))) is None


def test_a_failure_names_each_backup_and_what_became_of_it() -> None:
    seen = look(
        backup("a", record("r", "fail", fail_code="BackupService.1006", fail_reason="import failed")),
        backup("b", record("s", "skip"), record("t", "skip")),
        backup("c"),
        backup("d", record("u", "success")),
        own=("s", "t"),
    )
    error = failure(seen, accepted={"s": "b", "t": "b"}, given_up={"c": "BackupService.1012 0f9e"})
    assert isinstance(error, CbrReplicationFailedError)
    assert f"Vault {SOURCE_VAULT} is not fully replicated to {DESTINATION}: 3 of 4 eligible backups not covered." in str(error)
    said = {one: line for line in error.problems for one in "abcd" if f"night-{one}" in line}
    assert sorted(said) == ["a", "b", "c"]
    assert "import failed" in said["a"]
    assert "skipped it, 2 times" in said["b"]
    assert "request id 0f9e" in said["c"]
    assert "times" not in said["a"]
    assert error.advice is not None
    assert "Run the task again" in error.advice
    assert not error.permanent


@pytest.mark.parametrize(
    ("backups", "permanent"),
    [
        ([backup("a", record("r", "success", to="1" * 32))], True),
        ([backup("a", record("r", "fail", fail_code="BackupService.6129"))], True),
        ([backup("a", record("r", "fail", fail_code="BackupService.1006"))], False),
        ([backup("a", record("r", "success", to="1" * 32)), backup("b", record("s", "fail", fail_code="BackupService.1006"))], False),
        ([backup("a", record("r", "success", to="1" * 32)), backup("b")], False),
    ],
)
def test_a_failure_is_permanent_where_asking_again_cannot_help(backups: list[Backup], permanent: bool) -> None:
    error = failure(look(*backups))
    assert isinstance(error, CbrReplicationFailedError)
    assert error.permanent is permanent
    assert error.advice is not None
    assert ("a retry would be refused again" in error.advice) is permanent


def test_an_empty_vault_says_what_was_left_out() -> None:
    seen = look(backup("a", status="error"), backup("b", status="error"))
    error = failure(seen)
    assert isinstance(error, CbrNothingToReplicateError)
    assert f"Nothing to replicate in vault {SOURCE_VAULT}" in str(error)
    assert error.message.splitlines()[1:] == [f"  - {one}" for one in seen.of(CoverageStatus.SKIPPED)]
    assert error.advice
    assert decisions.failure(seen, state(), spec(allow_empty=True)) is None


def test_a_deadline_that_has_passed_names_the_vault_and_what_runs() -> None:
    error = decisions.timed_out(spec(timeout=60.0), state(vault_name="vault-nightly"), look(), ["r1"])
    assert f"vault vault-nightly ({SOURCE_VAULT})" in str(error)
    assert "60 s" in str(error)
    assert list(error.running) == ["r1"]


def test_a_deadline_that_has_passed_names_what_was_backed_up_as_far_as_the_look_shows_it() -> None:
    seen = look(backup("a", record("r1", "replicating"), resource_name="web"), backup("b", resource_name="db"))
    known = state(accepted={"r1": "a", "r3": "gone"}, adopted={"r2": "b"})
    error = decisions.timed_out(spec(), known, seen, ["r1", "r2", "r3", "r4"])
    assert "4 copies are still running: web (r1), db (r2), r3, r4." in str(error)

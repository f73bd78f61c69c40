"""What a submission sends, adopts, waits for and says, for everything that the service may answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.world import SOURCE_VAULT
from airflow_cbr.exceptions import (
    CbrError,
    CbrLimitError,
    CbrNotFoundError,
    CbrNothingToReplicateError,
    CbrOutcomeUnknownError,
    CbrPermissionError,
    CbrRefusedError,
    CbrReplicationFailedError,
    CbrReplicationTimeoutError,
)
from airflow_cbr.once.steps import Pause
from airflow_cbr.replication.steps import Step
from airflow_cbr.replication.submission import BEING_MADE_LIMIT
from tests.support.hostile_service import HostileService, run
from tests.support.replication_night import Night

if TYPE_CHECKING:
    from collections.abc import Callable

BACKUPS = ["7558e1a3-7046-4787-95cd-14b0ad0642a8", "6df2b54c-dd62-4059-a07c-1b8f24f2725d", "aa00034d-ef40-443d-ab7a-dc846d988cdf"]
SETTLE = "an earlier replicate call may still take effect"


def other_vault(night: Night) -> str:
    """Return another replication vault of the destination project."""
    return str(night.control.add_vault(project_id=night.spec["destination"].project_id, protect_type="replication")["id"])


def test_three_backups_are_copied_with_one_call() -> None:
    night = Night()
    result = night.attempt()
    assert night.calls == ["CopyCheckpoint"]
    assert sorted(night.copies) == sorted(BACKUPS)
    assert sorted(result.record_ids) == sorted(copy["record_id"] for copy in night.ledger["replications"])
    assert result.counts == {"accepted": 3, "adopted": 0, "already": 0, "succeeded": 3, "failed": 0, "skipped": 0, "missing": 0}


def test_without_a_fault_the_protection_costs_one_look_before_and_no_operation_log() -> None:
    night = Night()
    night.attempt()
    # One look before the call, one that finds the copies ended, and one at the vault for its name.
    assert night.ledger["requests"] == {"ListBackups": 2, "CopyCheckpoint": 1, "ShowVault": 1}


def test_record_ids_are_published_as_soon_as_the_service_has_answered() -> None:
    night = Night()
    night.control.fault("copy_fails", count=None)
    with pytest.raises(CbrReplicationFailedError):
        night.attempt()
    first_ids, first_counts = night.published[0]
    assert len(first_ids) == 3
    assert first_counts["accepted"] == 3
    assert night.published[-1][1]["failed"] == 3


def test_all_covered_sends_nothing() -> None:
    night = Night()
    night.attempt()
    night.clock.advance(3600)
    another_run = Night()
    another_run.adapter, another_run.control, another_run.clock = night.adapter, night.control, night.clock
    result = another_run.attempt()
    assert night.calls == ["CopyCheckpoint"]
    assert result.record_ids == []
    assert result.counts["already"] == 3


def test_only_what_is_new_is_copied_the_next_night() -> None:
    night = Night()
    night.attempt()
    night.clock.advance(86400)
    added = night.control.add_backup(SOURCE_VAULT, age_seconds=60)["id"]
    result = _next_run(night).attempt()
    assert night.copies[3:] == [added]
    assert result.counts["already"] == 3
    assert result.counts["accepted"] == 1


def _next_run(night: Night) -> Night:
    """Return the next Dag run on the same service."""
    following = Night()
    following.adapter, following.control, following.clock = night.adapter, night.control, night.clock
    following.run_after = night.clock.now()
    return following


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset"},
        {"kind": "timeout"},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 502},
        {"kind": "status", "status": 504},
        {"kind": "truncated"},
        {"kind": "html"},
        {"kind": "not_json"},
        {"kind": "empty_backups"},
        {"kind": "code", "code": "6130"},
        {"kind": "code", "code": "1009"},
        {"kind": "code", "code": "0001"},
        {"kind": "code", "code": "1007"},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
@pytest.mark.campaign
def test_a_lost_or_wrong_answer_never_copies_twice(fault: dict[str, str], when: str, deferred: bool) -> None:
    night = Night()
    night.control.switch(record_delay=60, operation_log_delay=60, careless=True)
    if fault["kind"] == "truncated" and when == "before":
        # A service that did nothing has no answer that could be cut: its refusal is cut.
        night.control.fault("code", code="9910", call="CopyCheckpoint", when="before")
    else:
        night.control.fault(call="CopyCheckpoint", when=when, **fault)
    result = night.attempt(deferred=deferred)
    assert sorted(night.copies) == sorted(BACKUPS)
    assert sorted(result.record_ids) == sorted(copy["record_id"] for copy in night.ledger["replications"])
    assert result.counts["succeeded"] == 3


@pytest.mark.parametrize("retry_after", [None, 7.0])
def test_a_throttled_call_is_sent_again_because_it_was_not_processed(retry_after: float | None) -> None:
    night = Night()
    night.control.fault("throttle", call="CopyCheckpoint", retry_after=retry_after)
    night.attempt()
    assert sorted(night.copies) == sorted(BACKUPS)
    assert night.ledger["requests"]["CopyCheckpoint"] == 2


def test_a_service_that_never_says_what_it_did_is_asked_three_times_at_most() -> None:
    night = Night()
    night.control.fault("reset", call="CopyCheckpoint", when="before", count=None)
    with pytest.raises(CbrOutcomeUnknownError) as caught:
        night.attempt()
    assert not caught.value.permanent
    assert night.calls == ["CopyCheckpoint"] * 3


@pytest.mark.parametrize("answer", ["1009", "0001", "empty", "skip"])
@pytest.mark.parametrize("shows_after", [0, 30])
def test_a_race_for_the_same_vault_ends_covered(answer: str, shows_after: int) -> None:
    """Somebody else copies everything between our look and our call."""
    night = Night(spec={"settle_time": 60})
    night.control.switch(when_all_copied=answer, record_delay=shows_after, copy_seconds=2, queue_seconds=0)
    other = night.client()

    def race(step: object, moment: str) -> None:
        if str(step) == "replicate the vault" and moment == "before":
            destination = night.spec["destination"]
            other.replicate_checkpoint(
                vault_id=SOURCE_VAULT,
                destination_region=destination.region,
                destination_project_id=destination.project_id,
                destination_vault_id=destination.vault_id,
            )
            night.clock.advance(10)

    result = night.attempt(observe=race)
    assert sorted(night.copies) == sorted(BACKUPS)
    assert result.counts["succeeded"] + result.counts["already"] == 3
    assert not any(call == "CopyBackup" for call in night.calls)


def test_another_actors_replication_is_waited_for_and_adopted() -> None:
    night = Night()
    night.control.switch(copy_seconds=600)
    destination = night.spec["destination"]
    night.client().replicate_checkpoint(
        vault_id=SOURCE_VAULT,
        destination_region=destination.region,
        destination_project_id=destination.project_id,
        destination_vault_id=destination.vault_id,
    )
    result = night.attempt()
    assert night.calls == ["CopyCheckpoint"]
    assert result.counts["adopted"] == 3
    assert len(result.record_ids) == 3


def test_a_copy_that_was_adopted_is_in_doubt_no_more() -> None:
    """Its call had an unknown outcome, and its record shows: what the copy then leaves undone is asked for without another wait."""
    night = Night()
    night.control.switch(copy_seconds=20, queue_seconds=0)
    night.control.fault("reset", call="CopyCheckpoint", when="after")
    night.control.fault("copy_skipped", backup_id=BACKUPS[1])
    result = night.attempt()
    assert night.calls == ["CopyCheckpoint", "CopyBackup"]
    assert SETTLE not in [pause.reason for pause in night.pauses]
    assert (result.counts["adopted"], result.counts["accepted"], result.counts["succeeded"]) == (2, 1, 3)


def test_a_backup_that_is_being_made_is_waited_for() -> None:
    night = Night()
    added = night.control.add_backup(SOURCE_VAULT, age_seconds=5, status="protecting")["id"]

    def finish(pause_count: int) -> None:
        if pause_count == 2:
            night.control.change_backup(added, status="available")

    night.number = 1
    submission = night.submission()
    pauses = 0
    while isinstance(step := submission.advance(), Pause):
        pauses += 1
        if pauses <= 2:
            assert "still being made" in step.reason
            assert night.calls == []
        finish(pauses)
        night.clock.advance(step.seconds)
    assert added in night.copies


def test_backups_made_after_the_first_look_do_not_count() -> None:
    night = Night()

    def late(step: object, moment: str) -> None:
        if str(step) == "replicate the vault" and moment == "after":
            night.control.add_backup(SOURCE_VAULT, age_seconds=0)

    night.attempt(observe=late)
    assert len(night.copies) == 3


def test_a_copy_that_the_call_began_of_a_later_backup_counts() -> None:
    night = Night()

    def late(step: Step, moment: str) -> None:
        if (step, moment) == (Step.REPLICATE_VAULT, "before"):
            night.control.add_backup(SOURCE_VAULT, age_seconds=0)

    result = night.attempt(observe=late)
    assert len(result.record_ids) == result.counts["succeeded"] == 4
    assert Step.LOOK_AT_LOG not in {step for step, _ in night.steps}, "its record is listed, and needs no other witness"


def test_what_cannot_be_replicated_is_skipped_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    night = Night()
    night.control.add_backup(SOURCE_VAULT, name="broken", status="error")
    night.control.add_backup(SOURCE_VAULT, name="disk", resource_type="OS::Cinder::Volume")
    with caplog.at_level("INFO"):
        result = night.attempt()
    assert result.counts["skipped"] == 2
    assert "broken" in caplog.text
    assert "its status is error" in caplog.text
    assert "CBR does not replicate disk backups" in caplog.text


def test_what_the_vault_call_leaves_out_is_asked_for_individually_and_declined() -> None:
    night = Night()
    added = night.control.add_backup(SOURCE_VAULT, contain_system_disk=False)["id"]
    result = night.attempt()
    assert night.calls == ["CopyCheckpoint", "CopyBackup"]
    assert added not in night.copies
    assert result.counts == {"accepted": 3, "adopted": 0, "already": 0, "succeeded": 3, "failed": 0, "skipped": 1, "missing": 0}


def test_a_backup_that_is_declined_each_night_is_no_reason_to_send_the_vault_call_each_night() -> None:
    night = Night()
    night.control.add_backup(SOURCE_VAULT, contain_system_disk=False)
    night.attempt()
    night.clock.advance(86400)
    # This service would copy everything again.
    night.control.switch(careless=True)
    night.control.fault("code", call="CopyBackup", code="1004", when="before", count=None)
    result = _next_run(night).attempt()
    assert night.calls == ["CopyCheckpoint", "CopyBackup", "CopyBackup"]
    assert (result.counts["already"], result.counts["skipped"]) == (3, 1)
    assert night.ledger["duplicates"] == []


def test_a_service_that_copies_again_what_it_has_copied_is_sent_no_vault_call_any_more() -> None:
    night = Night()
    night.control.switch(careless=True)
    night.attempt()
    for age in (2, 1):
        night.clock.advance(86400)
        night.control.add_backup(SOURCE_VAULT, age_seconds=age)
        assert _next_run(night).attempt().counts["missing"] == 0
    assert night.calls == ["CopyCheckpoint", "CopyCheckpoint", "CopyBackup"]
    assert len(night.ledger["duplicates"]) == 3, "those of the second night, which nobody could foresee"


def test_what_a_deferral_carries_is_ids_and_numbers_only() -> None:
    night = Night()
    night.control.add_backup(SOURCE_VAULT, contain_system_disk=False)
    night.number = 1
    submission = night.submission()
    while isinstance(step := submission.advance(), Pause):
        night.clock.advance(step.seconds)
    assert submission.state.declined
    for text in _texts(submission.state.dump()):
        assert re.fullmatch(r"[0-9A-Za-z_.-]+( [0-9a-f]+)?", text), text


def _texts(value: Any) -> list[str]:
    """Return every text inside a JSON value, the keys included."""
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in _texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in _texts(part)]
    return [value] if isinstance(value, str) else []


def test_what_is_left_out_and_refused_for_another_reason_is_missing() -> None:
    night = Night()
    night.control.add_backup(SOURCE_VAULT, name="the-one", contain_system_disk=False)
    night.control.fault("code", call="CopyBackup", code="1012", count=None, when="before")
    with pytest.raises(CbrReplicationFailedError) as caught:
        night.attempt()
    assert "the-one" in str(caught.value)
    assert "1012" in str(caught.value)
    assert night.published[-1][1]["missing"] == 1


@pytest.mark.parametrize("taken_again", [True, False])
def test_a_later_attempt_asks_for_the_failed_backup_alone(taken_again: bool) -> None:
    night = Night()
    night.control.switch(failed_taken_again=taken_again)
    night.control.fault("copy_fails", backup_id=BACKUPS[1], fail_code="BackupService.1006", fail_reason="import failed")
    with pytest.raises(CbrReplicationFailedError) as caught:
        night.attempt()
    assert not caught.value.permanent
    assert "BackupService.1006: import failed" in str(caught.value)
    result = night.attempt()
    assert night.calls == ["CopyCheckpoint", "CopyBackup"]
    assert night.copies[3:] == [BACKUPS[1]]
    assert len(result.record_ids) == 3
    assert result.counts["succeeded"] == 3


def test_a_failed_copy_of_an_earlier_night_is_asked_for_again() -> None:
    night = Night()
    night.control.fault("copy_fails", backup_id=BACKUPS[1])
    with pytest.raises(CbrReplicationFailedError):
        night.attempt()
    night.clock.advance(86400)
    result = _next_run(night).attempt()
    assert night.copies[3:] == [BACKUPS[1]]
    assert result.counts["already"] == 2
    assert len(result.record_ids) == 1


def test_a_replica_in_another_vault_of_the_region_fails_for_good_and_names_it() -> None:
    night = Night()
    vault_id = other_vault(night)
    destination = night.spec["destination"]
    night.client().replicate_backup(
        BACKUPS[0], destination_region=destination.region, destination_project_id=destination.project_id, destination_vault_id=vault_id
    )
    night.clock.advance(60)
    with pytest.raises(CbrReplicationFailedError) as caught:
        night.attempt()
    assert caught.value.permanent
    assert vault_id in str(caught.value)
    # The others are copied all the same: a missing copy costs more than a red task.
    assert sorted(night.copies[1:]) == sorted(BACKUPS[1:])


@pytest.mark.parametrize("allow_empty", [False, True])
def test_a_vault_without_any_eligible_backup(allow_empty: bool) -> None:
    night = Night(spec={"allow_empty": allow_empty})
    for backup_id in BACKUPS:
        night.control.remove_backup(backup_id)
    if allow_empty:
        assert night.attempt().record_ids == []
    else:
        with pytest.raises(CbrNothingToReplicateError, match="Nothing to replicate in vault"):
            night.attempt()
    assert night.calls == []


def test_a_vault_that_does_not_exist_is_not_an_empty_one() -> None:
    night = Night(spec={"allow_empty": True, "vault_id": "00000000-0000-4000-8000-00000000dead"})
    with pytest.raises(CbrNotFoundError, match=r"Vault 0000\S+dead does not exist in cn-north-4 \(project ") as caught:
        night.attempt()
    assert caught.value.permanent


@pytest.mark.parametrize(("faults", "requests"), [(0, 1), (1, 2), (2, 2)])
def test_an_empty_vault_is_asked_for_again_only_if_it_has_not_told_its_name(
    faults: int, requests: int, caplog: pytest.LogCaptureFixture
) -> None:
    night = Night(spec={"allow_empty": True})
    for backup_id in BACKUPS:
        night.control.remove_backup(backup_id)
    if faults:
        night.control.fault("status", status=403, call="ShowVault", count=faults)
    assert night.attempt().record_ids == []
    assert night.ledger["requests"]["ShowVault"] == requests
    assert ("could not be checked" in caplog.text) is (faults == 2)


def test_without_waiting_a_copy_that_runs_counts_as_covered() -> None:
    night = Night(spec={"wait_for_completion": False})
    night.control.switch(copy_seconds=86400)
    result = night.attempt()
    assert len(result.record_ids) == 3
    assert night.pauses == []


def test_without_waiting_a_record_that_is_not_listed_yet_counts_too() -> None:
    night = Night(spec={"wait_for_completion": False})
    night.control.switch(copy_seconds=86400, record_delay=60)
    assert len(night.attempt().record_ids) == 3


@pytest.mark.parametrize(("limit", "error"), [({"max_backups": 2}, "max_backups=2"), ({"max_records": 2}, "max_map_length")])
def test_limits_are_checked_before_anything_is_sent(limit: dict[str, int], error: str) -> None:
    night = Night(spec=limit)
    with pytest.raises(CbrLimitError, match=error):
        night.attempt()
    assert night.calls == []


@pytest.mark.parametrize("deferred", [False, True])
def test_the_deadline_counts_from_the_first_attempt_and_is_not_retried(deferred: bool) -> None:
    night = Night(spec={"timeout": 3600.0})
    night.control.switch(copy_seconds=86400)
    started = night.clock.now()

    def die(step: object, moment: str) -> None:
        if night.clock.now() > started + 1800:
            raise RuntimeError("the worker died")

    with pytest.raises(RuntimeError):
        night.attempt(observe=die)
    with pytest.raises(CbrReplicationTimeoutError) as caught:
        night.attempt(deferred=deferred)
    assert 3600 <= night.clock.now() - started < 3600 + 1300
    assert caught.value.permanent
    assert len(caught.value.running) == 3
    assert "Clear this task" in str(caught.value)
    assert night.calls == ["CopyCheckpoint"]
    night.clear()
    night.clock.advance(86400)
    assert night.attempt().counts["succeeded"] == 3
    assert night.calls == ["CopyCheckpoint"]


def test_a_wait_outlives_the_services_bad_hours() -> None:
    night = Night()
    night.control.switch(copy_seconds=7200)
    night.control.fault("status", status=503, call="ListBackups", when="before", nth=3, count=60)
    night.control.fault("reset", call="ListBackups", when="before", nth=63, count=10)
    night.control.fault("truncated", call="ListBackups", nth=73, count=5)
    assert night.attempt().counts["succeeded"] == 3
    assert night.calls == ["CopyCheckpoint"]


def test_a_token_that_ends_in_the_middle_does_not_end_the_wait() -> None:
    night = Night()
    night.control.switch(copy_seconds=7200)
    night.control.fault("token_revoked", call="ListBackups", nth=3)
    night.control.fault("token_expired", call="ListBackups", nth=5)
    assert night.attempt().counts["succeeded"] == 3


def test_a_permission_that_is_gone_for_good_ends_the_wait() -> None:
    night = Night()
    night.control.switch(copy_seconds=7200)

    def deny(step: object, moment: str) -> None:
        if str(step) == "replicate the vault" and moment == "after":
            night.control.change_user("backup-bot", denied_calls=["ListBackups"])

    with pytest.raises(CbrPermissionError):
        night.attempt(observe=deny)
    assert len(night.pauses) == 3


@pytest.mark.parametrize(
    ("code", "error"), [("1005", CbrRefusedError), ("6119", CbrRefusedError), ("6120", CbrError), ("6129", CbrRefusedError)]
)
def test_a_refusal_that_needs_a_person_is_permanent(code: str, error: type[CbrError]) -> None:
    night = Night()
    night.control.fault("code", call="CopyCheckpoint", code=code, when="before", count=None)
    with pytest.raises(error) as caught:
        night.attempt()
    assert caught.value.permanent
    assert caught.value.request_id


def test_a_source_backup_deleted_while_its_copy_runs_is_followed_to_the_end() -> None:
    night = Night()
    night.control.fault("source_deleted", backup_id=BACKUPS[0], copy_ends="success")
    result = night.attempt()
    assert result.counts["succeeded"] == 3
    assert night.calls == ["CopyCheckpoint"]


def test_a_source_backup_deleted_whose_copy_fails_is_not_green() -> None:
    night = Night()
    night.control.fault("source_deleted", backup_id=BACKUPS[0], copy_ends="fail")
    with pytest.raises(CbrReplicationFailedError, match="operation log"):
        night.attempt()


def test_a_record_that_vanishes_is_looked_up_in_the_operation_log() -> None:
    night = Night()
    night.control.fault("record_vanishes", backup_id=BACKUPS[0])
    result = night.attempt()
    assert "ListOpLogs" in night.ledger["requests"]
    assert result.counts["succeeded"] == 3
    assert len(night.copies) == 3


def test_an_unknown_status_word_is_waited_for() -> None:
    night = Night()
    night.control.fault("unknown_status", backup_id=BACKUPS[0])
    night.attempt()
    assert len(night.copies) == 3


def test_records_that_were_skipped_for_no_reason_are_not_green() -> None:
    night = Night()
    night.control.fault("copy_skipped", count=None)
    with pytest.raises(CbrReplicationFailedError):
        night.attempt()


def test_a_failed_copy_whose_code_lasts_is_not_worth_a_retry() -> None:
    night = Night()
    night.control.fault("copy_fails", backup_id=BACKUPS[1], fail_code="BackupService.6129", fail_reason="full")
    with pytest.raises(CbrReplicationFailedError, match="6129") as caught:
        night.attempt()
    assert caught.value.permanent
    with pytest.raises(CbrReplicationFailedError):
        night.attempt()
    assert night.calls == ["CopyCheckpoint"]
    night.clock.advance(86400)
    assert _next_run(night).attempt().counts["succeeded"] == 1


def test_without_a_store_the_deadline_counts_from_the_first_copy() -> None:
    night = Night(durable_store=False, spec={"timeout": 3600.0})
    night.control.switch(copy_seconds=86400)
    started = night.clock.now()
    with pytest.raises(RuntimeError):
        night.attempt(observe=_die_after_the_call)
    night.clock.advance(3000)
    with pytest.raises(CbrReplicationTimeoutError):
        night.attempt()
    assert night.clock.now() - started < 3600 + 700


class TestAttempts:
    """Retries, clears and re-runs."""

    @pytest.mark.parametrize("durable_store", [True, False])
    def test_clearing_a_finished_task_sends_nothing(self, durable_store: bool) -> None:
        night = Night(durable_store=durable_store)
        night.attempt()
        night.clear()
        result = night.attempt()
        assert night.calls == ["CopyCheckpoint"]
        assert len(result.record_ids) == 3

    def test_an_attempt_that_certainly_sent_nothing_costs_the_next_one_no_wait(self) -> None:
        night = Night()
        night.control.fault("status", status=503, call="ListBackups", when="before", count=40)
        with pytest.raises(CbrError):
            night.attempt()
        night.control.clear_faults()
        night.pauses = []
        night.attempt()
        assert SETTLE not in [pause.reason for pause in night.pauses]

    def test_without_a_store_a_later_attempt_waits_before_it_sends(self) -> None:
        night = Night(durable_store=False)
        night.number = 1
        night.attempt()
        assert night.pauses[0].reason == SETTLE
        assert night.pauses[0].seconds == pytest.approx(120, abs=1)

    def test_durable_false_sends_again(self) -> None:
        night = Night(spec={"durable": False})
        night.control.switch(careless=True, copy_seconds=3600)
        with pytest.raises(RuntimeError):
            night.attempt(observe=_die_after_the_call)
        night.attempt()
        assert len(night.copies) == 6

    def test_durable_false_never_repeats_a_call_inside_one_attempt(self) -> None:
        night = Night(spec={"durable": False})
        night.control.switch(careless=True, record_delay=300, operation_log_delay=300)
        night.control.fault("reset", call="CopyCheckpoint", when="after")
        with pytest.raises(CbrOutcomeUnknownError):
            night.attempt()
        assert night.calls == ["CopyCheckpoint"]

    def test_an_intent_for_another_destination_is_not_ours(self) -> None:
        night = Night()
        night.attempt()
        assert night.intents is not None
        assert night.intents.stored is not None
        night.intents.stored["destination"] = ["elsewhere", "0" * 32, "1" * 32]
        night.attempt()
        assert night.calls == ["CopyCheckpoint"]

    def test_a_stored_intent_is_small(self) -> None:
        night = Night()
        night.attempt()
        assert night.intents is not None
        assert len(str(night.intents.stored)) < 4096


def _die_after_the_call(step: object, moment: str) -> None:
    if str(step) == "replicate the vault" and moment == "after":
        raise RuntimeError("the worker died")


def test_an_operation_log_that_may_not_be_read_ends_the_attempt_and_not_the_day() -> None:
    night = Night()
    night.control.fault("reset", call="CopyCheckpoint", when="after")
    night.control.switch(record_delay=10_000)
    night.control.fault("code", code="9900", call="ListOpLogs", count=None)
    began = night.clock.now()
    with pytest.raises(CbrError) as caught:
        night.attempt()
    assert caught.value.error_code == "BackupService.9900"
    assert night.clock.now() - began < 3600
    assert len(night.copies) == 3


def after_failed_copies(*backup_ids: str, **spec: Any) -> Night:
    """Return a night whose first attempt has failed: the next one asks for these backups, and individually."""
    night = Night(spec={"settle_time": 10.0, **spec})
    night.control.switch(failed_taken_again=False)
    for backup_id in backup_ids:
        night.control.fault("copy_fails", backup_id=backup_id)
    with pytest.raises(CbrReplicationFailedError):
        night.attempt()
    night.pauses = []
    return night


def test_calls_of_unknown_outcome_are_counted_for_each_backup() -> None:
    night = after_failed_copies(*BACKUPS[:2])
    night.control.fault("reset", call="CopyBackup", when="before", count=4)
    assert night.attempt().counts["succeeded"] == 3
    assert night.calls == ["CopyCheckpoint"] + ["CopyBackup"] * 6
    night = after_failed_copies(*BACKUPS[:2])
    night.control.fault("reset", call="CopyBackup", when="before", count=None)
    with pytest.raises(CbrOutcomeUnknownError):
        night.attempt()
    assert night.calls == ["CopyCheckpoint"] + ["CopyBackup"] * 5, "the third call for the first backup ends it"


def test_a_copy_that_was_asked_for_individually_is_given_time_before_it_is_looked_for() -> None:
    night = after_failed_copies(BACKUPS[0])
    night.attempt()
    (accepted,) = [pause for pause in night.pauses if pause.reason.endswith("accepted")]
    assert len(accepted.records) == 1


def test_a_copy_that_was_accepted_is_in_doubt_no_more() -> None:
    """An earlier call for it was lost: that it was replicated already is no more than the first word, and is waited for once."""
    night = after_failed_copies(BACKUPS[0])
    night.control.fault("reset", call="CopyBackup", when="before")
    night.control.fault("copy_skipped", backup_id=BACKUPS[0])
    night.control.fault("code", code="1009", call="CopyBackup", when="before", nth=2, count=None)
    with pytest.raises(CbrReplicationFailedError, match="1009"):
        night.attempt()
    assert night.calls == ["CopyCheckpoint"] + ["CopyBackup"] * 4


def test_an_answer_that_names_no_record_is_a_call_of_unknown_outcome() -> None:
    service = HostileService(BACKUPS[:1], answers=[(False, None)])
    error = run(service, attempts=1)
    assert isinstance(error, CbrOutcomeUnknownError)
    assert f"backup {BACKUPS[0]}, but returned no record id" in str(error)
    assert len(service.posts) == 4, "one call for the vault, three for the backup"


def test_a_backup_that_was_replicated_already_and_has_no_record_is_given_up_at_the_second_word() -> None:
    night = after_failed_copies(BACKUPS[0])
    night.control.fault("code", code="1009", call="CopyBackup", when="before", count=None)
    with pytest.raises(CbrReplicationFailedError, match=r"BackupService\.1009, request id [0-9a-f]+") as caught:
        night.attempt()
    assert "nightly" in str(caught.value)
    assert night.calls == ["CopyCheckpoint", "CopyBackup", "CopyBackup"]
    assert [pause.reason for pause in night.pauses].count(SETTLE) == 1


@pytest.mark.parametrize("call", ["CopyCheckpoint", "CopyBackup"])
def test_the_service_is_asked_less_and_less_often_while_it_refuses_for_now(call: str) -> None:
    night = Night(spec={"settle_time": 10.0}) if call == "CopyCheckpoint" else after_failed_copies(BACKUPS[0])
    night.control.fault("code", code="6130", call=call, when="before", count=4)
    assert night.attempt().counts["succeeded"] == 3
    refused = [pause for pause in night.pauses if "BackupService.6130" in pause.reason]
    assert [pause.seconds for pause in refused] == [30.0, 60.0, 120.0, 240.0]
    assert {pause.records for pause in refused} == {()}


def test_refusals_count_in_a_row_and_an_acceptance_ends_the_row() -> None:
    night = after_failed_copies(BACKUPS[0])
    night.control.add_backup(SOURCE_VAULT, age_seconds=1)
    following = _next_run(night)
    following.spec["settle_time"] = 10.0
    for call in ("CopyCheckpoint", "CopyBackup"):
        night.control.fault("code", code="6130", call=call, when="before", count=2)
    following.attempt()
    refused = [(pause.seconds, pause.reason.split(":")[0]) for pause in following.pauses if "BackupService.6130" in pause.reason]
    assert refused == [(30.0, "CopyCheckpoint"), (60.0, "CopyCheckpoint"), (30.0, "CopyBackup"), (60.0, "CopyBackup")]


def test_a_pause_names_the_records_that_are_waited_for_and_the_log_tells_what_changes(caplog: pytest.LogCaptureFixture) -> None:
    night = Night()
    night.control.switch(copies_at_once=1, copy_seconds=300, queue_seconds=0)
    with caplog.at_level("INFO"):
        result = night.attempt()
    accepted, *looks = night.pauses
    assert (accepted.reason, accepted.seconds) == ("3 copies were accepted", 30.0)
    assert sorted(accepted.records) == sorted(looks[0].records) == sorted(result.record_ids)
    assert [len(pause.records) for pause in looks] == sorted((len(pause.records) for pause in looks), reverse=True)
    told = [record.getMessage() for record in caplog.records]
    lines = [line for line in told if re.match(r"\d/3 replicated", line)]
    assert {line[:14] for line in lines} == {"0/3 replicated", "1/3 replicated", "2/3 replicated"}
    assert len(lines) == len(dict.fromkeys(line.split(", eta")[0] for line in lines)), "each state once"


@pytest.mark.parametrize("deferred", [False, True])
def test_backups_that_are_being_made_hold_up_the_others_for_two_hours(deferred: bool) -> None:
    night = Night(spec={"poll_interval": 600.0, "max_poll_interval": 600.0})
    slow = night.control.add_backup(SOURCE_VAULT, name="slow", status="protecting")["id"]
    began = night.clock.now()

    def finish(step: Step, moment: str) -> None:
        if night.clock.now() > began + BEING_MADE_LIMIT + 3600:
            night.control.change_backup(slow, status="available")

    result = night.attempt(deferred=deferred, observe=finish)
    assert result.counts["succeeded"] == 4
    assert sorted(night.copies[:3]) == sorted(BACKUPS)
    assert night.copies[3:] == [slow]
    making = [pause for pause in night.pauses if "still being made" in pause.reason]
    held_up = [pause for pause in making if pause.reason.endswith("; after 2 h the other backups are replicated without waiting for them")]
    assert making[: len(held_up)] == held_up
    assert sum(pause.seconds for pause in held_up) == pytest.approx(BEING_MADE_LIMIT, abs=60)
    assert making[len(held_up) :]
    assert all(re.fullmatch(r"1 backup is still being made: slow of \S+ \(.+\)", pause.reason) for pause in making[len(held_up) :])


def test_a_wait_whose_looks_fail_ends_at_its_deadline_and_names_what_runs() -> None:
    night = Night(spec={"timeout": 1800.0})
    night.control.switch(copy_seconds=86400)
    night.control.fault("status", status=503, call="ListBackups", when="before", nth=3, count=None)
    with pytest.raises(CbrReplicationTimeoutError) as caught:
        night.attempt()
    assert sorted(caught.value.running) == sorted(copy["record_id"] for copy in night.ledger["replications"])
    assert "1800 s" in str(caught.value)
    assert SOURCE_VAULT in str(caught.value)


@pytest.mark.campaign
@pytest.mark.parametrize("wait", [True, False])
def test_a_backup_that_stays_in_the_making_does_not_hold_up_the_others(wait: bool) -> None:
    night = Night(spec={"wait_for_completion": wait})
    slow = night.control.add_backup(SOURCE_VAULT, status="protecting")["id"]
    with pytest.raises(CbrReplicationTimeoutError):
        night.attempt()
    copied = night.ledger["replications"]
    assert sorted(one["backup_id"] for one in copied) == sorted(BACKUPS)
    assert all(one["began"] - night.run_after < BEING_MADE_LIMIT + 60 for one in copied if "began" in one)
    assert any("1 backup is still being made" in pause.reason and "2 h" in pause.reason for pause in night.pauses)
    assert slow not in night.copies


def test_a_copy_that_only_the_operation_log_shows_is_given_up_after_settle_time() -> None:
    night = Night()
    night.control.fault("reset", call="CopyCheckpoint", when="after")
    night.control.switch(record_delay=10**7, copy_seconds=60)
    began = night.clock.now()
    with pytest.raises(CbrReplicationFailedError, match="the operation log says that its copy succeeded"):
        night.attempt()
    assert night.clock.now() - began < 1200
    assert len(night.copies) == 3


def deny(night: Night, bad: set[int], *, look: Step = Step.LOOK, call: str = "ListBackups") -> Callable[[Step, str], None]:
    """Return an observer that takes the permission away for some of the looks, counted from 1."""
    looks = 0

    def observe(step: Step, moment: str) -> None:
        nonlocal looks
        if step is look and moment == "before":
            looks += 1
            night.control.change_user("backup-bot", denied_calls=[call] if looks in bad else [])

    return observe


@pytest.mark.parametrize("deferred", [False, True])
def test_looks_that_fail_for_good_end_a_wait_only_three_times_in_a_row(deferred: bool) -> None:
    night = Night()
    night.control.switch(copy_seconds=36000)
    bad = {3, 4, 6, 7, 9, 10}
    result = night.attempt(deferred=deferred, observe=deny(night, bad))
    assert result.counts["succeeded"] == 3
    assert sum("not authorized" in pause.reason for pause in night.pauses) == len(bad), "each of them was met"

    night = Night()
    night.control.switch(copy_seconds=36000)
    with pytest.raises(CbrPermissionError):
        night.attempt(deferred=deferred, observe=deny(night, {3, 4, 6, 7, 8}))
    assert sum("not authorized" in pause.reason for pause in night.pauses) == 4


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.campaign
def test_looks_at_the_operation_log_that_fail_for_good_end_an_attempt_only_three_times_in_a_row(deferred: bool) -> None:
    def logs_that_may_be_read_except(bad: set[int]) -> tuple[Night, Callable[[Step, str], None]]:
        night = Night()
        # The copies run, no record shows them for hours, and each look asks the log.
        night.control.switch(record_delay=7200, copy_seconds=36000)
        night.control.fault("reset", call="CopyCheckpoint", when="after")
        return night, deny(night, bad, look=Step.LOOK_AT_LOG, call="ListOpLogs")

    bad = {1, 2, 4, 5, 7, 8}
    night, observe = logs_that_may_be_read_except(bad)
    assert night.attempt(deferred=deferred, observe=observe).counts["succeeded"] == 3
    assert sum("not authorized" in pause.reason for pause in night.pauses) == len(bad), "each of them was met"

    night, observe = logs_that_may_be_read_except({1, 2, 4, 5, 6})
    with pytest.raises(CbrPermissionError):
        night.attempt(deferred=deferred, observe=observe)
    assert sum("not authorized" in pause.reason for pause in night.pauses) == 4


@pytest.mark.parametrize("fault", ["rows_reversed", "records_reversed"])
@pytest.mark.parametrize("repeated", [None, "protecting", "error"])
def test_rows_that_come_again_or_in_another_order_change_nothing_that_is_sent(fault: str, repeated: str | None) -> None:
    night = Night()
    night.control.fault(fault, count=None)
    if repeated is not None:
        night.control.fault("rows_repeated", status=repeated, count=None)
    result = night.attempt()
    assert sorted(night.copies) == sorted(BACKUPS)
    assert result.counts["succeeded"] == 3

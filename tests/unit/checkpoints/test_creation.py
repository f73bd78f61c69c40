"""One checkpoint for a task in a Dag run: what is sent, what is adopted, what is red, and what is left open rather than sent twice."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.checkpoints.spec import mark_of
from airflow_cbr.checkpoints.steps import CheckpointStep
from airflow_cbr.emulator.world import SOURCE_VAULT
from airflow_cbr.exceptions import (
    CbrCheckpointFailedError,
    CbrCheckpointIncompleteError,
    CbrCheckpointTimeoutError,
    CbrOutcomeUnknownError,
    CbrParameterError,
    CbrPermissionError,
    CbrRefusedError,
    CbrUnavailableError,
)
from tests.support.checkpoint_night import MARK, CheckpointNight
from tests.support.replication_night import Killed

if TYPE_CHECKING:
    from collections.abc import Callable

LOST: list[dict[str, Any]] = [
    {"kind": "reset"},
    {"kind": "timeout"},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 502},
    {"kind": "status", "status": 504},
    {"kind": "not_json"},
    {"kind": "html"},
    {"kind": "code", "code": "9910"},
]
#: What a service may keep to itself of a checkpoint's name.
NAMELESS = {"checkpoint_backup_names": "own", "show_checkpoint_extra": "null"}


def kill_at(step: CheckpointStep, moment: str) -> Callable[[CheckpointStep, str], None]:
    def observe(at: CheckpointStep, when: str) -> None:
        if (at, when) == (step, moment):
            raise Killed

    return observe


def killed(night: CheckpointNight, step: CheckpointStep, moment: str) -> None:
    with pytest.raises(Killed):
        night.attempt(observe=kill_at(step, moment))


# --- without any fault ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deferred", [False, True], ids=["sync", "deferred"])
def test_a_vault_is_backed_up_once_and_waited_for(deferred: bool) -> None:
    night = CheckpointNight(spec={"description": "before the release", "incremental": False, "auto_trigger": True})
    result = night.attempt(deferred=deferred)
    assert night.made == [result.checkpoint_id]
    (call,) = night.calls
    assert call["request"]["checkpoint"] == {
        "vault_id": SOURCE_VAULT,
        "parameters": {"name": f"airflow_{MARK}", "description": "before the release", "incremental": False, "auto_trigger": True},
    }
    assert result.summary == {
        "name": f"airflow_{MARK}",
        "status": "available",
        "backups": 3,
        "available": 3,
        "skipped": 0,
        "skipped_resources": [],
        "adopted": False,
    }
    first = night.published[0]
    assert first[0] == result.checkpoint_id
    assert first[1]["status"] == "protecting"


def test_it_costs_one_look_before_the_call_and_two_requests_for_each_look_after_it() -> None:
    night = CheckpointNight()
    night.attempt()
    requests = night.control.requests()
    looks = requests["ShowCheckpoint"]
    # Ten minutes: a look after half a minute, then after a quarter of the time that has passed.
    assert looks <= 12
    assert requests["ListBackups"] == looks + 1
    assert requests["CreateCheckpoint"] == 1
    assert "ListOpLogs" not in requests
    assert night.clock.now() - night.run_after < 600 * 1.25 + 1


def test_some_resources() -> None:
    night = CheckpointNight()
    night.spec["resource_ids"] = tuple(night.resources[:2])
    assert night.attempt().summary["backups"] == 2
    assert night.calls[0]["request"]["checkpoint"]["parameters"]["resources"] == night.resources[:2]


def test_without_a_wait_it_ends_when_the_checkpoint_is_accepted() -> None:
    night = CheckpointNight(spec={"wait_for_completion": False})
    night.control.switch(checkpoint_delay=60)
    assert night.attempt().checkpoint_id == night.made[0]
    assert night.pauses == []


def test_the_mark_is_the_same_in_every_attempt_and_in_no_other_task() -> None:
    identity = ("dag", "run", "task", 3)
    assert mark_of(*identity) == mark_of(*identity)
    others = [
        ("dag2", "run", "task", 3),
        ("dag", "run2", "task", 3),
        ("dag", "run", "task2", 3),
        ("dag", "run", "task", 4),
        ("da", "grun", "task", 3),
    ]
    assert len({mark_of(*one) for one in [identity, *others]}) == 6


# --- answers that are lost ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0, 100])
@pytest.mark.parametrize("names", [{}, {"checkpoint_backup_names": "own"}, NAMELESS], ids=["named", "in its row", "nameless"])
@pytest.mark.parametrize("fault", LOST, ids=lambda fault: "-".join(str(part) for part in fault.values()))
@pytest.mark.campaign
def test_an_answer_lost_after_the_commit_leads_to_adoption(fault: dict[str, Any], names: dict[str, str], delay: float) -> None:
    night = CheckpointNight()
    night.control.switch(careless=True, checkpoint_delay=delay, operation_log_delay=delay, **names)
    night.control.fault(**fault, call="CreateCheckpoint", when="after")
    result = night.attempt()
    assert night.made == [result.checkpoint_id]
    assert result.summary["adopted"] is True
    assert len(night.calls) == 1


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: "-".join(str(part) for part in fault.values()))
def test_an_answer_lost_before_the_commit_leads_to_a_second_call_after_settle_time(fault: dict[str, Any]) -> None:
    night = CheckpointNight()
    night.control.switch(careless=True)
    night.control.fault(**fault, call="CreateCheckpoint", when="before")
    result = night.attempt()
    assert night.made == [result.checkpoint_id]
    assert result.summary["adopted"] is False
    first, second = (datetime.fromisoformat(call["at"]).timestamp() for call in night.calls)
    assert second - first >= 119, "the service tells its time in whole seconds"
    assert (CheckpointStep.LOOK_AT_LOG, "after") in night.steps
    looks = night.steps[: night.steps.index((CheckpointStep.LOOK_AT_LOG, "before"))].count((CheckpointStep.LOOK, "after"))
    assert looks <= 7, "one before the call, and one for each poll_interval of settle_time"


@pytest.mark.parametrize("names", [{}, NAMELESS], ids=["named", "nameless"])
def test_a_call_that_is_carried_out_late_is_adopted(names: dict[str, str]) -> None:
    night = CheckpointNight()
    night.control.switch(careless=True, **names)
    night.control.fault("late", call="CreateCheckpoint", seconds=100)
    assert night.made == []
    assert night.attempt().checkpoint_id == night.made[0]
    assert len(night.made) == 1


def test_three_lost_answers_end_the_attempt_and_the_next_one_looks() -> None:
    night = CheckpointNight()
    night.control.fault("reset", call="CreateCheckpoint", when="before", count=3)
    with pytest.raises(CbrOutcomeUnknownError) as caught:
        night.attempt()
    assert caught.value.permanent is False
    assert night.attempt().checkpoint_id == night.made[0]
    assert len(night.calls) == 4


def test_what_only_the_operation_log_shows_is_adopted_when_it_shows() -> None:
    """The log is quicker than the lists: the call is not sent again as long as the log tells of a young checkpoint."""
    night = CheckpointNight()
    night.control.switch(careless=True, checkpoint_delay=115)
    night.control.fault("late", call="CreateCheckpoint", seconds=100)
    assert night.attempt().checkpoint_id == night.made[0]
    assert len(night.made) == 1


# --- other people's checkpoints -------------------------------------------------------------------------------------------


def test_somebody_elses_running_backup_is_waited_for_and_not_adopted() -> None:
    night = CheckpointNight()
    theirs = night.back_up_by_hand(name="by-hand").json()["checkpoint"]["id"]
    result = night.attempt()
    assert night.made == [theirs, result.checkpoint_id]
    assert any("6125" in pause.reason for pause in night.pauses)


def test_a_backup_by_hand_beside_a_lost_call_is_told_apart_by_its_name() -> None:
    night = CheckpointNight()
    night.control.switch(careless=True)
    night.control.fault("reset", call="CreateCheckpoint", when="before", nth=2)

    def beside(step: CheckpointStep, moment: str) -> None:
        if (step, moment) == (CheckpointStep.CREATE, "before") and not night.made:
            night.back_up_by_hand(name="by-hand")

    result = night.attempt(observe=beside)
    assert len(night.made) == 2
    assert result.checkpoint_id == night.made[1]


@pytest.mark.parametrize("parameters", [{"auto_trigger": True}, {"resources": 1}], ids=["a policy's", "of one resource"])
def test_a_nameless_checkpoint_that_cannot_be_its_own_is_not_adopted(parameters: dict[str, Any]) -> None:
    night = CheckpointNight()
    night.control.switch(careless=True, **NAMELESS)
    night.control.fault("reset", call="CreateCheckpoint", when="before", nth=2)
    if "resources" in parameters:
        parameters = {"resources": night.resources[:1]}

    def beside(step: CheckpointStep, moment: str) -> None:
        if (step, moment) == (CheckpointStep.CREATE, "before") and not night.made:
            night.back_up_by_hand(**parameters)

    result = night.attempt(observe=beside)
    assert len(night.made) == 2
    assert result.checkpoint_id == night.made[1]


@pytest.mark.parametrize("when", ["before", "after"])
def test_when_it_cannot_be_told_nothing_is_sent_a_second_time(when: str) -> None:
    night = CheckpointNight()
    night.control.switch(careless=True, **NAMELESS)
    night.control.fault("reset", call="CreateCheckpoint", when=when, nth=3)

    def beside(step: CheckpointStep, moment: str) -> None:
        if (step, moment) == (CheckpointStep.CREATE, "before"):
            night.back_up_by_hand()
            night.back_up_by_hand()

    with pytest.raises(CbrOutcomeUnknownError, match="is not known") as caught:
        night.attempt(observe=beside)
    assert caught.value.permanent is True
    assert all(one in str(caught.value) for one in night.made)
    before = len(night.calls)
    night.clear()
    with pytest.raises(CbrOutcomeUnknownError, match="is not known"):
        night.attempt()
    assert len(night.calls) == before


def test_without_a_note_nothing_is_adopted_by_its_time() -> None:
    night = CheckpointNight(durable_store=False)
    night.control.switch(careless=True, **NAMELESS)
    killed(night, CheckpointStep.CREATE, "after")
    with pytest.raises(CbrOutcomeUnknownError, match="is not known"):
        night.attempt()
    assert len(night.made) == 1


def test_two_tasks_on_one_vault_make_a_checkpoint_each_one_after_the_other() -> None:
    night = CheckpointNight()
    first = night.attempt()
    night.spec["mark"] = mark_of("another")
    night.number = 0
    second = night.attempt()
    assert night.made == [first.checkpoint_id, second.checkpoint_id]


# --- retries and clears ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durable_store", [True, False], ids=["3.3", "3.1"])
def test_clearing_a_finished_task_sends_nothing(durable_store: bool) -> None:
    night = CheckpointNight(durable_store=durable_store)
    first = night.attempt()
    night.clock.advance(5 * 86400)
    night.clear()
    again = night.attempt()
    assert again.checkpoint_id == first.checkpoint_id
    assert again.summary["adopted"] is True
    assert len(night.calls) == 1


@pytest.mark.parametrize("durable_store", [True, False], ids=["3.3", "3.1"])
def test_clearing_a_task_whose_checkpoint_is_gone_makes_another(durable_store: bool) -> None:
    night = CheckpointNight(durable_store=durable_store)
    first = night.attempt()
    night.clock.advance(86400)
    store = night.adapter.emulator.service.store
    for backup in [one for one in store.backups.values() if one.checkpoint_id == first.checkpoint_id]:
        night.control.remove_backup(backup.id)
    del store.checkpoints[first.checkpoint_id]
    night.clear()
    assert night.attempt().checkpoint_id == night.made[1]


@pytest.mark.parametrize("durable_store", [True, False], ids=["3.3", "3.1"])
@pytest.mark.parametrize("status", ["error", "available"])
def test_a_failed_checkpoint_is_red_and_the_retry_makes_another(status: str, durable_store: bool) -> None:
    night = CheckpointNight(durable_store=durable_store)
    night.control.fault("backup_fails", resource_id=night.resources[1], checkpoint_status=status)
    with pytest.raises(CbrCheckpointFailedError) as caught:
        night.attempt()
    assert caught.value.permanent is False
    assert caught.value.checkpoint_id == night.made[0]
    (problem,) = caught.value.problems
    assert "ecs-app-01" in problem
    assert "error" in problem
    assert night.published[-1][1]["available"] == 2
    assert night.attempt().checkpoint_id == night.made[1]
    assert len(night.made) == 2


def test_a_checkpoint_that_loses_a_backup_meanwhile_is_red() -> None:
    night = CheckpointNight()

    def lose(step: CheckpointStep, moment: str) -> None:
        if (step, moment) == (CheckpointStep.KEEP, "after"):
            (entry,) = night.control.ledger(SOURCE_VAULT)["checkpoints"]
            night.control.remove_backup(entry["backup_ids"][0])

    with pytest.raises(CbrCheckpointFailedError, match="no backup of it is listed"):
        night.attempt(observe=lose)


@pytest.mark.parametrize("status", ["deleting", "deleted", "error-deleting"])
def test_a_checkpoint_that_is_being_deleted_is_red(status: str) -> None:
    night = CheckpointNight()

    def delete(step: CheckpointStep, moment: str) -> None:
        if (step, moment) == (CheckpointStep.KEEP, "after"):
            night.adapter.emulator.service.store.checkpoints[night.made[0]].status = status

    with pytest.raises(CbrCheckpointFailedError, match=f"the checkpoint is {status}"):
        night.attempt(observe=delete)


def test_a_status_that_nobody_documented_is_waited_for() -> None:
    night = CheckpointNight(spec={"timeout": 7200.0})
    night.control.switch(checkpoint_seconds=100_000)

    def rename(step: CheckpointStep, moment: str) -> None:
        if (step, moment) == (CheckpointStep.KEEP, "after"):
            night.adapter.emulator.service.store.checkpoints[night.made[0]].status = "archiving"

    with pytest.raises(CbrCheckpointTimeoutError):
        night.attempt(observe=rename)


# --- what the service skips -----------------------------------------------------------------------------------------------


def break_resource(night: CheckpointNight, status: str = "error") -> None:
    night.adapter.emulator.service.store.vaults[SOURCE_VAULT].resources[night.resources[0]].protect_status = status


@pytest.mark.parametrize("wait", [True, False], ids=["wait", "no wait"])
@pytest.mark.parametrize("delay", [0, 60])
def test_a_skipped_resource_is_red_and_not_retried_by_default(wait: bool, delay: float) -> None:
    night = CheckpointNight(spec={"wait_for_completion": wait})
    night.control.switch(checkpoint_delay=delay)
    break_resource(night)
    with pytest.raises(CbrCheckpointIncompleteError) as caught:
        night.attempt()
    assert caught.value.permanent is True
    (problem,) = caught.value.problems
    assert night.resources[0] in problem
    assert "BackupService.6113" in problem
    summary = night.published[-1][1]
    assert summary["skipped"] == 1
    assert summary["skipped_resources"][0]["id"] == night.resources[0]


def test_a_skipped_resource_is_a_warning_when_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    night = CheckpointNight(spec={"on_skipped": "warn"})
    break_resource(night)
    result = night.attempt()
    assert (result.summary["backups"], result.summary["skipped"]) == (2, 1)
    assert [record.levelname for record in caplog.records if "Not backed up: ecs-web-01" in record.message] == ["WARNING"]


def test_what_was_skipped_by_the_answers_word_is_skipped_though_the_checkpoint_does_not_say_so_later() -> None:
    night = CheckpointNight()
    break_resource(night)

    def forget(step: CheckpointStep, moment: str) -> None:
        if (step, moment) == (CheckpointStep.KEEP, "after"):
            night.adapter.emulator.service.store.checkpoints[night.made[0]].skipped.clear()

    with pytest.raises(CbrCheckpointIncompleteError):
        night.attempt(observe=forget)


def test_a_resource_that_was_asked_for_and_is_in_no_list_is_red() -> None:
    night = CheckpointNight()
    night.spec |= {"resource_ids": tuple(night.resources), "on_skipped": "warn"}
    break_resource(night)

    def forget(step: CheckpointStep, moment: str) -> None:
        if (step, moment) == (CheckpointStep.CREATE, "after"):
            night.adapter.emulator.service.store.checkpoints[night.made[0]].skipped.clear()

    # The answer with the skipped resource is lost; what is read later does not name it.
    night.control.fault("reset", call="CreateCheckpoint", when="after")

    def forget_later(step: CheckpointStep, moment: str) -> None:
        if (step, moment) == (CheckpointStep.LOOK, "before") and night.made:
            night.adapter.emulator.service.store.checkpoints[night.made[0]].skipped.clear()

    with pytest.raises(CbrCheckpointFailedError, match="neither backed up nor reported as skipped"):
        night.attempt(observe=forget_later)


@pytest.mark.parametrize("durable_store", [True, False], ids=["3.3", "3.1"])
def test_an_incomplete_checkpoint_is_not_made_again_by_a_retry_but_by_a_clear(durable_store: bool) -> None:
    night = CheckpointNight(durable_store=durable_store)
    break_resource(night)
    killed(night, CheckpointStep.CONCLUDE, "before")
    with pytest.raises(CbrCheckpointIncompleteError):
        night.attempt()
    assert len(night.made) == 1
    break_resource(night, "available")
    night.clear()
    result = night.attempt()
    assert night.made[1:] == [result.checkpoint_id]
    assert result.summary["backups"] == 3


def test_an_incomplete_checkpoint_stays_put_aside_when_the_clear_is_killed() -> None:
    night = CheckpointNight()
    break_resource(night)
    with pytest.raises(CbrCheckpointIncompleteError):
        night.attempt()
    break_resource(night, "available")
    night.clear()
    killed(night, CheckpointStep.CREATE, "before")
    assert night.attempt().checkpoint_id == night.made[1]
    assert len(night.made) == 2


def test_nothing_to_back_up_is_red_whatever_becomes_of_skipped_resources() -> None:
    night = CheckpointNight(spec={"on_skipped": "warn"})
    for resource in night.adapter.emulator.service.store.vaults[SOURCE_VAULT].resources.values():
        resource.protect_status = "error"
    with pytest.raises(CbrRefusedError, match="0001"):
        night.attempt()


# --- refusals, bad hours, and time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["6113", "6114", "6124", "9900", "0001"])
def test_a_refusal_that_lasts_is_red_at_once(code: str) -> None:
    night = CheckpointNight()
    night.control.fault("code", code=code, call="CreateCheckpoint", when="before", count=None)
    with pytest.raises(CbrRefusedError, match=code) as caught:
        night.attempt()
    assert caught.value.permanent is True
    assert len(night.calls) == 1


@pytest.mark.parametrize("code", ["6125", "0002", "1001", "2010", "6134", "6203", "4004", "6107", "7501", "8400"])
@pytest.mark.campaign
def test_a_refusal_that_ends_by_itself_is_waited_out(code: str) -> None:
    night = CheckpointNight()
    night.control.fault("code", code=code, call="CreateCheckpoint", when="before", count=3)
    assert night.attempt().checkpoint_id == night.made[0]
    sent = [datetime.fromisoformat(call["at"]).timestamp() for call in night.calls]
    assert len(sent) == 4
    assert all(after - before >= 119 for before, after in pairwise(sent)), "were it the echo of its own call, that would show first"


def test_a_6125_that_is_the_echo_of_its_own_call_is_adopted() -> None:
    """The lost call shows later than settle_time; the service's own net is the refusal of the second."""
    night = CheckpointNight(spec={"settle_time": 60.0})
    night.control.switch(checkpoint_delay=150, operation_log_delay=150)
    night.control.fault("reset", call="CreateCheckpoint", when="after")
    result = night.attempt()
    assert night.made == [result.checkpoint_id]
    assert [call["outcome"] for call in night.calls[1:]] == ["BackupService.6125"] * (len(night.calls) - 1)
    assert len(night.calls) > 1


def test_throttling_is_waited_out_as_long_as_the_service_asks() -> None:
    night = CheckpointNight()
    night.control.fault("throttle", call="CreateCheckpoint", retry_after=40, count=8)
    assert night.attempt().checkpoint_id == night.made[0]
    assert len(night.made) == 1


def test_bad_hours_during_the_wait_are_survived() -> None:
    night = CheckpointNight()
    night.control.fault("status", status=503, call="ShowCheckpoint", nth=2, count=40)
    assert night.attempt().checkpoint_id == night.made[0]
    assert len(night.made) == 1


def test_an_error_at_the_first_look_ends_the_attempt() -> None:
    night = CheckpointNight()
    night.control.fault("status", status=503, call="ListBackups", count=None)
    with pytest.raises(CbrUnavailableError):
        night.attempt()
    assert night.calls == []


@pytest.mark.parametrize("deferred", [False, True], ids=["sync", "deferred"])
def test_the_timeout_is_one_for_all_attempts_and_is_not_retried(deferred: bool) -> None:
    night = CheckpointNight(spec={"timeout": 3600.0})
    night.control.switch(checkpoint_seconds=100_000)
    killed(night, CheckpointStep.KEEP, "after")
    night.clock.advance(3000)
    with pytest.raises(CbrCheckpointTimeoutError) as caught:
        night.attempt(deferred=deferred)
    assert caught.value.permanent is True
    assert caught.value.checkpoint_id == night.made[0]
    assert 3600 <= night.clock.now() - night.run_after < 3600 + 600 + 5
    night.clear()
    with pytest.raises(CbrCheckpointTimeoutError):
        night.attempt()
    assert len(night.made) == 1


def test_without_a_store_the_timeout_counts_from_the_checkpoint() -> None:
    night = CheckpointNight(durable_store=False, spec={"timeout": 3600.0})
    night.control.switch(checkpoint_seconds=100_000)
    killed(night, CheckpointStep.PUBLISH, "after")
    night.clock.advance(3000)
    with pytest.raises(CbrCheckpointTimeoutError):
        night.attempt()
    assert night.clock.now() - night.run_after < 3600 + 600 + 5


def test_a_busy_vault_is_waited_for_within_the_timeout_only() -> None:
    night = CheckpointNight(spec={"timeout": 1800.0})
    night.control.switch(checkpoint_seconds=100_000)
    night.back_up_by_hand()
    with pytest.raises(CbrCheckpointTimeoutError, match="no checkpoint was accepted") as caught:
        night.attempt()
    assert caught.value.checkpoint_id is None


def test_a_note_of_another_vault_is_none() -> None:
    night = CheckpointNight()
    night.attempt()
    night.spec["vault_id"] = night.control.add_vault(
        project_id=night.control.state()["projects"][0]["id"], size=1000, resources=[{"name": "another"}]
    )["id"]
    result = night.attempt()
    assert result.checkpoint_id != night.made[0]
    assert result.summary["backups"] == 1


def test_a_store_that_gives_back_something_else_is_no_note() -> None:
    night = CheckpointNight()
    assert night.intents is not None
    night.intents.stored = {"destination": ["a", "b", "c"]}
    assert night.attempt().checkpoint_id == night.made[0]


@pytest.mark.parametrize("prefix", ["", "a b", "x" * 48, "<", "é", 7, None])
def test_a_name_that_the_service_would_not_take_is_refused(prefix: Any) -> None:
    from airflow_cbr.checkpoints.spec import check_prefix

    with pytest.raises(CbrParameterError, match="checkpoint_name"):
        check_prefix(prefix)
    assert check_prefix("夜间_backup-1" + "x" * 36)


def test_a_second_checkpoint_after_a_failed_one_is_as_safe_as_the_first() -> None:
    night = CheckpointNight()
    night.control.switch(careless=True, checkpoint_delay=60, operation_log_delay=60)
    night.control.fault("backup_fails")
    with pytest.raises(CbrCheckpointFailedError):
        night.attempt()
    killed(night, CheckpointStep.CREATE, "after")
    assert len(night.made) == 2
    assert (CheckpointStep.LOOK_AT_LOG, "before") not in night.steps, "what became of the first call is known"
    assert night.attempt().checkpoint_id == night.made[1]
    assert len(night.made) == 2


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize(("bad", "is_over"), [({3, 4, 6, 7, 9, 10}, False), ({3, 4, 6, 7, 8}, True)])
def test_looks_that_fail_for_good_end_a_wait_only_three_times_in_a_row(bad: set[int], is_over: bool, deferred: bool) -> None:
    night = CheckpointNight(spec={"max_poll_interval": 60.0})
    night.control.switch(checkpoint_seconds=3600)
    looks = 0

    def observe(step: CheckpointStep, moment: str) -> None:
        nonlocal looks
        if step is CheckpointStep.LOOK and moment == "before":
            looks += 1
            night.control.change_user("backup-bot", denied_calls=["ListBackups"] if looks in bad else [])

    if is_over:
        with pytest.raises(CbrPermissionError):
            night.attempt(deferred=deferred, observe=observe)
    else:
        night.attempt(deferred=deferred, observe=observe)
    assert sum("not authorized" in pause.reason for pause in night.pauses) == len(bad) - is_over, "each of them was met"

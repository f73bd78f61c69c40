"""The two calls that cost money: what they carry, and that each is counted and written down before it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api.stopping import stoppable
from airflow_cbr.emulator.world import SOURCE_VAULT
from airflow_cbr.exceptions import CbrCallLimitError, CbrStoppedError
from airflow_cbr.once.ceiling import CALLS_PER_ITEM, CallCounts
from airflow_cbr.once.steps import Pause
from airflow_cbr.replication.intents import has_sent
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.replication.steps import Step
from tests.support.cleared_attempts import Intents
from tests.support.given_rows import GivenRows, submission_of
from tests.support.hostile_service import BEGIN
from tests.support.looks import backup
from tests.support.replication_night import DESTINATION, Night

if TYPE_CHECKING:
    from airflow_cbr.replication.submission import Submission

BACKUPS = ["7558e1a3-7046-4787-95cd-14b0ad0642a8", "6df2b54c-dd62-4059-a07c-1b8f24f2725d", "aa00034d-ef40-443d-ab7a-dc846d988cdf"]
WHERE = {
    "destination_region": DESTINATION.region,
    "destination_project_id": DESTINATION.project_id,
    "destination_vault_id": DESTINATION.vault_id,
}


def requests(night: Night, call: str) -> list[dict[str, Any]]:
    """Return the bodies of the replicate calls."""
    return [one["request"] for one in night.ledger["calls"] if one["call"] == call]


@pytest.mark.parametrize("auto_trigger", [False, True])
@pytest.mark.parametrize("enable_acceleration", [False, True])
def test_the_vaults_call_carries_what_was_ordered(auto_trigger: bool, enable_acceleration: bool) -> None:
    night = Night(spec={"auto_trigger": auto_trigger, "enable_acceleration": enable_acceleration})
    night.attempt()
    ((sent,),) = [requests(night, "CopyCheckpoint")]
    given = sent["replicate"]
    assert {name: given[name] for name in WHERE} == WHERE
    assert given["vault_id"] == SOURCE_VAULT
    assert (given["auto_trigger"], given.get("enable_acceleration", False)) == (auto_trigger, enable_acceleration)


@pytest.mark.parametrize("enable_acceleration", [False, True])
def test_the_call_for_one_backup_carries_what_was_ordered(enable_acceleration: bool) -> None:
    night = after_a_failed_copy(enable_acceleration=enable_acceleration)
    night.attempt()
    ((sent,),) = [requests(night, "CopyBackup")]
    given = sent["replicate"]
    assert {name: given[name] for name in WHERE} == WHERE
    assert given.get("enable_acceleration", False) is enable_acceleration


def after_a_failed_copy(*backup_ids: str, **spec: Any) -> Night:
    """Return a night whose first attempt has failed, so that the next one asks for these backups individually."""
    night = Night(spec=spec)
    for backup_id in backup_ids or BACKUPS[:1]:
        night.control.fault("copy_fails", backup_id=backup_id)
    with pytest.raises(Exception, match="not covered"):
        night.attempt()
    night.pauses, night.steps = [], []
    return night


def test_each_call_is_written_down_and_counted_before_it_is_sent() -> None:
    night = after_a_failed_copy()
    assert night.intents is not None
    before = night.intents.saves
    first: Any = night.intents.stored
    stored: list[Any] = []

    def note(step: Step, moment: str) -> None:
        if (step, moment) == (Step.REPLICATE_BACKUP, "before") and night.intents is not None and night.intents.stored is not None:
            stored.append(dict(night.intents.stored))

    night.attempt(observe=note)
    assert night.intents.saves == before + 1
    (intent,) = stored
    assert intent["posted_at"] == pytest.approx(night.clock.now(), abs=3600)
    assert intent["calls"]["by_item"] == {BACKUPS[0]: 2, BACKUPS[1]: 1, BACKUPS[2]: 1}
    assert (intent["calls"]["made"], intent["needed"], intent["eligible"]) == (2, 1, 3)
    assert (intent["began"], intent["first_posted_at"]) == (first["began"], first["posted_at"]), "those of the first call"
    assert intent["posted_at"] > first["posted_at"]
    assert intent["digest"] != first["digest"], "records have appeared since"
    sending = [step for step, moment in night.steps if moment == "after" and step in (Step.RECORD_INTENT, Step.REPLICATE_BACKUP)]
    assert sending == [Step.RECORD_INTENT, Step.REPLICATE_BACKUP]


def test_what_the_service_has_refused_for_now_is_counted_as_refused() -> None:
    night = after_a_failed_copy(settle_time=1.0)
    night.control.fault("code", code="6130", call="CopyBackup", when="before", count=3)
    night.attempt()
    assert night.intents is not None
    assert night.intents.stored is not None
    calls = night.intents.stored["calls"]
    assert (calls["made"], calls["refused"], calls["by_item"][BACKUPS[0]]) == (2, 3, 2)


def test_a_refused_call_for_the_vault_is_counted_as_refused_for_each_backup() -> None:
    night = Night(spec={"settle_time": 1.0})
    night.control.fault("code", code="6130", call="CopyCheckpoint", when="before", count=3)
    night.attempt()
    assert night.intents is not None
    assert night.intents.stored is not None
    calls = night.intents.stored["calls"]
    assert (calls["made"], calls["refused"], calls["by_item"]) == (1, 3, dict.fromkeys(BACKUPS, 1))
    assert night.steps.count((Step.REPLICATE_VAULT, "before")) == 4
    assert night.steps.count((Step.REPLICATE_VAULT, "after")) == 1


def to_the_end(submission: Submission, night: Night) -> None:
    while isinstance(step := submission.advance(), Pause):
        night.clock.advance(step.seconds)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_nothing_is_sent_or_written_down_once_the_ceiling_is_reached(one_by_one: bool) -> None:
    night = after_a_failed_copy() if one_by_one else Night()
    assert night.intents is not None
    night.number += 1
    submission = night.submission()
    submission.state.calls.by_item[BACKUPS[0]] = CALLS_PER_ITEM
    saves, sent = night.intents.saves, len(night.calls)
    with pytest.raises(CbrCallLimitError, match=f"{CALLS_PER_ITEM} calls for backup {BACKUPS[0]}"):
        to_the_end(submission, night)
    assert night.intents.saves == saves + (not one_by_one), "the deadline, of a first attempt"
    assert len(night.calls) == sent
    assert submission.state.calls.made == (1 if one_by_one else 0)


def test_whether_an_earlier_attempt_has_sent_something_is_read_off_its_intent() -> None:
    assert not has_sent(None, DESTINATION)
    assert not has_sent(Intents(), DESTINATION)
    night = Night()
    night.control.fault("status", status=503, call="ListBackups", when="before", count=None)
    with pytest.raises(Exception, match="503"):
        night.attempt()
    assert night.intents is not None
    assert night.intents.stored is not None, "the deadline"
    assert not has_sent(night.intents, DESTINATION)
    night.control.clear_faults()
    night.attempt()
    assert has_sent(night.intents, DESTINATION)
    night.intents.stored["destination"][2] = "1" * 32
    assert not has_sent(night.intents, DESTINATION)


def test_a_ceiling_counts_over_attempts() -> None:
    night = after_a_failed_copy()
    assert night.intents is not None
    night.attempt()
    counts = CallCounts(**night.intents.stored["calls"])  # type: ignore[index]
    assert (counts.made, counts.by_item[BACKUPS[0]]) == (2, 2)


def test_a_task_that_takes_no_earlier_attempt_into_account_writes_nothing_down() -> None:
    night = Night(spec={"durable": False})
    night.attempt()
    assert night.intents is not None
    assert (night.intents.saves, night.calls) == (0, ["CopyCheckpoint"])


@pytest.mark.parametrize(
    ("one_by_one", "said"), [(False, "CopyCheckpoint was not sent"), (True, f"CopyBackup was not sent for backup {BACKUPS[0]}")]
)
def test_a_task_that_is_stopped_after_its_look_counts_writes_down_and_sends_nothing(one_by_one: bool, said: str) -> None:
    service = GivenRows([backup(BACKUPS[0])])
    state = ReplicationState(deadline=BEGIN + 86400, as_of=BEGIN, wanted=[BACKUPS[0]], one_by_one=one_by_one)
    with stoppable(lambda: (Step.LOOK, "after") in service.steps), pytest.raises(CbrStoppedError, match=said):
        submission_of(service, state).advance()
    assert (service.sent, service.intents.saves, state.calls) == ([], 0, CallCounts())

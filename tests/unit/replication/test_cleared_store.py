"""Airflow 3.4 may empty the task state store at a clear: what an earlier attempt sent is then waited for, and never sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_cbr.replication.steps import Step
from tests.support.replication_night import Killed, Night

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.replication.steps import Result

#: The attempts before and after the clear may die here; the log is looked at, and single backups are sent, on other nights only.
STEPS = [Step.LOOK, Step.RECORD_INTENT, Step.REPLICATE_VAULT, Step.PUBLISH, Step.CONCLUDE]
MOMENTS = [(step, moment) for step in STEPS for moment in ("before", "after")]


def a_night() -> Night:
    """Return a night on a service that would copy twice if it were asked twice, and that shows a copy only after a while."""
    night = Night()
    night.control.switch(careless=True, record_delay=60, operation_log_delay=60)
    return night


def killed_at(step: Step, moment: str) -> Callable[[Step, str], None]:
    def observe(at: Step, when: str) -> None:
        if (at, when) == (step, moment):
            raise Killed

    return observe


def check(night: Night, result: Result) -> None:
    assert len(set(night.copies)) == len(night.copies) == 3
    assert sorted(result.record_ids) == sorted(started["record_id"] for started in night.ledger["replications"])
    assert result.counts["succeeded"] == 3


@pytest.mark.parametrize("deferred", [False, True], ids=["sync", "deferred"])
@pytest.mark.parametrize(("step", "moment"), MOMENTS, ids=lambda value: str(value).replace(" ", "-"))
def test_a_task_cleared_at_any_step_copies_once(step: Step, moment: str, deferred: bool) -> None:
    night = a_night()
    with pytest.raises(Killed):
        night.attempt(deferred=deferred, observe=killed_at(step, moment))

    night.clear_and_forget()

    check(night, night.attempt(deferred=deferred))


@pytest.mark.parametrize(("then", "then_moment"), MOMENTS, ids=lambda value: str(value).replace(" ", "-"))
@pytest.mark.parametrize(("step", "moment"), MOMENTS, ids=lambda value: str(value).replace(" ", "-"))
def test_the_attempt_after_the_clear_may_die_as_well(step: Step, moment: str, then: Step, then_moment: str) -> None:
    """It has written a deadline down by then, and must not be taken for an attempt that knows that nothing was sent."""
    night = a_night()
    with pytest.raises(Killed):
        night.attempt(observe=killed_at(step, moment))
    night.clear_and_forget()
    try:
        night.attempt(observe=killed_at(then, then_moment))
    except Killed:
        check(night, night.attempt())
    else:
        assert then is Step.REPLICATE_VAULT, "there was nothing left to send"
        check(night, night.attempt())


def test_without_a_note_the_attempt_waits_out_settle_time_before_it_sends() -> None:
    night = a_night()
    with pytest.raises(Killed):
        night.attempt(observe=killed_at(Step.REPLICATE_VAULT, "before"))
    night.clear_and_forget()
    cleared_at = night.clock.now()

    night.attempt()

    (call,) = night.ledger["calls"]
    assert night.clock.now() - cleared_at >= 120
    assert "earlier replicate call may still take effect" in night.pauses[0].reason
    assert call["call"] == "CopyCheckpoint"


def test_the_deadline_counts_from_the_first_attempt_after_the_clear() -> None:
    night = a_night()
    with pytest.raises(Killed):
        night.attempt(observe=killed_at(Step.REPLICATE_VAULT, "after"))
    night.clock.advance(1000)
    night.clear_and_forget()
    cleared_at = night.clock.now()
    for _ in range(2):
        with pytest.raises(Killed):
            night.attempt(observe=killed_at(Step.LOOK, "after"))
        night.clock.advance(500)

    assert night.submission().state.deadline == pytest.approx(cleared_at + 86400, abs=5)

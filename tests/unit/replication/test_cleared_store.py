"""Airflow 3.4 may empty the task state store at a clear: what an earlier attempt sent is then waited for, and never sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_cbr.replication.steps import Step
from tests.support.replication_night import Killed, Night
from tests.support.thinned import thinned

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
    assert wrong_with(night, result) == ""


def wrong_with(night: Night, result: Result) -> str:
    """Return what is wrong with the end of a night of three backups; empty where nothing is."""
    if not len(set(night.copies)) == len(night.copies) == 3:
        return f"copies of {night.copies}"
    if sorted(result.record_ids) != sorted(started["record_id"] for started in night.ledger["replications"]):
        return f"names {result.record_ids}"
    return "" if result.counts["succeeded"] == 3 else f"counts {result.counts}"


@pytest.mark.parametrize("deferred", [False, True], ids=["sync", "deferred"])
@pytest.mark.parametrize(("step", "moment"), MOMENTS, ids=lambda value: str(value).replace(" ", "-"))
def test_a_task_cleared_at_any_step_copies_once(step: Step, moment: str, deferred: bool) -> None:
    night = a_night()
    with pytest.raises(Killed):
        night.attempt(deferred=deferred, observe=killed_at(step, moment))

    night.clear_and_forget()

    check(night, night.attempt(deferred=deferred))


def wrong_after_two_kills(first: tuple[Step, str], second: tuple[Step, str]) -> str:
    night = a_night()
    with pytest.raises(Killed):
        night.attempt(observe=killed_at(*first))
    night.clear_and_forget()
    try:
        night.attempt(observe=killed_at(*second))
    except Killed:
        pass
    else:
        if second[0] is not Step.REPLICATE_VAULT:
            return "the second attempt came past its kill, and there was something left to send"
    return wrong_with(night, night.attempt())


@pytest.mark.parametrize(("step", "moment"), thinned(MOMENTS, every=3), ids=lambda value: str(value).replace(" ", "-"))
def test_the_attempt_after_the_clear_may_die_as_well(step: Step, moment: str) -> None:
    """It has written a deadline down by then, and must not be taken for an attempt that knows that nothing was sent."""
    ends = {f"{when} {then}": wrong_after_two_kills((step, moment), (then, when)) for then, when in MOMENTS}

    assert {then: wrong for then, wrong in ends.items() if wrong} == {}


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

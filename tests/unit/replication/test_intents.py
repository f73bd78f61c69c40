"""What an attempt makes of the intent that it finds, and what it writes down for the next one, without any service."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.once.attempt import Attempt
from airflow_cbr.once.ceiling import CallCounts
from airflow_cbr.once.clock import CLOCK_MARGIN, ServiceClock
from airflow_cbr.replication.intents import ReplicationIntents, has_sent
from airflow_cbr.replication.spec import ReplicationSpec
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.replication.steps import Step
from tests.support.cleared_attempts import Intents
from tests.support.hostile_service import BEGIN as NOW
from tests.support.hostile_service import DESTINATION, SOURCE_VAULT
from tests.support.looks import backup, look, record

if TYPE_CHECKING:
    from airflow_cbr.inventory.coverage import Coverage

SETTLE = 120.0
TIMEOUT = 3600.0
WHERE = [DESTINATION.region, DESTINATION.project_id, DESTINATION.vault_id]
NOTHING_THERE = look(backup("a"))


class Steps:
    """Marks steps, and keeps them."""

    def __init__(self) -> None:
        self.seen: list[StrEnum] = []

    @contextlib.contextmanager
    def at(self, step: StrEnum) -> Iterator[None]:
        self.seen.append(step)
        yield


def intents(
    store: Intents | None,
    *,
    now: float = NOW,
    steps: Steps | None = None,
    durable: bool = True,
    **attempt: Any,
) -> ReplicationIntents:
    spec = ReplicationSpec(vault_id=SOURCE_VAULT, destination=DESTINATION, settle_time=SETTLE, timeout=TIMEOUT, durable=durable)
    return ReplicationIntents(
        store,
        spec,
        Attempt(**{"run_after": NOW} | attempt),
        clock=ServiceClock(lambda: now),
        at=(steps or Steps()).at,
        log=logging.getLogger(__name__),
    )


def begun(log: ReplicationIntents) -> ReplicationIntents:
    """Let the attempt begin."""
    log.recall()
    return log


def after_a_call(seen: Coverage = NOTHING_THERE, **state: Any) -> Intents:
    """Return the store of a task whose first attempt was about to ask for the backups of a look."""
    store = Intents()
    first = intents(store)
    known = first.recall()
    for name, value in state.items():
        setattr(known, name, value)
    first.record_intent(known, seen, seen.eligible)
    return store


# --- how long an earlier call may still take effect --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ages", "settles_in"),
    [
        ([], 0.0),
        ([None], 0.0),
        ([30.0], SETTLE - 30.0),
        ([30.0, 500.0, None], SETTLE - 30.0),
        ([0.0], SETTLE),
        ([-50.0], SETTLE),
        ([SETTLE - 1], 1.0),
        ([SETTLE], 0.0),
        ([500.0], 0.0),
    ],
)
def test_a_first_attempt_waits_while_the_youngest_record_may_have_company(ages: list[float | None], settles_in: float) -> None:
    records = [record(f"r{number}", "success", at=None if age is None else NOW - age) for number, age in enumerate(ages)]
    until = begun(intents(Intents())).unsettled_until(look(backup("a", *records)))
    assert until == (NOW + settles_in if settles_in else 0.0)


def test_an_attempt_that_may_have_forgotten_a_call_waits_for_settle_time() -> None:
    assert begun(intents(None, number=2)).unsettled_until(NOTHING_THERE) == NOW + SETTLE
    old = look(backup("a", record("r", "success", at=NOW - 10_000)))
    assert begun(intents(Intents(), number=2)).unsettled_until(old) == NOW + SETTLE


def test_an_attempt_that_only_wrote_down_its_deadline_has_sent_nothing() -> None:
    store = Intents()
    first = intents(store)
    first.keep_deadline(first.recall())
    assert begun(intents(store, number=2)).unsettled_until(NOTHING_THERE) == 0.0


@pytest.mark.parametrize("later", [0.0, 50.0, 500.0])
def test_the_call_of_an_earlier_attempt_may_take_effect_until_settle_time_after_it(later: float) -> None:
    assert begun(intents(after_a_call(), now=NOW + later, number=2)).unsettled_until(NOTHING_THERE) == NOW + SETTLE


def test_a_call_that_was_written_down_in_the_future_is_waited_for_from_now() -> None:
    assert begun(intents(after_a_call(), now=NOW - 1000, number=2)).unsettled_until(NOTHING_THERE) == NOW - 1000 + SETTLE


def test_a_record_that_is_younger_than_the_call_is_waited_for_longer() -> None:
    young = look(backup("a", record("r", "replicating", at=NOW + 40)))
    assert begun(intents(after_a_call(), now=NOW + 50, number=2)).unsettled_until(young) == NOW + 40 + SETTLE


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (("r",), ("r",), "no new replication record has appeared since"),
        (("s", "r"), ("r", "s"), "no new replication record has appeared since"),
        ((), ("r",), "new replication records have appeared since"),
        (("r",), ("s",), "new replication records have appeared since"),
        (("a", "bc"), ("ab", "c"), "new replication records have appeared since"),
    ],
)
def test_it_is_said_whether_records_have_appeared_since(
    before: tuple[str, ...], now: tuple[str, ...], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = after_a_call(look(backup("a", *(record(one, "success") for one in before)), backup("b")))
    caplog.set_level(logging.INFO, logger=__name__)
    begun(intents(store, number=2)).unsettled_until(look(backup("a", *(record(one, "success") for one in now))))
    assert caplog.messages == [f"An earlier attempt was about to replicate 2 backups; {said}"]


# --- what is written down ----------------------------------------------------------------------------------------------------


def test_an_intent_says_where_when_and_how_much() -> None:
    seen = look(backup("a", record("r", "success", at=NOW - 500)), backup("b"), backup("c"))
    store, steps = Intents(), Steps()
    log = intents(store, steps=steps)
    state = log.recall()
    state.calls = CallCounts(made=1)
    log.record_intent(state, seen, seen.eligible[1:])
    stored: Any = store.stored
    assert (state.began, state.first_sent_at) == (NOW - 500, NOW)
    assert stored["destination"] == WHERE
    assert (stored["began"], stored["first_posted_at"], stored["posted_at"]) == (NOW - 500, NOW, NOW)
    assert (stored["needed"], stored["eligible"], stored["deadline"], stored["generation"]) == (2, 3, NOW + TIMEOUT, 0)
    assert stored["calls"]["made"] == 1
    assert stored["digest"]
    assert steps.seen == [Step.RECORD_INTENT]


def test_a_later_call_keeps_what_was_noted_at_the_first() -> None:
    store = after_a_call(began=NOW - 900, first_sent_at=NOW - 800)
    stored: Any = store.stored
    assert (stored["began"], stored["first_posted_at"], stored["posted_at"]) == (NOW - 900, NOW - 800, NOW)
    zero: Any = after_a_call(began=0.0, first_sent_at=0.0).stored
    assert (zero["began"], zero["first_posted_at"]) == (0.0, 0.0)


@pytest.mark.parametrize("has_gap", [False, True])
def test_the_deadline_is_written_down_once_in_a_generation_and_with_it_whether_calls_may_be_forgotten(has_gap: bool) -> None:
    store, steps = Intents(), Steps()
    log = intents(store, steps=steps, number=2 if has_gap else 1)
    state = log.recall()
    log.keep_deadline(state)
    stored: Any = store.stored
    assert (stored["deadline"], stored["generation"], stored["destination"]) == (NOW + TIMEOUT, 0, WHERE)
    assert stored["has_gap"] is has_gap
    assert (stored["began"], stored["posted_at"]) == (None, None)
    assert steps.seen == [Step.RECORD_INTENT]
    again = intents(store, now=NOW + 100, number=2)
    again.keep_deadline(again.recall())
    assert store.saves == 1
    cleared = intents(store, now=NOW + 200, generation=2)
    cleared.keep_deadline(cleared.recall())
    stored = store.stored
    assert (store.saves, stored["generation"], stored["deadline"]) == (2, 2, NOW + 200 + TIMEOUT)


def test_a_new_generation_keeps_what_was_sent() -> None:
    store = after_a_call()
    cleared = intents(store, now=NOW + 200, generation=2)
    cleared.keep_deadline(cleared.recall())
    stored: Any = store.stored
    assert (stored["posted_at"], stored["needed"], stored["generation"]) == (NOW, 1, 2)


# --- what is recalled --------------------------------------------------------------------------------------------------------


def test_an_attempt_that_finds_nothing_begins_with_its_own_deadline() -> None:
    state = intents(Intents()).recall()
    assert (state.deadline, state.began, state.first_sent_at, state.calls.made) == (NOW + TIMEOUT, None, None, 0)


def test_an_attempt_goes_on_with_what_an_earlier_one_wrote_down() -> None:
    store = after_a_call(look(backup("a", record("r", "success", at=NOW - 500)), backup("b")), calls=CallCounts(made=2))
    state = intents(store, now=NOW + 100, number=2).recall()
    assert (state.deadline, state.calls.made) == (NOW + TIMEOUT, 2)
    assert (state.began, state.first_sent_at) == (NOW - 500, NOW)


@pytest.mark.parametrize(("first", "recalled"), [(NOW - 100, NOW - 100), (None, NOW - 50), (0.0, 0.0)])
def test_version_0_1_0_may_have_noted_no_first_call(first: float | None, recalled: float) -> None:
    store = Intents({"destination": WHERE, "began": NOW - 200, "first_posted_at": first, "posted_at": NOW - 50})
    assert intents(store, number=2).recall().first_sent_at == recalled


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_intent_for_another_destination_is_not_this_tasks(place: int) -> None:
    store = after_a_call()
    store.stored["destination"] = [value if number != place else "another" for number, value in enumerate(WHERE)]  # type: ignore[index]
    state = intents(store, number=1).recall()
    assert (state.began, state.first_sent_at) == (None, None)


@pytest.mark.parametrize(
    ("number", "durable", "run_after", "is_assumed"),
    [(2, True, NOW - 60, True), (1, True, NOW - 60, False), (2, False, NOW - 60, False), (2, True, None, False)],
)
def test_where_calls_may_be_forgotten_they_may_be_as_old_as_the_dag_run(
    number: int, durable: bool, run_after: float | None, is_assumed: bool
) -> None:
    state = intents(Intents(), number=number, durable=durable, run_after=run_after).recall()
    if is_assumed:
        assert state.first_sent_at == NOW - 60
        assert state.began == NOW - 60 - CLOCK_MARGIN.total_seconds()
    else:
        assert (state.first_sent_at, state.began) == (None, None)


def test_only_an_intent_to_send_something_to_this_very_destination_says_that_something_was_sent() -> None:
    assert not has_sent(None, DESTINATION)
    store = Intents()
    assert not has_sent(store, DESTINATION)
    first = intents(store)
    first.keep_deadline(first.recall())
    assert not has_sent(store, DESTINATION)
    store = after_a_call(look(backup("a", record("r", "success")), backup("b")))
    assert has_sent(store, DESTINATION)
    assert not has_sent(store, replace(DESTINATION, vault_id="another"))


# --- where no store keeps the deadline ---------------------------------------------------------------------------------------

RAN = NOW - 1000


@pytest.mark.parametrize(
    ("differs", "deadline"),
    [
        ({}, NOW - 600 + TIMEOUT),
        ({"store": Intents()}, NOW + TIMEOUT),
        ({"durable": False}, NOW + TIMEOUT),
        ({"run_after": None}, NOW + TIMEOUT),
        ({"number": 1}, NOW + TIMEOUT),
        ({"number": 3, "generation": 2}, NOW + TIMEOUT),
        ({"run_after": NOW - 600}, NOW - 600 + TIMEOUT),
        ({"run_after": NOW - 599}, NOW - 200 + TIMEOUT),
        ({"run_after": NOW}, NOW + TIMEOUT),
    ],
)
def test_without_a_store_the_deadline_counts_from_the_dag_runs_first_copy(differs: dict[str, Any], deadline: float) -> None:
    records = [record(f"r{age}", "success", at=NOW - age) for age in (5000, 200, 600)] + [record("undated", "success", at=None)]
    given: dict[str, Any] = {"store": None, "number": 2, "run_after": RAN} | differs
    log = intents(given.pop("store"), **given)
    state = ReplicationState(deadline=NOW + TIMEOUT)
    log.correct_deadline(state, look(backup("a", *records)))
    assert state.deadline == deadline


def test_a_deadline_is_never_put_off() -> None:
    state = ReplicationState(deadline=NOW + 1)
    intents(None, number=2, run_after=RAN).correct_deadline(state, look(backup("a", record("r", "success", at=NOW - 600))))
    assert state.deadline == NOW + 1

"""What outlives an attempt: the intent that is written down, the state that a deferral carries, and what was published."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import pytest

from airflow_cbr.once.attempt import Attempt
from airflow_cbr.once.ceiling import CallCounts
from airflow_cbr.once.clock import ServiceClock
from airflow_cbr.once.intents import Intent, IntentLog
from airflow_cbr.once.publisher import Publisher
from airflow_cbr.once.state import AttemptState
from tests.support.cleared_attempts import Intents

NOW = 1_800_000_000.0


class Step(StrEnum):
    NOTE = "note"
    TELL = "tell"


class Steps:
    """Marks steps, and keeps them."""

    def __init__(self) -> None:
        self.seen: list[tuple[StrEnum, str]] = []

    @contextlib.contextmanager
    def at(self, step: StrEnum) -> Iterator[None]:
        self.seen.append((step, "before"))
        yield
        self.seen.append((step, "after"))


def log(
    found: Intent | None = None, *, store: Intents | None = None, number: int = 1, generation: int = 0, steps: Steps | None = None
) -> IntentLog[Intent]:
    attempt = Attempt(number=number, generation=generation)
    return IntentLog(store, found, attempt, clock=ServiceClock(lambda: NOW), at=(steps or Steps()).at)


def state(**fields: Any) -> AttemptState:
    return AttemptState(**{"deadline": NOW + 100, **fields})


# --- intents ------------------------------------------------------------------------------------------------------------------


def test_an_intent_is_written_down_with_the_attempts_deadline_and_calls() -> None:
    store, steps = Intents(), Steps()
    log(store=store, generation=3, steps=steps).save(Intent(has_gap=True), state(calls=CallCounts(made=2, by_item={"a": 2})), Step.NOTE)
    assert store.stored == {
        "generation": 3,
        "deadline": NOW + 100,
        "calls": {"made": 2, "refused": 0, "by_item": {"a": 2}},
        "has_gap": True,
    }
    assert steps.seen == [(Step.NOTE, "before"), (Step.NOTE, "after")]
    assert Intent.read(store.stored) == Intent(generation=3, deadline=NOW + 100, calls=CallCounts(made=2, by_item={"a": 2}), has_gap=True)


def test_where_nothing_outlives_the_process_nothing_is_written_down() -> None:
    steps = Steps()
    log(steps=steps).save(Intent(), state(), Step.NOTE)
    assert steps.seen == []
    assert not log().has_store
    assert log(store=Intents()).has_store


@pytest.mark.parametrize("stored", [None, "text", [], {"generation": "one"}, {"calls": 3}])
def test_what_is_no_intent_is_none(stored: Any) -> None:
    assert Intent.read(stored) is None


@pytest.mark.parametrize(
    ("generation", "deadline", "kept"),
    [
        (0, NOW + 60, NOW + 60),
        (0, NOW - 60, NOW - 60),
        (0, NOW + 101, NOW + 100),  # written by a clock that was wrong
        (1, NOW + 60, NOW + 100),  # of before a clear
    ],
)
def test_an_attempt_goes_on_with_the_deadline_of_its_generation_and_all_calls(generation: int, deadline: float, kept: float) -> None:
    found = Intent(generation=generation, deadline=deadline, calls=CallCounts(made=5))
    resumed = state()
    one = log(found)
    one.resume(resumed)
    assert resumed.deadline == kept
    assert resumed.calls.made == 5
    assert one.has_deadline is (generation == 0)


def test_an_attempt_that_finds_nothing_begins_anew() -> None:
    resumed = state(calls=CallCounts(made=1))
    log(None).resume(resumed)
    assert (resumed.deadline, resumed.calls.made) == (NOW + 100, 1)
    log(Intent(deadline=NOW + 1, calls=None)).resume(resumed)
    assert (resumed.deadline, resumed.calls.made) == (NOW + 1, 1), "version 0.1.0 may have written no calls"
    assert not log(None).has_deadline


@pytest.mark.parametrize(
    ("found", "number", "generation", "has_gap"),
    [
        (None, 1, 0, False),
        (None, 2, 0, True),
        (None, 1, 1, True),
        (Intent(), 2, 0, False),
        (Intent(has_gap=True), 2, 0, True),
        (Intent(has_gap=True), 1, 0, False),
    ],
)
def test_a_gap_is_an_earlier_attempt_of_which_nothing_tells(found: Intent | None, number: int, generation: int, has_gap: bool) -> None:
    assert log(found, number=number, generation=generation).has_gap is has_gap


# --- state --------------------------------------------------------------------------------------------------------------------


def test_a_state_survives_a_deferral() -> None:
    one = state(troubles=2, refusals=1, calls=CallCounts(made=3, refused=1, by_item={"a": 3}))
    assert AttemptState.load(one.dump()) == one
    assert type(one.dump()) is dict


@pytest.mark.parametrize("dumped", [None, {}, {"deadline": "soon"}, [1]])
def test_what_is_no_state_is_a_value_error_that_says_why(dumped: Any) -> None:
    with pytest.raises(ValueError, match=r"(?i)expected|required"):
        AttemptState.load(dumped)


# --- publishing ---------------------------------------------------------------------------------------------------------------


def test_what_is_told_is_published_once_for_each_change() -> None:
    steps, told = Steps(), list[tuple[Any, ...]]()
    publisher = Publisher(lambda *said: told.append(said), Step.TELL, at=steps.at)
    for said in ((["r"], {"n": 1}), (["r"], {"n": 1}), (["r"], {"n": 2}), (["r"], {"n": 1}), ([], {})):
        publisher.tell(*said)
    assert told == [(["r"], {"n": 1}), (["r"], {"n": 2}), (["r"], {"n": 1}), ([], {})]
    assert steps.seen == [(Step.TELL, "before"), (Step.TELL, "after")] * 4


def test_what_could_not_be_published_is_published_at_the_next_telling() -> None:
    told: list[Any] = []

    def publish(said: str) -> None:
        told.append(said)
        if len(told) == 1:
            raise RuntimeError("no connection")

    publisher = Publisher(publish, Step.TELL, at=Steps().at)
    with pytest.raises(RuntimeError):
        publisher.tell("a")
    publisher.tell("a")
    assert told == ["a", "a"]

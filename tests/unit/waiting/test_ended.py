"""Which copies have ended since the last time: each is told once, none is left out, and nothing of the past is."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.waiting.copies import Copy
from airflow_cbr.waiting.ended import FORGET, WINDOW, EndedCopies

NOW = 1_790_000_000.0
HOUR = 3600.0
NOWHERE = (None, None, None)


def copy(number: int, state: CopyState = CopyState.RUNNING, *, began: float | None = NOW) -> Copy:
    return Copy(str(uuid.UUID(int=number)), state, began, NOWHERE, None)


def ended(one: Copy) -> Copy:
    return replace(one, state=CopyState.SUCCEEDED)


def kept(cursor: EndedCopies) -> EndedCopies:
    """Return the cursor as another process has it."""
    return EndedCopies.load(json.loads(json.dumps(cursor.dump())))


def began(*copies: Copy) -> EndedCopies:
    """Return a cursor that has had its first look."""
    cursor = EndedCopies()
    assert cursor.look(copies, NOW) == []
    return cursor


# --- one copy ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("age", [0.0, WINDOW - 1, WINDOW + 1, 30 * 86400.0, None])
def test_the_first_look_only_takes_note(age: float | None) -> None:
    old = copy(1, CopyState.SUCCEEDED, began=None if age is None else NOW - age)
    cursor = began(old)

    for hours in range(1, 48):
        assert kept(cursor).look([old], NOW + hours * HOUR) == []
        assert cursor.look([old], NOW + hours * HOUR) == []


@pytest.mark.parametrize("age", [0.0, WINDOW + 1, 30 * 86400.0, None])
def test_a_copy_that_ran_at_the_first_look_is_told_when_it_ends_however_old_it_is(age: float | None) -> None:
    one = copy(1, began=None if age is None else NOW - age)
    cursor = kept(began(one))

    assert cursor.look([ended(one)], NOW + 40 * HOUR) == [ended(one)]


def test_it_is_the_same_again_until_it_is_told() -> None:
    one = copy(1)
    cursor = began(one)

    assert cursor.look([ended(one)], NOW + 10) == [ended(one)]
    assert kept(cursor).look([ended(one)], NOW + 10 * HOUR) == [ended(one)]
    cursor.tell([ended(one)], NOW + 10)
    assert cursor.look([ended(one)], NOW + 20) == []
    assert kept(cursor).look([ended(one)], NOW + 20 * HOUR) == []


def test_a_copy_that_is_listed_late_is_noticed() -> None:
    cursor = began()
    cursor.look([ended(copy(2, began=NOW + HOUR))], NOW + HOUR)
    late = ended(copy(1, began=NOW + 60))

    assert cursor.look([late], NOW + WINDOW) == [late]


def test_what_ended_while_nobody_looked_is_told_after_days() -> None:
    cursor = kept(began())
    meanwhile = [ended(copy(number, began=NOW + number * HOUR)) for number in range(1, 200)]

    assert cursor.look(meanwhile, NOW + 300 * HOUR) == meanwhile


def test_a_running_copy_counts_as_running_and_one_that_is_gone_is_forgotten() -> None:
    one = copy(1)
    cursor = began(one)

    assert cursor.running == 1
    cursor.look([], NOW + FORGET + 1)
    assert cursor.running == 0
    assert cursor.dump()["open"] == {}


def test_a_clock_far_ahead_does_not_hide_what_comes() -> None:
    """The caller passes the earlier one of two clocks; a record's own time may still be anything."""
    future = ended(copy(1, began=NOW + 10_000 * 86400))
    cursor = began()

    assert cursor.look([future], NOW + 60) == [future]
    cursor.tell([future], NOW + 60)
    new = ended(copy(2, began=NOW + 90))
    for hours in range(1, 100):
        cursor = kept(cursor)
        assert cursor.look([future, new], NOW + hours * HOUR) == ([new] if hours == 1 else [])
        cursor.tell([new], NOW + hours * HOUR)


def test_a_thousand_copies_of_a_night_fit_into_a_value_of_airflows_store() -> None:
    cursor = began()
    night = [ended(copy(number, began=NOW + number)) for number in range(1000)]
    cursor.tell(cursor.look(night, NOW + HOUR), NOW + HOUR)

    assert len(json.dumps(cursor.dump())) < 65_535, "[state_store] max_value_storage_bytes"


def test_it_is_kept_only_when_something_has_changed() -> None:
    one = copy(1)
    cursor = began(one)
    assert cursor.has_changed
    cursor.has_changed = False
    cursor.look([one], NOW + HOUR)
    assert not cursor.has_changed
    cursor.look([one, copy(2)], NOW + 2 * HOUR)
    assert cursor.has_changed


EMPTY: dict[str, Any] = {"version": 1, "since": 0.0, "told": {}, "open": {}}


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "x",
        [],
        {},
        {**EMPTY, "version": 2},
        {**EMPTY, "since": None},
        {**EMPTY, "since": float("nan")},
        {**EMPTY, "since": True},
        {**EMPTY, "told": []},
        {**EMPTY, "open": {"a": "b"}},
        {**EMPTY, "open": {"a": float("inf")}},
    ],
)
def test_what_is_no_cursor_is_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        EndedCopies.load(value)


# --- any history ------------------------------------------------------------------------------------------------------------


@dataclass
class History:
    """Copies that begin and end at random, looked at by a watcher that is restarted at random.

    :param seed: of the history.
    """

    seed: int
    told: list[str] = field(default_factory=list)

    def play(self) -> tuple[set[str], set[str]]:
        """Return which copies ended before the first look, and which after it."""
        rng = random.Random(self.seed)
        spans = {}
        for number in range(rng.randrange(1, 25)):
            start = NOW + rng.uniform(-3 * 86400, 3 * 86400)
            spans[number] = (start, start + rng.expovariate(1 / (6 * HOUR)), rng.uniform(0, WINDOW * 0.9), rng.random() < 0.2)
        now, cursor = NOW, EndedCopies()
        before: set[str] = set()
        after: set[str] = set()
        stored = None
        while now < NOW + 5 * 86400:
            listed = []
            for number, (start, end, delay, is_undated) in spans.items():
                if start + delay > now:
                    continue
                one = copy(number, CopyState.SUCCEEDED if end <= now else CopyState.RUNNING, began=None if is_undated else start)
                listed.append(one)
                if end <= now:
                    (before if stored is None else after).add(one.id)
            rng.shuffle(listed)
            found = cursor.look(listed, now)
            if found and rng.random() < 0.7:
                self.told += [one.id for one in found]
                cursor.tell(found, now)
            if cursor.has_changed:
                stored, cursor.has_changed = cursor.dump(), False
            if rng.random() < 0.2:
                cursor = EndedCopies.load(json.loads(json.dumps(stored)))
            now += rng.choice([300.0, HOUR, rng.expovariate(1 / (8 * HOUR))])
        found = cursor.look(listed, now)
        self.told += [one.id for one in found]
        return before, after - before


@given(seed=st.integers(min_value=0, max_value=2**32))
@settings(max_examples=300, deadline=None)
def test_each_copy_that_ends_after_the_first_look_is_told_once_and_no_other(seed: int) -> None:
    history = History(seed)
    before, after = history.play()

    assert sorted(history.told) == sorted(set(history.told)), "none twice"
    assert after <= set(history.told), "none left out"
    assert not before & set(history.told), "nothing of the past"

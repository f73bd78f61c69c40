"""The ceiling stands by itself: it counts, and lets nothing through beyond its limits, whoever asks."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cbr.exceptions import CbrBusyError, CbrCallLimitError, CbrConnectionError, CbrError, CbrOutcomeUnknownError, CbrThrottledError
from airflow_cbr.once.ceiling import CALLS_PER_ITEM, REFUSALS, CallCeiling, CallCounts, calls_per_task

NAMES = ["a", "b", "c"]
STARTED_NOTHING: list[CbrError] = [CbrThrottledError("x"), CbrBusyError("x"), CbrConnectionError("x", sent=False)]
MAY_HAVE_STARTED: list[CbrError | None] = [None, CbrOutcomeUnknownError("x"), CbrConnectionError("x", sent=True), CbrError("x")]


def call(ceiling: CallCeiling, items: list[str], outcome: CbrError | None, *, of: int = 3) -> bool:
    """Make a call; return whether it was let through."""
    sent = False

    def send() -> None:
        nonlocal sent
        sent = True
        if outcome is not None:
            raise outcome

    try:
        ceiling.count(items, of=of)
    except CbrCallLimitError:
        return False
    if outcome is None:
        ceiling.send(items, send)
    else:
        with pytest.raises(type(outcome)):
            ceiling.send(items, send)
    assert sent
    return True


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(NAMES), min_size=1, unique=True), st.sampled_from([*MAY_HAVE_STARTED, *STARTED_NOTHING])),
        max_size=80,
    )
)
def test_no_limit_is_ever_passed(calls: list[tuple[list[str], CbrError | None]]) -> None:
    counts = CallCounts()
    made: Counter[str] = Counter()
    total = 0
    for items, outcome in calls:
        if call(CallCeiling(counts, "backup"), items, outcome) and outcome not in STARTED_NOTHING:
            made.update(items)
            total += 1
    assert max(made.values(), default=0) <= CALLS_PER_ITEM
    assert total <= calls_per_task(3)


def test_what_started_nothing_has_a_limit_of_its_own() -> None:
    ceiling = CallCeiling(CallCounts(), "backup")
    let_through = sum(call(ceiling, ["a"], CbrThrottledError("x")) for _ in range(3000))
    assert let_through == REFUSALS + calls_per_task(3)


def test_passing_it_is_a_permanent_error_that_says_so() -> None:
    ceiling = CallCeiling(CallCounts(by_item={"a": CALLS_PER_ITEM}), "backup")
    with pytest.raises(CbrCallLimitError, match="8 calls for backup a in this Dag run") as caught:
        ceiling.count(["a"], of=1)
    assert caught.value.permanent
    assert caught.value.advice


def test_what_starts_nothing_is_taken_off_again_for_each_item() -> None:
    counts = CallCounts(made=4, by_item={"a": 2, "b": 3, "c": 4})
    for number, refused in enumerate(STARTED_NOTHING, 1):
        assert call(CallCeiling(counts, "backup"), ["a", "b"], refused)
        assert counts == CallCounts(made=4, refused=number, by_item={"a": 2, "b": 3, "c": 4})
    for number, outcome in enumerate(MAY_HAVE_STARTED, 1):
        assert call(CallCeiling(counts, "backup"), ["b"], outcome, of=9)
        assert counts == CallCounts(made=4 + number, refused=3, by_item={"a": 2, "b": 3 + number, "c": 4})


def test_the_answer_of_a_call_is_handed_on() -> None:
    assert CallCeiling(CallCounts(), "backup").send(["a"], lambda: "an answer") == "an answer"


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (CallCounts(made=17), "This task has sent 17 calls for 3 backups in this Dag run; the limit is 17 calls. Nothing more was sent."),
        (CallCounts(refused=517), "This task has sent 517 calls that the service refused in this Dag run; the limit is 517 refused calls."),
        (CallCounts(by_item={"b": 8}), "This task has sent 8 calls for backup b in this Dag run; the limit is 8 calls for each."),
    ],
)
def test_each_limit_says_what_was_done_and_counts_nothing_more(counts: CallCounts, said: str) -> None:
    ceiling = CallCeiling(counts, "backup")
    with pytest.raises(CbrCallLimitError) as caught:
        ceiling.count(["a", "b"], of=3)
    assert said in str(caught.value)
    assert "a" not in counts.by_item
    assert counts.made in (0, 17)


@pytest.mark.parametrize("counts", [CallCounts(made=16), CallCounts(refused=516), CallCounts(by_item={"b": 7})])
def test_the_last_call_before_a_limit_is_let_through(counts: CallCounts) -> None:
    made = counts.made
    CallCeiling(counts, "backup").count(["a", "b"], of=3)
    assert counts.made == made + 1
    assert counts.by_item["a"] == 1


@pytest.mark.parametrize(("items", "calls"), [(0, 8), (1, 11), (3, 17), (100, 308)])
def test_a_task_may_make_three_calls_for_each_item_and_some_more(items: int, calls: int) -> None:
    assert calls_per_task(items) == calls

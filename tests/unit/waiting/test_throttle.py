"""How fast an account may be asked after the service has refused."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from airflow_cbr.exceptions import CbrThrottledError
from airflow_cbr.waiting.throttle import LONGEST_HOLD, AccountThrottle


def test_the_back_off_doubles_by_rounds_and_not_by_refusals() -> None:
    pace = AccountThrottle(shortest=30.0, longest=600.0)
    refused = CbrThrottledError("429")
    for _ in range(8):
        pace.throttled(refused, asked_at=99.0, now=100.0)
    assert pace.wait(100.0) == 30.0
    pace.throttled(refused, asked_at=130.0, now=131.0)
    assert pace.wait(131.0) == 60.0
    for number in range(10):
        pace.throttled(refused, asked_at=1000.0 * number + 1000, now=1000.0 * number + 1001)
    assert pace.wait(10001.0) == 600.0
    pace.answered(asked_at=9000.0)
    assert pace.wait(10001.0) == 600.0, "that look began before the refusal"
    pace.answered(asked_at=10700.0)
    assert pace.wait(10700.0) == 0.0
    pace.throttled(refused, asked_at=10800.0, now=10800.0)
    assert pace.wait(10800.0) == 30.0


def test_the_services_own_word_counts_where_it_asks_for_more() -> None:
    pace = AccountThrottle()
    pace.throttled(CbrThrottledError("429", retry_after=1700.0), asked_at=0.0, now=0.0)
    assert pace.wait(0.0) == 1700.0


@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.just(1e308))),
        min_size=1,
        max_size=10,
    )
)
@example([(0.0, 1e9)])
@example([(63736.44202605902, 1e308)])
@example([(0.0, float("nan"))])
@example([(0.0, float("inf")), (1.0, float("-inf"))])
def test_nobody_is_held_longer_than_half_an_hour_whatever_the_service_asks_for(refusals: list[tuple[float, float | None]]) -> None:
    pace, now = AccountThrottle(), 0.0
    for later, retry_after in refusals:
        now += later
        pace.throttled(CbrThrottledError("429", retry_after=retry_after), asked_at=now, now=now)
        assert 29.999 <= pace.wait(now) <= LONGEST_HOLD

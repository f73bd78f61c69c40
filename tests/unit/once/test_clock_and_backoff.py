"""The two clocks answer so that a wrong one can only make somebody wait; gaps double while something fails."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_cbr.once.backoff import backoff
from airflow_cbr.once.clock import ServiceClock, moment

NOW = 1_800_000_000.0


def clock(ahead: float | None) -> ServiceClock:
    """Return clocks of which the service's is so far ahead; None: the service has said no time."""
    clocks = ServiceClock(lambda: NOW)
    clocks.hear(None if ahead is None else moment(NOW + ahead))
    return clocks


@pytest.mark.parametrize("ahead", [None, 0.0, 600.0, -600.0])
def test_each_question_is_answered_by_the_clock_that_makes_the_careful_answer(ahead: float | None) -> None:
    clocks, off = clock(ahead), ahead or 0.0
    assert clocks.local == NOW
    assert clocks.service == NOW + off
    assert clocks.not_before(NOW - 5) == NOW - 5 + min(off, 0.0)
    assert clocks.not_after(NOW - 5) == NOW - 5 + max(off, 0.0)
    assert clocks.age(NOW - 700) == 700.0 + min(off, 0.0)


def test_what_lies_in_the_future_is_of_no_age() -> None:
    assert clock(0.0).age(NOW + 1) == 0.0
    assert clock(-600.0).age(NOW - 500) == 0.0
    assert clock(0.0).age(NOW) == 0.0


def test_an_answer_without_a_time_leaves_the_services_clock_as_it_was() -> None:
    clocks = clock(600.0)
    clocks.hear(None)
    assert clocks.service == NOW + 600
    clocks.hear(moment(NOW - 9))
    assert clocks.service == NOW - 9


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (NOW, datetime(2027, 1, 15, 8, tzinfo=UTC)),
        (0.0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-1.0, datetime(1970, 1, 1, tzinfo=UTC)),
        (float("-inf"), datetime(1970, 1, 1, tzinfo=UTC)),
        (1e18, datetime(9998, 1, 1, tzinfo=UTC)),
        (float("inf"), datetime(9998, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_that_no_calendar_holds_becomes_the_nearest_that_does(timestamp: float, expected: datetime) -> None:
    assert moment(timestamp) == expected


@pytest.mark.parametrize(
    ("times", "gap"), [(1, 30.0), (2, 60.0), (3, 120.0), (5, 480.0), (6, 600.0), (7, 600.0), (500, 600.0), (10**6, 600.0)]
)
def test_gaps_double_up_to_the_longest(times: int, gap: float) -> None:
    assert backoff(times, shortest=30.0, longest=600.0) == gap


def test_a_gap_doubles_ten_times_at_most() -> None:
    assert backoff(11, shortest=1.0, longest=1e9) == backoff(12, shortest=1.0, longest=1e9) == 1024.0
    assert backoff(10, shortest=1.0, longest=1e9) == 512.0


@pytest.mark.parametrize(("asked", "gap"), [(None, 60.0), (0.0, 60.0), (59.0, 60.0), (61.0, 61.0), (5000.0, 5000.0)])
def test_what_the_service_asks_for_is_never_cut_short(asked: float | None, gap: float) -> None:
    assert backoff(2, shortest=30.0, longest=600.0, asked=asked) == gap


def test_a_gap_of_nothing_stays_nothing() -> None:
    assert backoff(3, shortest=0.0, longest=600.0) == 0.0

"""When to look next."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.api.models import ReplicationExtra, ReplicationRecord
from airflow_cbr.waiting.progress import measure
from airflow_cbr.waiting.schedule import BLIND_GAP, Schedule

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)


def record(percent: float | None, age: float | None, number: int = 0, at: datetime = NOW) -> ReplicationRecord:
    created = None if age is None else (at - timedelta(seconds=age)).isoformat()
    return ReplicationRecord(id=f"record-{number}", status="replicating", created_at=created, extra_info=ReplicationExtra(progress=percent))


def schedule(**options: Any) -> Schedule:
    return Schedule(rng=random.Random(1), **options)


def test_a_copy_at_3_percent_after_ten_minutes_is_asked_rarely_and_one_at_97_soon() -> None:
    assert schedule().gap([record(3, 600)], NOW) > 500
    assert schedule().gap([record(97, 600)], NOW) < 35


def test_the_slowest_copy_decides() -> None:
    assert schedule().gap([record(99, 600, 1), record(3, 600, 2)], NOW) > 500


@pytest.mark.parametrize("percent", [None, 0])
def test_without_progress_the_gap_grows_with_the_copys_age_and_stays_at_120(percent: float | None) -> None:
    gaps = [schedule().gap([record(percent, age)], NOW) for age in (10, 100, 200, 1000, 100_000)]
    assert gaps[0] <= 33
    assert gaps == sorted(gaps)
    assert 100 < gaps[-1] <= BLIND_GAP


def test_one_copy_without_progress_keeps_the_gap_short_whatever_the_others_say() -> None:
    assert schedule().gap([record(3, 600, 1), record(None, 600, 2)], NOW) <= BLIND_GAP


def test_a_record_that_is_not_listed_keeps_the_gap_short() -> None:
    assert schedule().gap([record(3, 600)], NOW, is_complete=False) <= BLIND_GAP
    assert schedule().gap([], NOW, is_complete=False) <= 33


def test_records_that_are_never_listed_are_asked_for_less_and_less() -> None:
    chosen = schedule()
    first = chosen.gap([], NOW, is_complete=False)
    later = chosen.gap([], NOW + timedelta(hours=1), is_complete=False)
    assert first <= 33
    assert 100 < later <= BLIND_GAP


def test_where_progress_stands_still_the_gap_stays_at_120() -> None:
    chosen = schedule()
    assert chosen.gap([record(37, 3600)], NOW) > 500
    for minutes in range(10, 100, 10):
        at = NOW + timedelta(minutes=minutes)
        assert chosen.gap([record(37, 3600 + minutes * 60, at=at)], at) <= BLIND_GAP


def test_the_gap_is_short_as_soon_as_a_percentage_has_not_moved() -> None:
    chosen = schedule()
    chosen.gap([record(50, 6 * 3600)], NOW)
    at = NOW + timedelta(seconds=200)
    assert chosen.gap([record(50, 6 * 3600 + 200, at=at)], at) <= BLIND_GAP


def test_a_whole_percentage_that_has_had_no_time_to_move_is_no_reason_to_look_late() -> None:
    chosen = schedule()
    chosen.gap([record(99, 3560)], NOW)
    at = NOW + timedelta(seconds=30)
    assert chosen.gap([record(99, 3590, at=at)], at) <= 33, "a percent takes 36 seconds here"


def test_a_copy_that_was_queued_for_long_is_reckoned_by_its_newest_speed() -> None:
    chosen = schedule()
    chosen.gap([record(10, 7200)], NOW)
    at = NOW + timedelta(seconds=300)
    # By its age it needs hours; by its speed, 40 percent in five minutes, less than seven minutes.
    assert chosen.gap([record(50, 7500, at=at)], at) < 200


def test_one_step_after_a_standstill_is_not_taken_for_a_leap() -> None:
    chosen = schedule()
    chosen.gap([record(95, 36_000)], NOW)
    for seconds in (100, 200, 300):
        at = NOW + timedelta(seconds=seconds)
        chosen.gap([record(95, 36_000 + seconds, at=at)], at)
    at = NOW + timedelta(seconds=400)
    assert chosen.gap([record(96, 36_400, at=at)], at) > 500, "a percent takes six minutes here, and 4 are left"


def test_a_copy_that_runs_backwards_or_past_the_end_is_no_trouble() -> None:
    chosen = schedule()
    for percent in (50, 20, 100, 100, 101, 0, None, 99.5):
        assert 30 <= chosen.gap([record(percent, 600)], NOW) <= 600


def test_a_copy_without_a_start_is_reckoned_from_the_first_look() -> None:
    chosen = schedule()
    assert chosen.gap([record(None, None)], NOW) <= 33
    assert chosen.gap([record(None, None)], NOW + timedelta(seconds=200)) > 80


def test_nothing_is_kept_of_records_that_have_ended() -> None:
    chosen = schedule()
    chosen.gap([record(50, 600, number) for number in range(100)], NOW)
    chosen.gap([record(60, 700, 7)], NOW)
    assert list(chosen._seen) == ["record-7"]


def test_two_who_begin_together_do_not_stay_together() -> None:
    gaps = {round(Schedule().gap([record(50, 10)], NOW), 1) for _ in range(50)}
    assert len(gaps) > 5, "also at the shortest gap"
    gaps = {round(Schedule().gap([record(3, 6000)], NOW), 1) for _ in range(50)}
    assert len(gaps) > 5


@given(
    st.lists(st.tuples(st.one_of(st.none(), st.floats(0, 101)), st.one_of(st.none(), st.floats(-100, 1e6))), max_size=6),
    st.floats(0.1, 1000),
    st.floats(1, 50),
    st.booleans(),
    st.integers(1, 5),
)
def test_the_gap_is_between_the_shortest_and_the_longest(
    copies: list[tuple[float | None, float | None]], shortest: float, factor: float, is_complete: bool, looks: int
) -> None:
    chosen = Schedule(shortest, shortest * factor)
    for number in range(looks):
        at = NOW + timedelta(seconds=30 * number)
        gap = chosen.gap([record(percent, age, index) for index, (percent, age) in enumerate(copies)], at, is_complete=is_complete)
        assert shortest <= gap <= shortest * factor * 1.0001
        if not is_complete or any(percent is None for percent, _ in copies):
            assert gap <= max(BLIND_GAP, shortest)


STRANGE = st.one_of(
    st.none(),
    st.floats(-1e3, 1e3),
    st.sampled_from([-5, 0, 5e-324, 1e-300, 100, 250, 1e308, float("nan"), float("inf"), float("-inf"), 10**400, -(10**400)]),
)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2400, 1, 1), timezones=st.just(UTC))
COPIES = st.lists(st.tuples(STRANGE, st.one_of(st.none(), MOMENTS)), max_size=4)


@given(
    st.lists(
        st.tuples(st.lists(st.tuples(STRANGE, st.one_of(st.none(), MOMENTS)), max_size=4), MOMENTS, st.booleans()), min_size=1, max_size=6
    ),
    st.floats(0.1, 1000),
    st.floats(0.5, 50),
)
def test_no_clock_and_no_percentage_makes_a_gap_shorter_or_longer_than_is_stated(
    looks: list[tuple[list[tuple[float | None, datetime | None]], datetime, bool]], shortest: float, factor: float
) -> None:
    """The service's clock may leap between two looks, by a day or from 1900, and its records may say anything."""
    chosen, longest = Schedule(shortest, shortest * factor), max(shortest, shortest * factor)
    for number, (copies, now, is_complete) in enumerate(looks):
        records = [
            ReplicationRecord(
                id=f"record-{index}",
                status="replicating",
                created_at=None if created is None else created.isoformat(),
                extra_info=ReplicationExtra(progress=percent),
            )
            for index, (percent, created) in enumerate(copies)
        ]
        gap = chosen.gap(records, now, is_complete=is_complete, at=30.0 * number)
        assert shortest <= gap <= longest
        if not is_complete or any(percent is None for percent, _ in copies):
            assert gap <= max(BLIND_GAP, shortest)
        assert measure(records, unlisted=0, now=now).line


def test_a_number_that_is_no_percentage_is_none() -> None:
    chosen = schedule()
    for percent in (10**400, 1, -(10**400), float("nan"), 2):
        assert chosen.gap([record(percent, 60)], NOW) > 0


def test_what_passes_between_two_looks_is_measured_with_this_machines_clock() -> None:
    honest, leaping = schedule(), schedule()
    for chosen in (honest, leaping):
        chosen.gap([record(10, 7200)], NOW, at=0.0)
    at = NOW + timedelta(seconds=300)
    (copy,) = [record(50, 7500, at=at)]
    assert honest.gap([copy], at, at=300.0) == leaping.gap([copy], at + timedelta(days=1), at=300.0)

"""Day by day: what is met, what is red, and what does not count."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from airflow_cbr.evidence.check import walk
from airflow_cbr.evidence.judgement import State
from airflow_cbr.evidence.overview import Overview, stretches
from airflow_cbr.evidence.period import Period, VaultPeriod, summarise
from tests.support.bare_store import BareStore
from tests.support.evidence_nights import DAY, HOUR, PAIR, add, add_nights, finding, night, verification

if TYPE_CHECKING:
    from datetime import tzinfo

LATER = datetime(2026, 12, 31, tzinfo=UTC)
MET, MISSED, NONE, DAMAGED = State.MET, State.MISSED, State.NO_EVIDENCE, State.DAMAGED


def march(first: int, last: int, *, now: datetime = LATER, zone: tzinfo = UTC) -> Period:
    return Period(date(2026, 3, first), date(2026, 3, last), zone, now)


def period_of(store: BareStore, first: int = 1, last: int = 5, **changes: Any) -> VaultPeriod:
    return summarise(PAIR, walk(store, PAIR), march(first, last, **changes))


def states(store: BareStore, first: int = 1, last: int = 5, **changes: Any) -> list[State]:
    return [day.state for day in period_of(store, first, last, **changes).days]


def store_of(*nights: int) -> BareStore:
    store = BareStore()
    for number in nights:
        add(store, night(number))
    return store


def test_a_night_without_a_file_is_red_and_one_with_it_is_not() -> None:
    assert states(store_of(0, 1, 3, 4)) == [MET, MET, NONE, MET, MET]


def test_the_days_before_the_first_file_do_not_count_unless_it_is_gone() -> None:
    store = store_of(2, 3, 4)
    assert states(store) == [State.BEFORE, State.BEFORE, MET, MET, MET]

    del store.files[PAIR][store.names(PAIR)[0]]
    assert states(store) == [NONE, NONE, NONE, MET, MET]


def test_what_is_not_over_is_no_gap_but_what_it_has_shown_counts() -> None:
    store = store_of(0, 1)
    assert states(store, now=night(2, 1)) == [MET, MET, State.PENDING, State.PENDING, State.PENDING]
    add(store, night(2), verification({"web-01": None}, verdict="failed"))
    assert states(store, now=night(2, 1)) == [MET, MET, MISSED, State.PENDING, State.PENDING]


def test_a_second_attempt_makes_a_day_good_unless_the_rpo_was_broken() -> None:
    store = store_of(0)
    add(store, night(1), verification(verdict="failed", findings=(finding(),)))
    add(store, night(1, 1))
    add(store, night(2), verification({"web-01": 3 * DAY}, verdict="failed"))
    add(store, night(2, 1))
    add(store, night(3))
    add(store, night(3, 1), verification(verdict="failed", findings=(finding(),)))

    found = period_of(store, last=4)

    assert [day.state for day in found.days] == [MET, MET, MISSED, MISSED]
    assert [day.verifications for day in found.days] == [1, 2, 2, 2]
    assert [day.age for day in found.days] == [HOUR, HOUR, 3 * DAY, HOUR]
    assert [reason.key for reason in found.days[2].reasons] == ["too_old"]


def test_the_order_of_files_with_the_same_day_is_that_of_their_times() -> None:
    """The clock of a worker does not decide which of two came last."""
    store = store_of(0)
    add(store, night(1, 1))
    add(store, night(1), verification(verdict="failed", findings=(finding(),)))
    assert states(store, last=2) == [MET, MET]


@pytest.mark.parametrize("number", [0, 2, 4])
def test_a_changed_file_makes_its_day_red_also_where_it_can_be_read(number: int) -> None:
    store = store_of(0, 1, 2, 3, 4)
    name = store.names(PAIR)[number]
    store.files[PAIR][name] = store.files[PAIR][name].replace(b'"web-01"', b'"web-02"')
    found = period_of(store)

    assert len(found.problems) == 1
    assert found.days[number].state.is_gap
    assert not any(day.state is MET for day in found.days[max(number - 1, 0) : number + 1]), "nothing confirms the one before it"
    assert found.count(MET) == (4 if number == 0 else 3)


def test_one_that_asked_for_less_changes_nothing() -> None:
    """A nightly chain without an RPO runs beside the audit that has one."""
    store = store_of(0, 1)
    add(store, night(1, 1), verification(max_age=None))
    add(store, night(2), verification(verdict="failed", findings=(finding(),)))
    add(store, night(2, 1), verification(max_age=None))
    add(store, night(3), verification(max_age=None))
    found = period_of(store, last=4)
    assert [day.state for day in found.days] == [MET, MET, MISSED, State.UNPROVEN]
    assert found.rpo == DAY


def test_content_that_is_something_else_is_damage() -> None:
    store = store_of(0)
    add(store, night(1), {"report": "verified"})
    found = period_of(store, last=2)
    assert [day.state for day in found.days] == [MET, DAMAGED]
    assert [problem.kind for problem in found.problems] == ["damaged"]


def test_days_begin_at_the_midnight_of_the_time_zone() -> None:
    """Two in the morning of UTC is ten in Shanghai, and the evening before in New York."""
    store = store_of(1)
    assert states(store, 1, 3, zone=ZoneInfo("Asia/Shanghai"))[1] is MET
    assert states(store, 1, 3, zone=ZoneInfo("America/New_York"))[0] is MET


def test_the_figures_are_those_of_the_period() -> None:
    store = BareStore()
    for number, age in enumerate([9 * DAY, HOUR, 2 * HOUR, 3 * HOUR, None]):
        add(store, night(number), verification({"web-01": age}, max_age=30 * DAY))

    found = period_of(store, 2, 4)
    assert (found.worst, found.median, found.rpo) == (3 * HOUR, 2 * HOUR, 30 * DAY)
    assert period_of(store).worst == math.inf
    assert period_of(store).median == 3 * HOUR
    assert (period_of(store, 20, 25).worst, period_of(store, 20, 25).median) == (None, None)


def test_the_longest_time_without_proof_takes_in_the_ends_and_what_failed() -> None:
    store = store_of(0, 1)
    add(store, night(2), verification(verdict="failed", findings=(finding(),)))
    add(store, night(3))
    assert period_of(store, 1, 4).longest == 2 * DAY
    assert period_of(store, 1, 31).longest == (datetime(2026, 4, 1, tzinfo=UTC) - night(3)).total_seconds()
    assert period_of(store, 1, 31, now=night(4)).longest == 2 * DAY
    assert period_of(store, 10, 12).longest == 3 * DAY


def test_drills_and_other_kinds_are_told_and_are_no_verifications() -> None:
    store = store_of(0)
    add(store, night(1), {"verdict": "successful", "resource_name": "web-01", "seconds": 840.0}, kind="drill")
    add(store, night(1, 1), {"verdict": "failed", "reason": "no boot"}, kind="drill")
    add(store, night(1, 2), {"any": "thing"}, kind="prune")

    found = period_of(store, last=2)

    assert [day.state for day in found.days] == [MET, NONE]
    assert [(drill.passed, drill.content.resource_name) for drill in found.drills] == [(True, "web-01"), (False, None)]
    assert found.others == 1


def test_days_that_say_the_same_are_told_together() -> None:
    store = store_of(0)
    for number in (3, 4):
        add(store, night(number), verification({"web-01": (number + 1) * DAY}, verdict="failed"))
    found = [(one.first.day, one.last.day, one.state) for one in stretches(period_of(store, last=6).days)]
    assert found == [(2, 3, NONE), (4, 5, MISSED), (6, 6, NONE)]


def test_the_totals_are_the_sums() -> None:
    overview = Overview()
    for _ in range(2):
        overview.add(period_of(store_of(0, 1, 3)))
    assert (overview.judged, overview.gaps, overview.count(MET), overview.files) == (10, 4, 6, 6)
    assert (overview.worst, overview.median) == (HOUR, HOUR)


def test_a_long_outage_is_one_line() -> None:
    store = BareStore()
    add_nights(store, 1)
    period = Period(date(2026, 3, 1), date(2026, 3, 1) + timedelta(days=364), UTC, datetime(2028, 1, 1, tzinfo=UTC))
    found = summarise(PAIR, walk(store, PAIR), period)
    assert found.count(NONE) == 364
    assert len(list(stretches(found.days))) == 1

"""What time it is, whichever single clock is wrong."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from airflow_cbr.verification.clocks import Clocks
from tests.support.replication_rows import NOW

HOUR = timedelta(hours=1)
LONG_AGO = NOW.replace(year=1900)


@pytest.mark.parametrize(
    ("source", "destination", "machine", "now"),
    [
        (NOW, NOW + HOUR, NOW + 2 * HOUR, NOW + HOUR),
        (LONG_AGO, NOW, NOW + HOUR, NOW),
        (NOW, LONG_AGO, NOW + HOUR, NOW),
        (NOW, NOW + HOUR, LONG_AGO, NOW),
        (NOW, None, NOW + HOUR, NOW + HOUR),
        (None, NOW + HOUR, NOW, NOW + HOUR),
    ],
)
def test_the_middle_clock_counts_and_of_two_the_later(
    source: datetime | None, destination: datetime | None, machine: datetime, now: datetime
) -> None:
    clocks = Clocks(source, destination, machine)
    assert clocks.now == clocks.service_now == now


def test_where_no_service_says_its_time_this_machines_counts_for_expiries_alone() -> None:
    clocks = Clocks(None, None, NOW)
    assert clocks.now == NOW
    assert clocks.service_now is None
    assert clocks.doubt is None


def test_this_machines_clock_is_read_now() -> None:
    before = Clocks.read(NOW, None).machine
    clocks = Clocks.read(NOW, LONG_AGO)
    assert (clocks.source, clocks.destination) == (NOW, LONG_AGO)
    assert before <= clocks.machine <= Clocks.read(None, None).machine


def test_clocks_that_lie_more_than_an_hour_apart_are_doubted() -> None:
    assert Clocks(NOW, NOW + HOUR, NOW).doubt is None
    assert Clocks(NOW, NOW + HOUR + timedelta(seconds=1), NOW).doubt == (
        "The clocks differ by more than an hour: the source says 2026-11-24T12:00:00+00:00, "
        "the destination says 2026-11-24T13:00:01+00:00, this machine says 2026-11-24T12:00:00+00:00. "
        "Ages and expiry times are judged by 2026-11-24T12:00:00+00:00."
    )
    assert Clocks(None, NOW - 2 * HOUR, NOW).doubt is not None

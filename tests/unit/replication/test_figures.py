"""How much of a vault is where: the counts, the GB, and since when copies have run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_cbr.inventory.settled import Settled
from airflow_cbr.once.clock import ServiceClock
from airflow_cbr.replication.figures import Figures, figures_of, running_since
from airflow_cbr.replication.state import ReplicationState
from tests.support.hostile_service import BEGIN as NOW
from tests.support.looks import backup, look, record


def figures(**fields: Any) -> Figures:
    given: dict[str, Any] = {
        "eligible": 6,
        "copied": 0,
        "before": 0,
        "running": 0,
        "skipped": 0,
        "gb": 0.0,
        "gb_before": 0.0,
        "seconds": None,
    }
    return Figures(**given | fields)


def state(**fields: Any) -> ReplicationState:
    return ReplicationState(deadline=NOW + 86400, **fields)


def test_each_backup_is_counted_where_it_is() -> None:
    seen = look(
        backup("a", record("accepted", "success"), resource_size=10),
        backup("b", record("adopted", "success"), resource_size=20),
        backup("c", record("before", "success"), resource_size=3),
        backup("d", record("running", "replicating"), resource_size=500),
        backup("e", resource_size=500),
        backup("f", status="error", resource_size=500),
        backup("g", record("failed", "fail"), resource_size=500),
        backup("h", record("disowned", "replicating"), resource_size=500),
    )
    known = state(
        accepted={"accepted": "a", "running": "d", "failed": "g"}, adopted={"adopted": "b"}, disowned=["disowned"], copying_since=NOW - 60.5
    )
    found = figures_of(seen, known, now=NOW)
    assert found == figures(eligible=7, copied=2, before=1, running=1, skipped=1, gb=30.0, gb_before=3.0, seconds=60.5)


@pytest.mark.parametrize(
    ("listed", "is_sizeless", "gb"), [(3, False, 43.0), (None, False, None), (3, True, None), (None, True, None)], ids=str
)
def test_what_was_there_before_has_a_size_if_each_of_it_has_one(listed: int | None, is_sizeless: bool, gb: float | None) -> None:
    seen = look(backup("a", record("before", "success"), resource_size=listed))
    found = figures_of(replace(seen, settled=Settled(backups=2, gb=40, is_sizeless=is_sizeless)), state(), now=NOW)
    assert (found.before, found.gb_before) == (3, gb)


@pytest.mark.parametrize(("since", "seconds"), [(None, None), (NOW - 5, 5.0), (NOW, 0.0), (NOW + 5, 0.0), (0.0, NOW)])
def test_the_time_that_copies_took_is_never_less_than_nothing(since: float | None, seconds: float | None) -> None:
    assert figures_of(look(), state(copying_since=since), now=NOW).seconds == seconds


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        ({}, {"eligible": 6, "gb": 0.0, "gb_already": 0.0, "seconds": None}),
        (
            {"eligible": 2, "gb": 1.23456, "gb_before": 7.65432, "seconds": 61.26},
            {"eligible": 2, "gb": 1.235, "gb_already": 7.654, "seconds": 61.3},
        ),
    ],
)
def test_the_xcom_has_rounded_numbers(fields: dict[str, Any], row: dict[str, float | None]) -> None:
    assert figures(**fields).row == row


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"copied": 3, "before": 3, "gb": 200.0, "seconds": 725.0},
            "6 of 6 eligible backups are there: 3 copied now (at most 200 GB in 12 min 5 s, 276 MB/s), 3 before",
        ),
        ({"copied": 1, "gb": 2.0}, "1 of 6 eligible backups is there: 1 copied now (at most 2 GB), 0 before"),
        ({"copied": 1, "gb": 2.0, "seconds": 0.5}, "1 of 6 eligible backups is there: 1 copied now (at most 2 GB in 0 s), 0 before"),
        ({"eligible": 1, "before": 1, "seconds": 9.0}, "1 of 1 eligible backup is there: 0 copied now, 1 before"),
        ({"running": 2, "skipped": 3}, "0 of 6 eligible backups are there: 0 copied now, 0 before, 2 still running, 3 not eligible"),
    ],
)
def test_the_line_says_what_was_copied_and_what_it_took(fields: dict[str, Any], line: str) -> None:
    assert figures(**fields).line == line


# --- since when copies run ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ages", "since"), [([], None), ([None], None), ([60.0], 60.0), ([60.0, 300.0, None], 300.0), ([-60.0], 0.0)], ids=str
)
@pytest.mark.parametrize("ahead", [0.0, 1000.0])
def test_the_oldest_running_copy_says_since_when(ages: list[float | None], since: float | None, ahead: float) -> None:
    rows = [
        backup(letter, record(f"r-{letter}", "replicating", at=None if age is None else NOW - age))
        for letter, age in zip("abc", ages, strict=False)
    ]
    ended = backup("z", record("ended", "success", at=NOW - 10_000))
    clock = ServiceClock(lambda: NOW)
    clock.hear(datetime.fromtimestamp(NOW + ahead, UTC))
    assert running_since(look(*rows, ended), clock) == (None if since is None else NOW - since)

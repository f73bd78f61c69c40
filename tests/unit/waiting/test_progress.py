"""The status line, and what of it is news."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_cbr.api.models import ReplicationExtra, ReplicationRecord
from airflow_cbr.waiting.progress import Progress, measure, remaining_seconds

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)


def record(status: str, percent: float | None = None, minutes: float | None = 60) -> ReplicationRecord:
    created = None if minutes is None else (NOW - timedelta(minutes=minutes)).isoformat()
    return ReplicationRecord(id="record", status=status, created_at=created, extra_info=ReplicationExtra(progress=percent))


def test_the_line_of_the_documentation() -> None:
    progress = Progress(total=20, succeeded=12, failed=1, replicating=3, waiting=4, percent=41.2, seconds_left=2 * 3600 + 10 * 60)
    assert progress.line == "12/20 replicated, 1 failed, 3 replicating (41 %), 4 waiting, eta 02:10"


@pytest.mark.parametrize(
    ("records", "unlisted", "line"),
    [
        ([], 2, "0/2 replicated, 2 waiting"),
        ([record("success")] * 3, 0, "3/3 replicated"),
        ([record("success"), record("fail"), record("skip")], 0, "1/3 replicated, 1 failed, 1 skipped"),
        ([record("waiting_replicate")], 0, "0/1 replicated, 1 waiting"),
        ([record("a word invented since")], 0, "0/1 replicated, 1 waiting"),
        ([record("replicating")], 0, "0/1 replicated, 1 replicating"),
        ([record("replicating", 50)], 0, "0/1 replicated, 1 replicating (50 %), eta 01:00"),
        ([record("replicating", 50), record("replicating", 25)], 0, "0/2 replicated, 2 replicating (38 %), eta 03:00"),
        ([record("replicating", 50), record("waiting_replicate")], 0, "0/2 replicated, 1 replicating (50 %), 1 waiting"),
        ([record("replicating", 50)], 1, "0/2 replicated, 1 replicating (50 %), 1 waiting"),
        ([record("replicating", 50, None)], 0, "0/1 replicated, 1 replicating (50 %)"),
    ],
)
def test_the_line_counts_every_record_and_estimates_only_what_it_can(records: list[ReplicationRecord], unlisted: int, line: str) -> None:
    assert measure(records, unlisted=unlisted, now=NOW).line == line


def test_an_estimate_alone_is_no_news_and_a_percent_is() -> None:
    one = measure([record("replicating", 50, 60)], unlisted=0, now=NOW)
    assert one.change_key == measure([record("replicating", 50.4, 61)], unlisted=0, now=NOW).change_key
    assert one.change_key != measure([record("replicating", 51, 60)], unlisted=0, now=NOW).change_key
    assert one.change_key != measure([record("replicating", 50)], unlisted=1, now=NOW).change_key


@pytest.mark.parametrize(("percent", "minutes", "left"), [(50, 60, 3600), (97, 97, 180), (100, 60, 0), (50, -5, 0)])
def test_what_is_left_follows_from_age_and_percentage(percent: float, minutes: float, left: float) -> None:
    assert remaining_seconds(record("replicating", percent, minutes), NOW) == pytest.approx(left)


@pytest.mark.parametrize(("percent", "minutes"), [(None, 60), (0, 60), (-1, 60), (101, 60), (50, None)])
def test_nothing_is_said_of_what_cannot_be_known(percent: float | None, minutes: float | None) -> None:
    assert remaining_seconds(record("replicating", percent, minutes), NOW) is None

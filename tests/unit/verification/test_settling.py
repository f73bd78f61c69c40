"""Verifying again while replicas may settle: how long, and on what."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.once.steps import Pause
from airflow_cbr.verification.faults import Fault
from airflow_cbr.verification.levels import VerificationSpec
from airflow_cbr.verification.report import Report
from airflow_cbr.verification.settling import Settling, SettlingState
from airflow_cbr.verification.verdicts import Verdict
from tests.support.backup_rows import backup_row
from tests.support.replication_rows import HERE, NOW, THERE, Side, record, replica, source

if TYPE_CHECKING:
    from airflow_cbr.verification.source_inventory import BackupRow

BEGAN = 1_800_000_000.0


def look(monkeypatch: pytest.MonkeyPatch, there: Side, *, left: float, poll_interval: float = 30.0) -> Pause | Report:
    """Look once, with so much patience left."""
    monkeypatch.setattr("time.time", lambda: BEGAN)
    here = Side([source(record())])
    state = SettlingState(settle_until=BEGAN + left)
    log = logging.getLogger(__name__)
    spec = VerificationSpec(HERE, THERE)
    return Settling(here.client, there.client, spec, state, poll_interval=poll_interval, log=log).advance()


@pytest.mark.parametrize(("left", "seconds"), [(100.0, 30.0), (30.0, 30.0), (20.0, 20.0), (0.5, 0.5)])
def test_what_may_settle_is_waited_for_until_patience_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, left: float, seconds: float
) -> None:
    with caplog.at_level("INFO"):
        pause = look(monkeypatch, Side([replica(status="protecting")]), left=left)
    assert pause == Pause("replicas may still become available", seconds)
    assert "db (b1)" in caplog.text


@pytest.mark.parametrize("left", [0.0, -1.0])
def test_when_patience_has_ended_the_report_is_the_answer(monkeypatch: pytest.MonkeyPatch, left: float) -> None:
    report = look(monkeypatch, Side([replica(status="protecting")]), left=left)
    assert isinstance(report, Report)
    assert report.counts["failed"] == 1


@pytest.mark.parametrize("status", ["available", "error"])
def test_what_does_not_settle_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    assert isinstance(look(monkeypatch, Side([replica(status=status)]), left=100.0), Report)


def row(**fields: Any) -> BackupRow:
    values: dict[str, Any] = {"id": "b", "name": None, "resource_id": "s", "checkpoint_id": "c", "size": 1, "created": NOW} | fields
    return backup_row(**values)


@pytest.mark.parametrize(
    ("begun", "now", "may_settle"),
    [
        (NOW - timedelta(hours=1), NOW, True),
        (NOW - timedelta(days=1), NOW, True),
        (NOW - timedelta(days=1, seconds=1), NOW, False),
        (NOW - timedelta(days=9), None, True),
        (None, NOW, True),
        (None, None, True),
    ],
)
def test_a_replica_that_is_missing_for_a_day_is_not_expected_any_more(
    begun: datetime | None, now: datetime | None, may_settle: bool
) -> None:
    begun_at = None if begun is None else begun.isoformat()
    missing = row(faults=(Fault.REPLICA_MISSING,), begun_at=begun_at, verdict=Verdict.MISSING)
    assert missing.may_settle(now) is may_settle
    unsettled = row(faults=(Fault.REPLICA_UNSETTLED,), begun_at=begun_at, verdict=Verdict.FAILED)
    assert unsettled.may_settle(now), "one that is there may become available at any time"


def test_what_is_wrong_for_good_does_not_settle() -> None:
    assert not row().may_settle(NOW)
    assert not row(faults=(Fault.REPLICA_UNSETTLED, Fault.REPLICA_SIZE)).may_settle(NOW)


LATER = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [(NOW, LATER, True), (LATER, NOW, False), (NOW, NOW, False), (None, NOW, True), (NOW, None, False), (None, None, False)],
)
def test_a_backup_that_does_not_say_when_it_was_made_counts_as_older(one: datetime | None, other: datetime | None, older: bool) -> None:
    assert row(created=one).is_older_than(row(created=other)) is older

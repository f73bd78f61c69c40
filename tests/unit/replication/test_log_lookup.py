"""What the operation log is asked, and what of it counts, without any service."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

import msgspec
import pytest

from airflow_cbr.api.models import Backup, OperationLog
from airflow_cbr.exceptions import CbrError, CbrNotFoundError, CbrPermissionError, CbrProtocolError, CbrUnavailableError
from airflow_cbr.inventory.coverage import BackupCoverage, Coverage, CoverageStatus, assess
from airflow_cbr.once.ceiling import CallCounts
from airflow_cbr.once.clock import ServiceClock, moment
from airflow_cbr.replication.log_lookup import OperationLogLookup
from airflow_cbr.replication.spec import ReplicationSpec
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.replication.steps import Step
from tests.support.hostile_service import BEGIN, DESTINATION, SOURCE_VAULT, time_text
from tests.support.looks import backup, look, record

SETTLE = 120.0


class Client:
    """Shows these operation logs and backups, and notes what it is asked."""

    def __init__(self, *rows: OperationLog, shows: tuple[str, ...] = (), error: CbrError | None = None) -> None:
        self.rows, self.shows, self.error = rows, shows, error
        self.asked: list[tuple[str | None, datetime | None]] = []

    def list_operation_logs(
        self, *, operation_type: str | None = None, vault_id: str | None = None, start_time: datetime | None = None
    ) -> Iterator[OperationLog]:
        if self.error is not None:
            raise self.error
        self.asked.append((vault_id, start_time))
        yield from self.rows

    def show_backup(self, backup_id: str) -> Backup:
        if backup_id in self.shows:
            return Backup(id=backup_id)
        raise CbrNotFoundError("ShowBackup: no such backup.")


def row(id: str, backup_id: str, status: str, *, at: float = BEGIN, region: str = DESTINATION.region) -> OperationLog:
    return msgspec.convert(
        {
            "id": id,
            "status": status,
            "operation_type": "replication",
            "created_at": time_text(at),
            "extra_info": {
                "replication": {
                    "source_backup_id": backup_id,
                    "destination_region": region,
                    "destination_project_id": DESTINATION.project_id,
                }
            },
        },
        OperationLog,
    )


def lookup(
    client: Client, state: ReplicationState, *, now: float = BEGIN, steps: list[StrEnum] | None = None, **spec: Any
) -> OperationLogLookup:
    @contextlib.contextmanager
    def at(step: StrEnum) -> Iterator[None]:
        if steps is not None:
            steps.append(step)
        yield

    order = ReplicationSpec(vault_id=SOURCE_VAULT, destination=DESTINATION, settle_time=SETTLE, **spec)
    log = logging.getLogger(__name__)
    return OperationLogLookup(cast("Any", client), order, state, clock=ServiceClock(lambda: now), at=at, log=log)


def state(**fields: Any) -> ReplicationState:
    return ReplicationState(deadline=BEGIN + 86400, **fields)


def unrecorded(*ids: str) -> Coverage:
    return assess([Backup(id=one, status="available", image_type="backup", replication_records=[]) for one in ids], DESTINATION)


def begun(client: Client, known: ReplicationState, *, now: float = BEGIN, steps: list[StrEnum] | None = None, **spec: Any) -> list[str]:
    """Return the backups whose copies the log shows as begun."""
    return list(lookup(client, known, now=now, steps=steps, **spec).begun_unseen(list(unrecorded("a", "b").by_backup.values())))


# --- before anything is sent again --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "durable", "asks"),
    [
        (state(), True, False),
        (state(sent={"a": BEGIN}), True, True),
        (state(unsettled_until=BEGIN + 5), True, True),
        (state(calls=CallCounts(by_item={"a": 1})), True, True),
        (state(calls=CallCounts(by_item={"a": 0, "c": 1})), True, False),
        (state(sent={"c": BEGIN}), True, False),
        (state(sent={"a": BEGIN}), False, False),
    ],
)
def test_the_log_is_asked_only_about_calls_whose_effect_is_not_known(known: ReplicationState, durable: bool, asks: bool) -> None:
    client, steps = Client(row("l", "a", "running")), list[StrEnum]()
    assert begun(client, known, steps=steps, durable=durable) == (["a"] if asks else [])
    assert steps == [Step.LOOK_AT_LOG] * asks
    assert len(client.asked) == asks


def test_a_backup_that_has_a_record_is_in_no_doubt_for_having_been_asked_for() -> None:
    known = state(calls=CallCounts(by_item={"a": 1}))
    failed = BackupCoverage(Backup(id="a"), CoverageStatus.FAILED)
    assert lookup(Client(row("l", "a", "running")), known).begun_unseen([failed]) == {}


@pytest.mark.parametrize(
    ("status", "is_begun"),
    [("running", True), ("waiting", True), ("success", True), ("failed", False), ("skipped", False), ("a word", False)],
)
def test_what_runs_or_has_succeeded_has_begun(status: str, is_begun: bool) -> None:
    known = state(sent={"a": BEGIN})
    assert begun(Client(row("l", "a", status), row("m", "b", "running")), known) == ["a"] * is_begun
    assert known.given_up == {}


def test_only_copies_to_the_destination_and_of_this_dag_run_count() -> None:
    known = state(sent={"a": BEGIN}, first_sent_at=BEGIN)
    assert begun(Client(row("l", "a", "running", region="elsewhere")), known) == []
    assert begun(Client(row("l", "a", "running", at=BEGIN - 5)), known) == ["a"]
    assert begun(Client(row("l", "a", "running", at=BEGIN - 6)), known) == []


@pytest.mark.parametrize(
    ("known", "since"),
    [
        (state(sent={"a": BEGIN}, first_sent_at=BEGIN - 60, unsettled_until=BEGIN + 99), BEGIN - 65),
        (state(sent={"a": BEGIN}, unsettled_until=BEGIN + 20), BEGIN + 20 - SETTLE - 5),
        (state(sent={"a": BEGIN}), BEGIN - SETTLE - 5),
    ],
)
def test_the_vaults_log_is_asked_for_since_the_first_call_and_then_that_of_all_vaults(known: ReplicationState, since: float) -> None:
    client = Client()
    begun(client, known)
    assert client.asked == [(SOURCE_VAULT, moment(since)), (None, moment(since))]


def test_a_copy_that_only_the_log_shows_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    known = state(sent={"a": BEGIN})
    with caplog.at_level("INFO"):
        for _ in range(3):
            begun(Client(row("l", "a", "running")), known)
    assert [record.getMessage() for record in caplog.records] == ["The operation log shows a copy of a: running; backup a, operation log l"]


def test_a_copy_that_has_ended_by_the_log_is_given_up_when_no_record_shows_in_time() -> None:
    known = state(sent={"a": BEGIN, "b": BEGIN})
    client = Client(row("l", "a", "success"), row("m", "b", "running"))
    assert begun(client, known) == ["a", "b"]
    assert known.unseen == {"a": BEGIN, "b": BEGIN}
    assert begun(client, known, now=BEGIN + SETTLE - 1) == ["a", "b"]
    assert known.given_up == {}
    assert begun(client, known, now=BEGIN + SETTLE) == ["a", "b"]
    assert known.given_up == {"a": "operation-log l"}
    assert known.unseen == {"a": BEGIN, "b": BEGIN}, "since it was first seen"


# --- what was accepted and is not listed --------------------------------------------------------------------------------------


def followed(client: Client, known: ReplicationState, seen: Coverage, *, now: float) -> dict[str, tuple[CoverageStatus, str]]:
    coverage = lookup(client, known, now=now).follow_unlisted(seen)
    return {one.backup.id: (one.status, one.reason) for one in coverage.by_backup.values()}


@pytest.mark.parametrize(("logs", "trace"), [(True, "record r, operation log l"), (False, "record r")])
def test_a_status_by_the_log_names_the_record_and_the_row(logs: bool, trace: str) -> None:
    rows = [row("l", "a", "running"), row("m", "b", "success")][: 2 * logs]
    coverage = lookup(Client(*rows), state(accepted={"r": "a"}, accepted_at=BEGIN - SETTLE)).follow_unlisted(unrecorded("a", "b"))
    assert coverage.by_backup["a"].trace == trace


def test_within_settle_time_a_copy_that_is_not_listed_is_on_its_way() -> None:
    client = Client(row("l", "a", "success"))
    known = state(accepted={"r": "a"}, accepted_at=BEGIN)
    on_its_way = (CoverageStatus.IN_FLIGHT, "its copy was accepted and is not listed yet")
    assert followed(client, known, unrecorded("a", "b"), now=BEGIN + SETTLE - 1) == {"a": on_its_way, "b": (CoverageStatus.UNRECORDED, "")}
    assert client.asked == []
    status, reason = followed(client, known, unrecorded("a"), now=BEGIN + SETTLE)["a"]
    assert status is CoverageStatus.SUCCEEDED
    assert "the operation log says success" in reason


def test_a_copy_that_neither_list_nor_log_knows_is_lost() -> None:
    known = state(accepted={"r": "a"}, accepted_at=BEGIN - SETTLE)
    status, reason = followed(Client(row("l", "b", "running")), known, unrecorded("a"), now=BEGIN)["a"]
    assert status is CoverageStatus.LOST
    assert "its record is no longer listed, and the operation log does not show the copy" in reason


def test_a_backup_that_is_not_listed_any_more_is_followed_all_the_same() -> None:
    known = state(accepted={"r": "gone"}, accepted_at=BEGIN - SETTLE)
    coverage = lookup(Client(row("l", "gone", "running")), known).follow_unlisted(unrecorded("a"))
    one = coverage.by_backup["gone"]
    assert (one.backup.id, one.backup.name) == ("gone", "a backup that is no longer listed")
    assert one.status is CoverageStatus.IN_FLIGHT
    assert "the operation log says running" in one.reason
    assert coverage.by_backup["a"].status is CoverageStatus.UNRECORDED


def test_without_the_log_a_copy_is_not_called_lost_and_what_keeps_it_from_being_read_for_good_is_an_error() -> None:
    known = state(accepted={"r": "a"}, accepted_at=BEGIN - SETTLE)
    client = Client(error=CbrUnavailableError("ListOpLogs: later."))
    assert followed(client, known, unrecorded("a"), now=BEGIN)["a"][0] is CoverageStatus.IN_FLIGHT
    with pytest.raises(CbrPermissionError):
        followed(Client(error=CbrPermissionError("ListOpLogs: no.")), known, unrecorded("a"), now=BEGIN)


@pytest.mark.parametrize(("fields", "since"), [({"accepted": {"r": "a"}}, BEGIN - 5), ({"adopted": {"r": "a"}}, None)])
def test_a_copy_that_somebody_else_began_may_be_older_than_anything_that_was_sent(fields: Any, since: float | None) -> None:
    client = Client(row("l", "a", "running", at=BEGIN - 9))
    known = state(accepted_at=BEGIN - SETTLE, first_sent_at=BEGIN, **fields)
    status, _ = followed(client, known, unrecorded("a"), now=BEGIN)["a"]
    assert client.asked == [(SOURCE_VAULT, None if since is None else moment(since))]
    assert status is (CoverageStatus.IN_FLIGHT if since is None else CoverageStatus.LOST)


@pytest.mark.parametrize(("stale", "status"), [([], CoverageStatus.FAILED), (["old"], CoverageStatus.IN_FLIGHT)])
def test_another_record_of_its_backup_stands_unless_it_is_an_old_failure(stale: list[str], status: CoverageStatus) -> None:
    known = state(accepted={"new": "a", "next": "b"}, accepted_at=BEGIN, stale=stale)
    coverage = lookup(Client(), known).follow_unlisted(look(backup("a", record("old", "fail")), backup("b")))
    assert coverage.by_backup["a"].status is status
    assert coverage.by_backup["a"].backup.name == "night-a"
    assert coverage.by_backup["b"].status is CoverageStatus.IN_FLIGHT


def test_what_is_listed_is_not_looked_up() -> None:
    client, seen = Client(), unrecorded("a")
    assert lookup(client, state(accepted_at=BEGIN - SETTLE)).follow_unlisted(seen) is seen
    assert client.asked == []


# --- what a later look does not list ------------------------------------------------------------------------------------------


def test_a_backup_that_was_deleted_counts_no_more_and_one_that_is_there_makes_the_listing_wrong() -> None:
    known = state(wanted=["a", "gone", "copied"], accepted={"r": "copied"})
    lookup(Client(), known).look_for_missing(unrecorded("a"))
    assert known.wanted == ["a", "copied"]
    with pytest.raises(CbrProtocolError, match=f"{SOURCE_VAULT} is incomplete: it lacks one that exists, backup there"):
        lookup(Client(shows=("there",)), state(wanted=["there"])).look_for_missing(unrecorded("a"))
    lookup(Client(shows=("a",)), state(wanted=None)).look_for_missing(unrecorded())

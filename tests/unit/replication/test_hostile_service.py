"""Whatever a service answers: no second copy where its copies show, and no way past the ceiling."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cbr.exceptions import (
    CbrAlreadyReplicatedError,
    CbrCallLimitError,
    CbrError,
    CbrOutcomeUnknownError,
    CbrThrottledError,
    CbrUnavailableError,
    CbrVaultReplicatingError,
)
from airflow_cbr.once.ceiling import CALLS_PER_ITEM, calls_per_task
from airflow_cbr.replication.steps import Result
from tests.support.hostile_service import BEGIN, HostileService, run, time_text

BACKUPS = [f"{number:08x}-1111-4111-8111-111111111111" for number in range(4)]
DAY = 86400.0
Row = dict[str, Any]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep the log lines of thousands of attempts out of the reports."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _drop_time(record: Row, rng: random.Random) -> None:
    record.pop("created_at")


def _odd_time(record: Row, rng: random.Random) -> None:
    record["created_at"] = rng.choice(["", "never", "1900-01-01T00:00:00", "9999-12-31T23:59:59", time_text(BEGIN), None, "2026-13-45"])


def _drop_destination(record: Row, rng: random.Random) -> None:
    record.pop(rng.choice(["destination_vault_id", "destination_project_id", "destination_region"]))


def _drop_source(record: Row, rng: random.Random) -> None:
    record.pop("source_backup_id")


def _drop_extra(record: Row, rng: random.Random) -> None:
    record["extra_info"] = rng.choice([None, "no json", "{}", '{"progress": 3}'])


def _odd_status(record: Row, rng: random.Random) -> None:
    record["status"] = rng.choice([None, "", "REPLICATING", "done?", "waiting_replicate"])


RECORD_FAULTS: list[Callable[[Row, random.Random], None]] = [
    _drop_time, _odd_time, _drop_destination, _drop_source, _drop_extra, _odd_status,
]  # fmt: skip


def distortion(faults: list[Callable[[Row, random.Random], None]]) -> Callable[[Row, random.Random], Row]:
    """Return what changes each row anew at each look: some of these faults, records in any order, records twice."""

    def distort(row: Row, rng: random.Random) -> Row:
        records = row["replication_records"]
        for record in records:
            for fault in faults:
                if rng.random() < 0.5:
                    fault(record, rng)
        if rng.random() < 0.3:
            records += [dict(record) for record in records if rng.random() < 0.5]
        rng.shuffle(records)
        return row

    return distort


def errors() -> list[CbrError | None]:
    return [
        None,
        CbrOutcomeUnknownError("CopyCheckpoint: no answer."),
        CbrUnavailableError("CopyCheckpoint: try later.", error_code="BackupService.1007"),
        CbrAlreadyReplicatedError("CopyCheckpoint: replicated.", error_code="BackupService.1009"),
        CbrThrottledError("CopyCheckpoint: too many requests."),
        CbrVaultReplicatingError("CopyCheckpoint: replicating.", error_code="BackupService.6130"),
    ]


@pytest.mark.campaign
@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    faults=st.lists(st.sampled_from(RECORD_FAULTS), unique=True, max_size=4),
    answers=st.lists(st.tuples(st.booleans(), st.sampled_from(range(6))), min_size=1, max_size=4),
    outcomes=st.lists(st.sampled_from(["success", "success", "fail", "skip"]), min_size=1, max_size=5),
    dates=st.lists(st.sampled_from([0.0, 0.0, 600.0, -600.0, DAY, -DAY, -BEGIN - 2e9, None]), min_size=1, max_size=4),
    store=st.booleans(),
    deferred=st.booleans(),
)
def test_nothing_is_copied_twice_and_the_ceiling_holds(
    seed: int,
    faults: list[Callable[[Row, random.Random], None]],
    answers: list[tuple[bool, int]],
    outcomes: list[str],
    dates: list[float | None],
    store: bool,
    deferred: bool,
) -> None:
    service = HostileService(
        list(BACKUPS),
        rng=random.Random(seed),
        answers=[(taken, errors()[number]) for taken, number in answers],
        distort=distortion(faults),
        dates=dates,
        outcomes=outcomes,
    )
    result = run(service, store=store, deferred=deferred, timeout=DAY, poll_interval=60.0)
    assert not service.duplicates
    if isinstance(result, Result):
        assert {copy.backup_id for copy in service.copies if copy.outcome == "success" and copy.ends <= service.now} == set(BACKUPS)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    taken=st.booleans(),
    number=st.sampled_from([0, 1, 2, 3]),
    hide=st.sampled_from(["records", "ids", "everything"]),
    attempts=st.integers(1, 30),
)
def test_a_service_that_hides_what_it_does_is_asked_a_stated_number_of_times(
    seed: int, taken: bool, number: int, hide: str, attempts: int
) -> None:
    """Records never show, nor does the operation log: no logic can know, and the ceiling alone stands."""

    class Hiding(HostileService):
        def list_operation_logs(self, **_: Any) -> Any:
            self._exchange()
            return iter(())

    def distort(row: Row, rng: random.Random) -> Row:
        for record in row["replication_records"]:
            if hide == "ids":
                record["id"] = f"{rng.getrandbits(60):x}"
            record["status"] = "fail"
        if hide != "ids":
            row["replication_records"] = []
        return row

    service = Hiding(list(BACKUPS), rng=random.Random(seed), answers=[(taken, errors()[number])], distort=distort)
    result = run(service, attempts=attempts, timeout=DAY)
    assert isinstance(result, CbrError)
    assert service.most_calls() <= CALLS_PER_ITEM
    assert len(service.posts) <= calls_per_task(len(BACKUPS))
    if service.most_calls() == CALLS_PER_ITEM and attempts == 30:
        assert isinstance(result, CbrCallLimitError)
        assert result.permanent


@pytest.mark.parametrize("off", [600.0, -600.0, DAY, -DAY, -BEGIN - 2e9])
@pytest.mark.parametrize("answer", [0, 1])
def test_one_answer_with_a_wrong_date_changes_nothing_that_is_sent(off: float, answer: int) -> None:
    def posts(dates: list[float | None]) -> list[tuple[str, ...]]:
        service = HostileService(list(BACKUPS), answers=[(True, errors()[answer]), (True, None)], dates=dates)
        assert isinstance(run(service), Result)
        return [asked for _, asked in service.posts]

    def with_wrong(which: int) -> list[float | None]:
        return [off if number == which else 0.0 for number in range(200)]

    as_ever = posts([0.0])
    assert {which: sent for which in range(8) if (sent := posts(with_wrong(which))) != as_ever} == {}

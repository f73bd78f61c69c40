"""Settled backups are counted and forgotten: what follows from a look is what follows where every row is kept."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cbr.api.summaries import BackupSummary
from airflow_cbr.inventory.coverage import Coverage, CoverageStatus, assess, coverage_of
from airflow_cbr.inventory.settled import SettledBackups, digest_of
from airflow_cbr.replication import decisions
from airflow_cbr.replication.figures import figures_of
from airflow_cbr.replication.spec import ReplicationSpec
from airflow_cbr.replication.state import ReplicationState
from tests.support.replication_rows import HERE, SERVERS, THERE

Row = dict[str, Any]
MIDNIGHT, ONE_O_CLOCK = "2026-11-24T00:00:00", "2026-11-24T01:00:00.000000"
MIDNIGHT_TIME = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RECORDS = [f"r{number}" for number in range(1, 9)]

RECORD = st.fixed_dictionaries(
    {
        "id": st.sampled_from(RECORDS),
        "status": st.sampled_from(["success", "success", "success", "fail", "skip", "replicating", None]),
        "created_at": st.sampled_from([None, MIDNIGHT, ONE_O_CLOCK, "2026-11-24", "no time"]),
        "destination_region": st.sampled_from([THERE.region, THERE.region, THERE.region, "other", None]),
        "destination_project_id": st.sampled_from([THERE.project_id, THERE.project_id, None]),
        "destination_vault_id": st.sampled_from([THERE.vault_id, THERE.vault_id, THERE.vault_id, "d" * 32, None]),
        "extra_info": st.sampled_from([None, {"progress": 100}, {"fail_code": "BackupService.6129"}, '{"progress": 100}']),
    }
)
ROW = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["b1", "b2", "b3", "b4"]),
        "name": st.sampled_from([None, "nightly"]),
        "vault_id": st.just(HERE),
        "status": st.sampled_from(["available", "available", "available", "protecting", "error"]),
        "image_type": st.sampled_from(["backup", "backup", None, "replication"]),
        "provider_id": st.sampled_from([SERVERS, "d1603440-187d-4516-af25-121250c7cc97"]),
        "resource_size": st.sampled_from([None, 0, 40, 40.0, 0.1, -1, 1e300]),
        "created_at": st.sampled_from([None, MIDNIGHT, ONE_O_CLOCK]),
        "replication_records": st.one_of(st.none(), st.lists(RECORD, max_size=1), st.lists(RECORD, max_size=3)),
    }
)
STATE = st.builds(
    lambda accepted, adopted, wanted, began: ReplicationState(
        deadline=0.0, accepted=accepted, adopted=adopted, wanted=wanted, began=began, stale=["r1", "r2"]
    ),
    accepted=st.dictionaries(st.sampled_from(RECORDS), st.sampled_from(["b1", "b2"]), max_size=2),
    adopted=st.dictionaries(st.sampled_from(RECORDS), st.sampled_from(["b3", "gone"]), max_size=2),
    wanted=st.one_of(st.none(), st.lists(st.sampled_from(["b1", "b2", "b3"]), unique=True)),
    began=st.sampled_from([None, MIDNIGHT_TIME - 1, MIDNIGHT_TIME, MIDNIGHT_TIME + 7200]),
)


def is_covered(backup: BackupSummary) -> bool:
    return coverage_of(backup, THERE).status is CoverageStatus.SUCCEEDED


def rows_of(rows: list[Row]) -> list[BackupSummary]:
    return [msgspec.convert(row, BackupSummary) for row in rows]


def look(rows: list[Row], state: ReplicationState, *, reduced: bool) -> Coverage:
    taken = SettledBackups(
        is_covered, backup_ids={*(state.wanted or ()), *state.followed.values()}, record_ids=state.followed, since=state.began
    )
    return assess(rows_of(rows), THERE, counted=state.wanted or (), own=state.accepted, settled=taken if reduced else None)


def what_follows(coverage: Coverage, state: ReplicationState) -> dict[str, Any]:
    """Return everything that a task reads from a look."""
    wanted = decisions.needed(coverage, state)
    counts = decisions.counts_of(coverage, state)
    failure = decisions.failure(coverage, state, ReplicationSpec(vault_id=HERE, destination=THERE))
    figures = figures_of(coverage, state, now=0.0)
    return {
        "needed": sorted(one.backup.id for one in wanted),
        "uncovered": sorted(decisions.uncovered(coverage)),
        "by vault": decisions.asks_for_vault(coverage, state, wanted),
        "unlisted": decisions.unlisted(coverage, state),
        "running": sorted(decisions.running(coverage, state)),
        "progress": decisions.progress_of(coverage, state, now=NOW).line,
        "begun": decisions.has_begun(coverage, since=state.began),
        "newest": decisions.newest_record_time(coverage),
        "times": sorted(coverage.record_times()),
        "adoptable": sorted(decisions.adoptable(coverage, state, since=state.began)),
        "followed": decisions.record_ids_of(coverage, state),
        "counts": counts,
        "gb": figures.gb,
        "failure": (type(failure), sorted(str(failure).replace(" What to do", "\n").split("\n"))),
        "figures": (figures.eligible, figures.copied, figures.before, figures.running, figures.skipped, figures.row["gb_already"]),
        "digest": coverage.record_digest,
        "eligible": coverage.eligible_number,
        "as of": coverage.as_of,
        "lists records": coverage.lists_records,
    }


def is_clear(rows: list[Row]) -> bool:
    """Return whether no record is listed for two backups: which of them has it then is not said by any rule."""
    of: dict[str, str] = {}
    return all(of.setdefault(one["id"], row["id"]) == row["id"] for row in rows for one in row["replication_records"] or ())


@settings(max_examples=200, deadline=None, derandomize=True)
@given(rows=st.lists(ROW, max_size=6).filter(is_clear), seed=st.integers(0, 2**32), state=STATE)
@pytest.mark.campaign
def test_what_follows_from_a_look_does_not_hang_on_what_is_kept_of_it(rows: list[Row], seed: int, state: ReplicationState) -> None:
    shuffled = random.Random(seed).sample(rows, len(rows))
    expected = what_follows(look(rows, state, reduced=False), state)
    assert what_follows(look(rows, state, reduced=True), state) == expected
    assert what_follows(look(shuffled, state, reduced=True), state) == expected


@settings(max_examples=100, deadline=None, derandomize=True)
@given(rows=st.lists(ROW, min_size=1, max_size=6))
def test_a_row_that_was_taken_can_be_given_back_whole(rows: list[Row]) -> None:
    taken = SettledBackups(is_covered)
    held = {row.id: row for row in rows_of(rows) if taken.take(row)}
    before = taken.settled
    assert before.backups == len(held)
    for backup_id, row in held.items():
        assert msgspec.to_builtins(taken.give_back(backup_id)) == msgspec.to_builtins(row)
        assert taken.give_back(backup_id) is None
    after = taken.settled
    assert (after.backups, after.gb, list(after.times), after.timeless, after.digest) == (0, 0, [], False, 0)


def plain(number: int, **fields: Any) -> Row:
    record = {
        "id": f"r{number}", "status": "success", "created_at": MIDNIGHT, "destination_region": THERE.region,
        "destination_project_id": THERE.project_id, "destination_vault_id": THERE.vault_id, "extra_info": {"progress": 100},
    }  # fmt: skip
    return {"id": f"b{number}", "status": "available", "resource_size": 40, "replication_records": [record], **fields}


def test_a_night_keeps_the_new_backups_alone() -> None:
    state = ReplicationState(deadline=0.0)
    rows = [plain(number) for number in range(500)] + [plain(number, replication_records=[]) for number in range(500, 505)]
    coverage = look(rows, state, reduced=True)
    assert sorted(coverage.by_backup) == ["b500", "b501", "b502", "b503", "b504"]
    assert (coverage.settled.backups, coverage.settled.gb, dict(coverage.records)) == (500, 20_000, {})


def test_what_is_followed_or_made_since_the_first_call_is_kept() -> None:
    def kept(**known: Any) -> set[str]:
        return set(look([plain(1), plain(2)], ReplicationState(deadline=0.0, **known), reduced=True).by_backup)

    assert kept() == set()
    assert kept(wanted=["b1"]) == {"b1"}
    assert kept(adopted={"r2": "elsewhere"}) == {"b2"}
    assert kept(accepted={"gone": "b1"}) == {"b1"}
    assert kept(began=MIDNIGHT_TIME) == set()
    assert kept(began=MIDNIGHT_TIME - 1) == {"b1", "b2"}


def test_a_digest_shows_whether_a_record_has_appeared() -> None:
    assert digest_of(["a", "b"]) == digest_of(["b", "a"]) == digest_of(["a"]) + digest_of(["b"])
    assert digest_of(["a"]) != digest_of(["a", "b"]) != digest_of(["a", "c"])

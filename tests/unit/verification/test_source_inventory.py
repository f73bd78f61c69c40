"""Which of a resource's backups may be its newest, and how a row names itself and takes its verdict."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.verification.faults import Fault
from airflow_cbr.verification.source_inventory import SourceInventory
from airflow_cbr.verification.verdicts import Verdict
from tests.support.backup_rows import backup_row

if TYPE_CHECKING:
    from airflow_cbr.verification.source_inventory import BackupRow

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def row(id: str, resource_id: str | None = "server", *, age: int | None = 0, **fields: Any) -> BackupRow:
    """Return a row of a backup that was made so many days ago, or does not say when."""
    return backup_row(id, resource_id=resource_id, created=None if age is None else NOW - timedelta(days=age), **fields)


def perhaps_newest(*rows: BackupRow, resource_id: str = "server") -> set[str]:
    """Return the ids of those that may be the newest, in whatever order the rows come."""
    found = []
    for order in permutations(rows):
        inventory = SourceInventory(list(order), [])
        ids = [one.id for one in inventory.perhaps_newest(resource_id)]
        assert len(ids) == len(set(ids))
        assert not ids or ids[0] == inventory.newest[resource_id].id
        found.append(set(ids))
    assert all(ids == found[0] for ids in found)
    return found[0]


def test_the_backup_that_was_made_last_is_the_newest() -> None:
    assert perhaps_newest(row("old", age=2), row("new", age=1), row("older", age=3)) == {"new"}


def test_backups_that_were_made_at_the_same_moment_may_all_be_the_newest() -> None:
    assert perhaps_newest(row("a"), row("b"), row("old", age=1), row("c")) == {"a", "b", "c"}
    assert perhaps_newest(row("new"), row("a", age=1), row("b", age=1)) == {"new"}, "those of an older moment may not"


def test_a_backup_without_a_time_may_be_the_newest() -> None:
    assert perhaps_newest(row("a", age=1), row("old", age=2), row("x", age=None), row("y", age=None)) == {"a", "x", "y"}
    assert perhaps_newest(row("x", age=None), row("y", age=None)) == {"x", "y"}


def test_a_backup_that_is_not_eligible_is_never_the_newest() -> None:
    assert perhaps_newest(row("a", age=1), row("b", is_eligible=False), row("x", age=None, is_eligible=False)) == {"a"}
    assert perhaps_newest(row("b", is_eligible=False)) == set()


def test_each_resource_has_its_own_newest_backup() -> None:
    rows = [row("a", age=2), row("b", "db", age=1), row("c", "db", age=1), row("d", "other", age=None), row("e", "other", age=None)]
    inventory = SourceInventory(rows, ["r9"], {"db": "orders"})
    assert {one.id for one in inventory.all_perhaps_newest} == {"a", "b", "c", "d", "e"}
    assert {key: one.id for key, one in inventory.newest.items()} == {"server": "a", "db": "b", "other": "d"}
    assert inventory.perhaps_newest("unknown") == []
    assert (inventory.unlisted, inventory.resource_names) == (["r9"], {"db": "orders"})


def test_a_backup_of_no_known_resource_is_the_newest_of_its_own() -> None:
    inventory = SourceInventory([row("a", None), row("b", None, age=1), row("c", "", age=1)], [])
    assert set(inventory.newest) == {"a", "b", "c"}
    assert inventory.resource_names == {}


def test_the_rows_that_get_a_verdict_come_in_the_order_of_the_listing() -> None:
    rows = [row("b", is_judged=True), row("x"), row("a", is_judged=True)]
    assert [one.id for one in SourceInventory(rows, []).judged] == ["b", "a"]


# --- one row ------------------------------------------------------------------------------------------------------------------

ALL_TEXTS = st.text() | st.uuids().map(str) | st.uuids().map(lambda one: one.hex) | st.sampled_from(["", "None", "null", "\0", "备份"])
MAYBE = st.none() | ALL_TEXTS


@given(ALL_TEXTS, MAYBE, MAYBE, MAYBE)
def test_a_row_says_what_it_was_given_whatever_that_looks_like(
    id: str, name: str | None, record_id: str | None, begun_at: str | None
) -> None:
    one = backup_row(id, name, record_id=record_id, begun_at=begun_at)
    assert (one.id, one.begun_at) == (id, begun_at)
    assert (one.texts.id, one.texts.name, one.texts.record_id) == (id, name, record_id)


@given(ALL_TEXTS, MAYBE, MAYBE, ALL_TEXTS, MAYBE)
def test_the_record_that_decides_changes_nothing_else_in_a_row(
    id: str, name: str | None, before: str | None, record_id: str, begun_at: str | None
) -> None:
    one = backup_row(id, name, record_id=before, begun_at="2026-11-24", resource_id="server", replica_id="replica")
    one.decide_by(record_id, begun_at)
    assert one == backup_row(id, name, record_id=record_id, begun_at=begun_at, resource_id="server", replica_id="replica")
    one.decide_by(record_id)
    assert (one.texts.record_id, one.begun_at) == (record_id, None)


@given(st.tuples(ALL_TEXTS, MAYBE, MAYBE, MAYBE), st.tuples(ALL_TEXTS, MAYBE, MAYBE, MAYBE))
def test_rows_are_alike_exactly_if_all_their_texts_are(ours: Any, theirs: Any) -> None:
    rows = [backup_row(id, name, record_id=record_id, begun_at=begun_at) for id, name, record_id, begun_at in (ours, theirs)]
    assert (rows[0] == rows[1]) is (ours == theirs)


@pytest.mark.parametrize(("name", "subject"), [("db", "db (b1)"), (None, "b1"), ("", "b1")])
def test_a_message_names_a_backup_by_name_and_id(name: str | None, subject: str) -> None:
    assert row("b1", name=name).subject == subject


def test_a_verdict_follows_from_what_is_wrong() -> None:
    one = row("b1")
    assert (one.verdict, one.is_verified) == (None, False)
    one.confirm()
    assert (one.verdict, one.is_verified) == (Verdict.VERIFIED, True)
    one.refuse("gone", Fault.REPLICA_MISSING)
    assert (one.verdict, one.faults, one.reason, one.is_verified) == (Verdict.MISSING, (Fault.REPLICA_MISSING,), "gone", False)
    one.refuse("both", Fault.REPLICA_MISSING, Fault.REPLICA_SIZE)
    assert (one.verdict, one.faults, one.reason) == (Verdict.FAILED, (Fault.REPLICA_MISSING, Fault.REPLICA_SIZE), "both")
    other = row("b2")
    other.skip("not asked")
    assert (other.verdict, other.faults, other.reason, other.is_verified) == (Verdict.SKIPPED, (), "not asked", False)

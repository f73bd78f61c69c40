"""Which of a resource's backups may be its newest, and how a row names itself and takes its verdict."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from airflow_cbr.verification.faults import Fault
from airflow_cbr.verification.source_inventory import BackupRow, SourceInventory
from airflow_cbr.verification.verdicts import Verdict

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def row(id: str, resource_id: str | None = "server", *, age: int | None = 0, **fields: Any) -> BackupRow:
    """Return a row of a backup that was made so many days ago, or does not say when."""
    given: dict[str, Any] = {"name": None, "checkpoint_id": None, "size": 1} | fields
    return BackupRow(id=id, resource_id=resource_id, created=None if age is None else NOW - timedelta(days=age), **given)


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

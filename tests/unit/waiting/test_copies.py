"""The copies out of a vault, collected from rows: whatever a service writes into them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.api.decoding import decode_json
from airflow_cbr.api.ids import is_id
from airflow_cbr.api.models import Backup, ReplicationRecord
from airflow_cbr.waiting.copies import CopiesSeen, CopyCollector
from airflow_cbr.waiting.ended import EndedCopies
from tests.support.hostile_service import DESTINATION
from tests.support.looks import backup, record

VAULT = "3b5816b5-f29c-4172-9d9a-76c719a659ce"
ONE, OTHER = "a1b2c3d4-0000-4000-8000-000000000001", "a1b2c3d4-0000-4000-8000-000000000002"

texts = (
    st.none() | st.text(max_size=40) | st.sampled_from([ONE, OTHER, "success", "fail", "2025-03-25T06:32:07.951164", "cn-north-4", "{}"])
)
records = st.builds(
    ReplicationRecord,
    id=st.sampled_from([ONE, OTHER]) | st.text(max_size=40),
    status=texts,
    created_at=texts,
    destination_region=texts,
    destination_project_id=texts,
    destination_vault_id=texts,
    extra_info=texts,
)
backups = st.builds(Backup, id=st.text(max_size=9), vault_id=texts, replication_records=st.none() | st.lists(records, max_size=4))


def seen(*rows: Backup) -> CopiesSeen:
    collector = CopyCollector(VAULT)
    for row in rows:
        collector.note(row)
    return collector.seen(0.0)


@given(rows=st.lists(backups, max_size=6))
def test_whatever_rows_say_can_be_read_and_told(rows: list[Backup]) -> None:
    found = seen(*rows)

    for copy in found.copies:
        assert is_id(copy.id)
        assert all(part is None or (part.isascii() and len(part) <= 63) for part in copy.destination)
    assert len({copy.id for copy in found.copies}) == len(found.copies)
    cursor = EndedCopies()
    cursor.look(found.copies, 0.0)
    json.dumps(cursor.dump(), allow_nan=False)


def test_a_copy_says_where_it_goes_and_who_started_it() -> None:
    (copy,) = seen(backup("b", record(ONE, "success", auto_trigger=True))).copies

    assert (copy.id, copy.state, copy.is_scheduled) == (ONE, CopyState.SUCCEEDED, True)
    assert copy.destination == (DESTINATION.region, DESTINATION.project_id, DESTINATION.vault_id)


@pytest.mark.parametrize("order", [["replicating", "success"], ["success", "replicating"]])
def test_a_record_that_comes_twice_has_ended_if_one_reading_says_so(order: list[str]) -> None:
    (copy,) = seen(*(backup("b", record(ONE, status)) for status in order)).copies

    assert copy.has_ended


def test_a_row_of_another_vault_is_not_counted() -> None:
    assert not seen(backup("b", record(ONE, "success"), vault_id=OTHER)).copies
    assert seen(backup("b", record(ONE, "success"), vault_id=VAULT.upper())).copies


def test_a_cloud_without_records_is_told_from_a_vault_without_copies() -> None:
    without = decode_json(b'{"id": "b"}', Backup)

    assert not seen(without).lists_records
    assert seen(without, backup("c")).lists_records
    assert seen().lists_records


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ((None, None, None), True),
        (("cn-shenzhen-1", None, None), True),
        (("cn-shenzhen-1", ONE, OTHER), True),
        (("cn-east-3", None, None), False),
        ((None, OTHER, None), False),
        ((None, None, ONE), False),
    ],
)
def test_a_copy_goes_wherever_its_record_does_not_rule_out(wanted: Any, goes: bool) -> None:
    def one(**said: str) -> Any:
        row = ReplicationRecord(id=ONE, status="success", **said)
        (copy,) = seen(Backup(id="b", replication_records=[row])).copies
        return copy

    full = one(destination_region="CN-Shenzhen-1", destination_project_id=ONE.upper(), destination_vault_id=OTHER.upper())
    assert full.may_go_to(wanted) is goes
    assert one().may_go_to(wanted), "it does not say"

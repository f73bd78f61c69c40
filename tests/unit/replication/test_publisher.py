"""The record ids that a task publishes: in one order, whatever order its state comes back in."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.replication.publisher import RecordPublisher

IDS = [f"{number:08d}-0000-4000-8000-000000000000" for number in range(5)]


@given(first=st.permutations(IDS), later=st.permutations(IDS))
def test_a_state_that_comes_back_in_another_order_publishes_nothing_new(first: list[str], later: list[str]) -> None:
    published: list[Any] = []
    publisher = RecordPublisher(lambda record_ids, counts: published.append((record_ids, counts)), at=lambda step: nullcontext())
    assert publisher.tell(first, {}) == publisher.tell(later, {}) == (IDS, {})
    assert published == [(IDS, {})]

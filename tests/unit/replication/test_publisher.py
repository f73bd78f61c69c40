"""The record ids that a task publishes: in one order, whatever order its state comes back in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.replication.publisher import RecordPublisher
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.replication.steps import Step
from tests.support.looks import backup, look, record

IDS = [f"{number:08d}-0000-4000-8000-000000000000" for number in range(5)]


@given(first=st.permutations(IDS), later=st.permutations(IDS))
def test_a_state_that_comes_back_in_another_order_publishes_nothing_new(first: list[str], later: list[str]) -> None:
    published: list[Any] = []
    publisher = RecordPublisher(lambda record_ids, counts: published.append((record_ids, counts)), at=lambda step: nullcontext())
    assert publisher.tell(first, {}) == publisher.tell(later, {}) == (IDS, {})
    assert published == [(IDS, {})]


def test_what_a_look_found_is_published_as_a_step_of_its_own_and_with_the_ids_that_are_ids() -> None:
    steps: list[Step] = []
    published: list[Any] = []

    @contextmanager
    def at(step: Step) -> Iterator[None]:
        steps.append(step)
        yield

    publisher = RecordPublisher(lambda record_ids, counts: published.append((record_ids, counts)), at=at)
    seen = look(
        backup("a", record(IDS[1], "success"), resource_size=40, resource_id="server"),
        backup("b", record("no id", "success"), resource_size=2, resource_id="db"),
        backup("c", record(IDS[0], "replicating"), resource_size=500, resource_id="web"),
        backup("d", record(IDS[2], "success"), resource_size=500, resource_id="before"),
    )
    state = ReplicationState(deadline=0.0, accepted={IDS[1]: "a", "no id": "b"}, adopted={IDS[0]: "c"})
    told = publisher.tell_look(seen, state)
    record_ids, counts = told
    assert record_ids == IDS[:2]
    assert (counts["accepted"], counts["adopted"], counts["already"], counts["succeeded"]) == (2, 1, 1, 2)
    assert publisher.tell_look(seen, state) == told
    assert (published, steps) == ([told], [Step.PUBLISH])

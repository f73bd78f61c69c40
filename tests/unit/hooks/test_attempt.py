"""Which attempt of which task this is, and where its intent is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from airflow_cbr.hooks.attempt import CHECKPOINT_STATE_KEY, STATE_KEY, attempt_of, identity_of, intents_of

if TYPE_CHECKING:
    from airflow.sdk import Context

RUN_AFTER = datetime(2026, 11, 24, tzinfo=UTC)


def context(**ti: Any) -> Context:
    values: dict[str, Any] = {"dag_id": "night", "run_id": "run", "task_id": "replicate", "map_index": -1, "try_number": 1, "max_tries": 0}
    retries = ti.pop("retries", 0)
    one = SimpleNamespace(**values | ti, task=SimpleNamespace(retries=retries))
    return cast("Context", {"ti": one, "dag_run": SimpleNamespace(run_after=RUN_AFTER)})


@pytest.mark.parametrize(
    ("try_number", "max_tries", "retries", "number", "generation"),
    [
        (1, 3, 3, 1, 0),
        (3, 3, 3, 3, 0),
        # Cleared after its second attempt: Airflow counts on, and adds the retries to where it stood.
        (3, 5, 3, 1, 2),
        (4, 5, 3, 2, 2),
        (1, 0, 0, 1, 0),
        # What an Airflow leaves out counts as nothing.
        (None, None, None, 1, 0),
    ],
)
def test_attempts_count_anew_after_a_clear(
    try_number: int | None, max_tries: int | None, retries: int | None, number: int, generation: int
) -> None:
    attempt = attempt_of(context(try_number=try_number, max_tries=max_tries, retries=retries))
    assert (attempt.number, attempt.generation) == (number, generation)
    assert attempt.run_after == RUN_AFTER.timestamp()


def test_a_run_that_has_no_time_of_its_own_says_none() -> None:
    without = cast("Any", context())
    without["dag_run"] = SimpleNamespace()
    assert attempt_of(without).run_after is None
    del without["dag_run"]
    assert attempt_of(without).run_after is None


@pytest.mark.parametrize(("map_index", "told"), [(-1, -1), (0, 0), (7, 7), (None, -1)])
def test_mapped_tasks_are_told_apart(map_index: int | None, told: int) -> None:
    assert identity_of(context(map_index=map_index)) == ("night", "run", "replicate", told)


def test_intents_are_kept_under_their_key_and_only_where_airflow_has_a_store() -> None:
    kept: dict[str, Any] = {}
    store = SimpleNamespace(get=kept.get, set=kept.__setitem__)
    assert intents_of(context()) is None
    with_store = cast("Any", context())
    with_store["task_state_store"] = store
    replication, checkpoint = intents_of(with_store), intents_of(with_store, CHECKPOINT_STATE_KEY)
    assert replication is not None
    assert checkpoint is not None
    assert replication.load() is None
    replication.save({"version": 1})
    assert replication.load() == {"version": 1}
    assert checkpoint.load() is None
    assert set(kept) == {STATE_KEY} == {"cbr_replication_intent"}
    checkpoint.save({"version": 2})
    assert replication.load() == {"version": 1}

"""Deferred waits, and triggerers that die."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.airflow_batches import connection, trigger_together
from tests.support.airflow_processes import connections_to, frozen, triggerers
from tests.support.airflow_rest import trigger
from tests.support.deferred_runs import COPY, DeferredRun
from tests.support.emulated_vaults import make_vaults
from tests.support.emulator import EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_cbr.demo.components import Component
    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.stack import AirflowStack
    from tests.support.emulated_vaults import VaultPair


@pytest.mark.parametrize("auth", ["aksk", pytest.param("password", marks=pytest.mark.full)])
def test_a_deferred_task_survives_the_kill_of_its_triggerer(
    auth: str, stack: AirflowStack, api: AirflowApi, vaults: Callable[..., VaultPair]
) -> None:
    pair = vaults(backups=2)
    run = trigger(api, f"replicate_{auth}_deferrable", pair.params())
    row = run.wait_for_task("replicate", "deferred")
    records = run.xcom("replicate")
    assert len(records) == 2, "the record ids are published before the wait"
    assert run.links("replicate").keys(), "the link is there during the wait"

    for triggerer in triggerers(stack):
        triggerer.kill()
    stack.start_triggerer()

    assert run.wait(limit=180) == "success"
    assert run.task("replicate")["try_number"] == row["try_number"], run.log("replicate", tries=1)
    assert run.xcom("replicate") == records
    assert pair.copied() == pair.backups
    assert pair.posts() == 1


@pytest.fixture
def service() -> Iterator[EmulatorServer]:
    with EmulatorServer() as emulator:
        emulator.control.switch(queue_seconds=0, copy_seconds=COPY)
        yield emulator


@pytest.fixture
def waits(service: EmulatorServer, stack: AirflowStack, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[DeferredRun]]:
    """Return two runs that wait, each for a vault of its own, in the only triggerer."""
    with connection(stack.api, request.node.name, service.url) as conn_id:
        pairs = [make_vaults(service.control, backups=2) for _ in range(2)]
        params = {"cbr_conn_id": conn_id, "scars": str(tmp_path / "scars")}
        runs = trigger_together(stack.api, [("killed_replication_deferrable", {**pair.params(), **params}) for pair in pairs])
        waits = [DeferredRun(pair, run, stack) for pair, run in zip(pairs, runs, strict=True)]
        for wait in waits:
            wait.until_a_triggerer_looks()
        yield waits


@contextmanager
def one_more(stack: AirflowStack, *options: str) -> Iterator[Component]:
    """Run one more triggerer."""
    triggerer = stack.start_triggerer(*options)
    try:
        yield triggerer
    finally:
        triggerer.kill()


@pytest.mark.full
def test_two_triggerers_share_the_waits_and_may_both_run_the_same_one(
    stack: AirflowStack, service: EmulatorServer, waits: list[DeferredRun]
) -> None:
    (first,) = triggerers(stack)
    one, other = waits
    # No more than one wait fits into the second one.
    with one_more(stack, "--capacity", "1") as second:
        with frozen(first):
            before = {one.triggerer(), other.triggerer()}
            one.until(lambda: {one.triggerer(), other.triggerer()} != before, "the second triggerer takes a wait over")
            one.until(lambda: connections_to(second, service.url) == 1, "the second triggerer looks")
            assert connections_to(first, service.url) == 2, "the first triggerer still runs both"
        one.until(lambda: connections_to(first, service.url) == 1, "the first triggerer lets go of the wait that it has lost")
        assert one.triggerer() != other.triggerer()

        for wait in waits:
            wait.until_a_triggerer_looks()
        for wait in waits:
            wait.let_the_copies_end()
            assert "The task was stopped" not in wait.run.log("replicate")


@pytest.mark.full
def test_a_wait_that_fires_in_two_triggerers_wakes_its_task_once(
    stack: AirflowStack, service: EmulatorServer, waits: list[DeferredRun]
) -> None:
    (first,) = triggerers(stack)
    before = waits[0].triggerer()

    def heartbeat() -> str:
        jobs = stack.api.request("GET", "jobs", params={"job_type": "TriggererJob"})["jobs"]
        return next(str(job["latest_heartbeat"]) for job in jobs if job["id"] == before)

    with one_more(stack) as second:
        with frozen(first):
            waits[0].until(lambda: connections_to(second, service.url) == 2, "the second triggerer takes the waits over")
            assert connections_to(first, service.url) == 2, "both run in both"
            for wait in waits:
                wait.let_the_copies_end()
            waits[0].until(lambda: connections_to(first, service.url) == 0, "they have fired in the first triggerer too")

        # Each turn of its loop hands over what has fired, and ends with a heartbeat, if one is due.
        beats: set[str] = set()

        def has_gone_on() -> bool:
            beats.add(heartbeat())
            return len(beats) > 2

        waits[0].until(has_gone_on, "the first triggerer is back")

        for wait in waits:
            wait.check_copied_once()

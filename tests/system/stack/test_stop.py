"""A task that Airflow stops while it looks, or right before its call, sends nothing in the seconds that it has left."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import psutil
import pytest

from airflow_cbr.demo.waiting import wait_until
from airflow_cbr.replication.steps import Step
from tests.support.airflow_batches import trigger_together
from tests.support.airflow_processes import task_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.stack import AirflowStack
    from tests.support.airflow_rest import DagRun
    from tests.support.emulated_vaults import VaultPair

PLACES = [f"before {Step.LOOK}", f"after {Step.LOOK}", f"before {Step.REPLICATE_VAULT}"]


def has_ended(pid: int) -> bool:
    """Return whether a process is gone: what it was going to send it has sent."""
    return not psutil.pid_exists(pid)


def has_said(run: DagRun) -> bool:
    """Return whether the stopped attempt has logged what there is to say."""
    return "The task was stopped; it sends nothing more. No copy of its own is running" in run.log("replicate", tries=1)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_marking_a_task_failed_while_it_looks_ends_it_before_anything_is_sent(
    stack: AirflowStack, api: AirflowApi, vaults: Callable[..., VaultPair], tmp_path: Path
) -> None:
    pairs = {place: vaults(backups=2) for place in PLACES}
    marks = {place: tmp_path / str(number) for number, place in enumerate(PLACES)}
    orders = [
        ("stopped_replication", {**pairs[place].params(), "cbr_conn_id": "cbr_aksk", "waits_at": place, "mark": str(marks[place])})
        for place in PLACES
    ]
    runs = dict(zip(PLACES, trigger_together(api, orders), strict=True))
    for place, run in runs.items():
        wait_until(marks[place].exists, limit=120, what=f"the task waits {place}")
        process = task_process(stack, run.task("replicate"))
        run.mark("replicate", "failed")
        wait_until(partial(has_ended, process), limit=60, what=f"the process of the task {place} has ended", every=0.2)

    for place, run in runs.items():
        wait_until(partial(has_said, run), limit=60, what=f"on_kill logs, {place}", every=0.5)
        assert run.wait() == "failed"
        assert pairs[place].posts() == 0, place

    for place, run in runs.items():
        run.clear("replicate")
        assert run.wait(limit=240) == "success", place
        assert pairs[place].posts() == 1
        assert pairs[place].copied() == pairs[place].backups

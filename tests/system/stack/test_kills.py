"""Real processes that die in the middle: nothing is copied twice, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_cbr.demo.waiting import wait_until
from tests.support.airflow_processes import kill_task
from tests.support.airflow_rest import trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.stack import AirflowStack
    from tests.support.emulated_vaults import VaultPair


# A task that kills itself right after its call is in every run: see test_kill_at_every_step.py.
@pytest.mark.full
def test_a_killed_task_process_is_retried_and_adopts_its_own_copies(
    stack: AirflowStack, api: AirflowApi, vaults: Callable[..., VaultPair]
) -> None:
    pair = vaults(backups=2)
    run = trigger(api, "replicate_aksk", pair.params())
    wait_until(lambda: run.xcom("replicate"), limit=90, what="the record ids are published", check=stack.check)

    kill_task(stack, run.task("replicate"))

    assert run.wait(limit=240) == "success"
    assert run.task("replicate")["try_number"] == 2
    assert pair.copied() == pair.backups
    assert pair.posts() == 1
    assert sorted(run.xcom("replicate")) == sorted(entry["record_id"] for entry in pair.ledger()["replications"])

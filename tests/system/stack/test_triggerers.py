"""Deferred waits, and triggerers that die."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.airflow_processes import triggerers
from tests.support.airflow_rest import trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.stack import AirflowStack
    from tests.support.emulated_vaults import VaultPair


@pytest.mark.parametrize("auth", ["aksk", "password"])
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

"""The example Dag for many vaults on a real Airflow: all of them wait at once, and none waits for the proof of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_cbr.demo.waiting import wait_until
from tests.support.airflow_rest import trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.scenario import Auth
    from tests.support.airflow_rest import DagRun
    from tests.support.emulated_vaults import VaultPair
    from tests.support.emulator import ControlClient

# As long as many other cases together.
pytestmark = pytest.mark.full

DAG_ID = "cbr_many_vaults"
VAULTS = 40
HELD, SLOW = 4 * 3600.0, 8 * 3600.0
"""Seconds of the emulator's time for which the copies of all vaults do not begin, and those of one vault."""


def states_of(run: DagRun, task_id: str) -> list[str | None]:
    """Return the states of the mapped instances of a task, by place."""
    rows = [row for row in run.tasks() if row["task_id"] == task_id]
    return [row["state"] for row in sorted(rows, key=lambda row: row["map_index"])]


# Every task is a process of its own, on what may be a busy machine.
@pytest.mark.timeout(1200)
def test_forty_vaults_wait_at_once_and_the_proof_of_each_follows_its_own_copy(
    api: AirflowApi, control: ControlClient, vaults: Callable[..., VaultPair], default_connection: Callable[[Auth], None]
) -> None:
    default_connection("aksk")
    pairs = [vaults(backups=1) for _ in range(VAULTS)]
    for place, pair in enumerate(pairs):
        control.fault("copy_waits", seconds=HELD if place else SLOW, vault_id=pair.source)

    run = trigger(api, DAG_ID, {"vaults": [pair.params() for pair in pairs]})

    # Nothing ends before the emulator's clock is moved: so this comes true only when none of them had to queue for another.
    wait_until(
        lambda: states_of(run, "replicate") == ["deferred"] * VAULTS, limit=600, what=f"all {VAULTS} vaults wait, deferred", every=1.0
    )
    assert set(states_of(run, "verify")) == {None}

    control.advance(HELD)
    proven = wait_until(
        lambda: states_of(run, "verify")[1:] == ["success"] * (VAULTS - 1), limit=600, what="the others are verified", every=1.0
    )
    assert proven
    assert (run.task("replicate", 0)["state"], run.task("verify", 0)["state"]) == ("deferred", None)

    control.advance(SLOW - HELD)
    assert run.wait(limit=120) == "success"
    assert [pair.copied() for pair in pairs] == [pair.backups for pair in pairs]
    assert [pair.posts() for pair in pairs] == [1] * VAULTS
    assert {row["try_number"] for row in run.tasks()} == {1}


@pytest.mark.timeout(600)
def test_a_vault_that_fails_is_verified_all_the_same_and_cleared_by_itself(
    api: AirflowApi, control: ControlClient, vaults: Callable[..., VaultPair], default_connection: Callable[[Auth], None]
) -> None:
    default_connection("aksk")
    pairs = [vaults(backups=1) for _ in range(2)]
    control.fault("copy_fails", vault_id=pairs[0].source, count=None)
    run = trigger(api, DAG_ID, {"vaults": [pair.params() for pair in pairs]})

    assert run.wait(limit=300) == "failed"
    assert states_of(run, "replicate") == ["failed", "success"]
    assert states_of(run, "verify") == ["failed", "success"], "all_done: it says that nothing is proven"
    assert run.task("replicate", 0)["try_number"] > 1, "Airflow's retries apply to an instance by itself"

    control.clear_faults()
    before = run.task("verify", 1)["try_number"]
    run.clear(["replicate", 0], ["verify", 0])

    assert run.wait(limit=300) == "success"
    assert run.task("verify", 1)["try_number"] == before
    assert pairs[1].posts() == 1

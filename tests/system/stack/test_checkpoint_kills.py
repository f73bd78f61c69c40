"""The checkpoint task's own process is killed with SIGKILL around its call, and no second checkpoint is started.

The service here is careless: it takes every call and backs up anew, and shows what it does only after 20 seconds, so that a retry finds
nothing at first. The kill right after the call of a task that waits on its worker is in every run, the others in the full one; in virtual
time all steps have theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_cbr.checkpoints.steps import CheckpointStep
from airflow_cbr.emulator.world import SOURCE_PROJECT
from tests.support.airflow_batches import chosen, connection, trigger_together
from tests.support.emulator import ControlClient, EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_cbr.demo.stack import AirflowStack
    from tests.support.airflow_rest import DagRun

# Before 3.3 Airflow has nowhere to keep the checkpoint's id: that step does not exist there.
HAS_STORE = Version(airflow_version) >= Version("3.3")
KILLS = [
    f"before {CheckpointStep.CREATE}",
    f"after {CheckpointStep.CREATE}",
    f"after {CheckpointStep.KEEP if HAS_STORE else CheckpointStep.PUBLISH}",
]
CASES = [(kill, deferrable) for kill in KILLS for deferrable in (False, True)]


@dataclass(frozen=True)
class Started:
    control: ControlClient
    vault_id: str
    run: DagRun
    scar: Path


@pytest.fixture(scope="module")
def started(
    request: pytest.FixtureRequest, stack: AirflowStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, bool], Started]]:
    """Trigger a run for every case that was chosen."""
    cases = chosen(request, "case")
    folder = tmp_path_factory.mktemp("scars")
    with EmulatorServer() as emulator, connection(stack.api, "cbr_careless_backups", emulator.url) as conn_id:
        control = emulator.control
        control.switch(careless=True, checkpoint_delay=20, operation_log_delay=20, checkpoint_seconds=6)
        vaults, scars, orders = [], [], []
        for number, (kill, deferrable) in enumerate(cases):
            vaults.append(control.add_vault(project_id=SOURCE_PROJECT, size=100_000, resources=[{"size": 1}, {"size": 1}])["id"])
            scars.append(folder / str(number))
            params = {"vault_id": vaults[-1], "cbr_conn_id": conn_id, "kill": kill, "scar": str(scars[-1])}
            orders.append(("killed_checkpoint_deferrable" if deferrable else "killed_checkpoint", params))
        runs = trigger_together(stack.api, orders)
        yield {case: Started(control, *rest) for case, *rest in zip(cases, vaults, runs, scars, strict=True)}


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=() if case == (KILLS[1], False) else pytest.mark.full) for case in CASES],
    ids=lambda case: f"{case[0].replace(' ', '-')}-{'deferrable' if case[1] else 'sync'}",
)
def test_a_killed_checkpoint_task_is_retried_and_backs_up_once(case: tuple[str, bool], started: dict[tuple[str, bool], Started]) -> None:
    one = started[case]

    assert one.run.wait(limit=240) == "success", one.run.log("checkpoint")
    assert one.scar.read_text() == case[0]
    assert one.run.task("checkpoint")["try_number"] == 2

    (checkpoint,) = one.control.ledger(one.vault_id)["checkpoints"]
    assert one.run.xcom("checkpoint") == checkpoint["checkpoint_id"]
    summary = one.run.xcom("checkpoint", "checkpoint")
    assert (summary["status"], summary["available"]) == ("available", 2)
    assert summary["adopted"] is (case[0] != f"before {CheckpointStep.CREATE}")

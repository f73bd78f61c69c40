"""The task's own process is killed with SIGKILL before and after every step, and nothing is copied twice or lost.

The service here is careless: it accepts every replicate call and copies everything anew, and shows what it does only after 20 seconds,
so that a retry finds nothing at first. All cases run at once, each on a vault of its own. The kills after what would be paid twice are in
every run, the others in the full one; in virtual time all of them are played in every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_cbr.replication.steps import Step
from tests.support.airflow_batches import chosen, connection, trigger_together
from tests.support.emulated_vaults import make_vaults
from tests.support.emulator import EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_cbr.demo.stack import AirflowStack
    from tests.support.airflow_rest import DagRun
    from tests.support.emulated_vaults import VaultPair

#: What must go wrong for a step to be reached; none of it can be seen any more when the task is green.
FAULTS: dict[Step, list[dict[str, Any]]] = {
    Step.LOOK: [],
    Step.LOOK_AT_LOG: [{"kind": "reset", "call": "CopyCheckpoint", "when": "before"}],
    Step.RECORD_INTENT: [],
    Step.REPLICATE_VAULT: [],
    Step.REPLICATE_BACKUP: [{"kind": "copy_skipped"}],
    Step.PUBLISH: [],
    Step.CONCLUDE: [],
}
# Before 3.3 Airflow has nowhere to record an intent: that step does not exist there.
ABSENT = frozenset() if Version(airflow_version) >= Version("3.3") else frozenset({Step.RECORD_INTENT})


@dataclass(frozen=True)
class Case:
    step: Step
    moment: str
    deferrable: bool

    @property
    def dag_id(self) -> str:
        return "killed_replication_deferrable" if self.deferrable else "killed_replication"

    @property
    def plan(self) -> str:
        return f"{self.moment} {self.step} 1"

    def __str__(self) -> str:
        return f"{self.moment}-{self.step.replace(' ', '-')}-{'deferrable' if self.deferrable else 'sync'}"


#: After these a second call would be paid twice.
PAID = {("after", Step.REPLICATE_VAULT), ("after", Step.REPLICATE_BACKUP)}
CASES = [
    Case(step, moment, deferrable)
    for step in FAULTS
    if step not in ABSENT
    for moment in ("before", "after")
    for deferrable in (False, True)
]


@dataclass(frozen=True)
class Started:
    pair: VaultPair
    run: DagRun
    scars: Path


@pytest.fixture(scope="module")
def started(request: pytest.FixtureRequest, stack: AirflowStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Case, Started]]:
    """Trigger a run for every case that was chosen."""
    cases = chosen(request, "case")
    folder = tmp_path_factory.mktemp("scars")
    with EmulatorServer() as emulator, connection(stack.api, "cbr_careless", emulator.url) as conn_id:
        control = emulator.control
        control.switch(careless=True, record_delay=20, operation_log_delay=20, copy_seconds=6)
        pairs, orders = [], []
        for case in cases:
            pair = make_vaults(control, backups=2)
            for fault in FAULTS[case.step]:
                control.fault(**fault, vault_id=pair.source)
            killed = {"cbr_conn_id": conn_id, "kills": [case.plan], "scars": str(folder / str(case))}
            pairs.append(pair)
            orders.append((case.dag_id, {**pair.params(), **killed}))
        runs = trigger_together(stack.api, orders)
        yield {case: Started(pair, run, folder / str(case)) for case, pair, run in zip(cases, pairs, runs, strict=True)}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if (case.moment, case.step) in PAID else pytest.mark.full) for case in CASES], ids=str
)
def test_a_task_killed_at_a_step_is_retried_and_copies_once(case: Case, started: dict[Case, Started]) -> None:
    one = started[case]

    assert one.run.wait(limit=240) == "success", one.run.log("replicate")
    assert one.scars.read_text() == case.plan
    assert one.run.task("replicate")["try_number"] == 2

    copies = [entry for entry in one.pair.ledger()["replications"] if entry["outcome"] != "skip"]
    assert sorted(entry["backup_id"] for entry in copies) == one.pair.backups
    assert sorted(one.run.xcom("replicate")) == sorted(entry["record_id"] for entry in copies)
    assert one.run.xcom("replicate", "replication")["succeeded"] == 2


def test_every_step_of_the_machine_has_its_kills() -> None:
    assert {case.step for case in CASES} | ABSENT == set(Step)
    assert len(CASES) == 2 * 2 * (len(Step) - len(ABSENT))

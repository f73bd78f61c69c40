"""Random nights under a seed, through real Airflow: faults, SIGKILLs, other writers and clears; the ledger is read at the end.

The same campaign as ``tests/unit/replication/test_campaign.py`` plays in virtual time, with less of everything that takes real time. A
seed decides what goes wrong; when exactly it does depends on the machine.
"""

from __future__ import annotations

import random
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.demo.scenario import params
from airflow_cbr.emulator.world import SOURCE_VAULT
from airflow_cbr.replication.steps import Step
from tests.support.airflow_batches import connection, trigger_together
from tests.support.emulator import EmulatorServer
from tests.support.random_nights import LATE, LOST_ANSWERS, READ_FAULTS, judge
from tests.support.real_nights import look_until_over, seeds_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_cbr.demo.scenario import Auth
    from airflow_cbr.demo.stack import AirflowStack
    from tests.support.airflow_rest import DagRun
    from tests.support.emulator import ControlClient

NIGHTS = 50
AT_ONCE = 10
"""More would wait longer for Airflow's SQLite than for the copies, until calls time out and tasks fail for that reason alone."""
LIMIT = 600
CLEARS = 3
"""A night that has failed is cleared so often, as its owner would do it."""

pytestmark = [pytest.mark.full, pytest.mark.timeout(NIGHTS // AT_ONCE * (LIMIT + 60))]


@dataclass
class Plan:
    """What a seed says."""

    seed: int
    careless: bool = False
    deferrable: bool = False
    auth: Auth = "aksk"
    switches: dict[str, Any] = field(default_factory=dict)
    young_backups: int = 0
    faults: list[dict[str, Any]] = field(default_factory=list)
    kills: list[str] = field(default_factory=list)
    writes_beside: bool = False
    clears_when_green: bool = False

    @property
    def dag_id(self) -> str:
        return "killed_replication_deferrable" if self.deferrable else "killed_replication"


def plan_of(seed: int) -> Plan:
    chance = random.Random(seed)
    careless = chance.random() < 0.5
    # The limits of the promise, for the Dags' settle_time of 30 s: within it on a careless service, beyond it on a careful one.
    longest = 15 if careless else 60
    record_delay = chance.choice([0, 0, 2, longest])
    plan = Plan(
        seed,
        careless=careless,
        deferrable=chance.random() < 0.5,
        auth=chance.choice(["aksk", "password"]),
        switches={
            "careless": careless,
            "record_delay": record_delay,
            "operation_log_delay": chance.choice([0, 0, 2, longest]),
            "operation_log_vault_id": chance.random() < 0.5,
            "copy_seconds": chance.choice([1, 5, 12]),
            "queue_seconds": chance.choice([0, 2]),
            "progress": chance.choice(["linear", "bursty", "stuck", "null"]),
            "when_all_copied": chance.choice(["1009", "0001", "empty", "skip"]),
            "failed_taken_again": chance.random() < 0.5,
            "single_while_replicating": chance.choice(["accepted", "6130"]),
            "extra_info_as_text": chance.random() < 0.2,
            "time_notation": chance.choice(["naive", "offset", "zulu"]),
        },
        young_backups=chance.randrange(3),
        writes_beside=not careless and chance.random() < 0.3,
        clears_when_green=chance.random() < 0.2,
    )
    for call, most in (("CopyCheckpoint", 3), ("CopyBackup", 2)):
        for _ in range(chance.randrange(most)):
            plan.faults.append(
                {"call": call, "when": chance.choice(["before", "after"]), "nth": chance.randrange(1, 3), **chance.choice(LOST_ANSWERS)}
            )
    if chance.random() < 0.2:
        late = max((longest - record_delay if careless else 90) * chance.random(), 1.0)
        plan.faults.append({"call": "CopyCheckpoint", "when": "before", "seconds": late, **LATE})
    for _ in range(chance.randrange(4)):
        fault = {"call": chance.choice(["ListBackups", "ListOpLogs"]), "nth": chance.randrange(1, 8), **chance.choice(READ_FAULTS)}
        # A silence costs a minute, and a token that is refused again and again is a refusal for good.
        rare = fault["kind"] in ("timeout", "throttle", "token_revoked", "token_expired")
        plan.faults.append({**fault, "count": 1 if rare else chance.choice([1, 2, 5])})
    if chance.random() < 0.3:
        plan.faults.append({"kind": "copy_fails", "nth": chance.randrange(1, 5)})
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        plan.kills.append(f"{chance.choice(['before', 'after'])} {chance.choice(list(Step))} {chance.choice([1, 1, 1, 2, 3])}")
    return plan


@dataclass
class Night:
    """A plan that is carried out."""

    plan: Plan
    control: ControlClient
    run: DagRun
    scars: Path
    state: str = "running"
    clears: int = 0

    def look(self) -> bool:
        """Return whether it is over; clear it where its owner would."""
        self.state = self.run.state
        if self.state not in ("success", "failed"):
            return False
        if self.clears < (CLEARS if self.state == "failed" else int(self.plan.clears_when_green)):
            self.clears += 1
            self.run.clear("replicate")
            return False
        return True


@pytest.fixture(scope="module")
def nights(stack: AirflowStack, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Night]]:
    """Play the nights of all selected seeds to their ends, some at once."""
    seeds = seeds_of(request, "test_a_random_night")
    folder = tmp_path_factory.mktemp("scars")
    played: dict[int, Night] = {}
    with ExitStack() as services:
        for start in range(0, len(seeds), AT_ONCE):
            plans = [plan_of(seed) for seed in seeds[start : start + AT_ONCE]]
            emulators = [prepare(plan, services) for plan in plans]
            orders = []
            for plan, emulator in zip(plans, emulators, strict=True):
                conn_id = services.enter_context(connection(stack.api, f"cbr_night_{plan.seed}", emulator.url, auth=plan.auth))
                own = {
                    "cbr_conn_id": conn_id,
                    "kills": plan.kills,
                    "writes_beside": plan.writes_beside,
                    "scars": str(folder / str(plan.seed)),
                }
                orders.append((plan.dag_id, {**params(), **own}))
            runs = trigger_together(stack.api, orders)
            begun = [Night(plan, one.control, run, folder / str(plan.seed)) for plan, one, run in zip(plans, emulators, runs, strict=True)]
            played.update((night.plan.seed, night) for night in begun)
            look_until_over(begun, stack, limit=LIMIT)
        yield played


def prepare(plan: Plan, services: ExitStack) -> EmulatorServer:
    """Start the service of a night."""
    emulator = services.enter_context(EmulatorServer())
    emulator.control.switch(**plan.switches)
    for _ in range(plan.young_backups):
        emulator.control.add_backup(SOURCE_VAULT, age_seconds=300)
    for fault in plan.faults:
        emulator.control.fault(**fault)
    return emulator


@pytest.mark.parametrize("seed", range(NIGHTS))
def test_a_random_night(seed: int, nights: dict[int, Night], request: pytest.FixtureRequest) -> None:
    night = nights[seed]

    outcome = judge(night.control, SOURCE_VAULT, night.run.xcom("replicate") if night.state == "success" else None)

    again = f"again: python -m pytest '{request.node.nodeid}'"
    scars = night.scars.read_text().splitlines() if night.scars.exists() else []
    assert outcome.is_good, f"{outcome}\nkilled: {scars}, cleared: {night.clears}, {night.run.task_states()}\n{night.plan}\n{again}"

"""Random nights of a restore drill and two prunings of the same vaults, through real Airflow, with faults and SIGKILLs.

Tasks die at random steps, and so does the triggerer now and then; the ledger is read at the end. The same campaign as
``tests/unit/drills/test_shared_vault_nights.py`` plays in virtual time, with less of everything that takes real time. A seed decides what
goes wrong; when exactly it does depends on the machine.
"""

from __future__ import annotations

import random
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.demo.scenario import params
from airflow_cbr.drills.steps import CleanupStep, DrillStep
from airflow_cbr.emulator.vault_parts import BackupPart
from airflow_cbr.emulator.world import DESTINATION_VAULT, DRILL_SECURITY_GROUP, DRILL_SUBNET, DRILL_VPC
from airflow_cbr.pruning.keep_rules import KeepRules
from airflow_cbr.pruning.steps import PruneStep
from tests.support.airflow_batches import connection, trigger_together
from tests.support.airflow_processes import triggerers
from tests.support.drill_nights import LOST_ANSWERS, READ_FAULTS, READS, WRITES
from tests.support.emulator import EmulatorServer
from tests.support.prune_world import DAY, PruneJudge, prune_world
from tests.support.real_nights import look_until_over, seeds_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_cbr.demo.scenario import Auth
    from airflow_cbr.demo.stack import AirflowStack
    from tests.support.airflow_rest import DagRun

NIGHTS = 20
AT_ONCE = 5
"""Each has six tasks, and Airflow's SQLite takes one writer at a time."""
LIMIT = 900
CLEARS = 3
"""An end that has failed is cleared so often, as its owner would do it."""
MIN_AGE = 60.0

pytestmark = [pytest.mark.full, pytest.mark.timeout(NIGHTS // AT_ONCE * (LIMIT + 60))]

_STEPS: dict[str, Any] = {"start": DrillStep, "end": CleanupStep, "prune": PruneStep, "prune_again": PruneStep}


@dataclass
class Plan:
    """What a seed says."""

    seed: int
    deferrable: bool = False
    auth: Auth = "aksk"
    switches: dict[str, Any] = field(default_factory=dict)
    days: int = 3
    restores_an_old_one: bool = False
    check_fails: bool = False
    faults: list[dict[str, Any]] = field(default_factory=list)
    kills: dict[str, list[str]] = field(default_factory=dict)
    triggerer_dies_at: float | None = None

    @property
    def dag_id(self) -> str:
        return "killed_drill_deferrable" if self.deferrable else "killed_drill"


def plan_of(seed: int) -> Plan:
    chance = random.Random(seed)
    plan = Plan(
        seed,
        deferrable=chance.random() < 0.5,
        auth=chance.choice(["aksk", "password"]),
        switches={
            # Within the Dag's settle_time of 20 s, together with an image that shows only at its end.
            "image_seconds": chance.choice([1, 4]),
            "image_delay": chance.choice([0, 0, 2, 6]),
            "image_listed_at": chance.choice(["start", "end"]),
            "image_data_origin": chance.choice(["filled", "absent"]),
            "deleting_unfinished_image": chance.choice(["ignored", "deleted"]),
            "server_seconds": chance.choice([1, 4]),
            "server_delay": chance.choice([0, 0, 2, 6]),
            "server_tags": chance.choice(["listed", "absent"]),
            "server_delete_seconds": chance.choice([0, 3]),
            "image_delete_seconds": chance.choice([0, 3]),
            "delete_seconds": chance.choice([0, 0, 3]),
            "delete_while_deleting": chance.choice(["6201", "204"]),
            "data_disks": chance.randrange(3),
        },
        days=chance.choice([2, 3, 4]),
        restores_an_old_one=chance.random() < 0.4,
        check_fails=chance.random() < 0.2,
        triggerer_dies_at=chance.choice([None, 15.0, 30.0]),
    )
    for call in [*WRITES, "DeleteBackup"]:
        if chance.random() < 0.3:
            when, lost = chance.choice(["before", "after"]), chance.choice(LOST_ANSWERS)
            plan.faults.append({"call": call, "when": when, "nth": chance.randrange(1, 3), **lost})
    for _ in range(chance.randrange(4)):
        fault = {"call": chance.choice(READS), "nth": chance.randrange(1, 8), **chance.choice(READ_FAULTS)}
        # A silence costs a minute, and a token that is refused again and again is a refusal for good.
        rare = fault["kind"] in ("timeout", "throttle", "token_revoked", "token_expired")
        plan.faults.append({**fault, "count": 1 if rare else chance.choice([1, 2])})
    for kind in ("image_fails", "server_fails"):
        if chance.random() < 0.1:
            plan.faults.append({"kind": kind})
    for task_id, steps in _STEPS.items():
        plan.kills[task_id] = [
            f"{chance.choice(['before', 'after'])} {chance.choice(list(steps))} {chance.choice([1, 1, 1, 2])}"
            for _ in range(chance.choice([0, 1, 1, 2]))
        ]
    return plan


@dataclass
class Night:
    """A plan that is carried out."""

    plan: Plan
    emulator: EmulatorServer
    judge: PruneJudge
    run: DagRun
    scars: Path
    state: str = "running"
    clears: int = 0

    def look(self) -> bool:
        """Return whether it is over; clear an end that has left something, as its owner would."""
        self.state = self.run.state
        if self.state not in ("success", "failed"):
            return False
        if not self.has_ended and self.clears < CLEARS:
            self.clears += 1
            self.run.clear("end")
            return False
        return True

    @property
    def has_ended(self) -> bool:
        """Return whether the end of the drill says that nothing is left."""
        verdict = self.run.xcom("end", "drill")
        return verdict is not None and verdict["left"] is None

    def offences(self) -> list[str]:
        """Return what the ledger says against it."""
        ledger = self.emulator.control.ledger()
        found = [] if self.has_ended else ["the end has not ended"]
        found += [
            f"left: {kind} {one.get('name') or one['server_name']}, {one['state']}"
            for kind in ("images", "servers", "disks")
            for one in ledger[kind]
            if one["state"] not in ("deleted", "failed") or (kind != "images" and one["state"] == "failed")
        ]
        # An image that failed, and was not deleted, is still listed.
        found += [f"left: image {one.id}, {one.status}" for one in self.emulator.emulator.service.machines.images.values()]
        for kind in ("images", "servers"):
            made = [one for one in ledger[kind] if one["state"] != "failed"]
            found += [f"{len(made)} {kind}"] if len(made) > 1 else []
        return [*found, *(f"lost: {one['backup_id']}" for one in ledger["lost_replicas"]), *self.judge.violations]


def world_of(plan: Plan) -> EmulatorServer:
    """Return the service of a night, with backups of two servers and their replicas."""
    world = prune_world(
        [
            BackupPart(
                id=f"b0b0b0b0-0000-4000-8000-{number:012}",
                checkpoint_id=f"c0c0c0c0-0000-4000-8000-{number:012}",
                resource_id=resource,
                age_seconds=(number // 2 + 1) * DAY + 600 * number,
                replicated_to=[DESTINATION_VAULT],
            )
            for number, resource in enumerate(("94eba8b2-acc9-4d82-badc-127144cc5526", "1a503932-ee8f-4dd5-8248-8dfb57e584c5") * plan.days)
        ],
        seed=plan.seed + 1,
    )
    return EmulatorServer(world)


def replica_of(plan: Plan, emulator: EmulatorServer) -> str:
    """Return the replica that is restored: the newest, or an old one, which is pruned unless its image is faster."""
    replicas = sorted(emulator.emulator.service.store.in_vault(DESTINATION_VAULT), key=lambda one: one.created_at)
    return str(replicas[0 if plan.restores_an_old_one else -1].id)


@pytest.fixture(scope="module")
def nights(stack: AirflowStack, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Night]]:
    """Play the nights of all selected seeds to their ends, some at once."""
    seeds = seeds_of(request, "test_a_random_night_of_drills")
    folder = tmp_path_factory.mktemp("scars")
    played: dict[int, Night] = {}
    with ExitStack() as services:
        for start in range(0, len(seeds), AT_ONCE):
            begun = begin([plan_of(seed) for seed in seeds[start : start + AT_ONCE]], stack, services, folder)
            played.update((night.plan.seed, night) for night in begun)
            deaths = sorted({night.plan.triggerer_dies_at for night in begun if night.plan.triggerer_dies_at is not None})

            def kill_triggerers(passed: float, deaths: list[float] = deaths) -> None:
                if deaths and passed >= deaths[0]:
                    deaths.pop(0)
                    for triggerer in triggerers(stack):
                        triggerer.kill()
                    stack.start_triggerer()

            look_until_over(begun, stack, limit=LIMIT, meanwhile=kill_triggerers)
        yield played


def begin(plans: list[Plan], stack: AirflowStack, services: ExitStack, folder: Path) -> list[Night]:
    """Start the services and the runs of some nights."""
    emulators, judges, orders = [], [], []
    for plan in plans:
        emulator = services.enter_context(world_of(plan))
        emulator.control.switch(**plan.switches)
        for fault in plan.faults:
            emulator.control.fault(**fault)
        judge = PruneJudge(emulator.emulator, rules=KeepRules(last=1), min_age=MIN_AGE)
        judge.take_reference()
        machines: dict[str, Any] = {"ims_endpoint": emulator.url, "ecs_endpoint": emulator.url}
        conn_id = services.enter_context(connection(stack.api, f"cbr_drill_{plan.seed}", emulator.url, auth=plan.auth, **machines))
        own = {
            "cbr_conn_id": conn_id,
            "flavor": "s6.large.2",
            "vpc_id": DRILL_VPC,
            "subnet_id": DRILL_SUBNET,
            "security_group_ids": DRILL_SECURITY_GROUP,
            "replica_id": replica_of(plan, emulator),
            "kills": plan.kills,
            "fails": plan.check_fails,
            "scars": str(folder / str(plan.seed)),
        }
        emulators.append(emulator)
        judges.append(judge)
        orders.append((plan.dag_id, {**params(), **own}))
    runs = trigger_together(stack.api, orders)
    return [
        Night(plan, emulator, judge, run, folder / str(plan.seed))
        for plan, emulator, judge, run in zip(plans, emulators, judges, runs, strict=True)
    ]


@pytest.mark.parametrize("seed", range(NIGHTS))
def test_a_random_night_of_drills(seed: int, nights: dict[int, Night], request: pytest.FixtureRequest) -> None:
    night = nights[seed]
    scars = {path.name: path.read_text().splitlines() for path in night.scars.parent.glob(f"{seed}.*")}
    again = f"again: python -m pytest '{request.node.nodeid}'"
    assert night.state in ("success", "failed"), f"it is not over: {night.run.task_states()}"
    assert night.offences() == [], f"killed: {scars}, cleared: {night.clears}, {night.run.task_states()}\n{night.plan}\n{again}"


def test_the_nights_come_to_something(nights: dict[int, Night]) -> None:
    """Nights in which no drill has a server, and nothing is pruned, prove nothing."""
    ledgers = [night.emulator.control.ledger() for night in nights.values()]
    assert sum(bool(ledger["servers"]) for ledger in ledgers) * 2 > len(ledgers)
    assert sum(len(night.judge.deleted) for night in nights.values()) > len(nights)

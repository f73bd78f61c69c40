"""Random worlds, judged by what the service holds at the moment of each deletion: nothing that must stay is ever deleted."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from airflow_cbr.emulator.world import DESTINATION_VAULT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrError
from airflow_cbr.pruning.steps import PruneStep
from tests.support.cleared_attempts import Intents
from tests.support.prune_world import DAY, Killed, PruneWorld
from tests.support.random_prune_worlds import Case, cases, faults, open_world

#: Without shrinking: a world is played in some 50 ms, and a smaller one says little more.
SETTINGS = settings(
    deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), print_blob=False
)
#: `make test-unit` plays the first number, `make test` the second, and `make test-full` all of them.
SIZES = [
    pytest.param(10, id="10"),
    pytest.param(20, marks=pytest.mark.campaign, id="20"),
    pytest.param(1000, marks=pytest.mark.full, id="1000"),
    pytest.param(10_000, marks=pytest.mark.full, id="10000"),
]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep a million log lines out of the reports."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def prune(case: Case) -> list[str]:
    """Prune a world of any kind twice; return what was deleted."""
    world = open_world(case)
    for _ in range(2):
        try:
            world.run()
        except CbrError as error:
            event(type(error).__name__)
    assert world.violations == []
    return world.deleted


@pytest.mark.parametrize("size", SIZES)
def test_nothing_that_must_stay_is_deleted(size: int) -> None:
    deleted = 0

    @given(case=cases)
    @settings(SETTINGS, max_examples=size)
    def play(case: Any) -> None:
        nonlocal deleted
        deleted += len(prune(case))

    play()
    assert deleted > size / 4, "worlds in which nothing goes prove nothing"


def disturb(world: PruneWorld, chance: random.Random) -> None:
    """Change something that could protect a backup, as a person or the service might in the middle of a run."""
    backups = [*world.store.in_vault(SOURCE_VAULT), *world.store.in_vault(DESTINATION_VAULT)]
    if not backups:
        return
    backup = chance.choice(backups)
    what = chance.choice(["status", "image", "expiry", "size", "gone", "lock", "record", "new"])
    if what == "status":
        backup.status = chance.choice(["restoring", "error", "deleting", "waiting_restore"])
    elif what == "image":
        backup.images = ["0f0f0f0f-0000-4000-8000-000000000005"]
    elif what == "expiry":
        backup.expired_at = world.clock.now() + chance.choice([-1, 1, 400]) * DAY
    elif what == "size":
        backup.resource_size += 1
    elif what == "gone":
        world.store.remove_backup(backup)
    elif what == "lock":
        world.store.vaults[backup.vault_id].locked = True
    elif what == "record" and backup.records:
        backup.records[0].status = chance.choice(["fail", "replicating"])
    elif what == "new":
        world.service.populator.add_new_backups(world.store.vaults[SOURCE_VAULT], 1, world.clock.now())
    backup.forget_row()
    world.store.forget_listings()


def play_badly(case: Case, bad: list[dict[str, Any]], seed: int, *, disturbed: bool) -> PruneWorld:
    """Prune with faults, kills and changes in between, until an attempt ends well or there were eight."""
    world, chance = open_world(case), random.Random(seed)
    for one in bad:
        world.control.fault(call=one["call"], nth=one["nth"], count=one["count"], **one["fault"])
    intents = Intents() if chance.random() < 0.5 else None
    for attempt in range(8):
        kill_at = chance.randrange(1, 40) if attempt < 3 and chance.random() < 0.5 else None
        steps: list[PruneStep] = []

        def observe(step: PruneStep, moment: str, steps: list[PruneStep] = steps, kill_at: int | None = kill_at) -> None:
            steps.append(step)
            if len(steps) == kill_at:
                raise Killed
            # Between the last look and the deletion itself nobody can look.
            if disturbed and (step, moment) == (PruneStep.LOOK_AGAIN, "before") and chance.random() < 0.1:
                disturb(world, chance)

        try:
            world.run(observe=observe, intents=intents)
        except (Killed, CbrError) as error:
            event(type(error).__name__)
            world.clock.advance(chance.choice([1, 60]))
        else:
            break
    return world


@pytest.mark.parametrize("size", SIZES)
def test_whatever_goes_wrong_nothing_that_must_stay_is_deleted(size: int) -> None:
    deleted = 0

    @given(case=cases, bad=faults, seed=st.integers(0, 10**9))
    @settings(SETTINGS, max_examples=size)
    def play(case: Any, bad: Any, seed: int) -> None:
        nonlocal deleted
        world = play_badly(case, bad, seed, disturbed=True)
        assert world.violations == []
        deleted += len(world.deleted)

    play()
    assert deleted > size / 8


@pytest.mark.parametrize("size", SIZES[:3])
@pytest.mark.campaign
def test_when_the_trouble_is_over_a_run_finishes_what_others_began(size: int) -> None:
    """After faults and kills, a run without them leaves exactly what a run without any trouble leaves."""

    @given(case=cases, bad=faults, seed=st.integers(0, 10**9))
    @settings(SETTINGS, max_examples=size)
    def play(case: Any, bad: Any, seed: int) -> None:
        # Backups that a fault adds or takes away make another world.
        bad = [one for one in bad if not one["fault"]["kind"].startswith("rows_")]
        troubled, calm = play_badly(case, bad, seed, disturbed=False), open_world(case)
        troubled.control.clear_faults()
        left = []
        for world in (calm, troubled):
            # A second run: a replica whose source was still being deleted is left to it.
            for _ in range(2):
                try:
                    world.run()
                except CbrError as error:
                    event(type(error).__name__)
                world.clock.advance(200)
            left.append(sorted(world.store.backups))
        assert left[0] == left[1]

    play()

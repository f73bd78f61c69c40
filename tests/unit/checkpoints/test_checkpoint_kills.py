"""The process may die before and after every step of the making of a checkpoint, and no second one is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_cbr.checkpoints.steps import CheckpointStep
from tests.support.checkpoint_night import CheckpointNight
from tests.support.replication_night import Killed
from tests.support.thinned import thinned

if TYPE_CHECKING:
    from airflow_cbr.checkpoints.steps import CheckpointResult

pytestmark = pytest.mark.campaign

MOMENTS = [(step, moment) for step in CheckpointStep for moment in ("before", "after")]
#: On Airflow before 3.3 there is nowhere to write anything down: these steps do not exist there.
NEEDS_STORE = {CheckpointStep.RECORD_INTENT, CheckpointStep.KEEP}


def prepare(step: CheckpointStep, *, durable_store: bool) -> CheckpointNight:
    """Return a night on which that step is reached, on a service that would back up twice if it were asked twice."""
    night = CheckpointNight(durable_store=durable_store)
    night.control.switch(careless=True, checkpoint_delay=60, operation_log_delay=60)
    if step is CheckpointStep.LOOK_AT_LOG:
        night.control.fault("reset", call="CreateCheckpoint", when="before")
    return night


@pytest.mark.parametrize("durable_store", [True, False], ids=["3.3", "3.1"])
@pytest.mark.parametrize("deferred", [False, True], ids=["sync", "deferred"])
@pytest.mark.parametrize(("step", "moment"), MOMENTS, ids=lambda value: str(value).replace(" ", "-"))
def test_a_kill_at_every_step(step: CheckpointStep, moment: str, deferred: bool, durable_store: bool) -> None:
    night = prepare(step, durable_store=durable_store)
    hits: list[CheckpointStep] = []

    def kill(at: CheckpointStep, when: str) -> None:
        if (at, when) == (step, moment) and not hits:
            hits.append(at)
            raise Killed

    try:
        night.attempt(deferred=deferred, observe=kill)
    except Killed:
        check(night, night.attempt(deferred=deferred))
    else:
        assert step in NEEDS_STORE
        assert not durable_store


def check(night: CheckpointNight, result: CheckpointResult) -> None:
    assert night.made == [result.checkpoint_id]
    assert night.published[-1] == (result.checkpoint_id, result.summary)
    assert (result.summary["status"], result.summary["backups"], result.summary["available"]) == ("available", 3, 3)


@pytest.mark.parametrize("durable_store", [True, False], ids=["3.3", "3.1"])
@pytest.mark.parametrize("names", [{}, {"checkpoint_backup_names": "own"}], ids=["named", "named in its own row alone"])
@pytest.mark.parametrize(("step", "moment"), thinned(MOMENTS, every=3), ids=lambda value: str(value).replace(" ", "-"))
def test_a_kill_at_every_second_taking_of_a_step(step: CheckpointStep, moment: str, names: dict[str, str], durable_store: bool) -> None:
    night = prepare(step, durable_store=durable_store)
    night.control.switch(**names)
    taken = 0

    def kill(at: CheckpointStep, when: str) -> None:
        nonlocal taken
        taken += (at, when) == (step, moment)
        if taken == 2:
            taken = 100
            raise Killed

    try:
        result = night.attempt(observe=kill)
    except Killed:
        result = night.attempt()
    check(night, result)


@pytest.mark.parametrize("kills", [2, 3, 4])
def test_being_killed_again_and_again(kills: int) -> None:
    night = CheckpointNight()
    night.control.switch(careless=True, checkpoint_delay=60)
    places = [
        (CheckpointStep.CREATE, "after"),
        (CheckpointStep.LOOK, "after"),
        (CheckpointStep.PUBLISH, "before"),
        (CheckpointStep.CONCLUDE, "after"),
    ]
    for place in places[:kills]:

        def kill(at: CheckpointStep, when: str, place: tuple[CheckpointStep, str] = place) -> None:
            if (at, when) == place:
                raise Killed

        with pytest.raises(Killed):
            night.attempt(observe=kill)
    check(night, night.attempt())


def test_every_step_is_reached_by_its_night() -> None:
    """The kill cases above say something only if each step is really taken."""
    for step in CheckpointStep:
        night = prepare(step, durable_store=True)
        night.attempt()
        assert (step, "before") in night.steps
        assert (step, "after") in night.steps

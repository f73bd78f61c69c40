"""Airflow 3.4 may empty the task state store at a clear: a checkpoint that was asked for is then found, and not asked for again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_cbr.checkpoints.steps import CheckpointStep
from tests.support.checkpoint_night import CheckpointNight
from tests.support.replication_night import Killed
from tests.support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.campaign

STEPS = [step for step in CheckpointStep if step is not CheckpointStep.LOOK_AT_LOG]
MOMENTS = [(step, moment) for step in STEPS for moment in ("before", "after")]


def killed_at(step: CheckpointStep, moment: str) -> Callable[[CheckpointStep, str], None]:
    def observe(at: CheckpointStep, when: str) -> None:
        if (at, when) == (step, moment):
            raise Killed

    return observe


def outcome(first: tuple[CheckpointStep, str], second: tuple[CheckpointStep, str], names: dict[str, str]) -> str:
    """Kill an attempt at the first moment, clear the task, kill the next at the second, and return what became of the third."""
    night = CheckpointNight()
    night.control.switch(careless=True, checkpoint_delay=60, operation_log_delay=60, **names)
    with pytest.raises(Killed):
        night.attempt(observe=killed_at(*first))
    night.clear_and_forget()
    try:
        night.attempt(observe=killed_at(*second))
    except Killed:
        pass
    else:
        if second[0] is not CheckpointStep.CREATE:
            return "the second attempt came past its kill, and there was something left to send"
    result = night.attempt()
    if night.made != [result.checkpoint_id]:
        return f"made {night.made}, and named {result.checkpoint_id}"
    return str(result.summary["status"])


@pytest.mark.parametrize("names", thinned([{"checkpoint_backup_names": "own"}, {}], every=2), ids=["named in its own row alone", "named"])
@pytest.mark.parametrize(("step", "moment"), thinned(MOMENTS, every=3), ids=lambda value: str(value).replace(" ", "-"))
def test_a_task_that_is_cleared_and_killed_anywhere_makes_one_checkpoint(step: CheckpointStep, moment: str, names: dict[str, str]) -> None:
    outcomes = {f"{when} {then}": outcome((step, moment), (then, when), names) for then, when in MOMENTS}

    assert {then: became for then, became in outcomes.items() if became != "available"} == {}

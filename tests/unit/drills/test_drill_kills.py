"""The process may die before and after every step of a drill: there is one image and one server, and at the end nothing is left."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cbr.drills.steps import CleanupStep, DrillStep
from tests.support.drill_night import DrillNight
from tests.support.replication_night import Killed
from tests.support.thinned import thinned

pytestmark = pytest.mark.campaign

LOST = [None, {"kind": "reset", "when": "after"}, {"kind": "status", "status": 504, "when": "after"}, {"kind": "reset", "when": "before"}]
MAKING = [step for step in DrillStep if step is not DrillStep.LOOK_AT_JOB]


def killer(step: Any, moment: str, times: int = 1) -> Any:
    """Kill at a step, the first time that it is met."""
    left = [times]

    def observe(met: Any, when: str) -> None:
        if left[0] and (met, when) == (step, moment):
            left[0] -= 1
            raise Killed

    return observe


def play_start(night: DrillNight, observe: Any, *, deferred: bool) -> Any:
    for _ in range(4):
        try:
            return night.start(deferred=deferred, observe=observe)
        except Killed:
            night.clock.advance(5)
    raise AssertionError("the start never ended")


def play_end(night: DrillNight, observe: Any = None, *, deferred: bool = False) -> Any:
    for _ in range(4):
        try:
            return night.end(deferred=deferred, observe=observe)
        except Killed:
            night.clock.advance(5)
    raise AssertionError("the end never ended")


@pytest.mark.parametrize("listed_at", thinned(["end", "start"], every=2))
@pytest.mark.parametrize("durable", thinned([False, True], every=2))
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", MAKING)
def test_a_kill_at_any_step_makes_one_image_and_one_server(step: DrillStep, moment: str, durable: bool, listed_at: str) -> None:
    for deferred in (False, True):
        night = DrillNight(durable_store=durable)
        night.control.switch(image_listed_at=listed_at, image_delay=30, server_delay=60)
        restored = play_start(night, killer(step, moment), deferred=deferred)
        assert [one["image_id"] for one in night.made("images")] == [restored.image_id]
        assert [one["server_id"] for one in night.made("servers")] == [restored.server_id]
        play_end(night)
        assert night.left() == []


@pytest.mark.parametrize("call", ["CreateWholeImage", "CreatePostPaidServers"])
@pytest.mark.parametrize("fault", LOST[1:])
@pytest.mark.parametrize("durable", [True, False])
def test_a_lost_answer_makes_one_image_and_one_server(durable: bool, fault: dict[str, Any], call: str) -> None:
    night = DrillNight(durable_store=durable)
    night.control.switch(image_listed_at="end", image_delay=30, server_delay=60)
    # The first call that names a server is its dry run.
    night.control.fault(call=call, nth=2 if call == "CreatePostPaidServers" else 1, **fault)
    restored = night.start()
    assert [one["image_id"] for one in night.made("images")] == [restored.image_id]
    assert [one["server_id"] for one in night.made("servers")] == [restored.server_id]
    play_end(night)
    assert night.left() == []


@pytest.mark.parametrize("call", ["CreateWholeImage", "CreatePostPaidServers"])
@pytest.mark.parametrize("durable", [True, False])
def test_what_a_lost_answer_made_is_removed_by_its_mark_though_the_start_never_came_back(durable: bool, call: str) -> None:
    step = DrillStep.CREATE_IMAGE if call == "CreateWholeImage" else DrillStep.CREATE_SERVER
    for listed_at in ("start", "end"):
        night = DrillNight(durable_store=durable)
        night.control.switch(image_listed_at=listed_at, image_delay=30, server_delay=60)
        night.control.fault("reset", call=call, when="after", nth=2 if call == "CreatePostPaidServers" else 1)

        def observe(met: Any, when: str, steps: list[tuple[Any, str]] = night.steps) -> None:
            # The answer is lost, and the process dies before it has understood that.
            if met is DrillStep.LOOK and when == "before" and (step, "before") in steps:
                raise Killed

        with pytest.raises(Killed):
            night.start(observe=observe)
        play_end(night)
        assert night.made("images"), "nothing was made, so nothing was tested"
        assert night.left() == []


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", CleanupStep)
@pytest.mark.parametrize("durable", thinned([False, True], every=2))
def test_a_kill_at_any_step_of_the_end_leaves_nothing(durable: bool, step: CleanupStep, moment: str) -> None:
    for deferred in (False, True):
        night = DrillNight(durable_store=durable)
        night.start()
        play_end(night, killer(step, moment), deferred=deferred)
        assert night.left() == []


@pytest.mark.parametrize("step", thinned(MAKING, every=3))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_end_after_a_start_that_died_anywhere_leaves_nothing(step: DrillStep, moment: str) -> None:
    for durable in (True, False):
        if step is DrillStep.RECORD_INTENT and not durable:
            continue
        for keeps_xcom in (True, False):
            night = DrillNight(durable_store=durable)
            night.control.switch(image_listed_at="end", image_delay=30, server_delay=60)
            with pytest.raises(Killed):
                night.start(observe=killer(step, moment))
            if not keeps_xcom:
                night.xcom = None
            play_end(night)
            assert night.left() == []

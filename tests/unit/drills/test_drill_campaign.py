"""Random nights of drills: nothing is leaked, made twice, or deleted that is not the drill's."""

from __future__ import annotations

import pytest

from tests.support.drill_night import DrillNight
from tests.support.drill_nights import play, sweep

pytestmark = pytest.mark.campaign


def offenders(seeds: range) -> dict[int, object]:
    found = {seed: play(seed) for seed in seeds}
    assert sum(outcome.started for outcome in found.values()) > len(found) / 2, "most drills must come to something"
    return {seed: outcome for seed, outcome in found.items() if not outcome.is_good}


def test_some_random_nights() -> None:
    assert offenders(range(12)) == {}


@pytest.mark.campaign
def test_some_more_random_nights() -> None:
    assert offenders(range(100, 130)) == {}


@pytest.mark.full
@pytest.mark.parametrize("start", range(1000, 2000, 50))
def test_a_thousand_random_nights(start: int) -> None:
    assert offenders(range(start, start + 50)) == {}


def test_a_sweep_removes_what_nobody_ended() -> None:
    night = DrillNight()
    night.start()
    assert sweep(night) == []

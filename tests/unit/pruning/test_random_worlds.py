"""Random worlds, judged by what the service holds at the moment of each deletion: nothing that must stay is ever deleted."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings

from airflow_cbr.exceptions import CbrError
from tests.support.random_prune_worlds import Case, cases, open_world

SETTINGS = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
#: A contributor's own run plays the first number, `make test` the second, and `make test-full` all of them.
SIZES = [
    pytest.param(100, id="100"),
    pytest.param(1000, marks=pytest.mark.campaign, id="1000"),
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

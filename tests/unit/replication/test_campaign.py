"""A thousand random nights: nothing is copied twice, nothing is lost, and green means copied."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from tests.support.random_nights import play

SEEDS = 1000
CHUNK = 50
FIRST_SEED = int(os.environ.get("CBR_CAMPAIGN_SEED", "0"))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep a million log lines out of the reports."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


#: A contributor's own runs play the first chunk alone, and `make test` the first quarter.
CHUNKS = [
    pytest.param(start, marks=[] if start == FIRST_SEED else pytest.mark.campaign if start < FIRST_SEED + SEEDS // 4 else pytest.mark.full)
    for start in range(FIRST_SEED, FIRST_SEED + SEEDS, CHUNK)
]


@pytest.mark.parametrize("start", CHUNKS)
def test_random_nights(start: int) -> None:
    bad = {}
    for seed in range(start, start + CHUNK):
        outcome = play(seed)
        if not outcome.is_good:
            bad[seed] = outcome
    again = "CBR_CAMPAIGN_SEED={0} python -m pytest 'tests/unit/replication/test_campaign.py::test_random_nights[{0}]'"
    assert not bad, "\n".join(f"seed {seed}: {outcome}\n  again: {again.format(seed)}" for seed, outcome in bad.items())


@pytest.mark.campaign
def test_the_campaign_can_fail() -> None:
    """With adoption switched off, the same nights show duplicates."""
    outcomes = [play(seed, durable=False) for seed in range(40)]
    assert any(outcome.duplicates for outcome in outcomes)

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


@pytest.mark.parametrize("start", range(FIRST_SEED, FIRST_SEED + SEEDS, CHUNK))
def test_random_nights(start: int) -> None:
    bad = {}
    for seed in range(start, start + CHUNK):
        outcome = play(seed)
        if not outcome.is_good:
            bad[seed] = outcome
    assert not bad, "\n".join(
        f"seed {seed}: {outcome}\n  again: python -c 'from tests.support.random_nights import play; print(play({seed}))'"
        for seed, outcome in bad.items()
    )


def test_the_campaign_can_fail() -> None:
    """With adoption switched off, the same nights show duplicates."""
    outcomes = [play(seed, durable=False) for seed in range(40)]
    assert any(outcome.duplicates for outcome in outcomes)

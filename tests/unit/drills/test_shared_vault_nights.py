"""Random nights in which drills, a sweep and prunings share two vaults: nothing is leaked, and no replica is lost."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from airflow_cbr.api.calls.images import ImageCalls
from airflow_cbr.pruning import plan
from tests.support.shared_vault_nights import Outcome, play

pytestmark = pytest.mark.campaign


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep a million log lines out of the reports."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def offenders(seeds: range) -> dict[int, Outcome]:
    found = {seed: play(seed) for seed in seeds}
    assert sum(one.started for one in found.values()) > len(found) / 2, "most drills must come to something"
    assert sum(one.deleted for one in found.values()) > len(found), "and most prunings"
    return {seed: one for seed, one in found.items() if not one.is_good}


def test_some_random_nights() -> None:
    assert offenders(range(12)) == {}


@pytest.mark.full
@pytest.mark.parametrize("start", range(1000, 2000, 50))
def test_a_thousand_random_nights(start: int) -> None:
    assert offenders(range(start, start + 50)) == {}


def test_an_image_that_takes_its_replica_with_it_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def delete_image(self: ImageCalls, image_id: str) -> None:
        self._images.repeat("GlanceDeleteImage", "DELETE", f"/v2/images/{image_id}", {"delete_backup": True}, lambda answer: None)

    monkeypatch.setattr(ImageCalls, "delete_image", delete_image)
    assert any("lost replica" in text for text in play(0).left)


def test_a_pruning_that_keeps_nothing_by_its_rules_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "kept_by", lambda backups, rules: {})
    assert any(play(seed).wrong for seed in range(6))

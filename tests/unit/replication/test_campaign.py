"""A thousand random nights: nothing is copied twice, nothing is lost, green means copied, and in the morning nobody is told more."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.operators import facts
from airflow_cbr.verification.replica_check import ReplicaCheck
from airflow_cbr.verification.report import Report
from airflow_cbr.verification.verdicts import Verdict
from tests.support.airflow_stand_in import NOW, AirflowStandIn, task_row, vault_id
from tests.support.browser import open_page
from tests.support.random_mornings import NAMES, after_a_random_night, after_wrong_copies
from tests.support.random_nights import play

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from airflow_cbr.api.models import Backup
    from airflow_cbr.verification.source_inventory import BackupRow
    from tests.support.mornings import Morning

pytestmark = pytest.mark.campaign

SEEDS = 1000
CHUNK = 50
FIRST_SEED = int(os.environ.get("CBR_CAMPAIGN_SEED", "0"))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep a million log lines out of the reports."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


#: A contributor's own runs play the first chunk alone, and `make test` the first three.
CHUNKS = [
    pytest.param(start, marks=[] if start == FIRST_SEED else pytest.mark.campaign if start < FIRST_SEED + 3 * CHUNK else pytest.mark.full)
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


# --- in the morning -----------------------------------------------------------------------------------------------------------

MORNINGS = 600
MORNING_CHUNK = 12


def mornings(start: int, count: int) -> dict[str, Morning]:
    """Return the mornings after some random nights, and after some of the cases of wrong copies, each by how it can be had again."""
    names = [NAMES[number % len(NAMES)] for number in range(start, start + count)]
    after = {f"after_a_random_night({seed})": after_a_random_night(seed) for seed in range(start, start + count)}
    return after | {f"after_wrong_copies({name!r}, {start})": after_wrong_copies(name, start) for name in names}


def false_words(found: dict[str, Morning]) -> str:
    return "\n".join(f"{again}: {said}" for again, morning in found.items() for said in morning.false)


#: Every case of wrong copies is asked about several times.
MORNING_CHUNKS = [
    pytest.param(start, marks=[] if start == FIRST_SEED else pytest.mark.full)
    for start in range(FIRST_SEED, FIRST_SEED + MORNINGS, MORNING_CHUNK)
]


@pytest.mark.parametrize("start", MORNING_CHUNKS)
def test_nobody_is_told_of_a_replica_that_the_destination_does_not_hold(start: int) -> None:
    """Not by the event of an outlet, a metric, the lineage, the evidence, or what the page reads."""
    found = mornings(start, MORNING_CHUNK)
    assert not false_words(found), false_words(found)


def test_good_copies_are_told_of() -> None:
    assert any(after_a_random_night(seed).is_green for seed in range(60))


#: What the page makes of its reading, by the last digits of the source vault.
CELLS = """async () => {
    const { Reading, rowsOf } = await import(new URL("rows.js", document.baseURI));
    const reading = new Reading(new URL("../api/v2/", document.baseURI));
    await reading.begin();
    const rows = rowsOf(reading, reading.at);
    return rows.map(({ pair, verdict, age, size, maxAge }) => [Number(pair.vault.slice(-12)), { verdict, age, size, maxAge }]);
}"""


@pytest.mark.full
def test_no_cell_of_the_page_says_that_the_destination_holds_what_it_does_not(browser: Browser) -> None:
    found = mornings(FIRST_SEED, 150)
    with AirflowStandIn() as airflow, open_page(browser) as page:
        for number, morning in enumerate(found.values()):
            outcome = morning.as_if_at(NOW)
            if outcome is not None and "source" in outcome:
                outcome["source"] = {**outcome["source"], "vault_id": vault_id(number)}
            airflow.rows.append(task_row(vault_id(number), state=morning.told.state, outcome=outcome))
        page.goto(airflow.page)
        page.wait_for_selector("#rows:not([aria-busy])", state="attached")
        cells = dict(page.evaluate(CELLS))
        drawn = page.eval_on_selector_all("tr[data-verdict]", "rows => rows.map(row => row.dataset.verdict)")

    # Not one by one: between the drawing and the second reading a replica can grow too old.
    assert len(drawn) == len(cells) == len(found)
    assert {"failed", "late", "unknown", "unjudged", "verified"} <= set(drawn)
    false = [f"{again}: {said}" for number, (again, morning) in enumerate(found.items()) for said in morning.false_cells(cells[number])]
    assert not false, "\n".join(false)


def _confirm(_: ReplicaCheck, row: BackupRow, replica: Backup) -> None:
    """Take a replica as it is."""
    row.confirm()


@pytest.mark.parametrize(
    ("where", "name", "careless"),
    [
        (facts, "proves_copies", lambda report: report.verdict is Verdict.VERIFIED),
        (ReplicaCheck, "judge", _confirm),
        (
            Report,
            "verified_at",
            property(lambda report: max((one.verified_at for one in report.resources if one.verified_at), default=None)),
        ),
    ],
    ids=["green is verified", "any replica is good", "the newest stands for all"],
)
def test_what_is_told_carelessly_is_found_out(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, careless: Any) -> None:
    monkeypatch.setattr(where, name, careless)
    assert any(after_a_random_night(seed).false for seed in range(30))

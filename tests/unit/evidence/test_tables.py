"""The tables for programs say what the page says."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.evidence.check import walk
from airflow_cbr.evidence.file import VaultPlace
from airflow_cbr.evidence.overview import Origin
from airflow_cbr.evidence.period import Period, summarise
from airflow_cbr.evidence.tables import COLUMNS, write_csv, write_json
from airflow_cbr.evidence.translations import Texts
from tests.support.bare_store import BareStore
from tests.support.evidence_nights import DAY, HERE, HOUR, PAIR, THERE, add, add_nights, night, verification

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD = Period(date(2026, 3, 1), date(2026, 3, 4), UTC, datetime(2026, 4, 1, tzinfo=UTC))


def written(write: Callable[..., Any], store: BareStore, language: str = "en") -> str:
    out = io.StringIO(newline="")
    origin = Origin(PERIOD, "UTC", "evidence", "0.1.0", ["0123456789abcdef"])
    write(out, (summarise(pair, walk(store, pair), PERIOD) for pair in store.pairs()), origin, Texts(language))
    return out.getvalue()


def nights() -> BareStore:
    store = BareStore()
    add_nights(store, 2)
    add(store, night(3), verification({"web-01": None, "db-01": 2 * DAY}, verdict="failed"))
    add(store, night(3, 1), {"verdict": "successful", "resource_name": "web-01", "seconds": 60}, kind="drill")
    return store


def test_csv_has_a_line_for_each_vault_and_day() -> None:
    rows = list(csv.DictReader(io.StringIO(written(write_csv, nights()))))

    assert tuple(rows[0]) == COLUMNS
    assert [(row["day"][-2:], row["state"], row["verifications"], row["age_seconds"]) for row in rows] == [
        ("01", "met", "1", str(HOUR)),
        ("02", "met", "1", str(HOUR)),
        ("03", "no_evidence", "0", ""),
        ("04", "missed", "1", ""),
    ]
    assert (
        rows[3]["reasons"] == "web-01 (id-of-web-01): no verified replica; db-01 (id-of-db-01): the newest verified replica was 2 d 0 h old"
    )
    assert {(row["source_vault_id"], row["destination_vault_name"], row["rpo_seconds"]) for row in rows} == {
        (HERE.vault_id, THERE.name, str(DAY))
    }


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|'/C calc'!A0"])
def test_no_cell_is_a_formula(name: str) -> None:
    store = BareStore()
    add(store, night(0), verification({name: None}, verdict="failed"), source=VaultPlace(HERE.region, "p", HERE.vault_id, name))
    for row in csv.reader(io.StringIO(written(write_csv, store))):
        assert [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
    assert f"'{name}" in written(write_csv, store)


def test_json_has_everything_and_no_number_that_json_does_not_know() -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    document = json.loads(written(write_json, nights()), parse_constant=refuse)

    assert (document["from"], document["to"], document["public_keys"]) == ("2026-03-01", "2026-03-04", ["0123456789abcdef"])
    (vault,) = document["vaults"]
    assert [day["state"] for day in vault["days"]] == ["met", "met", "no_evidence", "missed"]
    assert (vault["source"]["vault_id"], vault["worst_seconds"], vault["median_seconds"]) == (HERE.vault_id, None, HOUR)
    assert [(drill["passed"], drill["seconds"]) for drill in vault["drills"]] == [(True, 60)]
    assert document["totals"]["days"] == {
        "met": 2,
        "missed": 1,
        "no_evidence": 1,
        "damaged": 0,
        "unproven": 0,
        "before": 0,
        "pending": 0,
    }
    assert (document["totals"]["files"], document["totals"]["problems"]) == (4, 0)


def test_json_names_what_is_wrong_with_the_evidence() -> None:
    store = nights()
    del store.files[PAIR][store.names(PAIR)[1]]
    document = json.loads(written(write_json, store))
    assert document["totals"]["problems"] == 1
    assert document["vaults"][0]["problems"] == [f"{PAIR}: 00000002: missing, deleted or moved"]


def test_without_evidence_there_is_an_empty_table() -> None:
    assert written(write_csv, BareStore()).splitlines() == [",".join(COLUMNS)]
    assert json.loads(written(write_json, BareStore()))["vaults"] == []

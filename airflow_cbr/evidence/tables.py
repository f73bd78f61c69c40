"""The report for programs: CSV with a line for each vault and day, and JSON with everything."""

from __future__ import annotations

import csv
import json
import math
from typing import IO, TYPE_CHECKING, Any, Final

from airflow_cbr.evidence.judgement import State
from airflow_cbr.evidence.overview import Overview

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_cbr.evidence.file import VaultPlace
    from airflow_cbr.evidence.overview import Origin
    from airflow_cbr.evidence.period import Day, VaultPeriod
    from airflow_cbr.evidence.translations import Texts

__all__ = ["COLUMNS", "write_csv", "write_json"]

COLUMNS: Final = (
    "source_region",
    "source_vault_id",
    "source_vault_name",
    "destination_region",
    "destination_vault_id",
    "destination_vault_name",
    "day",
    "state",
    "verifications",
    "rpo_seconds",
    "age_seconds",
    "reasons",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def write_csv(out: IO[str], vaults: Iterable[VaultPeriod], origin: Origin, texts: Texts) -> Overview:
    """Write a line for each vault and day.

    :param out: takes the lines; opened with ``newline=""``.
    :param vaults: read once.
    :param origin: where the report is from; of no use here.
    :param texts: of the reasons.
    :return: the totals.
    """
    overview = Overview()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for vault in vaults:
        overview.add(vault)
        where = [*_place(vault.source), *_place(vault.destination)]
        for day in vault.days:
            reasons = "; ".join(_reasons(day, texts))
            row = [*where, day.day.isoformat(), day.state, day.verifications, _seconds(vault.rpo), _seconds(day.age), reasons]
            writer.writerow([_harmless(cell) for cell in row])
    return overview


def write_json(out: IO[str], vaults: Iterable[VaultPeriod], origin: Origin, texts: Texts) -> Overview:
    """Write everything, vault by vault; the totals are at the end.

    :param out: takes the document.
    :param vaults: read once.
    :param origin: where the report is from.
    :param texts: of the reasons.
    :return: the totals.
    """
    overview = Overview()
    head = {
        "version": 1,
        "from": origin.period.first.isoformat(),
        "to": origin.period.last.isoformat(),
        "time_zone": origin.zone,
        "made_at": origin.period.now.isoformat(timespec="seconds"),
        "evidence": origin.path,
        "package": origin.version,
        "public_keys": origin.keys,
    }
    out.write(_json(head)[:-1] + ',\n"vaults": [')
    for number, vault in enumerate(vaults):
        overview.add(vault)
        out.write((",\n" if number else "\n") + _json(_vault(vault, texts)))
    totals = {
        "vaults": len(overview.rows),
        "days": {str(state): overview.count(state) for state in State},
        "worst_seconds": _seconds(overview.worst),
        "median_seconds": _seconds(overview.median),
        "drills": overview.drills,
        "drills_passed": overview.drills_passed,
        "files": overview.files,
        "problems": overview.problem_count,
    }
    out.write(f'],\n"totals": {_json(totals)}}}\n')
    return overview


def _vault(vault: VaultPeriod, texts: Texts) -> dict[str, Any]:
    return {
        "source": _place_of(vault.source),
        "destination": _place_of(vault.destination),
        "rpo_seconds": _seconds(vault.rpo),
        "worst_seconds": _seconds(vault.worst),
        "median_seconds": _seconds(vault.median),
        "longest_without_proof_seconds": vault.longest,
        "days": [
            {
                "day": day.day.isoformat(),
                "state": str(day.state),
                "verifications": day.verifications,
                "age_seconds": _seconds(day.age),
                "reasons": _reasons(day, texts),
            }
            for day in vault.days
        ],
        "drills": [
            {
                "at": drill.at.isoformat(timespec="seconds"),
                "passed": drill.passed,
                "verdict": drill.content.verdict,
                "resource_id": drill.content.resource_id,
                "resource_name": drill.content.resource_name,
                "backup_id": drill.content.backup_id,
                "seconds": drill.content.seconds,
                "reason": drill.content.reason,
            }
            for drill in vault.drills
        ],
        "others": vault.others,
        "files": vault.files,
        "problems": [texts.problem(problem) for problem in vault.problems],
    }


def _reasons(day: Day, texts: Texts) -> list[str]:
    return [texts.reason(reason) for reason in day.reasons]


def _place(place: VaultPlace | None) -> tuple[str, str, str]:
    return ("", "", "") if place is None else (place.region, place.vault_id, place.name or "")


def _place_of(place: VaultPlace | None) -> dict[str, str | None] | None:
    if place is None:
        return None
    return {"region": place.region, "project_id": place.project_id, "vault_id": place.vault_id, "name": place.name}


def _seconds(seconds: float | None) -> float | None:
    """Return seconds as JSON and CSV can have them: infinity is no number there."""
    return None if seconds is None or seconds == math.inf else seconds


def _harmless(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)

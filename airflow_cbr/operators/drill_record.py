"""What the verdict on a drill becomes beside its XCom: metrics, and evidence of the vault pair."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_cbr.exceptions import CbrEvidenceError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.hooks.metrics import tags_of, tell_drill
from airflow_cbr.operators.evidence import Statement, name_of_vault

if TYPE_CHECKING:
    from airflow_cbr.operators.drilling import DrillCleaner

__all__ = ["state_drill", "tell_verdict"]


def tell_verdict(verdict: dict[str, Any], destination_region: str) -> None:
    """Send the metrics of a drill.

    :param verdict: the verdict.
    :param destination_region: its region; the one tag of a drill whose start has told nothing.
    """
    source = verdict["source"]
    if source is None:
        tags = {"destination_region": destination_region}
    else:
        tags = tags_of(
            region=source["region"],
            vault_id=source["vault_id"],
            destination_region=verdict["region"],
            destination_vault_id=verdict["vault_id"],
        )
    tell_drill(verdict["verdict"], verdict["durations"], tags)


def state_drill(operator: DrillCleaner[Any], verdict: dict[str, Any]) -> Statement:
    """Return what a drill attests.

    :param operator: the task that has ended it.
    :param verdict: the verdict.
    :raises CbrEvidenceError: the start has told nothing, so that nobody knows of which vaults the drill was.
    """
    from airflow_cbr.evidence.file import VaultPlace

    there = {name: verdict[name] for name in ("region", "project_id", "vault_id")}
    here = verdict["source"]
    if here is None or not all(there.values()):
        raise CbrEvidenceError(
            "No evidence of the drill was written: its start has published nothing, so of which vaults it was is not known.",
            advice="Look why the start did not run, or failed before it had sent anything; that is in its log.",
        )
    source_hook = CbrHook(operator.cbr_conn_id, region=here["region"], project_id=here.get("project_id"))
    replica = verdict["replica"] or {}
    return Statement(
        "drill",
        # What a drill proves does not depend on the project of the source, which may be out of reach.
        VaultPlace(here["region"], here.get("project_id") or "unknown", here["vault_id"], name_of_vault(source_hook, here["vault_id"])),
        VaultPlace(**there, name=name_of_vault(operator.destination_hook, there["vault_id"])),
        datetime.fromisoformat(verdict["ended_at"]) if verdict["ended_at"] else datetime.now(UTC),
        {
            "verdict": verdict["verdict"],
            "resource_id": replica.get("resource_id"),
            "resource_name": replica.get("resource_name"),
            "backup_id": replica.get("backup_id"),
            "backup_name": replica.get("backup_name"),
            "seconds": verdict["durations"]["rto_seconds"],
            "reason": verdict["reason"] or verdict["left"],
            "drill": verdict,
        },
    )

"""A pruning as one JSON document, bounded in size whatever the vaults hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_cbr.pruning.keep_rules import RULES
from airflow_cbr.pruning.spec import Side

if TYPE_CHECKING:
    from airflow_cbr.pruning.look import Look
    from airflow_cbr.pruning.pruning import Pruning
    from airflow_cbr.pruning.spec import PruneSpec

__all__ = ["MOST_LISTED", "document_of"]

MOST_LISTED: Final = 1000
"""Backups that the document lists; its counts and GB are those of all."""


def document_of(pruning: Pruning, spec: PruneSpec, *, time_zone: str, stopped: str | None = None) -> dict[str, Any]:
    """Return what was, or would be, removed, and how much stays and why, as plain JSON values.

    :param pruning: the pruning, at its end or where it stopped.
    :param spec: what was asked for.
    :param time_zone: name of the time zone of the keep rules.
    :param stopped: why it stopped before its end. Default: it did not.
    """
    plan, removed = pruning.plan, pruning.removed
    look = plan.look if plan is not None else None
    document = {
        "version": 1,
        "plan_only": spec.plan_only,
        "source": _place(look, "source", Side.SOURCE),
        "destination": _place(look, "destination", Side.REPLICA),
        "asked": {
            "keep": {name: getattr(spec.rules, name) for name in RULES},
            "time_zone": time_zone,
            "min_age": spec.min_age,
            "sides": [str(side) for side in spec.sides],
            "max_deletions": spec.max_deletions,
        },
        "at": look.now.isoformat(timespec="seconds") if look is not None and look.now is not None else None,
        "planned": len(plan.removals) if plan is not None else None,
        "removed_total": len(removed),
        "adopted": sum(one.is_adopted for one in removed),
        "size_gb": sum(one.size_gb for one in removed),
        "kept_total": len(plan.kept) if plan is not None else None,
        "kept": plan.reasons if plan is not None else {},
        "stopped": stopped,
        "removed": removed[:MOST_LISTED],
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    return plain


def _place(look: Look | None, name: str, side: Side) -> dict[str, str | None] | None:
    """Return region, project and vault of a side, with the vault's name; None where nothing was read."""
    return None if look is None else {**look.places[name], "vault_name": look.vaults[side].name}

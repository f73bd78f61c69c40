"""The lines of a drill: the verdict, which server and why come first, and ids last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.api.texts import counted
from airflow_cbr.inventory.measures import duration_text, gb_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_cbr.drills.state import DrillState
    from airflow_cbr.drills.steps import Restored

__all__ = ["cost_line", "ready_line", "verdict_line"]

_PARTS: Final = (("image_seconds", "image"), ("boot_seconds", "boot"), ("check_seconds", "checks"))


def verdict_line(verdict: Mapping[str, Any]) -> str:
    """Return the last line of a drill.

    :param verdict: from :func:`airflow_cbr.drills.document.verdict`.
    """
    replica = verdict["replica"] or {}
    server = replica.get("resource_name") or replica.get("resource_id") or "no server"
    reason = verdict["reason"] or f"the server booted, and {counted(len(verdict['checks']), 'check')} succeeded"
    ids = [
        f"{name} {found}"
        for name, found in (
            ("replica", replica.get("replica_id")),
            ("server", verdict["server_id"]),
            ("image", verdict["image_id"]),
            ("drill", verdict["name"]),
        )
        if found
    ]
    said = [reason, *_durations(verdict["durations"])]
    return f"DRILL {verdict['verdict'].upper()} {server}: {'; '.join(said)} ({', '.join(ids)})"


def _durations(durations: Mapping[str, float | None]) -> list[str]:
    parts = [f"{name} {duration_text(seconds)}" for key, name in _PARTS if (seconds := durations[key]) is not None]
    if not parts:
        return []
    whole = durations["rto_seconds"]
    return [", ".join(parts) if whole is None else f"recovered in {duration_text(whole)}: {', '.join(parts)}"]


def ready_line(state: DrillState, restored: Restored) -> str:
    """Return the line that says that a drill's server is active.

    :param state: what the start knows.
    :param restored: its result.
    """
    replica = state.replica
    server = "The server" if replica is None else f"The server of {replica.server}"
    where = f" at {restored.private_ip}" if restored.private_ip else ""
    took = duration_text(state.server_ready_at - state.begun_at)
    until = f"; the service deletes it at {state.terminate_at}" if state.terminate_at else ""
    return f"{server} is active{where}, {took} after the beginning{until} (server {restored.server_id}, image {restored.image_id})"


def cost_line(costs: Mapping[str, Any]) -> str:
    """Return the line that says what drives the cost of drills.

    :param costs: from :func:`airflow_cbr.drills.preflight.check_drills`.
    """
    size = gb_text(costs["gb"])
    if costs["gb_unknown"]:
        size += f" and {counted(costs['gb_unknown'], 'server')} of unknown size"
    flavor = costs["flavor"]
    if costs.get("vcpus") is not None and costs.get("ram_mb") is not None:
        flavor += f" ({counted(costs['vcpus'], 'vCPU')}, {costs['ram_mb']} MB)"
    return (
        f"What drives the cost: {counted(costs['drills'], 'drill')}, {costs['at_once']} at once; {size}; flavor {flavor}; "
        f"{costs['hours_at_most']:g} server hours at most"
    )

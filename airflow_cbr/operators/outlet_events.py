"""What the events of a task's outlets say. Airflow makes one for each outlet of a task that succeeds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import AssetAlias

from airflow_cbr.assets import vault_asset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

__all__ = ["announce", "withhold"]

_log: Final = logging.getLogger(__name__)


def announce(context: Context, facts: Mapping[str, Any]) -> None:
    """Attach facts to the event of each outlet; an alias gets an event of the destination vault.

    :param context: the task's context.
    :param facts: what the events say besides who made them.
    """
    ti = context["ti"]
    extra = {
        **facts,
        "dag_id": ti.dag_id,
        "run_id": context["run_id"],
        "task_id": ti.task_id,
        "map_index": ti.map_index,
        "try_number": ti.try_number,
    }
    events = context["outlet_events"]
    for outlet in ti.task.outlets:
        if isinstance(outlet, AssetAlias):
            events[outlet].add(vault_asset(**facts["destination"]), extra=extra)
        else:
            events[outlet].extra = {**events[outlet].extra, **extra}


def withhold(context: Context, reason: str) -> None:
    """Let the outlets have no event, although the task succeeds.

    :param context: the task's context.
    :param reason: why, for the log.
    """
    _log.info("The task's outlets get no event: %s", reason)
    # Airflow makes the events of what the task names as its outlets when it has ended. This is the attempt's own copy of the task.
    context["ti"].task.outlets = []

"""The specification of a replicate task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_cbr.once.attempt import Attempt

if TYPE_CHECKING:
    from airflow_cbr.inventory.destination import Destination

__all__ = ["Attempt", "ReplicationSpec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationSpec:
    """What the Dag author asked for. Times are seconds.

    :param vault_id: source vault.
    :param destination: where the copies go.
    :param auto_trigger: mark the copies as made by a schedule.
    :param enable_acceleration: pay for a faster transfer.
    :param wait_for_completion: whether a copy that is still running counts as covered.
    :param allow_empty: whether a vault without any eligible backup is fine.
    :param max_backups: refuse to start more copies than this. Default: no limit.
    :param max_records: refuse to return more record ids than this, because a downstream task is mapped over them. Default: no limit.
    :param timeout: seconds for the whole task, over all attempts since the last clear.
    :param poll_interval: shortest gap between two looks.
    :param max_poll_interval: longest gap between two looks.
    :param settle_time: the delay within which the service shows a replication that it accepted.
    :param durable: whether earlier attempts are taken into account. False is the one way to copy twice.
    """

    vault_id: str
    destination: Destination
    auto_trigger: bool = False
    enable_acceleration: bool = False
    wait_for_completion: bool = True
    allow_empty: bool = False
    max_backups: int | None = None
    max_records: int | None = None
    timeout: float = 86400.0
    poll_interval: float = 30.0
    max_poll_interval: float = 600.0
    settle_time: float = 120.0
    durable: bool = True

"""What a pruning is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_cbr.inventory.destination import Destination
    from airflow_cbr.pruning.keep_rules import KeepRules

__all__ = ["PruneSpec", "Side"]


class Side(StrEnum):
    """Where a backup is."""

    SOURCE = "source"
    """A backup of the source vault."""
    REPLICA = "replica"
    """A replica in the destination vault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneSpec:
    """The specification of one pruning.

    :param vault_id: the source vault.
    :param destination: where its replicas are.
    :param rules: which backups of each resource stay.
    :param sides: the sides that are pruned; the other one is only looked at.
    :param min_age: seconds; what is younger stays.
    :param max_deletions: most backups that may go. Default: any number.
    :param plan_only: whether nothing is deleted. Default: True.
    :param settle_timeout: seconds to wait until what was deleted is gone. Default: 600.
    :param poll_interval: seconds between two looks while it waits. Default: 10.
    """

    vault_id: str
    destination: Destination
    rules: KeepRules
    sides: tuple[Side, ...] = (Side.SOURCE, Side.REPLICA)
    min_age: float = 86400.0
    max_deletions: int | None = None
    plan_only: bool = True
    settle_timeout: float = 600.0
    poll_interval: float = 10.0

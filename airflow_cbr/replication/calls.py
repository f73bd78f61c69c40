"""The two calls that cost money. Nothing else sends them, and neither is sent before it was counted and its intent written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cbr.once.ceiling import CallCeiling
from airflow_cbr.replication.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Replication
    from airflow_cbr.replication.coverage import BackupStanding, Coverage
    from airflow_cbr.replication.intents import ReplicationIntents
    from airflow_cbr.replication.memory import Memory
    from airflow_cbr.replication.order import Order

__all__ = ["ReplicateCalls"]


class ReplicateCalls:
    """Sends the replicate calls of one attempt.

    :param client: a client of the source region and project.
    :param order: what is asked.
    :param memory: the attempt's memory, which counts the calls.
    :param intents: takes the intents.
    :param at: marks the step, so that a test can stop there.
    """

    def __init__(
        self,
        client: CbrClient,
        order: Order,
        memory: Memory,
        intents: ReplicationIntents,
        *,
        at: Callable[[Step], AbstractContextManager[None]],
    ) -> None:
        self._client = client
        self._order = order
        self._memory = memory
        self._intents = intents
        self._at = at
        self._ceiling = CallCeiling(memory.calls, "backup")

    def vault(self, coverage: Coverage, wanted: list[BackupStanding]) -> Replication:
        """Ask for all that is needed with one call for the vault (CopyCheckpoint).

        :param coverage: the look that the call rests on.
        :param wanted: the backups that it is meant for.
        :raises CbrCallLimitError: the ceiling is reached; nothing was sent.
        :raises CbrError: as :meth:`airflow_cbr.api.client.CbrClient.replicate_checkpoint` does.
        """
        order, there = self._order, self._order.destination
        asked = [one.backup.id for one in wanted]
        self._ceiling.count(asked, of=len(coverage.eligible))
        self._intents.record_intent(self._memory, coverage, wanted)
        with self._at(Step.REPLICATE_VAULT):
            return self._ceiling.send(
                asked,
                lambda: self._client.replicate_checkpoint(
                    vault_id=order.vault_id,
                    destination_region=there.region,
                    destination_project_id=there.project_id,
                    destination_vault_id=there.vault_id,
                    auto_trigger=order.auto_trigger,
                    enable_acceleration=order.enable_acceleration,
                ),
            )

    def backup(self, backup_id: str, coverage: Coverage, wanted: list[BackupStanding]) -> Replication:
        """Ask for one backup (CopyBackup).

        :param backup_id: the backup.
        :param coverage: the look that the call rests on.
        :param wanted: all that is needed, for the intent.
        :raises CbrCallLimitError: the ceiling is reached; nothing was sent.
        :raises CbrError: as :meth:`airflow_cbr.api.client.CbrClient.replicate_backup` does.
        """
        there = self._order.destination
        self._ceiling.count([backup_id], of=len(coverage.eligible))
        self._intents.record_intent(self._memory, coverage, wanted)
        with self._at(Step.REPLICATE_BACKUP):
            return self._ceiling.send(
                [backup_id],
                lambda: self._client.replicate_backup(
                    backup_id,
                    destination_region=there.region,
                    destination_project_id=there.project_id,
                    destination_vault_id=there.vault_id,
                    enable_acceleration=self._order.enable_acceleration,
                ),
            )

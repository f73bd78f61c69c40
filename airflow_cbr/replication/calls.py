"""The two calls that cost money. Nothing else sends them, and neither is sent before it is counted and its intent is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cbr.api.stopping import refuse_if_stopped
from airflow_cbr.once.ceiling import CallCeiling
from airflow_cbr.replication.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Replication
    from airflow_cbr.inventory.coverage import BackupCoverage, Coverage
    from airflow_cbr.replication.intents import ReplicationIntents
    from airflow_cbr.replication.spec import ReplicationSpec
    from airflow_cbr.replication.state import ReplicationState

__all__ = ["ReplicateCalls"]


class ReplicateCalls:
    """Sends the replicate calls of one attempt.

    :param client: a client of the source region and project.
    :param spec: what is asked.
    :param state: the attempt's state, which counts the calls.
    :param intents: takes the intents.
    :param at: marks the step, so that a test can stop there.
    """

    def __init__(
        self,
        client: CbrClient,
        spec: ReplicationSpec,
        state: ReplicationState,
        intents: ReplicationIntents,
        *,
        at: Callable[[Step], AbstractContextManager[None]],
    ) -> None:
        self._client = client
        self._spec = spec
        self._state = state
        self._intents = intents
        self._at = at
        self._ceiling = CallCeiling(state.calls, "backup")

    def vault(self, coverage: Coverage, wanted: list[BackupCoverage]) -> Replication:
        """Request all that is needed with one call for the vault (CopyCheckpoint).

        :param coverage: the look that the call rests on.
        :param wanted: the backups that it is meant for.
        :raises CbrStoppedError: the task was stopped; nothing was sent.
        :raises CbrCallLimitError: the ceiling is reached; nothing was sent.
        :raises CbrError: as :meth:`airflow_cbr.api.client.CbrClient.replicate_checkpoint` does.
        """
        refuse_if_stopped("CopyCheckpoint was not sent.")
        spec, there = self._spec, self._spec.destination
        asked = [one.backup.id for one in wanted]
        self._ceiling.count(asked, of=coverage.eligible_number)
        self._intents.record_intent(self._state, coverage, wanted)
        with self._at(Step.REPLICATE_VAULT):
            return self._ceiling.send(
                asked,
                lambda: self._client.replicate_checkpoint(
                    vault_id=spec.vault_id,
                    destination_region=there.region,
                    destination_project_id=there.project_id,
                    destination_vault_id=there.vault_id,
                    auto_trigger=spec.auto_trigger,
                    enable_acceleration=spec.enable_acceleration,
                ),
            )

    def backup(self, backup_id: str, coverage: Coverage, wanted: list[BackupCoverage]) -> Replication:
        """Request the copy of one backup (CopyBackup).

        :param backup_id: the backup.
        :param coverage: the look that the call rests on.
        :param wanted: all that is needed, for the intent.
        :raises CbrStoppedError: the task was stopped; nothing was sent.
        :raises CbrCallLimitError: the ceiling is reached; nothing was sent.
        :raises CbrError: as :meth:`airflow_cbr.api.client.CbrClient.replicate_backup` does.
        """
        refuse_if_stopped(f"CopyBackup was not sent for backup {backup_id}.")
        there = self._spec.destination
        self._ceiling.count([backup_id], of=coverage.eligible_number)
        self._intents.record_intent(self._state, coverage, wanted)
        with self._at(Step.REPLICATE_BACKUP):
            return self._ceiling.send(
                [backup_id],
                lambda: self._client.replicate_backup(
                    backup_id,
                    destination_region=there.region,
                    destination_project_id=there.project_id,
                    destination_vault_id=there.vault_id,
                    enable_acceleration=self._spec.enable_acceleration,
                ),
            )

"""One backup gets its copy again: as a vault's backups do, except that a copy counts only as long as its replica exists.

CBR leaves a backup that was copied once out of every later call for the vault, also after the replica was deleted. It takes a call for
this backup alone. So a successful record is no proof here: its replica is looked up in the destination region before anything is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.exceptions import CbrNotFoundError, CbrNothingToReplicateError, CbrReplicationFailedError
from airflow_cbr.inventory.backups import full_name_of
from airflow_cbr.inventory.coverage import CoverageStatus
from airflow_cbr.replication.submission import Submission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup, ReplicationRecord
    from airflow_cbr.exceptions import CbrError
    from airflow_cbr.inventory.coverage import Coverage
    from airflow_cbr.replication.spec import ReplicationSpec

__all__ = ["BackupSubmission"]

_GOING: Final = frozenset({"deleting", "deleted", "waiting_delete"})


class BackupSubmission(Submission):
    """One attempt at the copy of one backup.

    :param client: a client of the source region and project.
    :param spec: what is asked; its vault is the one that holds the backup.
    :param backup: the backup, as ShowBackup answers.
    :param destination: returns a client of the destination region and project.
    :param options: as of :class:`~airflow_cbr.replication.submission.Submission`.
    """

    def __init__(
        self, client: CbrClient, spec: ReplicationSpec, backup: Backup, *, destination: Callable[[], CbrClient], **options: Any
    ) -> None:
        super().__init__(client, spec, destination=destination, **options)
        self._backup = backup
        self._there = destination
        # The call for the vault would take other backups as well.
        self.state.one_by_one = True

    def _rows(self) -> Iterator[Backup]:
        # The rows of its checkpoint are few; those of its vault may be a hundred thousand.
        backup = self._backup
        again: list[Backup] = []
        listed = self._client.list_backups(
            vault_id=self._spec.vault_id, checkpoint_id=backup.checkpoint_id, show_replication=True, on_repeat=again.append
        )
        rows = [row for row in [*listed, *again] if row.id == backup.id]
        if not self.state.followed:
            self._note_lost_replicas(rows)
        for row in rows:
            if row.replication_records is None:
                yield row
            else:
                kept = [record for record in row.replication_records if record.id not in self.state.lost_replicas]
                yield msgspec.structs.replace(row, replication_records=kept)

    def _note_lost_replicas(self, rows: list[Backup]) -> None:
        """Note whose replica is gone; one that was there at an earlier look is not looked up again."""
        records = {record.id: record for row in rows for record in row.replication_records or ()}
        candidates = self.state.lost_replicas if self._has_begun() else list(records)
        lost = [records[one] for one in candidates if one in records and self._has_lost_its_replica(records[one])]
        self.state.lost_replicas = [record.id for record in lost]
        times = [record.created.timestamp() if record.created is not None else self._clock.service for record in lost]
        self.state.lost_at = max(times, default=None)

    def _begin(self, coverage: Coverage) -> None:
        super()._begin(coverage)
        if self.state.lost_replicas:
            # A replica may show later than its record says success. Nothing is sent before a second look has missed it too.
            self.state.unsettled_until = self._clock.local + self._spec.settle_time
            self._log.info(
                "The replica of backup %s does not exist in %s (record %s); looking again in %g s before another copy is asked for",
                full_name_of(self._backup),
                self._spec.destination.region,
                ", ".join(self.state.lost_replicas),
                self._spec.settle_time,
            )

    def _has_lost_its_replica(self, record: ReplicationRecord) -> bool:
        """Return whether a record leads to the destination and says success, and its replica is gone.

        :raises CbrReplicationFailedError: the replica is there, and in error.
        """
        replica_id = record.destination_backup_id
        if record.state is not CopyState.SUCCEEDED or not replica_id or not self._spec.destination.holds(record):
            return False
        try:
            replica = self._there().show_backup(replica_id)
        except CbrNotFoundError:
            return True
        if replica.status == "error":
            raise CbrReplicationFailedError(
                f"Backup {full_name_of(self._backup)} was not replicated: its replica {replica_id} is there, and its status is error.",
                advice=f"Delete replica {replica_id} in {self._spec.destination.region} (CBR keeps one replica of a backup in a region), "
                "then clear this task.",
                permanent=True,
            )
        return replica.status in _GOING

    def _failure(self, coverage: Coverage) -> CbrError | None:
        if coverage.eligible_number:
            return super()._failure(coverage)
        skipped = coverage.of(CoverageStatus.SKIPPED)
        reason = skipped[0].reason if skipped else f"vault {self._vault()} does not list it"
        return CbrNothingToReplicateError(
            f"Backup {full_name_of(self._backup)} cannot be replicated: {reason}.",
            advice="Name a backup that is available, and of a kind that CBR replicates.",
        )

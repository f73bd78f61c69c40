"""What one replica must be. Whatever a row does not say is held against it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.models import parse_time
from airflow_cbr.verification.claims import BackupRow, Verdict
from airflow_cbr.verification.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_cbr.api.models import Backup

__all__ = ["ReplicaCheck"]

# A replica in one of these will not become available; any other word, also one that nobody documented, may pass.
_STAYS: Final = frozenset({"error", "deleting", "waiting_delete"})


class ReplicaCheck:
    """Compares a replica with the backup that claims it.

    :param vault_id: the vault that must hold it.
    :param retention: seconds after the creation of the source backup for which it must be kept. Default: none.
    """

    def __init__(self, vault_id: str, retention: float | None = None) -> None:
        self._vault_id = vault_id
        self._retention = None if retention is None else timedelta(seconds=retention)
        self._checkpoint_id: str | None = None

    def judge(self, row: BackupRow, replica: Backup) -> None:
        """Give a row its verdict.

        :param row: the source backup.
        :param replica: what the destination region lists under the id that the row claims.
        """
        # One text for all neighbours of a checkpoint: a long list is kept in little memory.
        if replica.checkpoint_id != self._checkpoint_id:
            self._checkpoint_id = replica.checkpoint_id
        row.replica_checkpoint_id = self._checkpoint_id
        if (
            replica.status == "available"
            and replica.image_type == "replication"
            and replica.vault_id == self._vault_id
            and replica.resource_id == row.resource_id
            and row.resource_id is not None
            and replica.resource_size == row.size
            and row.size is not None
            and (replica.expired_at is None or self._retention is None or self._expires(row, replica, self._retention) is None)
        ):
            row.verdict = Verdict.VERIFIED
            return
        wrong = list(self._wrongs(row, replica))
        row.settle(
            Verdict.FAILED,
            f"replica {replica.id}: {'; '.join(text for _, text in wrong)}",
            *dict.fromkeys(fault for fault, _ in wrong),
        )

    def _wrongs(self, row: BackupRow, replica: Backup) -> Iterator[tuple[Fault, str]]:
        if replica.image_type != "replication":
            yield Fault.REPLICA_KIND, f"its image_type is {replica.image_type}, not replication"
        if replica.status != "available":
            stays = replica.status is None or replica.status in _STAYS
            yield Fault.REPLICA_STATUS if stays else Fault.REPLICA_UNSETTLED, f"its status is {replica.status}, not available"
        if replica.vault_id != self._vault_id:
            yield Fault.REPLICA_VAULT, f"it is in vault {replica.vault_id}, not in {self._vault_id}"
        if replica.resource_id != row.resource_id or row.resource_id is None:
            yield Fault.REPLICA_RESOURCE, f"it is of resource {replica.resource_id}, not of {row.resource_id}"
        if replica.resource_size != row.size or row.size is None:
            yield Fault.REPLICA_SIZE, f"its size is {replica.resource_size} GB, the source's {row.size} GB"
        if self._retention is not None and (reason := self._expires(row, replica, self._retention)) is not None:
            yield Fault.REPLICA_EXPIRES, reason

    @staticmethod
    def _expires(row: BackupRow, replica: Backup, retention: timedelta) -> str | None:
        """Return why the replica is not kept long enough, or None; one that never expires is."""
        if replica.expired_at is None:
            return None
        expiry = parse_time(replica.expired_at)
        if expiry is None:
            return f"when it expires cannot be read: {replica.expired_at!r}"
        if row.created is None:
            return f"it expires at {replica.expired_at}, and when its source was made is not said"
        if expiry < row.created + retention:
            return f"it expires at {replica.expired_at}, less than {retention.total_seconds():g} s after its source was made"
        return None

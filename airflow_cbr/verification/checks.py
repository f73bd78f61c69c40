"""Judging one replica: plain rows at a glance, all others line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cbr.api.models import parse_time
from airflow_cbr.verification.claims import BackupRow, Verdict
from airflow_cbr.verification.comparisons import ReplicaCase, is_plausible_size, system_disk_of, wrongs_of_replica
from airflow_cbr.verification.faults import MAY_SETTLE, Fault

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_cbr.api.models import Backup
    from airflow_cbr.replication.coverage import Destination

__all__ = ["ReplicaCheck"]


class ReplicaCheck:
    """Compares a replica with the backup that claims it.

    :param destination: where it must be.
    :param now: the time until which it must not have expired.
    :param retention: seconds after the creation of the source backup for which it must be kept. Default: none.
    """

    def __init__(self, destination: Destination, now: datetime, retention: float | None = None) -> None:
        self._destination = destination
        self._now = now
        self._retention = retention
        self._vault_id, self._project_id = destination.vault_id, destination.project_id
        self._checkpoint_id: str | None = None

    def judge(self, row: BackupRow, replica: Backup) -> None:
        """Give a row its verdict; one that has a verdict by this check already is judged once more, and keeps what is wrong.

        :param row: the source backup.
        :param replica: what the destination region lists under the id that the row claims.
        """
        if row.verdict is not None:
            self._judge_again(row, replica)
        elif self.is_plainly_right(row, replica):
            self._verify(row, replica)
        elif wrong := wrongs_of_replica(self._case(row, replica)):
            reason = f"replica {replica.id}: {'; '.join(text for _, text in wrong)}"
            row.settle(Verdict.FAILED, reason, *dict.fromkeys(fault for fault, _ in wrong))
        else:
            self._verify(row, replica)

    def is_plainly_right(self, row: BackupRow, replica: Backup) -> bool:
        """Return whether a replica is right at a glance; if not, it must be judged line by line.

        :param row: the source backup.
        :param replica: what the destination region lists under the id that the row claims.
        """
        size, resource_id, made = replica.resource_size, replica.resource_id, replica.created
        return (
            replica.status == "available"
            and replica.image_type == "replication"
            and replica.vault_id == self._vault_id
            and replica.project_id == self._project_id
            and replica.parent_id is None
            and resource_id is not None
            and resource_id == row.resource_id
            and replica.resource_type == row.resource_type
            and replica.provider_id == row.provider_id
            and replica.checkpoint_id == row.replica_checkpoint_id
            and bool(row.replica_checkpoint_id)
            and size == row.size
            and is_plausible_size(size)
            and system_disk_of(replica) == row.has_system_disk
            and made is not None
            and row.created is not None
            and made >= row.created
            and (replica.expired_at is None or (self._retention is None and self._expires_later(replica.expired_at)))
        )

    def _expires_later(self, expired_at: str) -> bool:
        expiry = parse_time(expired_at)
        return expiry is not None and expiry > self._now

    def _case(self, row: BackupRow, replica: Backup) -> ReplicaCase:
        return ReplicaCase(row, replica, self._destination, self._now, self._retention)

    def _verify(self, row: BackupRow, replica: Backup) -> None:
        # One text for all neighbours of a checkpoint: a long list is kept in little memory.
        if replica.checkpoint_id != self._checkpoint_id:
            self._checkpoint_id = replica.checkpoint_id
        row.replica_checkpoint_id = self._checkpoint_id
        row.verdict = Verdict.VERIFIED

    def _judge_again(self, row: BackupRow, replica: Backup) -> None:
        """Judge a replica that is listed once more: what is wrong with any of its rows is wrong, in whatever order they came."""
        wrong = wrongs_of_replica(self._case(row, replica))
        now, before = {fault for fault, _ in wrong}, set(row.faults)
        if now == before - {Fault.REPLICA_TWICE}:
            return
        all_faults = now | before
        # Between two pages a replica may become available; it is looked at again then.
        if not MAY_SETTLE.issuperset(all_faults):
            all_faults.add(Fault.REPLICA_TWICE)
        texts = [row.reason] if row.reason else []
        texts += [text for _, text in wrong if text not in row.reason]
        listed = f"replica {replica.id} is listed more than once, with different contents"
        row.settle(Verdict.FAILED, "; ".join([*texts, listed] if listed not in row.reason else texts), *_in_order(all_faults))


def _in_order(faults: set[Fault]) -> list[Fault]:
    return [fault for fault in Fault if fault in faults]

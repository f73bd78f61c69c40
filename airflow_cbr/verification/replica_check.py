"""Judging one replica: plain rows with a single condition, all others line by line."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.models import parse_time
from airflow_cbr.verification.comparisons import ReplicaCase, wrongs_of_replica
from airflow_cbr.verification.faults import MAY_SETTLE, Fault
from airflow_cbr.verification.rules import LARGEST_GB

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_cbr.api.models import JudgedBackup
    from airflow_cbr.inventory.destination import Destination
    from airflow_cbr.verification.source_inventory import BackupRow

__all__ = ["ReplicaCheck"]

# What decides about a replica, apart from what differs from one to the next. The kind comes first.
_decisive: Final = attrgetter("provider_id", "resource_type", "vault_id", "project_id", "status", "image_type", "parent_id")


class ReplicaCheck:
    """Compares a replica with the backup whose record names it.

    :param destination: where it must be.
    :param now: the time until which it must not have expired.
    :param retention: seconds after the creation of the source backup for which it must be kept. Default: none.
    """

    def __init__(self, destination: Destination, now: datetime, retention: float | None = None) -> None:
        self._destination = destination
        self._now = now
        self._retention = retention
        self._right: tuple[str | None, ...] = (None, None)

    def judge(self, row: BackupRow, replica: JudgedBackup) -> None:
        """Give a row its verdict; a row that this check has judged already is judged again, and keeps what was wrong.

        :param row: the source backup.
        :param replica: what the destination region lists under the id that the row names.
        """
        if row.verdict is not None:
            self._judge_again(row, replica)
        elif self.is_plainly_right(row, replica):
            row.confirm()
        elif wrong := wrongs_of_replica(self._case(row, replica)):
            reason = f"the replica: {'; '.join(text for _, text in wrong)}"
            row.refuse(reason, *dict.fromkeys(fault for fault, _ in wrong))
        else:
            row.confirm()
            row.replica_checkpoint_id = replica.checkpoint_id
            if replica.parent_id is None:
                self._right = _decisive(replica)

    def is_plainly_right(self, row: BackupRow, replica: JudgedBackup) -> bool:
        """Return whether a replica is right at a glance; if not, it must be judged line by line.

        At a glance means that it says the same as one that was found right line by line, apart from what differs from one to the next.

        :param row: the source backup.
        :param replica: what the destination region lists under the id that the row claims.
        """
        resource_id, size, extend_info = replica.resource_id, replica.resource_size, replica.extend_info
        right = self._right
        # Written out, as a call for each row costs more than all the comparisons.
        if (
            (
                replica.provider_id,
                replica.resource_type,
                replica.vault_id,
                replica.project_id,
                replica.status,
                replica.image_type,
                replica.parent_id,
            )
            != right
            or resource_id is None
            or (resource_id, right[0], right[1], None if extend_info is None else extend_info.contain_system_disk) != row.kind
            or size is None
            or size != row.size
            or not 0 < size <= LARGEST_GB
            or not row.replica_checkpoint_id
            or replica.checkpoint_id != row.replica_checkpoint_id
        ):
            return False
        made, created = parse_time(replica.created_at), row.created
        return (
            made is not None
            and created is not None
            and made >= created
            and (replica.expired_at is None or self._is_kept(created, replica.expired_at))
        )

    def _is_kept(self, made: datetime, expired_at: str) -> bool:
        expiry, retention = parse_time(expired_at), self._retention
        return expiry is not None and expiry > self._now and (retention is None or (expiry - made).total_seconds() >= retention)

    def _case(self, row: BackupRow, replica: JudgedBackup) -> ReplicaCase:
        return ReplicaCase(row, replica, self._destination, self._now, self._retention)

    def _judge_again(self, row: BackupRow, replica: JudgedBackup) -> None:
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
        listed = "the replica is listed more than once, with different contents"
        row.refuse("; ".join([*texts, listed] if listed not in row.reason else texts), *_in_order(all_faults))


def _in_order(faults: set[Fault]) -> list[Fault]:
    return [fault for fault in Fault if fault in faults]

"""Reading the destination in bulk: the vault's list is judged as it is read, and only what is wrong is kept."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.models import JudgedBackup
from airflow_cbr.exceptions import CbrNotFoundError, CbrPermissionError
from airflow_cbr.verification.clocks import Clocks
from airflow_cbr.verification.faults import Fault
from airflow_cbr.verification.replica_check import ReplicaCheck

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup
    from airflow_cbr.verification.levels import VerificationSpec
    from airflow_cbr.verification.source_inventory import BackupRow, SourceInventory

__all__ = ["ask_destination"]

_SINGLE_LOOKS: Final = 5
"""Most replicas, missing from the vault's list, that are looked up one by one; for more of them the project is listed."""
_SETTLES: Final = ("protecting", "waiting_protect", "restoring", "waiting_restore")

_Lack = tuple[bool, bool, str]
"""What a checkpoint lacks: whether that may settle, whether it is a row of which no source backup is known, and in words."""


def ask_destination(inventory: SourceInventory, client: CbrClient, spec: VerificationSpec, *, source_time: datetime | None) -> Clocks:
    """Give every row a verdict that does not have one yet.

    A row of a checkpoint reports what is wrong with other rows of it only where those get no verdict of their own. So each
    fault is reported once, at the backup that it belongs to.

    :param inventory: what the source says.
    :param client: a client of the destination region and project.
    :param spec: what is asked.
    :param source_time: the source's time, or None when it did not send one.
    :return: the clocks that ages and expiry times were judged by.
    """
    vault_id = spec.destination.vault_id
    claimed = _claimed_replicas(inventory.rows)
    rests = _Rests()
    repeated: list[JudgedBackup] = []
    listed = client.read_backups(JudgedBackup, vault_id=vault_id, on_repeat=repeated.append)
    # The first answer brings the destination's clock.
    beginning = list(islice(listed, 1))
    clocks = Clocks.read(source_time, client.server_time)
    check = ReplicaCheck(spec.destination, clocks.now, spec.retention)
    judge, claim_on = check.judge, claimed.get
    for replica in chain(beginning, listed):
        row = claim_on(replica.id)
        if row is not None:
            judge(row, replica)
        if replica.status != "available":
            rests.add(replica, row)
    for replica in repeated:
        row = claim_on(replica.id)
        if row is not None:
            judge(row, replica)
        if replica.status != "available":
            rests.add(replica, row)
    _look_further([row for row in claimed.values() if row.verdict is None and row.is_judged], client, vault_id, check)
    for row in inventory.rows:
        if row.verdict is None:
            row.refuse("its record is success, but the replica does not exist in the destination region", Fault.REPLICA_MISSING)
    _judge_checkpoints(inventory, rests, clocks.now)
    return clocks


def _claimed_replicas(rows: Sequence[BackupRow]) -> dict[str, BackupRow]:
    """Return the rows to be judged by the replica that each claims. Rows that claim the same one are settled, and not among them."""
    claimed = {row.replica_id: row for row in rows if row.replica_id is not None}
    if len(claimed) < sum(row.replica_id is not None for row in rows):
        rivals: dict[str, list[BackupRow]] = {}
        for row in rows:
            if row.replica_id is not None:
                rivals.setdefault(row.replica_id, []).append(row)
        for sharing in rivals.values():
            for row in sharing if len(sharing) > 1 else ():
                rival = min((other for other in sharing if other is not row), key=lambda other: other.id)
                if row.verdict is None:
                    row.refuse(f"the record of {rival.subject} names the same replica", Fault.REPLICA_SHARED)
    for row in [row for row in rows if row.id in claimed]:
        claiming = claimed[row.id]
        if claiming.verdict is None:
            reason = f"its record names {row.subject} as the replica, but that is a backup of the source vault"
            claiming.refuse(reason, Fault.REPLICA_IS_SOURCE)
    # Not a second dict: of a large vault that is the moment when the most is held.
    for replica_id in [replica_id for replica_id, row in claimed.items() if row.verdict is not None]:
        del claimed[replica_id]
    return claimed


def _look_further(unlisted: list[BackupRow], client: CbrClient, vault_id: str, check: ReplicaCheck) -> None:
    """Look for replicas that the vault does not list in the rest of the project."""
    if len(unlisted) <= _SINGLE_LOOKS:
        try:
            for row in unlisted:
                if row.replica_id is not None and (replica := _show(client, row.replica_id)) is not None:
                    check.judge(row, replica)
            return
        except CbrPermissionError:
            pass  # A user who may not show a single backup may still be allowed to list them.
    if not _has_other_vaults(client, vault_id):
        return
    wanted = {row.replica_id: row for row in unlisted if row.verdict is None}
    repeated: list[Backup] = []
    for replica in chain(client.list_backups(on_repeat=repeated.append), repeated):
        found = wanted.get(replica.id)
        if found is not None:
            check.judge(found, replica)


def _show(client: CbrClient, backup_id: str) -> Backup | None:
    try:
        return client.show_backup(backup_id)
    except CbrNotFoundError:
        return None


def _has_other_vaults(client: CbrClient, vault_id: str) -> bool:
    try:
        return any(vault.id != vault_id for vault in client.list_vaults())
    except CbrPermissionError:
        return True


class _Rests:
    """The rows of the destination's checkpoints that are not available."""

    def __init__(self) -> None:
        self._by_checkpoint: dict[str | None, list[tuple[str, str | None, BackupRow | None]]] = {}

    @property
    def are_none(self) -> bool:
        """Return whether every row is available."""
        return not self._by_checkpoint

    def add(self, replica: JudgedBackup, row: BackupRow | None) -> None:
        """Take a row of the destination that is not available.

        :param replica: the row.
        :param row: the source backup that claims it, if any does.
        """
        if replica.checkpoint_id is not None:
            self._by_checkpoint.setdefault(replica.checkpoint_id, []).append((replica.id, replica.status, row))

    def beside(self, row: BackupRow) -> Iterator[_Lack]:
        """Yield what is wrong with other rows of a replica's checkpoint."""
        for replica_id, status, other in self._by_checkpoint.get(row.replica_checkpoint_id, ()):
            if other is None or not other.is_judged:
                reason = f"its checkpoint is incomplete: the status of another backup in it is {status} (backup {replica_id})"
                yield status in _SETTLES, True, reason


def _judge_checkpoints(inventory: SourceInventory, rests: _Rests, now: datetime) -> None:
    lacking: dict[str | None, list[BackupRow]] = {}
    for row in inventory.rows:
        if not row.is_judged and not row.is_verified and row.is_eligible and row.checkpoint_id is not None:
            lacking.setdefault(row.checkpoint_id, []).append(row)
    if not lacking and rests.are_none:
        return
    for row in inventory.judged:
        if not row.is_verified:
            continue
        lacks: list[_Lack] = [
            (other.may_settle(now), False, f"the checkpoint is incomplete: {other.subject}: {other.reason}")
            for other in lacking.get(row.checkpoint_id, ())
        ]
        lacks += rests.beside(row)
        if lacks:
            # What stays wrong decides, so that nobody waits for the rest of it; then what has a name; and not what was listed first.
            settles, _, reason = min(lacks)
            fault = Fault.CHECKPOINT_UNSETTLED if settles else Fault.CHECKPOINT_INCOMPLETE
            row.refuse(f"the replica: {reason}", fault)

"""Asking the destination, in bulk: the vault's list is judged as it streams by, and nothing of it is kept but what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_cbr.exceptions import CbrNotFoundError, CbrPermissionError
from airflow_cbr.verification.checks import ReplicaCheck
from airflow_cbr.verification.claims import BackupRow, Claims, Verdict
from airflow_cbr.verification.faults import MAY_SETTLE, Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup

__all__ = ["ask_destination"]

_SINGLE_LOOKS: Final = 5
"""So many replicas that the vault does not list are looked up one by one; more of them cost a listing."""


def ask_destination(claims: Claims, client: CbrClient, *, vault_id: str, retention: float | None) -> None:
    """Give every row a verdict that does not have one yet.

    A row of a checkpoint is charged with what is wrong with the others only where those get no verdict of their own. So each
    fault is told once, at the backup that it belongs to.

    :param claims: what the source says.
    :param client: a client of the destination region and project.
    :param vault_id: the destination vault.
    :param retention: seconds for which a replica must be kept, or None.
    """
    check = ReplicaCheck(vault_id, retention)
    claimed = _claimed_replicas(claims.rows)
    rests = _Rests()
    judge, claim_on = check.judge, claimed.get
    for replica in client.list_backups(vault_id=vault_id):
        row = claim_on(replica.id)
        if row is not None and row.verdict is None:
            judge(row, replica)
        if replica.status != "available":
            rests.add(replica, row)
    _look_further([row for row in claimed.values() if row.verdict is None and row.is_judged], client, vault_id, check)
    for row in claims.rows:
        if row.verdict is None:
            reason = f"record {row.record_id} is success, and replica {row.replica_id} does not exist in the destination region"
            row.settle(Verdict.MISSING, reason, Fault.REPLICA_MISSING)
    _judge_checkpoints(claims, rests)


def _claimed_replicas(rows: Sequence[BackupRow]) -> dict[str, BackupRow]:
    claiming = [(row.replica_id, row) for row in rows if row.verdict is None and row.replica_id is not None]
    claimed = dict(claiming)
    if len(claimed) < len(claiming):
        for replica_id, row in claiming:
            other = claimed[replica_id]
            if other is not row:
                for one, its_rival in ((row, other), (other, row)):
                    reason = f"replica {replica_id} is claimed for {its_rival.subject} too"
                    one.settle(Verdict.FAILED, reason, Fault.REPLICA_SHARED)
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
            pass  # Who may not show a backup may list them all the same.
    if not _has_other_vaults(client, vault_id):
        return
    wanted = {row.replica_id: row for row in unlisted if row.verdict is None}
    for replica in client.list_backups():
        found = wanted.pop(replica.id, None)
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
        self._by_checkpoint: dict[str, list[tuple[str, str | None, BackupRow | None]]] = {}

    @property
    def are_none(self) -> bool:
        """Return whether every row is available."""
        return not self._by_checkpoint

    def add(self, replica: Backup, row: BackupRow | None) -> None:
        """Take a row of the destination that is not available.

        :param replica: the row.
        :param row: the source backup that claims it, if any does.
        """
        if replica.checkpoint_id is not None:
            self._by_checkpoint.setdefault(replica.checkpoint_id, []).append((replica.id, replica.status, row))

    def beside(self, row: BackupRow) -> tuple[str, bool] | None:
        """Return what is wrong with another row of a replica's checkpoint, and whether that may settle; None when nothing is."""
        for replica_id, status, other in self._by_checkpoint.get(row.replica_checkpoint_id or "", ()):
            if other is None or not other.is_judged:
                settles = status in ("protecting", "waiting_protect", "restoring", "waiting_restore")
                return f"checkpoint {row.replica_checkpoint_id} is not complete: the status of its backup {replica_id} is {status}", settles
        return None


def _judge_checkpoints(claims: Claims, rests: _Rests) -> None:
    lacking: dict[str, BackupRow] = {}
    for row in claims.rows:
        if not row.is_judged and row.verdict is not Verdict.VERIFIED and row.is_eligible and row.checkpoint_id is not None:
            lacking[row.checkpoint_id] = row
    if not lacking and rests.are_none:
        return
    for row in claims.judged:
        if not row.is_verified:
            continue
        other = lacking.get(row.checkpoint_id or "")
        if other is not None:
            settles = MAY_SETTLE.issuperset(other.faults)
            reason = f"checkpoint {row.checkpoint_id} is not complete: {other.subject}: {other.reason}"
        elif (found := rests.beside(row)) is not None:
            reason, settles = found
        else:
            continue
        fault = Fault.CHECKPOINT_UNSETTLED if settles else Fault.CHECKPOINT_INCOMPLETE
        row.settle(Verdict.FAILED, f"replica {row.replica_id}: {reason}", fault)

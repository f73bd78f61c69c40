"""Looking again just before a deletion: whether everything that allowed it still holds."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.exceptions import CbrNotFoundError, CbrPruneStoppedError
from airflow_cbr.inventory.backups import name_of
from airflow_cbr.pruning.look import GOING, Held, claims_of, incomplete_checkpoints, listed, time_of
from airflow_cbr.pruning.protection import protections_of
from airflow_cbr.pruning.spec import Side
from airflow_cbr.verification.clocks import Clocks

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup
    from airflow_cbr.pruning.look import Look
    from airflow_cbr.pruning.plan import Removal

__all__ = ["RemovalState", "look_again", "show", "state_of", "why_incomplete"]

_GONE: Final = "BackupService.6200"
_STOPPED: Final = "Nothing more was deleted. Run the task again: it makes a new plan from what is there now."
_decisive: Final = attrgetter(
    "id", "image_type", "checkpoint_id", "vault_id", "project_id", "provider_id", "resource_id", "resource_type", "resource_size",
    "created_at", "expired_at", "parent_id", "status",
)  # fmt: skip


class RemovalState(StrEnum):
    """The condition of a backup that was to be deleted."""

    AS_PLANNED = "as planned"
    GOING = "going"
    """It is being deleted."""
    GONE = "gone"
    """It no longer exists."""


def look_again(source: CbrClient, destination: CbrClient, look: Look, removal: Removal, *, deleted: Collection[str]) -> RemovalState:
    """Read everything that could have changed since the plan was made; the backup itself last.

    :param source: a client of the source region and project.
    :param destination: a client of the destination region and project.
    :param look: what the plan was made of.
    :param removal: what is to be deleted next.
    :param deleted: ids of what this run has deleted.
    :return: whether it is still there, and as it was.
    :raises CbrPruneStoppedError: something is not as it was planned.
    :raises CbrError: it cannot be read.
    """
    row, partner = removal.row, removal.replica
    backup, side = row.backup, row.side
    client = source if side is Side.SOURCE else destination
    vault = client.show_vault(look.vault_id(side))
    fresh_partner = show(destination, partner.backup.id)
    if fresh_partner is None:
        raise _surprise(removal, f"replica {partner.backup.id}, without which it must stay, no longer exists")
    if _decisive(fresh_partner) != _decisive(partner.backup):
        raise _surprise(removal, f"replica {partner.backup.id}, without which it must stay, has changed")
    claims = look.claims
    if side is Side.REPLICA:
        backups = listed(source, resource_id=backup.resource_id, show_replication=True)
        claims = claims_of(backups.values())
        fresh_source = backups.get(removal.source.backup.id, [])
        if claims.get(partner.backup.id, set()) != {removal.source.backup.id} or not all(
            _is_as_planned(one, removal) for one in fresh_source
        ):
            raise _surprise(
                removal, f"the source backup of replica {partner.backup.id}, without which it must stay, has changed or is gone"
            )
    found = listed(client, vault_id=look.vault_id(side), checkpoint_id=backup.checkpoint_id, show_replication=side is Side.SOURCE)
    variants = found.get(backup.id)
    if variants is None:
        condition = state_of(show(client, backup.id))
        if condition is RemovalState.AS_PLANNED:
            raise _surprise(removal, "its vault does not list it any more")
        return condition
    if any(state_of(one) is RemovalState.GOING for one in variants):
        return RemovalState.GOING
    fresh = Held(side, variants[0], row.source, len(variants) > 1)
    rows = [Held(side, one, None) for all_rows in found.values() for one in all_rows]
    judged = replace(
        look,
        now=time_of(Clocks.read(source.server_time, destination.server_time)),
        vaults=look.vaults | {side: vault},
        incomplete=incomplete_checkpoints(rows, apart_from=deleted.__contains__),
        claims=claims,
        going=frozenset(),
        survivors={backup.resource_id or "": [Held(Side.REPLICA, fresh_partner, partner.source)]},
    )
    for _, text in protections_of(fresh, judged):
        raise _surprise(removal, text)
    if _decisive(fresh.backup) != _decisive(backup):
        raise _surprise(removal, "its row has changed")
    if side is Side.SOURCE and not _is_as_planned(fresh.backup, removal):
        raise _surprise(removal, f"no successful record of it names its replica {partner.backup.id} any more")
    return RemovalState.AS_PLANNED


def show(client: CbrClient, backup_id: str) -> Backup | None:
    """Return a backup, or None when the service says that there is none.

    :param client: asks.
    :param backup_id: the backup.
    :raises CbrError: it cannot be read; also when the service does not know the project, which says nothing of the backup.
    """
    try:
        return client.show_backup(backup_id)
    except CbrNotFoundError as error:
        if error.error_code != _GONE:
            raise
        return None


def state_of(backup: Backup | None) -> RemovalState:
    """Return whether a backup is there, is being deleted, or is gone.

    :param backup: the backup, or None when there is none.
    """
    if backup is None:
        return RemovalState.GONE
    return RemovalState.GOING if backup.status in GOING else RemovalState.AS_PLANNED


def why_incomplete(client: CbrClient, checkpoint_id: str) -> str | None:
    """Return why a checkpoint is not complete by its own word, or None when it is.

    :param client: a client of the source region and project.
    :param checkpoint_id: the checkpoint.
    """
    try:
        checkpoint = client.show_checkpoint(checkpoint_id)
    except CbrNotFoundError:
        return "the service does not show it"
    if checkpoint.status != "available":
        return f"its status is {checkpoint.status}"
    if checkpoint.vault is None:
        return "the service does not return what was left out of it"
    return "resources were left out of it" if checkpoint.vault.skipped_resources else None


def _is_as_planned(source: Backup, removal: Removal) -> bool:
    """Return whether a source backup is what it was, and a successful record of it still names the replica that counts."""
    replica_id, records = removal.replica.backup.id, source.replication_records or ()
    is_named = any(record.destination_backup_id == replica_id and record.state is CopyState.SUCCEEDED for record in records)
    return is_named and _decisive(source) == _decisive(removal.source.backup)


def _surprise(removal: Removal, what: str) -> CbrPruneStoppedError:
    return CbrPruneStoppedError(f"{removal.row.side.capitalize()} {name_of(removal.row.backup)} was not deleted: {what}.", advice=_STOPPED)

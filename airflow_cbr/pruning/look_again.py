"""Looking again just before a deletion: whether everything that allowed it still holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_cbr.exceptions import CbrNotFoundError, CbrPruneStoppedError
from airflow_cbr.inventory.backups import name_of
from airflow_cbr.pruning.look import Held, claims_of, incomplete_checkpoints, listed, time_of
from airflow_cbr.pruning.protection import protections_of
from airflow_cbr.pruning.rows import RemovalState, decisive, has_expired, names, show, state_of
from airflow_cbr.pruning.spec import Side
from airflow_cbr.verification.clocks import Clocks

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup
    from airflow_cbr.pruning.look import Look
    from airflow_cbr.pruning.plan import Removal
    from airflow_cbr.pruning.siblings import Siblings

__all__ = ["look_again", "why_incomplete"]

_STOPPED: Final = "Nothing more was deleted. Run the task again: it makes a new plan from what is there now."


def look_again(
    source: CbrClient, destination: CbrClient, look: Look, removal: Removal, *, siblings: Siblings, deleted: Collection[str]
) -> RemovalState:
    """Read everything that could have changed since the plan was made; the backup itself last.

    :param source: a client of the source region and project.
    :param destination: a client of the destination region and project.
    :param look: what the plan was made of.
    :param removal: what is to be deleted next.
    :param siblings: the other backups of each checkpoint, as the plan was made of them.
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
    if decisive(fresh_partner) != decisive(partner.backup):
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
    beside = siblings.replicas(destination, removal, deleted=deleted) if side is Side.SOURCE else {}
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
    if has_expired(fresh_partner, judged.now):
        raise _surprise(removal, f"replica {partner.backup.id}, without which it must stay, has expired")
    if decisive(fresh.backup) != decisive(backup):
        raise _surprise(removal, "its row has changed")
    if side is Side.SOURCE:
        if not _is_as_planned(fresh.backup, removal):
            raise _surprise(removal, f"no successful record of it names its replica {partner.backup.id} any more")
        for text in siblings.changes(removal, found, beside, deleted=deleted, now=judged.now):
            raise _surprise(removal, text)
    return RemovalState.AS_PLANNED


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
    return names(source, removal.replica.backup.id) and decisive(source) == decisive(removal.source.backup)


def _surprise(removal: Removal, what: str) -> CbrPruneStoppedError:
    return CbrPruneStoppedError(f"{removal.row.side.capitalize()} {name_of(removal.row.backup)} was not deleted: {what}.", advice=_STOPPED)

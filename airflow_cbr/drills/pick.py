"""Which replica a drill restores: one that the verification has seen at the destination, never one by the source's word alone."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import msgspec

from airflow_cbr.api.texts import counted
from airflow_cbr.exceptions import CbrDrillFailedError
from airflow_cbr.verification.levels import Action, Level, Scope, VerificationSpec
from airflow_cbr.verification.verify import verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.inventory.destination import Destination
    from airflow_cbr.verification.source_inventory import BackupRow

__all__ = ["Pick", "Restorable", "find_restorable", "newest_by_resource", "pick_newest", "pick_replica", "sample"]

_SERVER: Final = "OS::Nova::Server"
_ADVICE: Final = "Run CbrVerifyReplicationOperator on the vault: its report says what is wrong with each replica."


class Restorable(msgspec.Struct, frozen=True, kw_only=True):
    """A verified replica of a server's backup.

    :param resource_name: name of the server that was backed up; None where it is not known.
    :param made_at: when the source backup was made, ISO text in UTC; None where the service does not say it.
    :param size_gb: GB of the resource.
    """

    replica_id: str
    backup_id: str
    backup_name: str | None = None
    resource_id: str | None = None
    resource_name: str | None = None
    made_at: str | None = None
    size_gb: float | None = None

    @property
    def server(self) -> str:
        """Return how a message names the server that was backed up."""
        return self.resource_name or self.resource_id or "an unknown server"

    @property
    def subject(self) -> str:
        """Return how a message names the replica."""
        return f"{self.server}, of backup {self.backup_name or self.backup_id} (replica {self.replica_id})"


class Pick(msgspec.Struct, frozen=True, kw_only=True):
    """Which replica is meant: a named one, or the newest of a resource; None for both: of the only resource that there is.

    :param replica_id: the replica.
    :param resource_id: the resource.
    """

    replica_id: str | None = None
    resource_id: str | None = None


def find_restorable(source: CbrClient, destination: CbrClient, *, vault_id: str, there: Destination) -> list[Restorable]:
    """Verify a vault's replicas, and return those that a server can be made of, newest first.

    :param source: a client of the source region and project.
    :param destination: a client of the destination region and project.
    :param vault_id: the source vault.
    :param there: where the replicas are.
    """
    spec = VerificationSpec(
        vault_id=vault_id,
        destination=there,
        levels={Level.RECORD: Action.FAIL, Level.REPLICA: Action.FAIL},
        scope=Scope.ALL,
        allow_empty=True,
    )
    inventory = verify(source, destination, spec).inventory
    rows = [row for row in inventory.rows if _is_restorable(row)]
    rows.sort(key=lambda row: (row.created.timestamp() if row.created is not None else float("-inf"), row.id), reverse=True)
    return [_restorable(row, inventory.resource_names.get(row.resource_id)) for row in rows]


def _is_restorable(row: BackupRow) -> bool:
    return row.is_verified and row.replica_id is not None and row.kind.resource_type == _SERVER and row.kind.has_system_disk is not False


def _restorable(row: BackupRow, resource_name: str | None) -> Restorable:
    return Restorable(
        replica_id=row.replica_id or "",
        backup_id=row.id,
        backup_name=row.texts.name,
        resource_id=row.resource_id,
        resource_name=resource_name,
        made_at=row.created.isoformat() if row.created is not None else None,
        size_gb=row.size,
    )


def newest_by_resource(found: Sequence[Restorable]) -> list[Restorable]:
    """Return the newest of each resource, by resource id.

    :param found: newest first.
    """
    newest: dict[str, Restorable] = {}
    for one in found:
        newest.setdefault(one.resource_id or one.backup_id, one)
    return [newest[key] for key in sorted(newest)]


def pick_replica(found: Sequence[Restorable], pick: Pick) -> Restorable:
    """Return the replica that is meant.

    :param found: from :func:`find_restorable`.
    :param pick: which one.
    :raises CbrDrillFailedError: it is not among them.
    """
    if pick.replica_id is not None:
        named = next((one for one in found if one.replica_id == pick.replica_id), None)
        if named is None or pick.resource_id not in (None, named.resource_id):
            raise CbrDrillFailedError(
                f"Replica {pick.replica_id} is not a verified replica of a server"
                f"{f' {pick.resource_id}' if pick.resource_id else ''} in the destination vault; nothing was started.",
                advice=_ADVICE,
            )
        return named
    newest = newest_by_resource(found)
    if pick.resource_id is None:
        if len(newest) == 1:
            return newest[0]
        raise CbrDrillFailedError(
            f"The vault has verified replicas of {counted(len(newest), 'server')}, and neither resource_id nor replica_id says which one "
            "is meant; nothing was started.",
            advice="Name one, or let CbrPlanRestoreDrillsOperator choose." if newest else _ADVICE,
        )
    return pick_newest(newest, [pick.resource_id])[0]


def pick_newest(newest: Sequence[Restorable], resource_ids: Sequence[str]) -> list[Restorable]:
    """Return the newest verified replica of each resource that is named.

    :param newest: from :func:`newest_by_resource`.
    :param resource_ids: the resources.
    :raises CbrDrillFailedError: one of them has none.
    """
    by_resource = {one.resource_id: one for one in newest}
    missing = [one for one in resource_ids if one not in by_resource]
    if missing:
        raise CbrDrillFailedError(
            f"{counted(len(missing), 'resource')} without a verified replica that a server can be made of; nothing was started.",
            problems=missing,
            advice=_ADVICE,
        )
    return [by_resource[one] for one in resource_ids]


def sample(newest: Sequence[Restorable], size: int, seed: str) -> list[Restorable]:
    """Return some resources' newest verified replicas, at random; the same for the same seed and the same resources.

    :param newest: from :func:`newest_by_resource`.
    :param size: how many.
    :param seed: of the choice.
    :raises CbrDrillFailedError: there are fewer.
    """
    if len(newest) < size:
        raise CbrDrillFailedError(
            f"A sample of {size} was asked for, and {counted(len(newest), 'server')} of the vault {'has' if len(newest) == 1 else 'have'} "
            "a verified replica; nothing was started.",
            advice=_ADVICE,
        )
    return random.Random(seed).sample(list(newest), size)  # noqa: S311 (a choice that can be repeated, no secret)

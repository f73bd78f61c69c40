"""Looking at both sides: what the verification says of each backup, and each row once more, with what decides whether it may go."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.pruning.rows import GOING
from airflow_cbr.pruning.spec import PruneSpec, Side
from airflow_cbr.verification.faults import Fault
from airflow_cbr.verification.levels import Action, Level, Scope, VerificationSpec
from airflow_cbr.verification.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup, Vault
    from airflow_cbr.verification.clocks import Clocks
    from airflow_cbr.verification.source_inventory import BackupRow, SourceInventory

__all__ = ["Held", "Look", "Restores", "claims_of", "incomplete_checkpoints", "listed", "look_at_both_sides", "time_of"]

_ENDED: Final = frozenset({"success", "skipped", "failed", "timeout"})
"""The statuses of an operation log whose task is over."""

_REPLICA_UNKNOWN: Final = frozenset(
    {
        Fault.NO_RECORD,
        Fault.REPLICA_UNNAMED,
        Fault.RECORD_TWICE,
        Fault.BACKUP_TWICE,
        Fault.BACKUP_FOREIGN,
        Fault.RECORD_SKIPPED,
        Fault.RECORD_UNFINISHED,
        Fault.RECORD_FOREIGN,
    }
)
"""What leaves open which replica is the backup's."""


@dataclass(frozen=True, slots=True)
class Held:
    """A backup or a replica that a vault holds.

    :param side: where it is.
    :param backup: its row.
    :param source: what the verification says of the source backup: of itself, or of the one whose replica this is. None: the
        verification has not seen it, or it is nobody's replica.
    :param is_contradicted: whether it is listed more than once, with different contents.
    :param is_shared: whether the records of several backups name this replica, or the replica of this backup. The verification does not
        compare the records of backups that cannot be replicated, nor those of other vaults.
    """

    side: Side
    backup: Backup
    source: BackupRow | None
    is_contradicted: bool = False
    is_shared: bool = False

    @property
    def is_verified(self) -> bool:
        """Return whether backup and replica are verified, and belong to each other alone."""
        return self.source is not None and self.source.is_verified and not self.is_shared


@dataclass(frozen=True, slots=True)
class Restores:
    """The restores that run in a project.

    :param backup_ids: from these backups.
    :param resource_ids: of these resources, from a backup that is not named.
    :param is_unknown: whether one names neither.
    """

    backup_ids: frozenset[str] = frozenset()
    resource_ids: frozenset[str] = frozenset()
    is_unknown: bool = False

    def concerns(self, backup: Backup) -> bool:
        """Return whether a backup may be one of those that are restored.

        :param backup: the backup.
        """
        return self.is_unknown or backup.id in self.backup_ids or backup.resource_id in self.resource_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the rules judge by.

    :param spec: what is asked for.
    :param now: the service's time; None where no service sends it, or the clocks differ.
    :param rows: what both vaults hold.
    :param vaults: the vaults themselves.
    :param projects: their projects.
    :param claims: the source backups by the replica that one of their records names, to whatever destination.
    :param going: the source backups that go in this run; known once they are judged.
    :param unclear: the creation of the oldest backup whose replica is not known, by resource.
    :param restores: what is being restored.
    :param incomplete: why a checkpoint is not complete, by side and id.
    :param verified: how many verified replicas there are, by resource.
    :param survivors: the verified replicas that stay, by resource; known once the source's backups are judged.
    :param places: region, project and vault of both sides, for a report.
    """

    spec: PruneSpec
    now: datetime | None
    rows: list[Held]
    vaults: dict[Side, Vault]
    projects: dict[Side, str]
    claims: dict[str, set[str]] = field(default_factory=dict)
    going: frozenset[str] = frozenset()
    unclear: dict[str, datetime | None] = field(default_factory=dict)
    restores: dict[Side, Restores] = field(default_factory=dict)
    incomplete: dict[tuple[Side, str], str] = field(default_factory=dict)
    verified: dict[str, int] = field(default_factory=dict)
    survivors: dict[str, list[Held]] = field(default_factory=dict)
    places: dict[str, dict[str, str]] = field(default_factory=dict)

    def vault_id(self, side: Side) -> str:
        """Return the id of a side's vault.

        :param side: the side.
        """
        return self.spec.vault_id if side is Side.SOURCE else self.spec.destination.vault_id

    def of_side(self, side: Side) -> Iterable[Held]:
        """Return the rows of a side.

        :param side: the side.
        """
        return (row for row in self.rows if row.side is side)


def look_at_both_sides(source: CbrClient, destination: CbrClient, spec: PruneSpec) -> Look:
    """Verify every backup, and then list both sides once more: what only one of the two looks shows is not relied on.

    :param source: a client of the source region and project.
    :param destination: a client of the destination region and project.
    :param spec: what is asked for.
    :raises CbrError: the verification, or a further look, could not be done.
    """
    there = spec.destination
    report = verify(source, destination, _verification(spec))
    inventory = report.inventory
    by_replica = {row.replica_id: row for row in inventory.rows if row.replica_id is not None}
    vaults = {Side.SOURCE: source.show_vault(spec.vault_id), Side.REPLICA: destination.show_vault(there.vault_id)}
    backups = listed(source, vault_id=spec.vault_id, show_replication=True)
    # Of the whole project: another vault of it may replicate to the same destination, or have held the resource before.
    others = listed(source, show_replication=True)
    replicas = listed(destination, vault_id=there.vault_id)
    claims = claims_of([*backups.values(), *others.values()])
    for replica_id, claiming in by_replica.items():
        claims.setdefault(replica_id, set()).add(claiming.id)
    shared = {replica_id for replica_id, claiming_ids in claims.items() if len(claiming_ids) > 1}
    by_id = {row.id: row for row in inventory.rows}
    rows = [
        Held(Side.SOURCE, found[0], row := by_id.get(id_), len(found) > 1, row is not None and row.replica_id in shared)
        for id_, found in backups.items()
    ]
    rows += [Held(Side.REPLICA, found[0], by_replica.get(id_), len(found) > 1, id_ in shared) for id_, found in replicas.items()]
    return Look(
        spec=spec,
        now=time_of(report.clocks),
        rows=rows,
        vaults=vaults,
        projects={Side.SOURCE: source.project_id, Side.REPLICA: there.project_id},
        claims=claims,
        unclear=_unclear(inventory),
        restores={Side.SOURCE: _restores(source), Side.REPLICA: _restores(destination)},
        incomplete=incomplete_checkpoints(rows, inventory, shared=shared),
        verified=Counter(row.backup.resource_id or "" for row in rows if row.side is Side.REPLICA and row.is_verified),
        places={
            "source": report.source,
            "destination": {"region": there.region, "project_id": there.project_id, "vault_id": there.vault_id},
        },
    )


def time_of(clocks: Clocks) -> datetime | None:
    """Return the service's time, unless there is none, or the clocks differ so much that ages are not known.

    :param clocks: the clocks.
    """
    return None if clocks.doubt is not None else clocks.service_now


def listed(client: CbrClient, **filters: Any) -> dict[str, list[Backup]]:
    """Return the backups that a list shows, by id, each with all its different rows.

    :param client: asks.
    :param filters: of the list.
    """
    found: dict[str, list[Backup]] = {}

    def take(backup: Backup) -> None:
        known = found.setdefault(backup.id, [])
        if backup not in known:
            known.append(backup)

    for backup in client.list_backups(on_repeat=take, **filters):
        take(backup)
    return found


def claims_of(found: Iterable[list[Backup]]) -> dict[str, set[str]]:
    """Return the source backups by the replica that one of their records names, whatever the record's status.

    :param found: backups with their records.
    """
    claims: dict[str, set[str]] = {}
    for backup in (one for rows in found for one in rows):
        for record in backup.replication_records or ():
            if record.destination_backup_id:
                claims.setdefault(record.destination_backup_id, set()).add(backup.id)
    return claims


def incomplete_checkpoints(
    rows: Iterable[Held],
    inventory: SourceInventory | None = None,
    *,
    shared: Collection[str] = (),
    apart_from: Callable[[str], bool] = lambda _: False,
) -> dict[tuple[Side, str], str]:
    """Return why a checkpoint is not complete, for each one of which a row shows that.

    A backup of it that is being deleted does not make it so: pruning may take a checkpoint in several runs.

    :param rows: what the vaults hold, or all of it that belongs to a checkpoint.
    :param inventory: what the verification says of the source's backups. Default: only the rows' own status counts.
    :param shared: replicas that several backups name. Default: none.
    :param apart_from: whether a backup is one that this run has deleted.
    """
    found: dict[tuple[Side, str], str] = {}
    for row in rows:
        backup = row.backup
        if backup.checkpoint_id is None or backup.status in GOING or apart_from(backup.id):
            continue
        if backup.status != "available":
            found.setdefault((row.side, backup.checkpoint_id), f"the status of its backup {backup.id} is {backup.status}")
    for one in inventory.rows if inventory is not None else ():
        if one.checkpoint_id is not None and one.is_eligible and (not one.is_verified or one.replica_id in shared):
            found.setdefault((Side.SOURCE, one.checkpoint_id), f"its backup {one.id} has no verified replica")
    return found


def _verification(spec: PruneSpec) -> VerificationSpec:
    return VerificationSpec(
        vault_id=spec.vault_id,
        destination=spec.destination,
        levels={Level.RECORD: Action.FAIL, Level.REPLICA: Action.FAIL},
        scope=Scope.ALL,
    )


def _unclear(inventory: SourceInventory) -> dict[str, datetime | None]:
    """Return the creation of the oldest eligible backup whose replica is not known, by resource; None where a creation is not known."""
    oldest: dict[str, datetime | None] = {}
    for row in inventory.rows:
        if row.resource_id is None or not row.is_eligible or not _REPLICA_UNKNOWN.intersection(row.faults):
            continue
        if row.resource_id not in oldest:
            oldest[row.resource_id] = row.created
            continue
        known = oldest[row.resource_id]
        oldest[row.resource_id] = None if known is None or row.created is None else min(known, row.created)
    return oldest


def _restores(client: CbrClient) -> Restores:
    backups, resources, is_unknown = set[str](), set[str](), False
    for log in client.list_operation_logs(operation_type="restore"):
        if log.status in _ENDED:
            continue
        restore = log.extra.restore
        if isinstance(restore, dict) and restore.get("backup_id"):
            backups.add(str(restore["backup_id"]))
        elif log.resource_id:
            resources.add(log.resource_id)
        else:
            is_unknown = True
    return Restores(frozenset(backups), frozenset(resources), is_unknown)

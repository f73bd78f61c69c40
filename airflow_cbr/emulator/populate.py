"""Builds the store from a world, and adds vaults and backups to it while the emulator runs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from airflow_cbr.emulator.bounds import MOST_BACKUPS, MOST_THINGS
from airflow_cbr.emulator.kinds import RESOURCE_TYPES
from airflow_cbr.emulator.store import Backup, Checkpoint, Project, Resource, Store, Vault, WorldError
from airflow_cbr.emulator.vault_parts import BackupPart, GeneratePart, ProjectPart, RegionPart, VaultPart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_cbr.emulator.ids import Ids
    from airflow_cbr.emulator.ledger import Ledger
    from airflow_cbr.emulator.switches import Switches

_HOUR = 3600.0


class Populator:
    """Turns the parts of a world into what the store holds.

    :param store: is filled.
    :param ids: gives the ids that a part leaves open.
    :param switches: say what a replica's row takes from its source.
    :param ledger: learns that a replica was removed.
    """

    def __init__(self, store: Store, ids: Ids, switches: Switches, ledger: Ledger) -> None:
        self._store = store
        self._ids = ids
        self._switches = switches
        self._ledger = ledger
        self._at_once = MOST_BACKUPS

    def build(self, regions: list[RegionPart], projects: list[ProjectPart], vaults: list[VaultPart], now: float, most_backups: int) -> None:
        """Fill the store. After that there is room for a replica of all that came, within the limit.

        :param regions: the regions of a world.
        :param projects: its projects.
        :param vaults: its vaults.
        :param now: simulated time, from which ages count.
        :param most_backups: backups and replicas that may come.
        :raises WorldError: a backup names a replica's vault that is no replication vault.
        """
        self._store.most_backups = self._at_once = most_backups
        for region in regions:
            self._store.replicates_to[region.id] = list(region.replicates_to)
            self._store.clocks_ahead[region.id] = region.clock_ahead
        for project in projects:
            self._store.projects[project.id] = Project(project.id, project.name or project.region, project.region, project.replication)
        # Destinations first: backups may name them as the place of their finished replicas.
        for part in sorted(vaults, key=lambda vault: vault.protect_type != "replication"):
            self.add_vault(part, now)
        self._store.most_backups = max(MOST_BACKUPS, min(2 * len(self._store.backups), most_backups))
        self._at_once = MOST_BACKUPS

    def add_vault(self, part: VaultPart, now: float) -> Vault:
        """Add a vault with its resources and backups.

        :param part: the vault.
        :param now: simulated time.
        :raises WorldError: its id is taken, its project unknown, or one of its backups is wrong; then nothing is added.
        """
        self._check_vault(part)
        vault_id = part.id or self._ids.uuid()
        vault = Vault(
            id=vault_id,
            name=part.name or f"vault-{vault_id[:4]}",
            project_id=part.project_id,
            protect_type=part.protect_type,
            object_type=part.object_type,
            status=part.status,
            size=part.size,
            created_at=now - 24 * _HOUR,
            locked=part.locked,
            row=dict(part.row),
        )
        for number, resource in enumerate(part.resources, 1):
            resource_id = resource.id or self._ids.uuid()
            vault.resources[resource_id] = Resource(
                resource_id,
                resource.name or f"resource-{number:04}",
                resource.type or RESOURCE_TYPES[part.object_type],
                resource.size,
                resource.protect_status,
            )
        self._store.vaults[vault_id] = vault
        bound = list(vault.resources.values())
        for number, backup in enumerate(part.backups):
            self._put_backup(vault, backup, now, number, bound)
        if part.generate is not None:
            self._generate(vault, part.generate, now)
        if part.used is not None:
            vault.used = part.used
        return vault

    def add_backup(self, vault: Vault, part: BackupPart, now: float, number: int = 0) -> Backup:
        """Add a backup to a vault.

        :param vault: the vault.
        :param part: the backup.
        :param now: simulated time.
        :param number: its place, which chooses the resource and the age where the part does not. Default: 0.
        :raises WorldError: its id is taken, or a replica's vault is no replication vault; then nothing is added.
        """
        self._check_backups([part])
        return self._put_backup(vault, part, now, number, list(vault.resources.values()))

    def add_new_backups(self, vault: Vault, count: int, now: float) -> None:
        """Add backups that are as new as can be, as far as there is room.

        :param vault: the vault.
        :param count: number of backups.
        :param now: simulated time.
        """
        bound = list(vault.resources.values())
        for number in range(min(count, self._store.room)):
            self._put_backup(vault, BackupPart(age_seconds=0), now, number, bound)

    def remove_backups(self, backups: list[Backup]) -> None:
        """Take backups out of the store; where one is a replica, copying its source again is no duplicate.

        :param backups: the backups.
        """
        replicas = {backup.id for backup in backups if backup.image_type == "replication"}
        for record in self._store.records.values() if replicas else ():
            if record.destination_backup_id in replicas:
                self._ledger.uncovered(record.id)
        for backup in backups:
            self._store.remove_backup(backup)

    def _check_vault(self, part: VaultPart) -> None:
        if part.id in self._store.vaults:
            raise WorldError(f"vault {part.id} exists already")
        if len(self._store.vaults) >= MOST_THINGS:
            raise WorldError(f"there are {MOST_THINGS} vaults already")
        if part.project_id not in self._store.projects:
            raise WorldError(f"vault {part.id or part.name} is in an unknown project: {part.project_id}")
        twice = next((one for one, times in Counter(backup.id for backup in part.backups if backup.id).items() if times > 1), None)
        if twice is not None:
            raise WorldError(f"backup {twice} is listed twice")
        generated = part.generate
        if generated is not None:
            self._check_replicas("generate", generated.replicated_to)
        self._check_backups(part.backups, 0 if generated is None else generated.count * (1 + len(generated.replicated_to)))

    def _check_backups(self, parts: list[BackupPart], more: int = 0) -> None:
        for part in parts:
            if part.id in self._store.backups:
                raise WorldError(f"backup {part.id} exists already")
            self._check_replicas(f"backup {part.id or part.name}", part.replicated_to)
        coming = more + sum(1 + len(part.replicated_to) for part in parts)
        if coming > self._store.room:
            raise WorldError(f"a world holds at most {self._store.most_backups} backups and replicas")
        if coming > self._at_once:
            raise WorldError(f"one call adds at most {self._at_once} backups and replicas")

    def _check_replicas(self, what: str, vault_ids: list[str]) -> None:
        for vault_id in vault_ids:
            vault = self._store.vaults.get(vault_id)
            if vault is None or vault.protect_type != "replication":
                raise WorldError(f"{what} is replicated_to {vault_id}, which is not a replication vault of this world")

    def _put_backup(self, vault: Vault, part: BackupPart, now: float, number: int, bound: Sequence[Resource]) -> Backup:
        backup_id = part.id or self._ids.uuid()
        resource = vault.resources.get(part.resource_id or "") or (bound[number % len(bound)] if bound and not part.resource_id else None)
        created_at = part.created_moment
        if created_at is None:
            created_at = now - (_HOUR + number if part.age_seconds is None else part.age_seconds)
        size = part.resource_size if part.resource_size is not None else (resource.size if resource else 40)
        backup = Backup(
            id=backup_id,
            name=part.name or f"backup-{backup_id[:8]}",
            vault_id=vault.id,
            project_id=vault.project_id,
            checkpoint_id=part.checkpoint_id or self._ids.uuid(),
            provider_id=vault.provider_id,
            resource_id=resource.id if resource else part.resource_id or self._ids.uuid(),
            resource_name=part.resource_name or (resource.name if resource else f"resource-{number:04}"),
            resource_type=part.resource_type or (resource.type if resource else RESOURCE_TYPES[vault.object_type]),
            resource_size=size,
            status=part.status,
            image_type=part.image_type,
            created_at=created_at,
            updated_at=created_at,
            expired_at=None if part.expires_in_seconds is None else now + part.expires_in_seconds,
            incremental=part.incremental,
            auto_trigger=part.auto_trigger,
            contain_system_disk=part.contain_system_disk,
            system_disk_picked=part.system_disk_picked,
            images=list(part.images),
            row=dict(part.row),
        )
        self._store.add_backup(backup)
        self.add_to_checkpoint(backup, vault)
        for destination_id in part.replicated_to:
            self._add_finished_replica(backup, destination_id)
        return backup

    def add_to_checkpoint(self, backup: Backup, vault: Vault) -> None:
        """Enter a backup's resource in its checkpoint, which is made if need be.

        :param backup: the backup.
        :param vault: its vault.
        """
        checkpoint = self._store.checkpoints.get(backup.checkpoint_id)
        if checkpoint is None:
            checkpoint = Checkpoint(
                backup.checkpoint_id, vault.project_id, vault.id, vault.name, backup.created_at, "available", [], [], None
            )
            self._store.checkpoints[checkpoint.id] = checkpoint
        if checkpoint.vault_id != vault.id:
            return  # a replica that carries the id of its source's checkpoint
        checkpoint.resources.append(
            checkpoint_resource(backup.resource_id, backup.resource_name, backup.resource_type, backup.resource_size)
        )

    def make_replica(
        self, source: Backup, destination: Vault, checkpoint_id: str, now: float, name: str | None = None, description: str | None = None
    ) -> Backup:
        """Add the replica of a backup.

        :param source: the backup; it may be gone from the store meanwhile.
        :param destination: the replication vault.
        :param checkpoint_id: the destination's checkpoint, unless a switch says that replicas keep their source's.
        :param now: simulated time.
        :param name: Default: as the switch says.
        :param description: Default: none.
        """
        switches, replica_id = self._switches, self._ids.uuid()
        own_name = source.name if switches.replica_name == "source" else f"replica_{replica_id[:4]}"
        replica = Backup(
            id=replica_id,
            name=name or own_name,
            vault_id=destination.id,
            project_id=destination.project_id,
            checkpoint_id=checkpoint_id if switches.replica_checkpoint == "own" else source.checkpoint_id,
            provider_id=source.provider_id,
            resource_id=source.resource_id,
            resource_name=source.resource_name,
            resource_type=source.resource_type,
            resource_size=source.resource_size,
            status="available",
            image_type="replication",
            created_at=now if switches.replica_created_at == "copy" else source.created_at,
            updated_at=now,
            expired_at=source.expired_at,
            incremental=source.incremental,
            auto_trigger=source.auto_trigger,
            contain_system_disk=source.contain_system_disk,
            system_disk_picked=source.system_disk_picked,
            description=description or "",
            protected_at=source.created_at if switches.replica_protected_at == "source" else None,
        )
        self._store.add_backup(replica)
        self.add_to_checkpoint(replica, destination)
        return replica

    def _add_finished_replica(self, backup: Backup, destination_id: str) -> None:
        destination = self._store.vaults[destination_id]
        replica = self.make_replica(backup, destination, self._ids.uuid(), backup.created_at + 60)
        self._store.add_record(
            self._ids.uuid(),
            backup,
            destination,
            backup.created_at + 30,
            visible_at=backup.created_at + 30,
            auto_trigger=False,
            status="success",
            destination_backup_id=replica.id,
            destination_checkpoint_id=replica.checkpoint_id,
        )

    def _generate(self, vault: Vault, part: GeneratePart, now: float) -> None:
        bound = list(vault.resources.values()) or [
            Resource(self._ids.uuid(), f"resource-{number:04}", RESOURCE_TYPES[vault.object_type], part.size)
            for number in range(1, min(part.resources, part.count) + 1)
        ]
        vault.resources.update((resource.id, resource) for resource in bound)
        pattern = BackupPart(status=part.status, replicated_to=part.replicated_to)
        for number in range(part.count):
            changes = {"name": f"{vault.name}-{number:06}", "age_seconds": part.newest_age_seconds + number * part.every_seconds}
            self._put_backup(vault, pattern.model_copy(update=changes), now, number, bound)


def checkpoint_resource(resource_id: str, name: str, type_: str, size: int) -> dict[str, object]:
    """Return a resource as checkpoints list it: sizes are text there.

    :param resource_id: its id.
    :param name: its name.
    :param type_: its type.
    :param size: GB.
    """
    return {
        "id": resource_id,
        "name": name,
        "type": type_,
        "protect_status": "available",
        "resource_size": str(size),
        "extra_info": None,
    }

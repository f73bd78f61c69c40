"""The rules of replication: what is refused, with which code, and which backups of a vault are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cbr.emulator.bounds import MOST_RECORDS
from airflow_cbr.emulator.error_responses import cbr
from airflow_cbr.emulator.kinds import MB_PER_GB, REPLICABLE

if TYPE_CHECKING:
    from airflow_cbr.emulator.copy_jobs import CopyJobs, CopyRequest
    from airflow_cbr.emulator.exchange import Refusal
    from airflow_cbr.emulator.store import Backup, Project, Record, Store, Vault
    from airflow_cbr.emulator.switches import Switches


class ReplicationRules:
    """Judges replicate calls and starts the copies of those that are accepted."""

    def __init__(self, *, store: Store, switches: Switches, copies: CopyJobs) -> None:
        self._store = store
        self._switches = switches
        self._copies = copies

    def destination(self, *, source: Project, region: str, project_id: str, vault_id: str, object_type: str) -> tuple[Vault, Project]:
        """Find the destination of a replication.

        :param source: the source project.
        :param region: the destination region.
        :param project_id: the destination project.
        :param vault_id: the destination vault.
        :param object_type: of the source vault.
        :return: the vault and its project.
        :raises Refusal: 1005, 1011, 6120, 6119 or 6112.
        """
        if region not in self._store.replicates_to.get(source.region, ()):
            raise cbr("1005")
        project = self._store.projects.get(project_id)
        if project is None or project.region != region or not project.replication:
            raise cbr("1011")
        vault = self._store.vaults.get(vault_id)
        if vault is None or vault.project_id != project.id:
            raise cbr("6120")
        if vault.protect_type != "replication" or vault.object_type != object_type:
            raise cbr("6119")
        if vault.status != "available":
            raise cbr("6112", f"The status of the destination vault {vault.id} is {vault.status}.")
        return vault, project

    def check_source(self, vault: Vault) -> None:
        """Judge a source vault as such.

        :param vault: the vault.
        :raises Refusal: 6128, 6122 or 6112.
        """
        if vault.protect_type == "replication":
            raise cbr("6128")
        if vault.object_type not in REPLICABLE:
            raise cbr("6122")
        if vault.status != "available":
            raise cbr("6112", f"The status of the vault {vault.id} is {vault.status}.")

    def replicate_vault(self, vault: Vault, request: CopyRequest, now: float) -> list[Record]:
        """Carry out CopyCheckpoint: copy the backups that are not copied yet, and leave out those that do not qualify.

        :param vault: the source vault, already judged by :meth:`check_source`.
        :param request: where to, and for whom.
        :param now: simulated time.
        :return: the records, in the order of the backups; may be empty if a switch says so.
        :raises Refusal: 6130, 6129, or the code for a vault without anything to copy.
        """
        careless = self._switches.careless
        if vault.in_flight and not careless:
            raise cbr("6130", f"The vault {vault.id} is replicating.")
        backups = list(self._store.in_vault(vault.id))
        reasons = {backup.id: self._unfit(backup) for backup in backups}
        fit = [backup for backup in backups if reasons[backup.id] is None]
        if not fit:
            return self._none_qualifies(next((reason for reason in reasons.values() if reason is not None), None))
        region = request.destination_project.region
        wanted = [backup for backup in fit if careless or not self._settled(backup, region)]
        if not wanted:
            return self._all_copied(fit, request, now)
        self._check_capacity(request.destination, wanted)
        return [self._copies.start(backup, request, now) for backup in wanted]

    def replicate_backup(self, backup: Backup, vault: Vault, request: CopyRequest, now: float) -> Record:
        """Carry out CopyBackup.

        :param backup: the backup.
        :param vault: its vault.
        :param request: where to, and for whom.
        :param now: simulated time.
        :raises Refusal: 1001 to 1004, 1013, 6122, 1009, 6130 or 6129.
        """
        reason = self._unfit(backup)
        if reason is not None:
            raise reason
        if not self._switches.careless:
            region = request.destination_project.region
            for record in backup.records:
                replica_there = record.status == "success" and record.destination_backup_id in self._store.backups
                if record.destination_region == region and (record.in_flight or replica_there):
                    raise cbr("1009", f"The backup {backup.id} has been replicated or is being replicated to {region}.")
            if vault.in_flight and self._switches.single_while_replicating == "6130":
                raise cbr("6130", f"The vault {vault.id} is replicating.")
        self._check_capacity(request.destination, [backup])
        return self._copies.start(backup, request, now)

    def _unfit(self, backup: Backup) -> Refusal | None:
        if backup.image_type != "backup":
            return cbr("1002")
        if backup.resource_type == "OS::Cinder::Volume" or backup.resource_type == "OS::Workspace::DesktopV2":
            return cbr("6122")
        if backup.status != "available":
            return cbr("1001", f"The backup {backup.id} is {backup.status} and cannot be replicated.")
        if backup.resource_type == "OS::Ironic::BareMetalServer":
            return cbr("1003")
        if backup.resource_type == "OS::Nova::Server":
            if not backup.contain_system_disk:
                return cbr("1004")
            if backup.system_disk_picked:
                return cbr("1013")
        return None

    def _settled(self, backup: Backup, region: str) -> bool:
        """Return whether a vault's replicate call leaves a backup out: it is copied there, on its way, or not taken again."""
        there = [record for record in backup.records if record.destination_region == region]
        for record in there:
            if record.in_flight:
                return True
            if record.status == "success" and (
                record.destination_backup_id in self._store.backups or not self._switches.deleted_taken_again
            ):
                return True
        # Neither copied nor on its way: what is left are copies that failed or were skipped.
        return bool(there) and there[-1].status == "fail" and not self._switches.failed_taken_again

    def _none_qualifies(self, reason: Refusal | None) -> list[Record]:
        how = self._switches.when_none_qualifies
        if how == "empty":
            return []
        if how == "reason" and reason is not None:
            raise reason
        raise cbr("0001")

    def _all_copied(self, fit: list[Backup], request: CopyRequest, now: float) -> list[Record]:
        how = self._switches.when_all_copied
        if how == "empty":
            return []
        if how == "skip":
            return [self._copies.skip(backup, request, now) for backup in fit]
        raise cbr(how)

    def _check_capacity(self, destination: Vault, backups: list[Backup]) -> None:
        if len(self._store.records) + len(backups) > MOST_RECORDS or len(backups) > self._store.room:
            raise cbr("1012")
        needed = sum(backup.resource_size for backup in backups) * MB_PER_GB
        if destination.used + destination.reserved + needed > destination.size * MB_PER_GB:
            raise cbr("6129")

"""Two sides of a replication as plain rows, for tests of the verification that need no service."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from airflow_cbr.api.models import Backup, Billing, ReplicationRecord, Vault, VaultResource
from airflow_cbr.api.paging import walk
from airflow_cbr.api.summaries import BackupSummary
from airflow_cbr.exceptions import CbrError, CbrNotFoundError
from airflow_cbr.inventory.destination import Destination
from airflow_cbr.verification.levels import Action, Level, Scope, VerificationSpec
from airflow_cbr.verification.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.verification.report import Report

BackupModel = TypeVar("BackupModel", bound=BackupSummary)

HERE = "a" * 32
SERVERS = "0daac4c5-6707-4851-97ba-169e36266b66"
THERE = Destination("there", "b" * 32, "c" * 32)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FAIL = Action.FAIL


def record(record_id: str = "r1", status: str = "success", **fields: Any) -> ReplicationRecord:
    """Return a record to the destination."""
    values: dict[str, Any] = {
        "destination_region": THERE.region,
        "destination_project_id": THERE.project_id,
        "destination_vault_id": THERE.vault_id,
        "destination_backup_id": "replica",
        "created_at": "2026-11-24T00:00:00",
    }
    return ReplicationRecord(id=record_id, status=status, **(values | fields))


def source(*records: ReplicationRecord, **fields: Any) -> Backup:
    """Return a source backup with these records."""
    values: dict[str, Any] = {
        "id": "b1",
        "name": "db",
        "status": "available",
        "image_type": "backup",
        "checkpoint_id": "night",
        "resource_id": "server",
        "resource_type": "OS::Nova::Server",
        "resource_size": 40,
        "provider_id": SERVERS,
        "created_at": "2026-11-23T00:00:00",
    }
    return Backup(replication_records=list(records), **(values | fields))


def replica(**fields: Any) -> Backup:
    """Return the replica that a good copy has."""
    values: dict[str, Any] = {
        "id": "replica",
        "image_type": "replication",
        "status": "available",
        "checkpoint_id": "night there",
        "vault_id": THERE.vault_id,
        "project_id": THERE.project_id,
        "provider_id": SERVERS,
        "resource_id": "server",
        "resource_type": "OS::Nova::Server",
        "resource_size": 40,
        "created_at": "2026-11-24T00:10:00",
    }
    return Backup(**(values | fields))


def copied(number: int, **fields: Any) -> tuple[Backup, Backup]:
    """Return a source backup and its good replica, both of a resource and a checkpoint of their own.

    :param fields: of the source backup, where they differ.
    """
    shared: dict[str, Any] = {"resource_id": f"server-{number}", "checkpoint_id": f"night-{number}"} | fields
    backup = source(record(f"r{number}", destination_backup_id=f"replica-{number}"), **{"id": f"b{number}", "name": None} | shared)
    return backup, replica(id=f"replica-{number}", resource_id=backup.resource_id, checkpoint_id=f"night-there-{number}")


def vault(vault_id: str = HERE, *resource_ids: str, protect_type: str = "backup", **fields: Any) -> Vault:
    """Return a vault that resources are bound to.

    :param fields: of its row or of its billing, where they differ.
    """
    billing: dict[str, Any] = {"object_type": "server", "status": "available", "size": 1000, "used": 0, "protect_type": protect_type}
    billing |= {name: fields.pop(name) for name in list(fields) if name in billing}
    resources = [VaultResource(id=one, name=f"name of {one}") for one in resource_ids]
    row: dict[str, Any] = {"id": vault_id, "resources": resources, "billing": Billing(**billing)}
    return Vault(**row | fields)


class Side:
    """One region as a client shows it.

    :param backups: what its project holds. A backup that names no vault lies in the one that is asked for.
    :param vaults: the vaults that can be looked at; an error is raised.
    """

    def __init__(self, backups: Iterable[Backup] = (), vaults: Iterable[Vault | CbrError] = (), *, now: datetime | None = NOW) -> None:
        self.backups = list(backups)
        self.vaults = list(vaults)
        self.server_time = now
        self.region, self.project_id = "here", "d" * 32
        self.calls: Counter[str] = Counter()

    @property
    def client(self) -> CbrClient:
        """Return it as what the package takes it for."""
        return cast("CbrClient", self)

    def list_backups(
        self, *, vault_id: str | None = None, show_replication: bool = False, on_repeat: Callable[[Backup], object] | None = None
    ) -> Iterator[Backup]:
        """List backups, all on one page."""
        self.calls["list_backups"] += 1
        rows = [one for one in self.backups if vault_id is None or one.vault_id in (None, vault_id)]
        if not show_replication:
            rows = [msgspec.structs.replace(one, replication_records=None) for one in rows]
        return walk(
            lambda offset, limit: (rows[offset : offset + limit], len(rows)), page_size=1000, call="ListBackups", on_repeat=on_repeat
        )

    def read_backups(
        self,
        model: type[BackupModel],
        *,
        vault_id: str,
        show_replication: bool = False,
        on_repeat: Callable[[BackupModel], object],
    ) -> Iterator[BackupModel]:
        """List them with no more of each than the model has."""

        def narrow(row: Backup) -> BackupModel:
            return model(**{name: getattr(row, name) for name in model.__struct_fields__})

        listed = self.list_backups(vault_id=vault_id, show_replication=show_replication, on_repeat=lambda row: on_repeat(narrow(row)))
        return map(narrow, listed)

    def show_backup(self, backup_id: str) -> Backup:
        """Show a backup."""
        self.calls["show_backup"] += 1
        for one in self.backups:
            if one.id == backup_id:
                return one
        raise CbrNotFoundError("no such backup")

    def list_vaults(self) -> Iterator[Vault]:
        """List vaults."""
        self.calls["list_vaults"] += 1
        for one in self.vaults:
            if isinstance(one, CbrError):
                raise one
            yield one

    def show_vault(self, vault_id: str) -> Vault:
        """Show a vault."""
        self.calls["show_vault"] += 1
        for one in self.vaults:
            if isinstance(one, CbrError):
                raise one
            if one.id == vault_id:
                return one
        raise CbrNotFoundError("no such vault")


def judged(here: Side, there: Side, *record_ids: str, **fields: Any) -> Report:
    """Verify.

    :param record_ids: the records. Default: none, the newest backups.
    :param fields: of the assignment; ``levels`` as a list of those that fail.
    """
    if isinstance(fields.get("levels"), list):
        fields["levels"] = {Level(level): FAIL for level in fields["levels"]}
    scope: dict[str, Any] = {"scope": Scope.RECORDS, "record_ids": record_ids} if record_ids else {}
    return verify(here.client, there.client, VerificationSpec(HERE, THERE, **scope | fields))

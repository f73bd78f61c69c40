"""The copies of the demo, as the service reports them: asked at both ends, past Airflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import requests

from airflow_cbr.api.auth import AkSkCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.demo.scenario import DESTINATION_REGION, SOURCE_REGION
from airflow_cbr.demo.waiting import DemoError
from airflow_cbr.emulator.world import DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT, default_world
from airflow_cbr.languages import translated

if TYPE_CHECKING:
    from airflow_cbr.api.models import Backup, ReplicationRecord

__all__ = ["CopyReader", "CopyRow"]

TIMEOUT: Final = 5.0


@dataclass(frozen=True)
class CopyRow:
    """One backup of the source vault, and what has become of its copy.

    ``progress`` is a percentage. ``arrived`` says that the replica is at the destination: available, in the right vault, of the same size.
    """

    backup_id: str
    name: str
    size: float
    resource: str = ""
    record_id: str | None = None
    status: str | None = None
    progress: float = 0.0
    replica_id: str | None = None
    arrived: bool = False


class CopyReader:
    """Reads both vaults of the emulator's default world.

    :param endpoint: address of the emulator.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        user = default_world().users[0]
        credentials = AkSkCredentials(access_key=user.access_key, secret_key=user.secret_key, security_token=None)
        endpoints = Endpoints(cbr=endpoint, iam=endpoint)
        self._source, self._destination = (
            CbrClient(
                credentials,
                region=region,
                project_id=project,
                endpoints=endpoints,
                connect_timeout=TIMEOUT,
                read_timeout=TIMEOUT,
                retry_budget=0,
            )
            for region, project in ((SOURCE_REGION, SOURCE_PROJECT), (DESTINATION_REGION, DESTINATION_PROJECT))
        )

    def close(self) -> None:
        """Close the connections."""
        self._source.close()
        self._destination.close()

    def read(self) -> list[CopyRow]:
        """Return one entry for each backup of the source vault, by name.

        :raises airflow_cbr.exceptions.CbrError: the emulator does not answer as it should.
        """
        replicas = {replica.id: replica for replica in self._destination.list_backups(vault_id=DESTINATION_VAULT)}
        backups = self._source.list_backups(vault_id=SOURCE_VAULT, show_replication=True)
        return sorted((_copy(backup, replicas) for backup in backups), key=lambda copy: copy.name)

    def started(self) -> list[str]:
        """Return the backup id of every replication that the service has started, from the emulator's own ledger.

        :raises DemoError: the ledger cannot be read.
        """
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.get(f"{self._endpoint}/_emulator/ledger", timeout=TIMEOUT)
                answer.raise_for_status()
                return [entry["backup_id"] for entry in answer.json()["replications"]]
            except requests.RequestException as error:
                raise DemoError(translated("the emulator's ledger cannot be read: {error}", error=error)) from error


def _copy(backup: Backup, replicas: dict[str, Backup]) -> CopyRow:
    name, size = backup.name or backup.id, backup.resource_size or 0
    resource = backup.resource_name or backup.resource_id or name
    records = [record for record in backup.replication_records or () if record.destination_vault_id == DESTINATION_VAULT]
    if not records:
        return CopyRow(backup.id, name, size, resource)
    record: ReplicationRecord = max(records, key=lambda each: each.created_at or "")
    replica = replicas.get(record.destination_backup_id or "")
    return CopyRow(
        backup.id,
        name,
        size,
        resource,
        record_id=record.id,
        status=record.status,
        progress=100.0 if record.state is CopyState.SUCCEEDED else float(record.extra.progress or 0),
        replica_id=None if replica is None else replica.id,
        arrived=replica is not None
        and (replica.status, replica.image_type, replica.vault_id) == ("available", "replication", DESTINATION_VAULT)
        and replica.resource_size == backup.resource_size,
    )

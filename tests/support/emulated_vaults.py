"""Vaults of its own for each test case, on an emulator that many cases share."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_cbr.demo.scenario import DESTINATION_REGION
from airflow_cbr.emulator.world import DESTINATION_PROJECT, SOURCE_PROJECT

if TYPE_CHECKING:
    from tests.support.emulator import ControlClient


@dataclass(frozen=True)
class VaultPair:
    """A source vault with backups and a replication vault in the other region."""

    control: ControlClient
    source: str
    destination: str
    backups: list[str]
    destination_project: str = DESTINATION_PROJECT

    def params(self) -> dict[str, str]:
        """Return the params that every Dag of the tests and the example Dags take."""
        return {
            "vault_id": self.source,
            "destination_region": DESTINATION_REGION,
            "destination_project_id": self.destination_project,
            "destination_vault_id": self.destination,
        }

    def ledger(self) -> dict[str, Any]:
        """Return what the service did for this source vault."""
        return self.control.ledger(self.source)

    def copied(self) -> list[str]:
        """Return the backup of every replication that was started, sorted; a backup that was copied twice is there twice."""
        return sorted(entry["backup_id"] for entry in self.ledger()["replications"])

    def posts(self) -> int:
        """Return the number of replicate calls that arrived for this source vault."""
        return len(self.ledger()["calls"])


def make_vaults(
    control: ControlClient,
    source_project: str = SOURCE_PROJECT,
    destination_project: str = DESTINATION_PROJECT,
    *,
    backups: int = 3,
    **source: Any,
) -> VaultPair:
    """Make a pair of vaults.

    :param control: control calls of the emulator.
    :param source_project: project of the source vault. Default: the default world's.
    :param destination_project: project of the replication vault. Default: the default world's.
    :param backups: number of backups in the source vault.
    :param source: further properties of the source vault.
    """
    ids = sorted(str(uuid.uuid4()) for _ in range(backups))
    destination = control.add_vault(project_id=destination_project, protect_type="replication", size=100_000)["id"]
    made = control.add_vault(project_id=source_project, size=100_000, backups=[{"id": backup} for backup in ids], **source)
    return VaultPair(control, made["id"], destination, ids, destination_project)

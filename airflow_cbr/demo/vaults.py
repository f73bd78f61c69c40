"""More vaults for ``airflow-cbr demo --ui``: what the page "CBR replication" looks like on a morning when not everything is well."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from airflow_cbr.demo.scenario import DESTINATION_REGION
from airflow_cbr.emulator.vault_parts import BackupPart, ResourcePart, VaultPart
from airflow_cbr.emulator.world import DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, World, default_world

__all__ = ["AUDIT_DAG_ID", "audited_vaults", "morning_world"]

AUDIT_DAG_ID: Final = "cbr_audit"
"""The example Dag that judges them; its ``max_age_hours`` is 36."""
_HOUR: Final = timedelta(hours=1).total_seconds()
#: Name of a vault: the age of its newest backup in hours, and whether that has a replica.
_VAULTS: Final = {
    "finance": (5, True),
    "website": (9, True),
    "mail": (24 * 5, True),  # replicated, but long ago
    "warehouse": (7, False),  # backed up last night, and not replicated
}


def _vault_id(number: int) -> str:
    return f"5c1f0b7e-0d64-4b7a-9a51-{number:012}"


def _vault(number: int, name: str, hours: float, is_replicated: bool) -> VaultPart:
    servers = [
        ResourcePart(id=f"8e2d4c6a-1b3f-4f5d-8c7e-{100 * number + part:012}", name=f"ecs-{name}-{part:02}", size=40 * part)
        for part in (1, 2)
    ]
    backups = [
        BackupPart(
            name=f"nightly-{server.name}-{night}",
            resource_id=server.id,
            auto_trigger=True,
            age_seconds=(hours + 24 * night) * _HOUR,
            # The night before, everything was well.
            replicated_to=[DESTINATION_VAULT] if is_replicated or night else [],
        )
        for server in servers
        for night in (0, 1)
    ]
    return VaultPart(id=_vault_id(number), name=f"vault-{name}", project_id=SOURCE_PROJECT, resources=servers, backups=backups)


def morning_world() -> World:
    """Return the emulator's default world with more vaults: two that are well, one whose replicas are old, one that lacks some."""
    world = default_world()
    more = [_vault(number, name, *state) for number, (name, state) in enumerate(_VAULTS.items(), start=1)]
    # Their replicas leave room for those of the example Dag.
    roomy = [vault.model_copy(update={"size": 5000}) if vault.id == DESTINATION_VAULT else vault for vault in world.vaults]
    return world.model_copy(update={"vaults": [*roomy, *more]})


def audited_vaults() -> list[dict[str, Any]]:
    """Return the param ``vaults`` of the example Dag ``cbr_audit`` for these vaults."""
    there = {
        "destination_region": DESTINATION_REGION,
        "destination_project_id": DESTINATION_PROJECT,
        "destination_vault_id": DESTINATION_VAULT,
    }
    return [{"vault_id": _vault_id(number), **there} for number in range(1, len(_VAULTS) + 1)]

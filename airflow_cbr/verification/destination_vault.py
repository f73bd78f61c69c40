"""The level that checks the destination vault: is it for replicas, available, large enough for the next night, and locked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from airflow_cbr.api.texts import counted
from airflow_cbr.inventory.vaults import capacity_of
from airflow_cbr.verification.faults import Fault
from airflow_cbr.verification.report import About, Finding
from airflow_cbr.verification.rules import is_plausible_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_cbr.api.models import Vault
    from airflow_cbr.exceptions import CbrError
    from airflow_cbr.verification.source_inventory import SourceInventory

__all__ = ["destination_vault", "next_night_gb"]


def next_night_gb(inventory: SourceInventory) -> float | None:
    """Return how many GB the next night may add: the sizes of all resources that have an eligible backup, as if each copy were a full one.

    An upper bound: CBR's copies are mostly incremental, and how much will change until then is not known.

    :param inventory: the source vault's backups.
    :return: GB, or None when a size is missing or not possible.
    """
    perhaps = [{row.size for row in inventory.perhaps_newest(resource_id)} for resource_id in inventory.newest]
    sizes = [max(map(_plausible, sizes)) for sizes in perhaps]
    return None if math.inf in sizes else float(sum(sizes))


def _plausible(size: float | None) -> float:
    return size if size is not None and is_plausible_size(size) else math.inf


def destination_vault(
    vault: Vault | CbrError, source: Vault | CbrError, inventory: SourceInventory, *, vault_id: str, require_locked: bool
) -> Iterator[Finding]:
    """Yield what is wrong with the destination vault.

    :param vault: the destination vault, or why it cannot be read.
    :param source: the source vault, or why it cannot be read.
    :param inventory: the source vault's backups.
    :param vault_id: id of the destination vault.
    :param require_locked: whether it must be locked.
    """

    def found(fault: Fault, reason: str) -> Finding:
        name = None if isinstance(vault, Exception) else vault.name
        return Finding(About.VAULT, vault_id, "destination vault", (fault,), reason, vault_name=name)

    if isinstance(vault, Exception):
        yield found(Fault.VAULT_UNREADABLE, f"it cannot be read: {vault.what_happened}")
        return
    billing = vault.billing
    if billing is None:
        yield found(Fault.VAULT_UNREADABLE, "the service does not return its kind")
        return
    if billing.protect_type != "replication":
        yield found(Fault.VAULT_KIND, f"its protect_type is {billing.protect_type}, not replication")
    if billing.status != "available":
        yield found(Fault.VAULT_STATUS, f"its status is {billing.status}, not available")
    if isinstance(source, Exception):
        yield found(
            Fault.VAULT_OBJECT_TYPE, f"its kind cannot be compared, because the source vault cannot be read: {source.what_happened}"
        )
    elif (kind := source.billing and source.billing.object_type) is None or billing.object_type != kind:
        yield found(Fault.VAULT_OBJECT_TYPE, f"it is for resources of the kind {billing.object_type}, but the source vault is for {kind}")
    capacity, gb = capacity_of(vault), next_night_gb(inventory)
    if vault.auto_expand is True:
        pass
    elif capacity is None or gb is None:
        yield found(
            Fault.VAULT_ROOM,
            "whether the next night fits is not known: the service does not return its size, its usage, or a backup's size",
        )
    elif not capacity.holds(gb):
        reason = f"the next night may add {gb:g} GB ({counted(len(inventory.newest), 'resource')} in full), but it has {capacity}"
        yield found(Fault.VAULT_ROOM, reason)
    if require_locked and vault.locked is not True:
        yield found(Fault.VAULT_UNLOCKED, "it is not locked: anyone who may delete backups can delete the replicas")

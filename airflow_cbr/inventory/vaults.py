"""What a vault's own row says about its part in a replication: its kind, its status, its capacity.

Pure functions, to check a vault before or after a replication. What a row leaves out is no objection: the service
knows the rest, and refuses the call if it is wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.texts import LONGEST_NAME, one_line

if TYPE_CHECKING:
    from airflow_cbr.api.models import Vault

__all__ = ["MB_PER_GB", "Capacity", "Objection", "capacity_of", "named_vault", "objections_to_destination", "objections_to_source"]

MB_PER_GB: Final = 1024
_LARGEST_GB: Final = 10**9
"""An exabyte; no vault is larger, and none is used beyond it."""

# CBR replicates vaults of servers, SFS Turbo file systems and hybrid (VMware) resources. A kind that is not named here is put to the
# service, which knows.
_NOT_REPLICABLE: Final = frozenset({"disk", "workspace"})


@dataclass(frozen=True, slots=True)
class Objection:
    """Why the service would refuse to use a vault.

    :param code: the code that it would answer, for example ``BackupService.6119``; its advice is in :mod:`airflow_cbr.api.errors`.
    :param text: what is wrong, to follow the vault's name: ``its status is frozen, not available``.
    """

    code: str
    text: str

    def __str__(self) -> str:
        """Return the text with the code."""
        return f"{self.text} [{self.code}]"


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much a vault holds, in GB.

    :param size_gb: its capacity.
    :param used_gb: what is used of it.
    :param auto_expand: whether the service enlarges the vault when it is full.
    """

    size_gb: float
    used_gb: float
    auto_expand: bool = False

    @property
    def free_gb(self) -> float:
        """Return what is left; less than zero in a vault that is used beyond its size."""
        return self.size_gb - self.used_gb

    @property
    def is_full(self) -> bool:
        """Return whether nothing is left."""
        return self.free_gb <= 0

    @property
    def used_ratio(self) -> float | None:
        """Return which part is used: 1 is full, more is beyond the size. None where size or use is 0, from which nothing follows."""
        if self.size_gb <= 0 or self.used_gb <= 0:
            return None
        ratio = self.used_gb / self.size_gb
        return ratio if math.isfinite(ratio) else None

    def holds(self, gb: float) -> bool:
        """Return whether this much more fits, or the vault is expanded to hold it.

        :param gb: GB to add.
        """
        return self.auto_expand or gb <= self.free_gb

    def __str__(self) -> str:
        """Return the free capacity in words."""
        return f"{max(self.free_gb, 0):g} of {self.size_gb:g} GB free"


def named_vault(vault_id: str, name: str | None) -> str:
    """Return how a message names a vault: its name where that is known, and always its id.

    :param vault_id: its id.
    :param name: its name, or None.
    """
    return f"{one_line(name, LONGEST_NAME)} ({vault_id})" if name else vault_id


def objections_to_source(vault: Vault) -> list[Objection]:
    """Return why this vault cannot be replicated: it holds replicas itself, its kind does not replicate, or its status is wrong.

    :param vault: the source vault, as ShowVault answers.
    """
    billing = vault.billing
    if billing is None:
        return []
    found = []
    if billing.protect_type == "replication":
        found.append(Objection("BackupService.6128", "it is a replication vault, and CBR does not replicate replicas"))
    elif billing.object_type in _NOT_REPLICABLE:
        found.append(Objection("BackupService.6122", f"CBR does not replicate vaults of the kind {billing.object_type}"))
    return [*found, *_objections_to_status(billing.status)]


def objections_to_destination(vault: Vault, *, object_type: str | None = None) -> list[Objection]:
    """Return why this vault cannot take replicas: it was not made for them, or for another kind, or its status is wrong.

    :param vault: the destination vault, as ShowVault answers in its region.
    :param object_type: what the source vault holds. Default: not known, and not compared.
    """
    billing = vault.billing
    if billing is None:
        return []
    found = []
    if billing.protect_type not in (None, "replication"):
        found.append(Objection("BackupService.6119", f"it is a {billing.protect_type} vault, not a replication vault"))
    if object_type is not None and billing.object_type not in (None, object_type):
        found.append(
            Objection(
                "BackupService.6119", f"it is for resources of the kind {billing.object_type}, but the source vault is for {object_type}"
            )
        )
    return [*found, *_objections_to_status(billing.status)]


def capacity_of(vault: Vault) -> Capacity | None:
    """Return how much the vault holds, or None where its row does not say, or says what cannot be: less than 0, infinity, ``nan``.

    :param vault: any vault; the service gives its size in GB and its use in MB.
    """
    billing = vault.billing
    if billing is None or billing.size is None or billing.used is None:
        return None
    # Compared before they are divided: JSON has integers that no float can hold.
    if not (0 <= billing.size <= _LARGEST_GB and 0 <= billing.used <= _LARGEST_GB * MB_PER_GB):
        return None
    return Capacity(size_gb=billing.size, used_gb=billing.used / MB_PER_GB, auto_expand=vault.auto_expand is True)


def _objections_to_status(status: str | None) -> list[Objection]:
    return [] if status in (None, "available") else [Objection("BackupService.6112", f"its status is {status}, not available")]

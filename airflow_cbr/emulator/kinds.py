"""What the documentation says about the kinds of things that a vault holds."""

from __future__ import annotations

from typing import Final, Literal

ObjectType = Literal["server", "disk", "turbo", "workspace", "vmware"]
ProtectType = Literal["backup", "replication", "hybrid"]
VaultStatus = Literal["available", "lock", "frozen", "deleting", "error"]
BackupStatus = Literal["available", "protecting", "deleting", "restoring", "error", "waiting_protect", "waiting_delete", "waiting_restore"]
ImageType = Literal["backup", "replication"]
Progress = Literal["linear", "bursty", "stuck", "null"]

PROVIDERS: Final[dict[str, str]] = {
    "server": "0daac4c5-6707-4851-97ba-169e36266b66",
    "disk": "d1603440-187d-4516-af25-121250c7cc97",
    "turbo": "3f3c3220-245c-4805-b811-758870015881",
    "vmware": "a13639de-00be-4e94-af30-26912d75e4a2",
    "workspace": "86a80900-71bf-4961-956a-d52df944f84a",
}
RESOURCE_TYPES: Final[dict[str, str]] = {
    "server": "OS::Nova::Server",
    "disk": "OS::Cinder::Volume",
    "turbo": "OS::Sfs::Turbo",
    "vmware": "OS::Native::Server",
    "workspace": "OS::Workspace::DesktopV2",
}
REPLICABLE: Final = frozenset({"server", "turbo", "vmware"})
"""Object types whose vaults can be replicated; disk vaults cannot."""

IN_FLIGHT: Final = frozenset({"waiting_replicate", "replicating"})
RUNNING_BACKUP: Final = frozenset({"waiting_protect", "protecting"})
MB_PER_GB: Final = 1024


def spec_code(protect_type: str, object_type: str) -> str:
    """Return the billing specification of a vault, one of the documented words.

    :param protect_type: ``backup``, ``replication`` or ``hybrid``.
    :param object_type: what the vault holds.
    """
    if protect_type == "replication":
        return "vault.replication.server.normal"
    if protect_type == "hybrid":
        return "vault.hybrid.server.normal"
    return {"disk": "vault.backup.volume.normal", "turbo": "vault.backup.turbo.normal"}.get(object_type, "vault.backup.server.normal")

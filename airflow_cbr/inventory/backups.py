"""What a backup's own row says: its name, its kind, and whether it can be replicated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_cbr.api.texts import LONGEST_NAME, one_line

if TYPE_CHECKING:
    from airflow_cbr.api.summaries import BackupSummary

__all__ = ["BEING_MADE", "full_name_of", "lacks_system_disk", "name_of", "reason_not_eligible", "reason_of_kind", "resource_of"]

BEING_MADE: Final = frozenset({"protecting", "waiting_protect"})
"""The statuses of a backup that has not ended."""

# CBR replicates backups of servers, SFS Turbo file systems and hybrid (VMware) resources; disk vaults and desktops are not among them.
# A kind that is not named here is put to the service, which knows.
NOT_REPLICABLE_PROVIDERS: Final = {
    "d1603440-187d-4516-af25-121250c7cc97": "disk",
    "86a80900-71bf-4961-956a-d52df944f84a": "workspace desktop",
}
NOT_REPLICABLE_RESOURCES: Final = {"OS::Cinder::Volume": "disk", "OS::Workspace::DesktopV2": "workspace desktop"}


def name_of(backup: BackupSummary) -> str:
    """Return how a message names a backup: its name where it has one, and always its id."""
    return f"{one_line(backup.name, LONGEST_NAME)} ({one_line(backup.id)})" if backup.name else one_line(backup.id)


def full_name_of(backup: BackupSummary) -> str:
    """Return how a list names a backup with its resource: ``nightly of ecs-db-01 (id)``.

    :param backup: the backup.
    """
    if not backup.resource_name:
        return name_of(backup)
    resource = one_line(backup.resource_name, LONGEST_NAME)
    return f"{one_line(backup.name, LONGEST_NAME) if backup.name else 'a backup'} of {resource} ({one_line(backup.id)})"


def ids_of(backup: BackupSummary, record_id: str) -> str:
    """Return how a line about a copy ends: the backup, and the replication record.

    :param backup: the source backup.
    :param record_id: the record.
    """
    return f"backup {name_of(backup)}, record {one_line(record_id)}"


def resource_of(backup: BackupSummary) -> str:
    """Return how a message names what was backed up: the resource, or else the backup, by the name that is known.

    :param backup: the backup.
    """
    return one_line(backup.resource_name or backup.name or backup.resource_id or backup.id, LONGEST_NAME)


def reason_not_eligible(backup: BackupSummary) -> str | None:
    """Return why a finished backup cannot be replicated, or None when it can.

    :param backup: a backup that is no longer being made.
    """
    if reason := reason_of_kind(backup):
        return reason
    if backup.status != "available":
        return f"its status is {backup.status or 'unknown'}, not available"
    return None


def reason_of_kind(backup: BackupSummary) -> str | None:
    """Return why no backup of this kind is ever replicated, or None when backups of its kind are replicated.

    :param backup: a backup.
    """
    if backup.image_type not in (None, "backup"):
        return f"it is itself a {backup.image_type}"
    kind = NOT_REPLICABLE_PROVIDERS.get(backup.provider_id or "") or NOT_REPLICABLE_RESOURCES.get(backup.resource_type or "")
    return f"CBR does not replicate {kind} backups" if kind else None


def lacks_system_disk(backup: BackupSummary) -> bool:
    """Return whether a server's backup lacks the system disk, so that the service refuses to copy it (code 1004).

    :param backup: the backup.
    """
    extra = backup.extend_info
    return backup.resource_type == "OS::Nova::Server" and extra is not None and extra.contain_system_disk is False

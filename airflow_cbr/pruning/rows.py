"""One backup as the service shows it now, beside what it was when the plan was made."""

from __future__ import annotations

from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.api.models import parse_time
from airflow_cbr.exceptions import CbrNotFoundError

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup

__all__ = ["GOING", "RemovalState", "decisive", "has_expired", "names", "show", "state_of"]

GOING: Final = frozenset({"deleting", "waiting_delete"})
"""The statuses of a backup that is being deleted."""

_GONE: Final = "BackupService.6200"

decisive: Final = attrgetter(
    "id", "image_type", "checkpoint_id", "vault_id", "project_id", "provider_id", "resource_id", "resource_type", "resource_size",
    "created_at", "expired_at", "parent_id", "status",
)  # fmt: skip
"""Returns what decides about a backup: where two rows differ in it, one is not what the other was."""


class RemovalState(StrEnum):
    """The condition of a backup that was to be deleted."""

    AS_PLANNED = "as planned"
    GOING = "going"
    """It is being deleted."""
    GONE = "gone"
    """It no longer exists."""


def names(source: Backup, replica_id: str) -> bool:
    """Return whether a successful record of a source backup names a replica.

    :param source: the source backup, with its records.
    :param replica_id: the replica.
    """
    records = source.replication_records or ()
    return any(record.destination_backup_id == replica_id and record.state is CopyState.SUCCEEDED for record in records)


def has_expired(backup: Backup, now: datetime | None) -> bool:
    """Return whether a backup has expired, although it may still be listed; one that expires at all has, where the time is not known.

    :param backup: the backup.
    :param now: the service's time, or None.
    """
    expiry = parse_time(backup.expired_at)
    return expiry is not None and (now is None or expiry <= now)


def show(client: CbrClient, backup_id: str) -> Backup | None:
    """Return a backup, or None when the service says that there is none.

    :param client: asks.
    :param backup_id: the backup.
    :raises CbrError: it cannot be read; also when the service does not know the project, which says nothing of the backup.
    """
    try:
        return client.show_backup(backup_id)
    except CbrNotFoundError as error:
        if error.error_code != _GONE:
            raise
        return None


def state_of(backup: Backup | None) -> RemovalState:
    """Return whether a backup is there, is being deleted, or is gone.

    :param backup: the backup, or None when there is none.
    """
    if backup is None:
        return RemovalState.GONE
    return RemovalState.GOING if backup.status in GOING else RemovalState.AS_PLANNED

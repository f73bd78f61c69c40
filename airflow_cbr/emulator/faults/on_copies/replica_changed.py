"""A replica that is wrong."""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, field_validator

from airflow_cbr.emulator.changes import change_backup, check_backup_changes
from airflow_cbr.emulator.faults.base import Copy, CopyFault
from airflow_cbr.emulator.store import Backup


class ReplicaChangedFault(CopyFault):
    """The record says `success`, and the replica is not what it should be."""

    kind: Literal["replica_changed"]
    changes: dict[str, Any] = Field(description='What the control call for a backup takes: `{"status": "error"}`.')

    @field_validator("changes")
    @classmethod
    def _possible(cls, changes: dict[str, Any]) -> dict[str, Any]:
        return check_backup_changes(changes)

    def on_replica(self, copy: Copy, make: Callable[[], Backup]) -> Backup:
        """Change the replica."""
        replica = make()
        change_backup(copy.store, replica, self.changes)
        return replica

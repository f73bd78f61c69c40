"""A checkpoint whose backups fail."""

from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.faults.base import CheckpointFault, Ending
from airflow_cbr.emulator.store import Backup, Checkpoint


class BackupFailsFault(CheckpointFault):
    """A new checkpoint's backups end in `error`. Matched by vault; `backup_id` does not apply."""

    kind: Literal["backup_fails"]
    resource_id: str | None = Field(default=None, description="Only this resource's backup; null: all.")
    checkpoint_status: Literal["error", "available"] = Field(default="error", description="What the checkpoint says of itself.")

    def on_backup(self, backup: Backup) -> Ending:
        """Let the backup fail."""
        fails = self.resource_id in (None, backup.resource_id)
        return Ending("fail", "BackupService.9910", "Unknown error.") if fails else Ending()

    def on_end(self, checkpoint: Checkpoint) -> None:
        """Change what the checkpoint says of itself."""
        checkpoint.status = self.checkpoint_status

"""The steps of making a checkpoint, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_cbr.api.texts import counted

__all__ = ["CheckpointResult", "CheckpointStep"]


class CheckpointStep(StrEnum):
    """The steps of the machine; being killed before or after any of them starts no second checkpoint."""

    LOOK = "look"
    LOOK_AT_LOG = "look at the operation log"
    RECORD_INTENT = "record the intent"
    CREATE = "create the checkpoint"
    KEEP = "keep the checkpoint id"
    PUBLISH = "publish the checkpoint id"
    CONCLUDE = "conclude"


@dataclass(frozen=True, slots=True)
class CheckpointResult:
    """The checkpoint exists, as it was requested.

    :param checkpoint_id: its id.
    :param summary: the content of the XCom ``checkpoint``.
    :param vault: name of the vault, or else its id.
    """

    checkpoint_id: str
    summary: dict[str, Any]
    vault: str

    @property
    def line(self) -> str:
        """Return the last line: ``web: checkpoint night is available: 3 of 3 backups available, 0 resources skipped (checkpoint <id>)``."""
        said = self.summary
        backups, skipped = counted(said["backups"], "backup"), counted(said["skipped"], "resource")
        adopted = ", adopted" if said["adopted"] else ""
        counts = f"{said['available']} of {backups} available, {skipped} skipped{adopted}"
        return f"{self.vault}: checkpoint {said['name']} is {said['status']}: {counts} (checkpoint {self.checkpoint_id})"

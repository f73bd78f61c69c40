"""What the making of a checkpoint does next, and what comes of it. A pause is the one of a replication."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["CheckpointResult", "CheckpointStep"]


class CheckpointStep(StrEnum):
    """The steps of the machine; a kill before or after any of them starts no second checkpoint."""

    LOOK = "look"
    LOOK_AT_LOG = "look at the operation log"
    RECORD_INTENT = "record the intent"
    CREATE = "create the checkpoint"
    KEEP = "keep the checkpoint id"
    PUBLISH = "publish the checkpoint id"
    CONCLUDE = "conclude"


@dataclass(frozen=True, slots=True)
class CheckpointResult:
    """The checkpoint is there, as the order wants it.

    :param checkpoint_id: its id.
    :param summary: what the XCom ``checkpoint`` says of it.
    """

    checkpoint_id: str
    summary: dict[str, Any]

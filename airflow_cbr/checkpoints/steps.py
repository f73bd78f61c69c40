"""The steps of making a checkpoint, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

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
    """

    checkpoint_id: str
    summary: dict[str, Any]

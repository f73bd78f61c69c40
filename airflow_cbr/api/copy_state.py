"""The state of a copy: the one reading of the statuses of replication records and operation logs."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["ENDS", "CopyState", "state_of_log", "state_of_record"]


class CopyState(StrEnum):
    """The state of a copy."""

    WAITING = "waiting"
    """It is queued. An undocumented status counts as this: the copy has not ended."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    """There was nothing to do for this one; the reason is in another record."""


ENDS: Final = frozenset({CopyState.SUCCEEDED, CopyState.FAILED, CopyState.SKIPPED})
"""The states that are final."""

_OF_RECORD: Final = {
    "waiting_replicate": CopyState.WAITING,
    "replicating": CopyState.RUNNING,
    "success": CopyState.SUCCEEDED,
    "fail": CopyState.FAILED,
    "skip": CopyState.SKIPPED,
}
_OF_LOG: Final = {
    "waiting": CopyState.WAITING,
    "running": CopyState.RUNNING,
    "success": CopyState.SUCCEEDED,
    "skipped": CopyState.SKIPPED,
}


def state_of_record(status: str | None) -> CopyState:
    """Return what a replication record's ``status`` says.

    :param status: ``waiting_replicate``, ``replicating``, ``success``, ``fail`` or ``skip`` (schema ``ReplicationRecordGet``), another
        word, or None.
    """
    return _OF_RECORD.get(status or "", CopyState.WAITING)


def state_of_log(status: str | None) -> CopyState | None:
    """Return what an operation log's ``status`` says; None where it says nothing.

    :param status: ``waiting``, ``running``, ``success``, ``skipped``, ``failed`` or ``timeout`` (schema ``OperationLog``), another word,
        which is not a success, or None.
    """
    return None if status is None else _OF_LOG.get(status, CopyState.FAILED)

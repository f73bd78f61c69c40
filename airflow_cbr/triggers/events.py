"""What a trigger tells the task that waits for it. Read fail closed: an event that is not understood is an error, never a success."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from airflow_cbr.exceptions import CbrProtocolError
from airflow_cbr.replication.memory import Memory

__all__ = ["Wake", "deadline_of", "lost_of", "memory_of", "wake_of"]


class Wake(StrEnum):
    """Why a trigger woke its task. The task looks for itself in every case; none of these words means that a copy exists."""

    FINAL = "final"
    """All records have ended."""
    LOST = "lost"
    """A record that was listed has vanished."""
    DEADLINE = "deadline"
    """The deadline has passed."""
    REFUSED = "refused"
    """The service refuses to answer, for a reason that persists."""
    RESUME = "resume"
    """The pause is over."""


def wake_of(event: Any) -> Wake:
    """Return why the task was woken.

    :param event: a trigger event's payload.
    :raises CbrProtocolError: when there is no event, or its word is not one of ours.
    """
    if not isinstance(event, dict):
        raise CbrProtocolError(f"The deferred wait ended without an event that can be read: {type(event).__name__}.")
    try:
        return Wake(str(event.get("wake")))
    except ValueError:
        raise CbrProtocolError(f"The deferred wait ended with an unknown word: {event.get('wake')!r}.") from None


def memory_of(event: Any) -> Memory:
    """Return the memory that a submission's trigger carried.

    :param event: a trigger event's payload.
    :raises CbrProtocolError: when the event cannot be read, or carries no memory.
    """
    wake_of(event)
    try:
        return Memory.load(event.get("memory"))
    except ValueError:
        raise CbrProtocolError("The deferred wait ended with an event that carries no memory of what was sent.") from None


def deadline_of(event: Any) -> float:
    """Return the deadline of the wait that has woken its task.

    :param event: a trigger event's payload.
    :raises CbrProtocolError: when the event cannot be read, or carries no deadline.
    """
    wake_of(event)
    deadline = event.get("deadline")
    if isinstance(deadline, bool) or not isinstance(deadline, int | float):
        raise CbrProtocolError("The deferred wait ended with an event that carries no deadline.")
    return float(deadline)


def lost_of(event: Any) -> dict[str, str]:
    """Return backup id by record id for the records that were listed once and are not any more.

    :param event: a trigger event's payload.
    :raises CbrProtocolError: when the event cannot be read.
    """
    wake_of(event)
    lost = event.get("lost") or {}
    if not isinstance(lost, dict):
        raise CbrProtocolError("The deferred wait ended with an event whose lost records cannot be read.")
    return {str(record_id): str(backup_id) for record_id, backup_id in lost.items() if backup_id}

"""What a trigger tells the task that waits for it. Read fail closed: an event that is not understood is an error, never a success."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from airflow_cbr.exceptions import CbrProtocolError
from airflow_cbr.replication.memory import Memory

__all__ = ["Wake", "memory_of", "wake_of"]


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

"""What a trigger tells the task that waits for it. Read fail closed: an event that is not understood is an error, never a success."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_cbr.exceptions import CbrAuthenticationError, CbrProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Wake", "backups_of", "deadline_of", "memory_of", "refusal_in", "refusal_of", "wake_of"]

Remembered = TypeVar("Remembered")

REFUSAL = ("message", "advice", "error_code", "request_id", "http_status")


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


def memory_of(event: Any, load: Callable[[Any], Remembered]) -> Remembered:
    """Return the memory that a task gave its trigger to carry.

    :param event: a trigger event's payload.
    :param load: reads the dumped memory, and raises ``ValueError`` when it is none of its kind.
    :raises CbrProtocolError: when the event cannot be read, or carries no such memory.
    """
    wake_of(event)
    try:
        return load(event.get("memory"))
    except ValueError:
        raise CbrProtocolError("The deferred wait ended with an event that carries no memory of what was done.") from None


def deadline_of(event: Any, record_ids: Sequence[str]) -> float:
    """Return the deadline of the wait that has woken its task.

    :param event: a trigger event's payload.
    :param record_ids: the records that the task waits for.
    :raises CbrProtocolError: when the event cannot be read, carries no deadline, or does not speak of one of the records.
    """
    wake_of(event)
    deadline, told = event.get("deadline"), event.get("records")
    if isinstance(deadline, bool) or not isinstance(deadline, int | float):
        raise CbrProtocolError("The deferred wait ended with an event that carries no deadline.")
    missing = [record_id for record_id in record_ids if not isinstance(told, list) or record_id not in told]
    if missing:
        raise CbrProtocolError(f"The deferred wait ended with an event that does not speak of these records: {', '.join(missing)}.")
    return float(deadline)


def refusal_in(error: Exception | None) -> dict[str, Any] | None:
    """Return what an event says of refused credentials; None when that is not why the wait ends.

    :param error: why the last look failed.
    """
    return {name: getattr(error, name) for name in REFUSAL} if isinstance(error, CbrAuthenticationError) else None


def refusal_of(event: Any) -> CbrAuthenticationError | None:
    """Return the refusal of the credentials that has ended a wait, or None when something else has.

    This is the one thing in which a task takes its trigger's word: a hundred tasks that each try a wrong password would lock the user.

    :param event: a trigger event's payload.
    :raises CbrProtocolError: when the event cannot be read.
    """
    if wake_of(event) is not Wake.REFUSED or not isinstance(said := event.get("refusal"), dict):
        return None
    return CbrAuthenticationError(str(said.get("message")), **{name: said.get(name) for name in REFUSAL[1:]})


def backups_of(event: Any) -> dict[str, str]:
    """Return backup id by record id for the records that were listed at any time.

    :param event: a trigger event's payload.
    :raises CbrProtocolError: when the event cannot be read.
    """
    wake_of(event)
    backups = event.get("backups")
    if not isinstance(backups, dict) or not all(isinstance(backup_id, str) for backup_id in backups.values()):
        raise CbrProtocolError("The deferred wait ended with an event whose backups cannot be read.")
    return backups

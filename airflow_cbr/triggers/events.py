"""The event by which a trigger wakes its task. Read fail closed: an event that cannot be read is an error, never a success."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_cbr.exceptions import CbrAuthenticationError, CbrError, CbrProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Wake", "backups_of", "deadline_of", "describe", "memory_of", "refusal_in", "refusal_of", "wake_of"]

Remembered = TypeVar("Remembered")

REFUSAL = ("message", "advice", "error_code", "request_id", "http_status")


class Wake(StrEnum):
    """Why a trigger woke its task. The task reads the vault itself in every case; no reason means that a copy exists."""

    FINAL = "final"
    """All records have ended."""
    LOST = "lost"
    """A record that was listed has vanished."""
    DEADLINE = "deadline"
    """The deadline has passed."""
    REFUSED = "refused"
    """The service refuses the requests, and keeps doing so."""
    RESUME = "resume"
    """The pause is over."""


def wake_of(event: Any) -> Wake:
    """Return why the task was woken.

    :param event: a trigger event's payload.
    :raises CbrProtocolError: when there is no event, or its reason is not known.
    """
    if not isinstance(event, dict):
        raise CbrProtocolError(f"The trigger's event cannot be read: it is a {type(event).__name__}.")
    try:
        return Wake(str(event.get("wake")))
    except ValueError:
        raise CbrProtocolError(f"The trigger's event has an unknown reason: {event.get('wake')!r}.") from None


def memory_of(event: Any, load: Callable[[Any], Remembered]) -> Remembered:
    """Return the state that a task gave its trigger to carry.

    :param event: a trigger event's payload.
    :param load: reads the dumped state, and raises ``ValueError`` when it cannot.
    :raises CbrProtocolError: when the event cannot be read, or carries no such state.
    """
    wake_of(event)
    try:
        return load(event.get("memory"))
    except ValueError:
        raise CbrProtocolError("The trigger's event does not carry the task's state.") from None


def deadline_of(event: Any, record_ids: Sequence[str]) -> float:
    """Return the deadline of the wait that has woken its task.

    :param event: a trigger event's payload.
    :param record_ids: the records that the task waits for.
    :raises CbrProtocolError: when the event cannot be read, has no deadline, or does not mention one of the records.
    """
    wake_of(event)
    deadline, told = event.get("deadline"), event.get("records")
    if isinstance(deadline, bool) or not isinstance(deadline, int | float):
        raise CbrProtocolError("The trigger's event has no deadline.")
    missing = [record_id for record_id in record_ids if not isinstance(told, list) or record_id not in told]
    if missing:
        raise CbrProtocolError(f"The trigger's event does not mention these records: {', '.join(missing)}.")
    return float(deadline)


def refusal_in(error: Exception | None) -> dict[str, Any] | None:
    """Return what an event says about refused credentials; None when that is not why the wait ends.

    :param error: why the last look failed.
    """
    return {name: getattr(error, name) for name in REFUSAL} if isinstance(error, CbrAuthenticationError) else None


def refusal_of(event: Any) -> CbrAuthenticationError | None:
    """Return the refusal of the credentials that has ended a wait, or None when something else has.

    Only here a task relies on its trigger: a hundred tasks that each try a wrong password would lock the user.

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
        raise CbrProtocolError("The backups in the trigger's event cannot be read.")
    return backups


def describe(error: Exception) -> str:
    """Return an error's text for a log; of an error of another package, which may quote anything, only its class.

    :param error: why a look failed.
    """
    return str(error) if isinstance(error, CbrError) else type(error).__name__

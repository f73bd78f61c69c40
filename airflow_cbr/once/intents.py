"""What a task writes down for its next attempt: its deadline when it begins, its calls, and what it is about to send.

Correctness does not depend on it: where nothing was written down, or it was lost, the next attempt waits for ``settle_time`` and looks.
Airflow's task state store outlives retries, but not every clear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

import msgspec

from airflow_cbr.once.ceiling import CallCounts

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from enum import StrEnum

    from airflow_cbr.once.attempt import Attempt
    from airflow_cbr.once.clock import ServiceClock
    from airflow_cbr.once.state import AttemptState

__all__ = ["Intent", "IntentLog", "IntentStore"]


class IntentStore(Protocol):
    """Where an intent outlives the process; Airflow's task state store, for example, until a clear of the task empties it."""

    def load(self) -> Any:
        """Return what was saved last, or None."""

    def save(self, intent: dict[str, Any]) -> None:
        """Keep the intent; it must be safe when this returns."""


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What every task writes down; a few hundred bytes, and the calls of the Dag run.

    :param generation: the task's generation (clears) that the deadline belongs to.
    :param deadline: Unix time, by this machine's clock, at which the task gives up.
    :param calls: the calls of this task in this Dag run, for their ceiling.
    :param has_gap: whether there was no intent to read although earlier attempts may have sent something, and nothing was sent since.
    """

    generation: int = 0
    deadline: float = 0.0
    calls: CallCounts | None = None
    has_gap: bool = False

    @classmethod
    def read(cls, stored: Any) -> Self | None:
        """Return the intent that a store gave back, or None when there is none or it cannot be read."""
        try:
            return msgspec.convert(stored, cls)
        except msgspec.ValidationError:
            return None


Kept = TypeVar("Kept", bound=Intent)


class IntentLog(Generic[Kept]):
    """The intents of one task.

    :param store: where they outlive the process, or None where there is no such place.
    :param found: what an earlier attempt at the very same thing wrote down, or None.
    :param attempt: which attempt this is.
    :param clock: the two clocks.
    :param at: marks the step, so that a test can stop there.
    """

    def __init__(
        self,
        store: IntentStore | None,
        found: Kept | None,
        attempt: Attempt,
        *,
        clock: ServiceClock,
        at: Callable[[StrEnum], AbstractContextManager[None]],
    ) -> None:
        self._store = store
        self._found = found
        self._attempt = attempt
        self._clock = clock
        self._at = at

    @property
    def has_store(self) -> bool:
        """Return whether what is written outlives the process."""
        return self._store is not None

    @property
    def has_deadline(self) -> bool:
        """Return whether an attempt since the last clear has written its deadline down."""
        return self._found is not None and self._found.generation == self._attempt.generation

    @property
    def has_gap(self) -> bool:
        """Return whether earlier attempts may have sent something that no intent mentions: a clear has emptied the store, or there is none.

        Such an attempt writes that down with its deadline: if it dies, the next one must not conclude that nothing was sent.
        """
        return self._attempt.may_have_predecessor and (self._found is None or self._found.has_gap)

    def resume(self, state: AttemptState) -> None:
        """Let an attempt that begins continue with the calls and the deadline of the ones before it.

        :param state: the state of an attempt that knows nothing yet, with its own deadline.
        """
        if self._found is None:
            return
        state.calls = self._found.calls or state.calls
        if self.has_deadline:
            # A deadline further away than the task's whole timeout was written by a clock that was wrong.
            state.deadline = min(self._found.deadline, state.deadline)

    def save(self, intent: Kept, state: AttemptState, step: StrEnum) -> None:
        """Write an intent down, with the attempt's deadline and calls.

        :param intent: the intent.
        :param state: the attempt's state.
        :param step: how the step is marked.
        """
        if self._store is None:
            return
        kept = msgspec.structs.replace(intent, generation=self._attempt.generation, deadline=state.deadline, calls=state.calls)
        with self._at(step):
            self._store.save(msgspec.to_builtins(kept))

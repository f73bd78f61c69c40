"""What a checkpoint task writes down for its next attempt, and what an attempt makes of what it finds.

Correctness does not depend on it: the checkpoint's name carries the task's mark. With it the next attempt knows the checkpoint without
looking for it, and how long a call whose answer was lost may still take effect.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_cbr.checkpoints.search import Sighting
from airflow_cbr.checkpoints.state import CheckpointState
from airflow_cbr.checkpoints.steps import CheckpointStep
from airflow_cbr.once.intents import Intent, IntentLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from airflow_cbr.checkpoints.spec import CheckpointSpec
    from airflow_cbr.once.attempt import Attempt
    from airflow_cbr.once.clock import ServiceClock
    from airflow_cbr.once.intents import IntentStore

__all__ = ["CheckpointIntent", "CheckpointIntents"]


class CheckpointIntent(Intent, frozen=True, kw_only=True):
    """What is written down before the call, and again when the checkpoint is known.

    :param vault_id: the vault.
    :param mark: the task's mark.
    :param posted_at: Unix time of the newest call that this task intended, in the local clock; None before it.
    :param checkpoint_id: the checkpoint that the call started; None as long as it is not known.
    :param put_aside: checkpoints of this task that lack resources and are not its result after a clear.
    """

    vault_id: str
    mark: str
    posted_at: float | None = None
    checkpoint_id: str | None = None
    put_aside: list[str] = []


class CheckpointIntents(IntentLog[CheckpointIntent]):
    """The intents of one checkpoint task.

    :param store: where they outlive the process, or None where there is no such place.
    :param spec: what is asked for.
    :param attempt: which attempt this is.
    :param clock: the two clocks.
    :param at: marks the step, so that a test can stop there.
    """

    def __init__(
        self,
        store: IntentStore | None,
        spec: CheckpointSpec,
        attempt: Attempt,
        *,
        clock: ServiceClock,
        at: Callable[[Any], AbstractContextManager[None]],
    ) -> None:
        found = CheckpointIntent.read(store.load()) if store is not None else None
        if found is not None and (found.vault_id, found.mark) != (spec.vault_id, spec.mark):
            found = None
        super().__init__(store, found, attempt, clock=clock, at=at)
        self._spec = spec
        self._intent = found or CheckpointIntent(vault_id=spec.vault_id, mark=spec.mark, generation=-1)
        self.is_found = found is not None and not found.has_gap
        """Whether an earlier attempt, or an earlier leg of this one, has left a note."""

    def noted(self) -> Sighting | None:
        """Return the checkpoint that is known from a note, if there is one."""
        intent = self._intent
        if intent.checkpoint_id is None:
            return None
        posted = None if intent.posted_at is None else datetime.fromtimestamp(intent.posted_at, tz=UTC)
        return Sighting(intent.checkpoint_id, posted, "by this task's note")

    def recall(self, state: CheckpointState | None) -> CheckpointState:
        """Return the state to continue with.

        :param state: what an earlier leg of the same attempt knew, or None.
        """
        if state is None:
            state = CheckpointState(deadline=self._clock.local + self._spec.timeout, put_aside=list(self._intent.put_aside))
            self.resume(state)
        return state

    def begin(self, state: CheckpointState) -> None:
        """Note, at an attempt's first look, which earlier call may still take effect.

        :param state: the attempt's state.
        """
        settle_time, now = self._spec.settle_time, self._clock.local
        if self.is_found:
            posted_at = self._intent.posted_at
            if posted_at is not None and self._intent.checkpoint_id is None:
                state.lose(posted_at)
                state.unsettled_until = min(posted_at, now) + settle_time
        elif self._attempt.may_have_predecessor:
            state.lose(now if self._attempt.run_after is None else self._attempt.run_after)
            state.lost_to = now
            state.is_noted = False
            state.unsettled_until = now + settle_time

    def keep_deadline(self, state: CheckpointState) -> None:
        """Write the deadline down before anything else, so that it counts from the first attempt after a clear.

        :param state: the attempt's state.
        """
        if not self.has_deadline:
            self._save(CheckpointStep.RECORD_INTENT, state, has_gap=self.has_gap)

    def record_intent(self, state: CheckpointState) -> None:
        """Write down that the call is about to be sent.

        :param state: the attempt's state.
        """
        self._save(CheckpointStep.RECORD_INTENT, state, posted_at=self._clock.local, checkpoint_id=None, has_gap=False)

    def keep_checkpoint(self, state: CheckpointState) -> None:
        """Write down which checkpoint is this task's result.

        :param state: the attempt's state, which knows it.
        """
        if self._intent.checkpoint_id != state.checkpoint_id:
            self._save(CheckpointStep.KEEP, state, checkpoint_id=state.checkpoint_id, has_gap=False)

    def put_aside(self, state: CheckpointState, checkpoint_id: str) -> None:
        """Write down that a checkpoint is not the task's result.

        :param state: the attempt's state.
        :param checkpoint_id: the checkpoint.
        """
        self._save(CheckpointStep.RECORD_INTENT, state, put_aside=[*self._intent.put_aside, checkpoint_id][-10:])

    def _save(self, step: CheckpointStep, state: CheckpointState, **changes: object) -> None:
        self._intent = msgspec.structs.replace(self._intent, **changes)
        self.save(self._intent, state, step)

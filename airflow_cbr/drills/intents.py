"""What a drill writes down for its next attempt, and what an attempt makes of what it finds.

Correctness does not depend on it: names and tags carry the mark. With it the next attempt knows how long a call whose answer was lost may
still take effect, and when the drill began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from airflow_cbr.drills.pick import Restorable  # noqa: TC001 (msgspec reads annotations at run time)
from airflow_cbr.drills.state import DrillState
from airflow_cbr.drills.steps import DrillStep
from airflow_cbr.once.intents import Intent, IntentLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from airflow_cbr.drills.spec import DrillSpec
    from airflow_cbr.once.attempt import Attempt
    from airflow_cbr.once.clock import ServiceClock
    from airflow_cbr.once.intents import IntentStore

__all__ = ["DrillIntent", "DrillIntents"]


class DrillIntent(Intent, frozen=True, kw_only=True):
    """What is written down before each call, and again when what it made was seen.

    :param mark: the drill's mark.
    :param begun_at: when the drill began, since the last clear.
    :param replica: what it restores.
    :param image_posted_at: when the newest call for an image was intended, by the local clock; None when there was none, or its image was
        seen.
    :param image_job_id: the job of that call.
    :param image_id: the image that was seen.
    :param image_ready_at: when it was first seen to be active.
    :param server_posted_at: the same as of the image, of the server.
    :param server_id: the server that was named or seen.
    :param terminate_at: when the service deletes the server.
    """

    mark: str
    begun_at: float = 0.0
    replica: Restorable | None = None
    image_posted_at: float | None = None
    image_job_id: str | None = None
    image_id: str | None = None
    image_ready_at: float = 0.0
    server_posted_at: float | None = None
    server_id: str | None = None
    terminate_at: str | None = None


class DrillIntents(IntentLog[DrillIntent]):
    """The intents of one drill.

    :param store: where they outlive the process, or None where there is no such place.
    :param spec: what is asked for.
    :param attempt: which attempt this is.
    :param clock: the two clocks.
    :param at: marks the step, so that a test can stop there.
    """

    def __init__(
        self,
        store: IntentStore | None,
        spec: DrillSpec,
        attempt: Attempt,
        *,
        clock: ServiceClock,
        at: Callable[[Any], AbstractContextManager[None]],
    ) -> None:
        found = DrillIntent.read(store.load()) if store is not None else None
        if found is not None and found.mark != spec.mark.drill:
            found = None
        super().__init__(store, found, attempt, clock=clock, at=at)
        self._spec = spec
        self._intent = found or DrillIntent(mark=spec.mark.drill, generation=-1)
        self._is_found = found is not None and not found.has_gap

    def recall(self, state: DrillState | None) -> DrillState:
        """Return the state to continue with.

        :param state: what an earlier leg of the same attempt knew, or None.
        """
        if state is not None:
            return state
        now = self._clock.local
        state = DrillState(deadline=now + self._spec.timeout, begun_at=now)
        self.resume(state)
        if self.has_deadline:
            intent = self._intent
            state.begun_at = min(intent.begun_at or now, now)
            state.replica, state.image_job_id, state.image_id = intent.replica, intent.image_job_id, intent.image_id
            state.image_ready_at, state.server_id, state.terminate_at = intent.image_ready_at, intent.server_id, intent.terminate_at
            # They were seen; one that is missing from a list now is not one that may be made again at once.
            state.image_seen_at = now if intent.image_id else 0.0
            state.server_seen_at = now if intent.server_id and intent.server_posted_at is None else 0.0
        return state

    def begin(self, state: DrillState) -> None:
        """Note, at an attempt's first look, which earlier calls may still take effect.

        :param state: the attempt's state.
        """
        settle_time, now = self._spec.settle_time, self._clock.local
        if self._is_found:
            intent = self._intent
            if intent.image_posted_at is not None:
                state.image_unsettled_until = min(intent.image_posted_at, now) + settle_time
            if intent.server_posted_at is not None:
                state.server_unsettled_until = min(intent.server_posted_at, now) + settle_time
        elif self._attempt.may_have_predecessor:
            state.image_unsettled_until = state.server_unsettled_until = now + settle_time

    def keep_deadline(self, state: DrillState) -> None:
        """Write the deadline down before anything else, so that it counts from the first attempt after a clear.

        :param state: the attempt's state.
        """
        if not self.has_deadline:
            self._save(
                state,
                has_gap=self.has_gap,
                image_id=None,
                image_job_id=None,
                image_ready_at=0.0,
                server_id=None,
                terminate_at=None,
                replica=None,
            )

    def intend_image(self, state: DrillState) -> None:
        """Write down that the call for the image is about to be sent.

        :param state: the attempt's state.
        """
        self._save(state, image_posted_at=self._clock.local, image_job_id=None, has_gap=False)

    def intend_server(self, state: DrillState) -> None:
        """Write down that the call for the server is about to be sent.

        :param state: the attempt's state.
        """
        self._save(state, server_posted_at=self._clock.local, has_gap=False)

    def keep(self, state: DrillState) -> None:
        """Write down what has become known.

        :param state: the attempt's state.
        """
        changes: dict[str, Any] = {}
        # What was seen, or refused without effect, cannot appear later.
        if not state.image_unsettled_until:
            changes["image_posted_at"] = None
        if not state.server_unsettled_until:
            changes["server_posted_at"] = None
        self._save(state, **changes)

    def _save(self, state: DrillState, **changes: object) -> None:
        known = {
            "begun_at": state.begun_at,
            "replica": state.replica,
            "image_job_id": state.image_job_id,
            "image_id": state.image_id,
            "image_ready_at": state.image_ready_at,
            "server_id": state.server_id,
            "terminate_at": state.terminate_at,
        }
        intent = msgspec.structs.replace(self._intent, **(known | changes))
        if intent != self._intent or "has_gap" in changes:
            self._intent = intent
            self.save(intent, state, DrillStep.RECORD_INTENT)

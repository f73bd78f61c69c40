"""What a replicate task writes down for its next attempt, and what an attempt makes of what it finds.

With it the next attempt knows how long to wait, which records are its own, and when the task gives up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.api.texts import counted
from airflow_cbr.once.clock import CLOCK_MARGIN
from airflow_cbr.once.intents import Intent, IntentLog
from airflow_cbr.replication.decisions import newest_record_time
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.replication.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from airflow_cbr.inventory.coverage import BackupCoverage, Coverage
    from airflow_cbr.inventory.destination import Destination
    from airflow_cbr.once.attempt import Attempt
    from airflow_cbr.once.clock import ServiceClock
    from airflow_cbr.once.intents import IntentStore
    from airflow_cbr.replication.spec import ReplicationSpec

__all__ = ["ReplicationIntent", "ReplicationIntents", "has_sent"]


class ReplicationIntent(Intent, frozen=True, kw_only=True):
    """What is written down before each replicate call.

    :param destination: region, project and vault of the destination.
    :param began: Unix time (service) of the newest record that was there before the first replicate call that this task intended: what is
        newer is this task's, or was made beside it. None before the first call.
    :param first_posted_at: Unix time of the first replicate call that this task intended, in the local clock; None before it.
    :param posted_at: Unix time of the newest one.
    :param needed: how many backups were to be copied.
    :param eligible: how many backups were eligible.
    :param digest: digest of the destination's records that were there before.
    """

    destination: list[str]
    began: float | None = None
    first_posted_at: float | None = None
    posted_at: float | None = None
    needed: int = 0
    eligible: int = 0
    digest: str = ""


class ReplicationIntents(IntentLog[ReplicationIntent]):
    """The intents of one replicate task.

    :param store: where they outlive the process, or None where there is no such place.
    :param spec: what is asked for.
    :param attempt: which attempt this is.
    :param clock: the two clocks.
    :param at: marks the step, so that a test can stop there.
    :param log: where the lines go.
    """

    def __init__(
        self,
        store: IntentStore | None,
        spec: ReplicationSpec,
        attempt: Attempt,
        *,
        clock: ServiceClock,
        at: Callable[[Any], AbstractContextManager[None]],
        log: Any,
    ) -> None:
        super().__init__(store, None, attempt, clock=clock, at=at)
        self._spec = spec
        self._log = log

    def recall(self) -> ReplicationState:
        """Return the state of an attempt that begins."""
        state, attempt = ReplicationState(deadline=self._clock.local + self._spec.timeout), self._attempt
        self._found = found = _read(self._store, self._spec.destination)
        if found is not None:
            self.resume(state)
            state.began = found.began
            state.first_sent_at = found.first_posted_at if found.first_posted_at is not None else found.posted_at
        if self.has_gap and self._spec.durable and attempt.run_after is not None:
            state.first_sent_at = attempt.run_after
            state.began = attempt.run_after - CLOCK_MARGIN.total_seconds()
        return state

    def unsettled_until(self, coverage: Coverage) -> float:
        """Return the Unix time (local) until which a call of an earlier attempt may still take effect, at most ``settle_time`` from now.

        :param coverage: the attempt's first look.
        """
        settle, now = self._spec.settle_time, self._clock.local
        # What one call began need not show at once: while a record is young, others of the same call may follow.
        newest = max(coverage.record_times(), default=None)
        age = settle if newest is None else self._clock.age(newest)
        youngest = now + settle - age if age < settle else 0.0
        if self.has_gap:
            return now + settle
        if self._found is None or self._found.posted_at is None:
            return youngest
        appeared = _digest_of(coverage) != self._found.digest
        self._log.info(
            "An earlier attempt was about to replicate %s; %s",
            counted(self._found.needed, "backup"),
            "new replication records have appeared since" if appeared else "no new replication record has appeared since",
        )
        return max(youngest, min(self._found.posted_at, now) + settle)

    def correct_deadline(self, state: ReplicationState, coverage: Coverage) -> None:
        """Let the deadline count from the first copy of this Dag run, where no store has kept it (Airflow before 3.3).

        After a clear it is not known which copies belong to which generation; then it counts from the attempt.

        :param state: the attempt's state.
        :param coverage: the attempt's first look.
        """
        since = self._attempt.run_after
        if self.has_store or not self._spec.durable or since is None or self._attempt.number == 1 or self._attempt.generation:
            return
        first = min((time for time in coverage.record_times() if time >= since), default=None)
        if first is not None:
            state.deadline = min(state.deadline, self._clock.local - self._clock.age(first) + self._spec.timeout)

    def keep_deadline(self, state: ReplicationState) -> None:
        """Write the deadline down before anything else, so that it counts from the first attempt after a clear.

        :param state: the attempt's state.
        """
        if not self.has_deadline:
            first = ReplicationIntent(destination=_names(self._spec.destination), has_gap=self.has_gap)
            self.save(self._found or first, state, Step.RECORD_INTENT)

    def record_intent(self, state: ReplicationState, coverage: Coverage, wanted: list[BackupCoverage]) -> None:
        """Write down that a replicate call is about to be sent.

        :param state: the attempt's state.
        :param coverage: the look that the call rests on.
        :param wanted: the backups that it requests.
        """
        now = self._clock.local
        state.began = state.began if state.began is not None else newest_record_time(coverage)
        state.first_sent_at = state.first_sent_at if state.first_sent_at is not None else now
        intent = ReplicationIntent(
            destination=_names(self._spec.destination),
            began=state.began,
            first_posted_at=state.first_sent_at,
            posted_at=now,
            needed=len(wanted),
            eligible=coverage.eligible_number,
            digest=_digest_of(coverage),
        )
        self.save(intent, state, Step.RECORD_INTENT)


def has_sent(store: IntentStore | None, destination: Destination) -> bool:
    """Return whether an earlier attempt wrote down that it was about to send something to this destination.

    :param store: where intents outlive the process, or None where there is no such place.
    :param destination: the destination in question.
    """
    intent = _read(store, destination)
    return intent is not None and intent.began is not None


def _read(store: IntentStore | None, destination: Destination) -> ReplicationIntent | None:
    intent = ReplicationIntent.read(store.load()) if store is not None else None
    return intent if intent is not None and intent.destination == _names(destination) else None


def _names(destination: Destination) -> list[str]:
    return [destination.region, destination.project_id, destination.vault_id]


def _digest_of(coverage: Coverage) -> str:
    """Return a short digest of the records' ids: it shows whether any appeared since."""
    return f"{coverage.record_digest:x}"

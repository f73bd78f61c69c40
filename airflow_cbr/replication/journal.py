"""What a task writes down for its next attempt, and what an attempt makes of what it finds.

Correctness does not rest on it: without a journal the next attempt waits out ``settle_time`` and looks. With one it knows how long to
wait, which records are its own, and when the task gives up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from airflow_cbr.once.clock import CLOCK_MARGIN
from airflow_cbr.replication.memory import Intent, Memory, digest_of
from airflow_cbr.replication.steps import Step
from airflow_cbr.replication.verdict import newest_record_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from airflow_cbr.once.clock import ServiceClock
    from airflow_cbr.once.state import IntentStore
    from airflow_cbr.replication.coverage import BackupStanding, Coverage, Destination
    from airflow_cbr.replication.order import Attempt, Order

__all__ = ["Journal", "has_sent"]


class Journal:
    """The intents of one task.

    :param store: where they outlive the process, or None where there is no such place.
    :param order: what is asked for.
    :param attempt: which attempt this is.
    :param clock: the two clocks.
    :param at: marks the step, so that a test can stop there.
    :param log: where the lines go.
    """

    def __init__(
        self,
        store: IntentStore | None,
        order: Order,
        attempt: Attempt,
        *,
        clock: ServiceClock,
        at: Callable[[Step], AbstractContextManager[None]],
        log: Any,
    ) -> None:
        self._store = store
        self._order = order
        self._attempt = attempt
        self._clock = clock
        self._at = at
        self._log = log
        self._found: Intent | None = None
        destination = order.destination
        self._destination = [destination.region, destination.project_id, destination.vault_id]

    def recall(self) -> Memory:
        """Return the memory of an attempt that begins."""
        memory = Memory(deadline=self._clock.local + self._order.timeout)
        intent = Intent.read(self._store.load()) if self._store is not None else None
        if intent is not None and intent.destination == self._destination:
            self._found = intent
            memory.began = intent.began
            memory.first_sent_at = intent.first_posted_at if intent.first_posted_at is not None else intent.posted_at
            memory.calls = intent.calls or memory.calls
            if intent.generation == self._attempt.generation:
                # A deadline further away than the task's whole timeout was written by a clock that was wrong.
                memory.deadline = min(intent.deadline, memory.deadline)
        if self._may_have_lost_notes and self._order.durable and self._attempt.run_after is not None:
            memory.first_sent_at = self._attempt.run_after
            memory.began = self._attempt.run_after - CLOCK_MARGIN.total_seconds()
        return memory

    @property
    def _may_have_lost_notes(self) -> bool:
        """Return whether earlier attempts may have sent something that nothing tells of."""
        return self._attempt.may_have_predecessor and (self._found is None or self._found.has_gap)

    def unsettled_until(self, coverage: Coverage) -> float:
        """Return the Unix time (local) until which a call of an earlier attempt may still show up, at most ``settle_time`` from now.

        :param coverage: the attempt's first look.
        """
        settle, now = self._order.settle_time, self._clock.local
        # What one call began need not show at once: while a record is young, others of the same call may follow.
        ages = [self._clock.age(record.created.timestamp()) for _, record in coverage.records.values() if record.created is not None]
        youngest = now + settle - min(ages) if ages and min(ages) < settle else 0.0
        if self._may_have_lost_notes:
            return now + settle
        if self._found is None or self._found.posted_at is None:
            return youngest
        appeared = digest_of(coverage.records) != self._found.digest
        self._log.info(
            "An earlier attempt meant to replicate %d backups; %s",
            self._found.needed,
            "records have appeared since" if appeared else "no record has appeared since",
        )
        return max(youngest, min(self._found.posted_at, now) + settle)

    def correct_deadline(self, memory: Memory, coverage: Coverage) -> None:
        """Let the deadline count from the first copy of this Dag run, where no store has kept it (Airflow before 3.3).

        After a clear there is no telling which copies belong to which generation; then it counts from the attempt.

        :param memory: the attempt's memory.
        :param coverage: the attempt's first look.
        """
        since = self._attempt.run_after
        if self._store is not None or not self._order.durable or since is None or self._attempt.number == 1 or self._attempt.generation:
            return
        times = [record.created.timestamp() for _, record in coverage.records.values() if record.created is not None]
        first = min((time for time in times if time >= since), default=None)
        if first is not None:
            memory.deadline = min(memory.deadline, self._clock.local - self._clock.age(first) + self._order.timeout)

    def keep_deadline(self, memory: Memory) -> None:
        """Write the deadline down before anything else, so that it counts from the first attempt after a clear.

        :param memory: the attempt's memory.
        """
        if self._found is None or self._found.generation != self._attempt.generation:
            # Should this attempt die, the next one must not take the note for the word that nothing was sent.
            self._save(self._found or Intent(destination=self._destination, has_gap=self._may_have_lost_notes), memory)

    def record_intent(self, memory: Memory, coverage: Coverage, wanted: list[BackupStanding]) -> None:
        """Write down that a replicate call is about to be sent.

        :param memory: the attempt's memory.
        :param coverage: the look that the call rests on.
        :param wanted: the backups that it asks for.
        """
        now = self._clock.local
        memory.began = memory.began if memory.began is not None else newest_record_time(coverage)
        memory.first_sent_at = memory.first_sent_at if memory.first_sent_at is not None else now
        intent = Intent(
            destination=self._destination,
            began=memory.began,
            first_posted_at=memory.first_sent_at,
            posted_at=now,
            needed=len(wanted),
            eligible=len(coverage.eligible),
            digest=digest_of(coverage.records),
        )
        self._save(intent, memory)

    def _save(self, intent: Intent, memory: Memory) -> None:
        if self._store is None:
            return
        intent = msgspec.structs.replace(intent, generation=self._attempt.generation, deadline=memory.deadline, calls=memory.calls)
        with self._at(Step.RECORD_INTENT):
            self._store.save(msgspec.to_builtins(intent))


def has_sent(store: IntentStore | None, destination: Destination) -> bool:
    """Return whether an earlier attempt wrote down that it was about to send something to this destination.

    :param store: where intents outlive the process, or None where there is no such place.
    :param destination: the destination in question.
    """
    intent = Intent.read(store.load()) if store is not None else None
    there = [destination.region, destination.project_id, destination.vault_id]
    return intent is not None and intent.destination == there and intent.began is not None

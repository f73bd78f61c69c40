"""What a task writes down for its next attempt, and what an attempt makes of what it finds.

Correctness does not rest on it: without a journal the next attempt waits out ``settle_time`` and looks. With one it knows how long to
wait, which records are its own, and when the task gives up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from airflow_cbr.replication.memory import Intent, Memory, digest_of
from airflow_cbr.replication.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from airflow_cbr.replication.coverage import BackupStanding, Coverage, Destination
    from airflow_cbr.replication.memory import IntentStore
    from airflow_cbr.replication.order import Attempt, Order

__all__ = ["Journal", "has_sent"]


class Journal:
    """The intents of one task.

    :param store: where they outlive the process, or None where there is no such place.
    :param order: what is asked for.
    :param attempt: which attempt this is.
    :param at: marks the step, so that a test can stop there.
    :param log: where the lines go.
    """

    def __init__(
        self,
        store: IntentStore | None,
        order: Order,
        attempt: Attempt,
        *,
        at: Callable[[Step], AbstractContextManager[None]],
        log: Any,
    ) -> None:
        self._store = store
        self._order = order
        self._attempt = attempt
        self._at = at
        self._log = log
        self._found: Intent | None = None
        destination = order.destination
        self._destination = [destination.region, destination.project_id, destination.vault_id]

    def recall(self, now: float) -> Memory:
        """Return the memory of an attempt that begins.

        :param now: the local clock, Unix time.
        """
        memory = Memory(deadline=now + self._order.timeout)
        intent = Intent.read(self._store.load()) if self._store is not None else None
        if intent is not None and intent.destination == self._destination:
            self._found = intent
            memory.began = intent.began
            if intent.generation == self._attempt.generation:
                memory.deadline = intent.deadline
        elif self._attempt.may_have_predecessor and self._order.durable:
            memory.began = self._attempt.run_after
        return memory

    def unsettled_until(self, coverage: Coverage, service_now: float) -> float:
        """Return the Unix time (service) until which a call of an earlier attempt may still show up.

        :param coverage: the attempt's first look.
        :param service_now: the service's clock, Unix time.
        """
        settle = self._order.settle_time
        times = [record.created.timestamp() for _, record in coverage.records.values() if record.created is not None]
        youngest = max(times, default=0.0) + settle
        if self._found is None:
            return service_now + settle if self._attempt.may_have_predecessor else youngest
        if self._found.posted_at is None:
            return youngest
        appeared = digest_of(coverage.records) != self._found.digest
        self._log.info(
            "An earlier attempt meant to replicate %d backups; %s",
            self._found.needed,
            "records have appeared since" if appeared else "no record has appeared since",
        )
        return max(youngest, self._found.posted_at + settle)

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
        first = min((moment for moment in times if moment >= since), default=None)
        if first is not None:
            memory.deadline = min(memory.deadline, first + self._order.timeout)

    def keep_deadline(self, memory: Memory) -> None:
        """Write the deadline down before anything else, so that it counts from the first attempt after a clear.

        :param memory: the attempt's memory.
        """
        if self._found is None or self._found.generation != self._attempt.generation:
            self._save(self._found or Intent(destination=self._destination), memory)

    def record_intent(self, memory: Memory, coverage: Coverage, wanted: list[BackupStanding], *, posted_at: float) -> None:
        """Write down that a replicate call is about to be sent.

        :param memory: the attempt's memory.
        :param coverage: the look that the call rests on.
        :param wanted: the backups that it asks for.
        :param posted_at: the service's clock, Unix time.
        """
        memory.began = memory.began if memory.began is not None else posted_at
        intent = Intent(
            destination=self._destination,
            began=memory.began,
            posted_at=posted_at,
            needed=len(wanted),
            eligible=len(coverage.eligible),
            digest=digest_of(coverage.records),
        )
        self._save(intent, memory)

    def _save(self, intent: Intent, memory: Memory) -> None:
        if self._store is None:
            return
        intent = msgspec.structs.replace(intent, generation=self._attempt.generation, deadline=memory.deadline)
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

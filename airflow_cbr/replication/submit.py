"""Intent, POST once, adopt: how a vault's backups get their copies, and never two.

A :class:`Submission` is a state machine without Airflow in it. :meth:`Submission.advance` looks at the source vault, does what can be done
at once, and returns a :class:`Pause` (sleep or defer, then call it again) or a :class:`Result`. What it does next depends only on
what the look found and on its :class:`~airflow_cbr.replication.memory.Memory`, so that a process may die between any two steps: the next
attempt looks, finds what was accepted, and goes on from there.

The rules, in the order in which they are tried:

1. Backups that are still being made are waited for.
2. Nothing is sent while the vault replicates, or while a call of unknown outcome may still show up (``settle_time``).
3. Backups without a record are asked for with one call for the vault, once in a Dag run; what that leaves out, or had failed, singly.
4. The intent to send is written down before each call, and no call is repeated before a look has shown that it had no effect.
5. Green only when all eligible backups are covered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.exceptions import (
    CbrAlreadyReplicatedError,
    CbrApiError,
    CbrAuthenticationError,
    CbrError,
    CbrOutcomeUnknownError,
    CbrPermissionError,
    CbrThrottledError,
    CbrVaultReplicatingError,
)
from airflow_cbr.replication import verdict
from airflow_cbr.replication.announce import Announcer
from airflow_cbr.replication.coverage import BackupStanding, Coverage, Standing, assess, name_of
from airflow_cbr.replication.evidence import CLOCK_MARGIN, Witness
from airflow_cbr.replication.journal import Journal
from airflow_cbr.replication.refusals import declines_backup, describe, note_of, says_nothing_left
from airflow_cbr.replication.schedule import Schedule
from airflow_cbr.replication.steps import Pause, Result, Step

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import ReplicationReference
    from airflow_cbr.replication.announce import Publish
    from airflow_cbr.replication.memory import IntentStore, Memory
    from airflow_cbr.replication.order import Attempt, Order

__all__ = ["Submission"]

UNKNOWN_OUTCOMES_LIMIT: Final = 3
TROUBLES_LIMIT: Final = 3
logger = logging.getLogger(__name__)

_MARGIN: Final = CLOCK_MARGIN.total_seconds()


Observer = Callable[[Step, str], None]


class Submission:
    """One attempt at an order.

    :param client: a client of the source region and project.
    :param order: what is asked.
    :param attempt: which attempt this is.
    :param intents: where the intent outlives this process, or None where there is no such place.
    :param publish: called with record ids and counts as soon as they are known, and again when they change.
    :param memory: what an earlier leg of the same attempt knew. Default: nothing.
    :param observe: called with each step and ``before`` or ``after``; tests kill the process there.
    :param now: the local clock, Unix time.
    :param log: takes the lines.
    """

    def __init__(
        self,
        client: CbrClient,
        order: Order,
        *,
        attempt: Attempt,
        intents: IntentStore | None,
        publish: Publish,
        memory: Memory | None = None,
        observe: Observer = lambda step, moment: None,
        now: Callable[[], float] = time.time,
        log: Any = logger,
    ) -> None:
        self._client = client
        self._order = order
        self._journal = Journal(intents if order.durable else None, order, attempt, at=self._at, log=log)
        self._announcer = Announcer(publish, at=self._at)
        self._observe = observe
        self._now = now
        self._log = log
        self._service_ahead = 0.0
        self._reported: tuple[Any, ...] | None = None
        self._schedule = Schedule(order.poll_interval, order.max_poll_interval)
        self.memory = memory if memory is not None else self._journal.recall(now())
        self._witness = Witness(client, order, self.memory, at=self._at, service_now=lambda: self._service_now)

    def advance(self) -> Pause | Result:
        """Do everything that can be done now.

        :return: a pause or the result.
        :raises CbrError: a permanent one when running the task again would not help.
        """
        while True:
            coverage = self._look()
            if isinstance(coverage, Pause):
                return coverage
            coverage = self._witness.follow_unlisted(coverage)
            self._adopt(coverage)
            step = self._step(coverage)
            if step is not None:
                return step

    def _step(self, coverage: Coverage) -> Pause | Result | None:
        """Take the next step; None asks for another look at once."""
        memory, order = self.memory, self._order
        being_made = coverage.of(Standing.BEING_MADE)
        wanted = verdict.needed(coverage, memory)
        running = verdict.running(coverage, memory)
        if not being_made and not wanted and not (running and order.wait_for_completion):
            return self._conclude(coverage)
        if self._now() >= memory.deadline:
            self._tell(coverage)
            raise verdict.timed_out(order, running)
        if being_made:
            names = ", ".join(name_of(one.backup) for one in being_made[:5])
            return self._pause(f"{len(being_made)} backups are still being made: {names}", order.poll_interval)
        if running and (order.wait_for_completion or any(record_id not in memory.accepted for record_id in running)):
            return self._pause_for_copies(coverage, running)
        return self._send(coverage, wanted)

    # --- sending ------------------------------------------------------------------------------------------------------

    def _send(self, coverage: Coverage, wanted: list[BackupStanding]) -> Pause | None:
        by_vault = verdict.asks_for_vault(coverage, self.memory, wanted)
        ready = [one for one in wanted if self._service_now >= self._unsettled_until(one)]
        if not ready or (by_vault and len(ready) < len(wanted)):
            wait = min(self._unsettled_until(one) for one in wanted if one not in ready) - self._service_now
            return self._pause("an earlier replicate call may still show up", max(wait, 1.0))
        try:
            shown = self._witness.begun_unseen(ready)
        except CbrError as error:
            return self._endure(error)
        if shown:
            for backup_id, row in shown.items():
                self._log.info("Operation log %s shows a copy of backup %s: %s", row.id, backup_id, row.status)
            return self._pause(f"the operation log shows {len(shown)} copies that have no record yet", self._order.poll_interval)
        verdict.check_limits(coverage, self.memory, self._order, wanted)
        self._log.info(
            "About to replicate %d of %d backups, at most %s GB, to %s",
            len(ready),
            len(coverage.eligible),
            sum(one.backup.resource_size or 0 for one in ready),
            coverage.destination,
        )
        return self._replicate_vault(coverage, ready) if by_vault else self._replicate_backups(coverage, ready)

    def _replicate_vault(self, coverage: Coverage, wanted: list[BackupStanding]) -> Pause | None:
        order, memory = self._order, self.memory
        self._journal.record_intent(memory, coverage, wanted, posted_at=self._service_now)
        doubtful = dict.fromkeys((one.backup.id for one in wanted), self._service_now)
        try:
            with self._at(Step.REPLICATE_VAULT):
                replication = self._client.replicate_checkpoint(
                    vault_id=order.vault_id,
                    destination_region=order.destination.region,
                    destination_project_id=order.destination.project_id,
                    destination_vault_id=order.destination.vault_id,
                    auto_trigger=order.auto_trigger,
                    enable_acceleration=order.enable_acceleration,
                )
        except CbrOutcomeUnknownError as error:
            memory.sent.update(doubtful)
            self._note_unknown(order.vault_id, error)
            return None
        except CbrApiError as error:
            if says_nothing_left(error) or declines_backup(error):
                self._log.info("The service has nothing to replicate by vault; what is still needed is asked for singly: %s", error)
                references: list[ReplicationReference] = []
            elif error.permanent:
                raise
            else:
                return self._pause_for_service(error, doubtful)
        else:
            references = replication.references
        memory.one_by_one = True
        if references:
            self._accept(references)
            return self._pause_for_accepted()
        # An empty answer may be the echo of a call that did have an effect: it is waited out like one of unknown outcome.
        memory.sent.update(doubtful)
        return None

    def _replicate_backups(self, coverage: Coverage, wanted: list[BackupStanding]) -> Pause | None:
        memory, destination = self.memory, self._order.destination
        for one in wanted:
            backup_id = one.backup.id
            self._journal.record_intent(memory, coverage, wanted, posted_at=self._service_now)
            doubtful = {backup_id: self._service_now}
            try:
                with self._at(Step.REPLICATE_BACKUP):
                    replication = self._client.replicate_backup(
                        backup_id,
                        destination_region=destination.region,
                        destination_project_id=destination.project_id,
                        destination_vault_id=destination.vault_id,
                        enable_acceleration=self._order.enable_acceleration,
                    )
                if not replication.references:
                    raise CbrOutcomeUnknownError(f"The service answered the replication of backup {backup_id} without a record id.")
            except CbrOutcomeUnknownError as error:
                memory.sent.update(doubtful)
                self._note_unknown(backup_id, error)
            except CbrAlreadyReplicatedError as error:
                self._note_already_replicated(backup_id, doubtful, error)
            except (CbrAuthenticationError, CbrPermissionError):
                raise
            except CbrApiError as error:
                if declines_backup(error):
                    memory.declined[backup_id] = note_of(error)
                elif error.permanent:
                    memory.given_up[backup_id] = note_of(error)
                else:
                    return self._pause_for_service(error, doubtful)
            else:
                self._accept(replication.references)
        return self._pause_for_accepted() if memory.accepted else None

    def _note_unknown(self, key: str, error: CbrOutcomeUnknownError) -> None:
        unknown = self.memory.unknown
        unknown[key] = unknown.get(key, 0) + 1
        self._log.warning("Whether the service accepted the call is not known; looking before anything is sent again: %s", error)
        # Without adoption there is no establishing what was accepted, so nothing is sent a second time.
        if unknown[key] >= UNKNOWN_OUTCOMES_LIMIT or not self._order.durable:
            error.permanent = False
            raise error

    def _note_already_replicated(self, backup_id: str, doubtful: dict[str, float], error: CbrAlreadyReplicatedError) -> None:
        """Wait once for the record that must exist; without one, the replica is elsewhere."""
        memory = self.memory
        memory.disowned.clear()
        if backup_id in memory.sent:
            memory.given_up[backup_id] = note_of(error)
        else:
            memory.sent.update(doubtful)

    # --- looking ------------------------------------------------------------------------------------------------------

    def _look(self) -> Coverage | Pause:
        memory, vault_id = self.memory, self._order.vault_id
        if memory.as_of is None:
            self._journal.keep_deadline(memory)
        try:
            with self._at(Step.LOOK):
                backups = self._client.list_backups(vault_id=vault_id, show_replication=True)
                coverage = assess(
                    (backup for backup in backups if backup.vault_id in (None, vault_id)),
                    self._order.destination,
                    as_of=None if memory.as_of is None else _moment(memory.as_of),
                    own=memory.accepted,
                    declined={backup_id: f"the service declines it: {describe(note)}" for backup_id, note in memory.declined.items()},
                )
        except CbrError as error:
            return self._endure(error)
        memory.troubles = 0
        if self._client.server_time is not None:
            self._service_ahead = self._client.server_time.timestamp() - self._now()
        if memory.as_of is None:
            self._begin(coverage)
        return coverage

    def _endure(self, error: CbrError) -> Pause:
        """Return a pause: a wait that has begun outlives the service's bad hours."""
        memory, order = self.memory, self._order
        memory.troubles += 1
        if memory.as_of is None or (error.permanent and memory.troubles >= TROUBLES_LIMIT):
            raise error
        if self._now() >= memory.deadline:
            raise verdict.timed_out(order, list(memory.followed)) from error
        self._log.warning("Looking at vault %s failed, and is tried again: %s", order.vault_id, error)
        gap = min(order.poll_interval * 2 ** min(memory.troubles - 1, 10), order.max_poll_interval)
        return Pause(str(error), max(gap, error.retry_after or 0.0), tuple(memory.followed))

    def _begin(self, coverage: Coverage) -> None:
        """Settle, at an attempt's first look, what is old and what is on its way."""
        memory = self.memory
        memory.as_of = max(coverage.as_of.timestamp(), self._service_now)
        memory.stale = [one.record.id for one in coverage.of(Standing.FAILED) if one.record is not None]
        if not self._order.durable:
            memory.disowned = [one.record.id for one in coverage.of(Standing.IN_FLIGHT) if one.record is not None]
            return
        self._journal.correct_deadline(memory, coverage)
        unsettled_until = self._journal.unsettled_until(coverage, self._service_now)
        memory.unsettled_until = unsettled_until if unsettled_until > self._service_now else 0.0

    # --- remembering and telling --------------------------------------------------------------------------------------

    def _accept(self, references: list[ReplicationReference]) -> None:
        memory = self.memory
        memory.accepted_at = self._service_now
        for pair in references:
            memory.accepted[pair.replication_record_id] = pair.backup_id
            memory.sent.pop(pair.backup_id, None)
            self._log.info("Replication record %s: the copy of backup %s was accepted", pair.replication_record_id, pair.backup_id)
        self._announcer.tell(list(memory.followed), verdict.counts_before_looking(memory))

    def _adopt(self, coverage: Coverage) -> None:
        memory, order = self.memory, self._order
        if not order.durable:
            return
        since = None if memory.began is None else memory.began - _MARGIN
        # The call for the vault is made once in a Dag run: a service that takes everything again would copy twice what this run has copied.
        memory.one_by_one = memory.one_by_one or verdict.has_begun(coverage, since=since)
        found = verdict.adoptable(coverage, memory, since=since)
        for record_id, record in found.items():
            backup_id, _ = coverage.records[record_id]
            memory.adopted[record_id] = backup_id
            memory.sent.pop(backup_id, None)
            foreign = record.extra.auto_trigger is True and not order.auto_trigger
            self._log.info(
                "Adopted replication record %s of backup %s: %s, created at %s%s",
                record_id,
                backup_id,
                record.status,
                record.created_at,
                "; somebody else started it, by its auto_trigger flag" if foreign else "",
            )
        if found:
            self._tell(coverage)

    def _conclude(self, coverage: Coverage) -> Result:
        with self._at(Step.CONCLUDE):
            for one in coverage.of(Standing.SKIPPED):
                self._log.info("Not replicated: %s", one)
            record_ids, counts = self._tell(coverage)
            if error := verdict.failure(coverage, self.memory, self._order):
                raise error
            if not record_ids:
                self._log.info("Nothing to do: all %d eligible backups are covered already", len(coverage.eligible))
            return Result(record_ids, counts)

    def _tell(self, coverage: Coverage) -> tuple[list[str], verdict.Counts]:
        return self._announcer.tell(verdict.record_ids_of(coverage, self.memory), verdict.counts_of(coverage, self.memory))

    # --- pausing ------------------------------------------------------------------------------------------------------

    def _pause(self, reason: str, seconds: float) -> Pause:
        if self._reported != (reason,):
            self._log.info("Waiting: %s", reason)
            self._reported = (reason,)
        return Pause(reason, seconds)

    def _pause_for_service(self, error: CbrApiError, doubtful: dict[str, float]) -> Pause:
        if not isinstance(error, CbrThrottledError):
            # Such a refusal should have no effect; were it the echo of our own call, that would show first.
            self.memory.sent.update(doubtful)
        if isinstance(error, CbrVaultReplicatingError):
            self.memory.disowned.clear()
        return self._pause(str(error), max(self._order.poll_interval, error.retry_after or 0.0))

    def _pause_for_accepted(self) -> Pause | None:
        """Return the pause after an acceptance: there is nothing to see yet. Without a wait, look once more and end."""
        if not self._order.wait_for_completion:
            return None
        running = tuple(self.memory.accepted)
        return Pause(f"{len(running)} copies were accepted", self._order.poll_interval, running)

    def _pause_for_copies(self, coverage: Coverage, running: list[str]) -> Pause:
        now = _moment(self._service_now)
        progress = verdict.progress_of(coverage, self.memory, now=now)
        if self._reported != progress.change_key:
            self._log.info("%s", progress.line)
            self._reported = progress.change_key
        unfinished = [coverage.records[record_id][1] for record_id in running if record_id in coverage.records]
        return Pause(progress.line, self._schedule.gap(unfinished, now, at=self._now()), tuple(running))

    # --- clocks and steps ---------------------------------------------------------------------------------------------

    @property
    def _service_now(self) -> float:
        return self._now() + self._service_ahead

    def _unsettled_until(self, one: BackupStanding) -> float:
        sent = self.memory.sent.get(one.backup.id)
        return max(self.memory.unsettled_until, 0.0 if sent is None else sent + self._order.settle_time)

    @contextmanager
    def _at(self, step: Step) -> Iterator[None]:
        self._observe(step, "before")
        yield
        self._observe(step, "after")


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC)

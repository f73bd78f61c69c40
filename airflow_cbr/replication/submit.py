"""Intent, POST once, adopt: how a vault's backups get their copies, and never two.

A :class:`Submission` is a :class:`~airflow_cbr.once.machine.Machine` that looks at the source vault. What it does next depends only on
what the look found and on its :class:`~airflow_cbr.replication.memory.Memory`, so that a process may die between any two steps: the next
attempt looks, finds what was accepted, and goes on from there.

The rules, in the order in which they are tried:

1. Backups that are still being made are waited for, up to ``BEING_MADE_LIMIT`` before the others are asked for.
2. Nothing is sent while the vault replicates, or while a call of unknown outcome may still show up (``settle_time``).
3. Backups without a record are asked for with one call for the vault, once in a Dag run; what that leaves out, or had failed, singly.
4. The intent to send is written down before each call, and no call is repeated before a look has shown that it had no effect.
5. Whatever the rules say, no backup and no task passes its ceiling of calls (:mod:`airflow_cbr.once.ceiling`).
6. Green only when all eligible backups are covered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.exceptions import (
    CbrAlreadyReplicatedError,
    CbrApiError,
    CbrAuthenticationError,
    CbrConfigurationError,
    CbrError,
    CbrOutcomeUnknownError,
    CbrPermissionError,
    CbrThrottledError,
    CbrVaultReplicatingError,
)
from airflow_cbr.once.clock import moment
from airflow_cbr.once.machine import TROUBLES_LIMIT, Machine
from airflow_cbr.once.steps import Pause
from airflow_cbr.replication import verdict
from airflow_cbr.replication.announce import Announcer
from airflow_cbr.replication.calls import ReplicateCalls
from airflow_cbr.replication.coverage import BackupStanding, Coverage, Standing, assess
from airflow_cbr.replication.evidence import Witness
from airflow_cbr.replication.intents import ReplicationIntents
from airflow_cbr.replication.refusals import declines_backup, describe, note_of, says_nothing_left
from airflow_cbr.replication.schedule import Schedule
from airflow_cbr.replication.steps import Result, Step
from airflow_cbr.replication.unlisted import NOTICE, UnlistedCopies

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup, ReplicationReference
    from airflow_cbr.exceptions import CbrReplicationTimeoutError
    from airflow_cbr.once.attempt import Attempt
    from airflow_cbr.once.intents import IntentStore
    from airflow_cbr.replication.announce import Publish
    from airflow_cbr.replication.memory import Memory
    from airflow_cbr.replication.order import Order

__all__ = ["Submission"]

logger = logging.getLogger(__name__)

BEING_MADE_LIMIT: Final = 7200.0
"""Seconds for which a backup that is still being made holds up the others. Then they are asked for without it; it is waited for still."""


Observer = Callable[[Step, str], None]


class Submission(Machine[Result]):
    """One attempt at an order.

    :param client: a client of the source region and project.
    :param order: what is asked.
    :param attempt: which attempt this is.
    :param intents: where the intent outlives this process, or None where there is no such place.
    :param publish: called with record ids and counts as soon as they are known, and again when they change.
    :param destination: returns a client of the destination, for a cloud that lists no records. Default: there is none, and such a cloud
        is refused.
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
        destination: Callable[[], CbrClient] | None = None,
        memory: Memory | None = None,
        observe: Observer = lambda step, moment: None,
        now: Callable[[], float] = time.time,
        log: Any = logger,
    ) -> None:
        super().__init__(client, order, observe=observe, now=now, log=log)
        self._order = order
        self._intents = ReplicationIntents(intents if order.durable else None, order, attempt, clock=self._clock, at=self._at, log=log)
        self._announcer = Announcer(publish, at=self._at)
        self._schedule = Schedule(order.poll_interval, order.max_poll_interval)
        self.memory: Memory = memory if memory is not None else self._intents.recall()
        self._calls = ReplicateCalls(client, order, self.memory, self._intents, at=self._at)
        self._unlisted = None if destination is None else UnlistedCopies(client, destination, order, self.memory, self._clock)
        self._witness = Witness(client, order, self.memory, clock=self._clock, at=self._at, log=log)

    def _step(self) -> Pause | Result | None:
        if not self._has_begun():
            self._intents.keep_deadline(self.memory)
        coverage = self._look(self._read, Step.LOOK)
        if isinstance(coverage, Pause):
            return coverage
        if not self._has_begun():
            self._begin(coverage)
        if coverage.lists_records:
            coverage = self._witness.follow_unlisted(coverage)
        self._adopt(coverage)
        return self._decide(coverage)

    def _decide(self, coverage: Coverage) -> Pause | Result | None:
        """Take the next step; None asks for another look at once."""
        memory, order = self.memory, self._order
        being_made = coverage.of(Standing.BEING_MADE)
        wanted = verdict.needed(coverage, memory)
        running = verdict.running(coverage, memory)
        in_flight = verdict.in_flight(coverage, memory)
        if not being_made and not wanted and not (in_flight and order.wait_for_completion):
            return self._conclude(coverage)
        if self._clock.local >= memory.deadline:
            self._tell(coverage)
            raise verdict.timed_out(order, running)
        if being_made and (pause := self._pause_for_being_made(being_made, bool(wanted or (in_flight and order.wait_for_completion)))):
            return pause
        if in_flight and not coverage.lists_records:
            return self._pause_for_unlisted(in_flight)
        if running and (order.wait_for_completion or any(record_id not in memory.accepted for record_id in running)):
            return self._pause_for_copies(coverage, running)
        return self._send(coverage, wanted)

    # --- sending

    def _send(self, coverage: Coverage, wanted: list[BackupStanding]) -> Pause | None:
        memory = self.memory
        by_vault = verdict.asks_for_vault(coverage, memory, wanted) and not coverage.of(Standing.BEING_MADE)
        ready = [one for one in wanted if self._clock.local >= self._unsettled_until(one)]
        if not ready or (by_vault and len(ready) < len(wanted)):
            wait = min(self._unsettled_until(one) for one in wanted if one not in ready) - self._clock.local
            return self._pause("an earlier replicate call may still show up", max(wait, 1.0))
        try:
            shown = self._witness.begun_unseen(ready) if coverage.lists_records else {}
        except CbrError as error:
            # Counted apart from the looks at the vault, each of which may be good.
            memory.log_troubles += 1
            if error.permanent and memory.log_troubles >= TROUBLES_LIMIT:
                raise
            return self._endure(error)
        memory.log_troubles = 0
        if shown:
            # The others are not held up: they are asked for one by one, since a call for the vault would ask for these too.
            by_vault = False
            ready = [one for one in ready if one.backup.id not in shown]
            if not ready:
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
        doubtful = dict.fromkeys((one.backup.id for one in wanted), float(self._clock.local))
        try:
            replication = self._calls.vault(coverage, wanted)
        except CbrOutcomeUnknownError as error:
            memory.sent.update(doubtful)
            self._lose(order.vault_id, error)
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
        memory.refusals = 0
        if references:
            self._accept(references)
            return self._pause_for_accepted()
        # An empty answer may be the echo of a call that did have an effect: it is waited out like one of unknown outcome.
        memory.sent.update(doubtful)
        return None

    def _replicate_backups(self, coverage: Coverage, wanted: list[BackupStanding]) -> Pause | None:
        memory = self.memory
        for one in wanted:
            backup_id = one.backup.id
            doubtful = {backup_id: float(self._clock.local)}
            try:
                replication = self._calls.backup(backup_id, coverage, wanted)
                if not replication.references:
                    raise CbrOutcomeUnknownError(f"The service answered the replication of backup {backup_id} without a record id.")
            except CbrOutcomeUnknownError as error:
                memory.sent.update(doubtful)
                self._lose(backup_id, error)
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

    def _lose(self, key: str, error: CbrOutcomeUnknownError) -> None:
        times = self.memory.unknown[key] = self.memory.unknown.get(key, 0) + 1
        # Without adoption there is no establishing what was accepted, so nothing is sent a second time.
        self._note_unknown(times, error, may_look=self._order.durable)

    def _note_already_replicated(self, backup_id: str, doubtful: dict[str, float], error: CbrAlreadyReplicatedError) -> None:
        """Wait once for the record that must exist; without one, the replica is elsewhere."""
        memory = self.memory
        memory.disowned.clear()
        if backup_id in memory.sent:
            memory.given_up[backup_id] = note_of(error)
        else:
            memory.sent.update(doubtful)

    # --- looking

    def _read(self) -> Coverage:
        memory, vault_id = self.memory, self._order.vault_id
        # A row that comes again may say something else than before.
        again: list[Backup] = []
        backups = self._client.list_backups(vault_id=vault_id, show_replication=True, on_repeat=again.append)
        coverage = assess(
            (backup for backup in chain(backups, again) if backup.vault_id in (None, vault_id)),
            self._order.destination,
            as_of=None if memory.as_of is None else moment(memory.as_of),
            counted=frozenset(memory.wanted or ()),
            own=memory.accepted,
            declined={backup_id: f"the service declines it: {describe(note)}" for backup_id, note in memory.declined.items()},
        )
        self._witness.look_for_missing(coverage)
        return coverage if coverage.lists_records else self._judge_unlisted(coverage)

    def _judge_unlisted(self, coverage: Coverage) -> Coverage:
        if self._unlisted is None:
            raise CbrConfigurationError("The service lists no replication records, and there is no way to the destination's list.")
        if not self._has_begun():
            self._log.warning("%s", NOTICE)
        return self._unlisted.judge(coverage)

    def _has_begun(self) -> bool:
        return self.memory.as_of is not None

    def _timed_out(self) -> CbrReplicationTimeoutError:
        return verdict.timed_out(self._order, list(self.memory.followed))

    def _followed(self) -> tuple[str, ...]:
        return tuple(self.memory.followed)

    def _begin(self, coverage: Coverage) -> None:
        """Settle, at an attempt's first look, what is old and what is on its way."""
        memory = self.memory
        # By the rows' own times; one that lies in the future makes no later backup count.
        memory.as_of = min(coverage.as_of.timestamp(), self._clock.not_after(self._clock.local))
        memory.looked_at = self._clock.local
        memory.wanted = verdict.uncovered(coverage)
        memory.stale = [record.id for one in coverage.of(Standing.FAILED) for record in one.failed]
        if not self._order.durable:
            memory.disowned = [one.record.id for one in coverage.of(Standing.IN_FLIGHT) if one.record is not None]
            return
        self._intents.correct_deadline(memory, coverage)
        unsettled_until = self._intents.unsettled_until(coverage)
        memory.unsettled_until = unsettled_until if unsettled_until > self._clock.local else 0.0

    # --- remembering and telling

    def _accept(self, references: list[ReplicationReference]) -> None:
        memory = self.memory
        memory.accepted_at = self._clock.local
        memory.refusals = 0
        for pair in references:
            memory.accepted[pair.replication_record_id] = pair.backup_id
            memory.sent.pop(pair.backup_id, None)
            self._log.info("Replication record %s: the copy of backup %s was accepted", pair.replication_record_id, pair.backup_id)
        self._announcer.tell(list(memory.followed), verdict.counts_before_looking(memory))

    def _adopt(self, coverage: Coverage) -> None:
        memory, order = self.memory, self._order
        if not order.durable:
            return
        since = memory.began
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

    # --- pausing

    def _pause_for_being_made(self, being_made: list[BackupStanding], others: bool) -> Pause | None:
        """Return the wait for backups that are still being made; None when the others have waited for them long enough."""
        until = self.memory.looked_at + BEING_MADE_LIMIT
        if self._clock.local >= until and others:
            return None
        limit = f"; after {BEING_MADE_LIMIT / 3600:g} h the others are replicated without them" if self._clock.local < until else ""
        return self._pause(f"{verdict.line_of(being_made)}{limit}", self._order.poll_interval)

    def _pause_for_service(self, error: CbrApiError, doubtful: dict[str, float]) -> Pause:
        if not isinstance(error, CbrThrottledError):
            # Such a refusal should have no effect; were it the echo of our own call, that would show first.
            self.memory.sent.update(doubtful)
        if isinstance(error, CbrVaultReplicatingError):
            self.memory.disowned.clear()
        self.memory.refusals += 1
        return self._pause(str(error), self._backoff(self.memory.refusals, error))

    def _pause_for_unlisted(self, in_flight: list[BackupStanding]) -> Pause:
        records = [one.record for one in in_flight if one.record is not None]
        gap = self._schedule.gap(records, moment(self._clock.service), is_complete=len(records) == len(in_flight), at=self._clock.local)
        return self._pause(f"{len(in_flight)} copies run, by the operation log and the destination's list", gap)

    def _pause_for_accepted(self) -> Pause | None:
        """Return the pause after an acceptance: there is nothing to see yet. Without a wait, look once more and end."""
        if not self._order.wait_for_completion:
            return None
        running = tuple(self.memory.accepted)
        return Pause(f"{len(running)} copies were accepted", self._order.poll_interval, running)

    def _pause_for_copies(self, coverage: Coverage, running: list[str]) -> Pause:
        now = moment(self._clock.service)
        progress = verdict.progress_of(coverage, self.memory, now=now)
        self._report(progress.change_key, progress.line)
        unfinished = [coverage.records[record_id][1] for record_id in running if record_id in coverage.records]
        return Pause(progress.line, self._schedule.gap(unfinished, now, at=self._clock.local), tuple(running))

    # --- clocks and steps

    def _unsettled_until(self, one: BackupStanding) -> float:
        sent = self.memory.sent.get(one.backup.id)
        return max(self.memory.unsettled_until, 0.0 if sent is None else sent + self._order.settle_time)

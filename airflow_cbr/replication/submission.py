"""Intent, POST once, adopt: how a vault's backups get their copies, and never two.

A :class:`Submission` is a :class:`~airflow_cbr.once.machine.Machine` that looks at the source vault. What it does next depends only on
what the look found and on its state, so that a process may die between any two steps: the next attempt looks, finds what was accepted, and
goes on from there.

The rules, in the order in which they are tried:

1. Backups that are still being made are waited for, up to ``BEING_MADE_LIMIT`` before the other backups are requested.
2. Nothing is sent while the vault replicates, or while a call of unknown outcome may still take effect (``settle_time``).
3. Backups without a record are requested with one call for the vault, once in a Dag run; what that leaves out, or had failed, individually.
4. The intent to send is written down before each call, and no call is repeated before a look has shown that it had no effect.
5. Whatever the rules say, no backup and no task exceeds its ceiling of calls (:mod:`airflow_cbr.once.ceiling`).
6. The task succeeds only when all eligible backups are covered.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.api.summaries import BackupSummary
from airflow_cbr.api.texts import counted
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
from airflow_cbr.inventory.coverage import BackupCoverage, Coverage, CoverageStatus, assess
from airflow_cbr.inventory.destination import Destination
from airflow_cbr.once.clock import moment
from airflow_cbr.once.machine import TROUBLES_LIMIT, Machine
from airflow_cbr.once.steps import Pause
from airflow_cbr.replication import decisions, lines
from airflow_cbr.replication.calls import ReplicateCalls
from airflow_cbr.replication.figures import Figures, figures_of, running_since
from airflow_cbr.replication.intents import ReplicationIntents
from airflow_cbr.replication.log_lookup import OperationLogLookup
from airflow_cbr.replication.publisher import RecordPublisher
from airflow_cbr.replication.refusals import declines_backup, describe, note_of, says_nothing_left
from airflow_cbr.replication.steps import Result, Step
from airflow_cbr.replication.unlisted import NOTICE, UnlistedCopies
from airflow_cbr.replication.vault_names import ask_for_names, source_text, why_not_there
from airflow_cbr.waiting.schedule import Schedule

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import ReplicationReference
    from airflow_cbr.exceptions import CbrReplicationTimeoutError
    from airflow_cbr.once.attempt import Attempt
    from airflow_cbr.once.intents import IntentStore
    from airflow_cbr.replication.publisher import Publish
    from airflow_cbr.replication.spec import ReplicationSpec
    from airflow_cbr.replication.state import ReplicationState

__all__ = ["Submission"]

logger = logging.getLogger(__name__)

BEING_MADE_LIMIT: Final = 7200.0
"""Seconds for which a backup that is still being made delays the other backups. Then they are requested without it; it is waited for."""

_NOTHING_SEEN: Final = Coverage(Destination("", "", ""), moment(0.0), {})
"""What a submission has of a look before there is one."""

Observer = Callable[[Step, str], None]


class Submission(Machine[Result]):
    """One attempt at a replication.

    :param client: a client of the source region and project.
    :param spec: what is asked.
    :param attempt: which attempt this is.
    :param intents: where the intent outlives this process, or None where there is no such place.
    :param publish: called with record ids and counts as soon as they are known, and again when they change.
    :param destination: returns a client of the destination, for a cloud that lists no records. Default: none, and such a cloud is refused.
    :param state: what an earlier leg of the same attempt knew. Default: nothing.
    :param observe: called with each step and ``before`` or ``after``; tests kill the process there.
    :param now: the local clock, Unix time.
    :param log: takes the lines.
    """

    def __init__(
        self,
        client: CbrClient,
        spec: ReplicationSpec,
        *,
        attempt: Attempt,
        intents: IntentStore | None,
        publish: Publish,
        destination: Callable[[], CbrClient] | None = None,
        state: ReplicationState | None = None,
        observe: Observer = lambda step, moment: None,
        now: Callable[[], float] = time.time,
        log: Any = logger,
    ) -> None:
        super().__init__(client, spec, observe=observe, now=now, log=log)
        self._spec = spec
        self._intents = ReplicationIntents(intents if spec.durable else None, spec, attempt, clock=self._clock, at=self._at, log=log)
        self._publisher = RecordPublisher(publish, at=self._at)
        self._schedule = Schedule(spec.poll_interval, spec.max_poll_interval)
        self.state: ReplicationState = state if state is not None else self._intents.recall()
        self._calls = ReplicateCalls(client, spec, self.state, self._intents, at=self._at)
        self._unlisted = None if destination is None else UnlistedCopies(client, destination, spec, self.state, self._clock)
        self._lookup = OperationLogLookup(client, spec, self.state, clock=self._clock, at=self._at, log=log)
        self._seen = _NOTHING_SEEN

    def _step(self) -> Pause | Result | None:
        if not self._has_begun():
            self._intents.keep_deadline(self.state)
        coverage = self._look(self._read, Step.LOOK)
        if isinstance(coverage, Pause):
            return coverage
        if not self._has_begun():
            self._begin(coverage)
        if coverage.lists_records:
            coverage = self._lookup.follow_unlisted(coverage)
        self._seen = coverage
        self._adopt(coverage)
        return self._decide(coverage)

    def _decide(self, coverage: Coverage) -> Pause | Result | None:
        """Take the next step; None asks for another look at once."""
        state, spec = self.state, self._spec
        being_made = coverage.of(CoverageStatus.BEING_MADE)
        wanted = decisions.needed(coverage, state)
        running = decisions.running(coverage, state)
        in_flight = decisions.in_flight(coverage, state)
        if not being_made and not wanted and not (in_flight and spec.wait_for_completion):
            return self._conclude(coverage)
        if self._clock.local >= state.deadline:
            self._publisher.tell_look(coverage, state)
            raise decisions.timed_out(spec, state, coverage, running)
        if being_made and (pause := self._pause_for_being_made(being_made, bool(wanted or (in_flight and spec.wait_for_completion)))):
            return pause
        if in_flight and not coverage.lists_records:
            return self._pause_for_unlisted(in_flight)
        if running and (spec.wait_for_completion or any(record_id not in state.accepted for record_id in running)):
            return self._pause_for_copies(coverage, running)
        return self._send(coverage, wanted)

    # --- sending

    def _send(self, coverage: Coverage, wanted: list[BackupCoverage]) -> Pause | None:
        state = self.state
        by_vault = decisions.asks_for_vault(coverage, state, wanted) and not coverage.of(CoverageStatus.BEING_MADE)
        ready = [one for one in wanted if self._clock.local >= self._unsettled_until(one)]
        if not ready or (by_vault and len(ready) < len(wanted)):
            wait = min(self._unsettled_until(one) for one in wanted if one not in ready) - self._clock.local
            return self._pause("an earlier replicate call may still take effect", max(wait, 1.0))
        try:
            shown = self._lookup.begun_unseen(ready) if coverage.lists_records else {}
        except CbrError as error:
            # Counted apart from the looks at the vault, each of which may be good.
            state.log_troubles += 1
            if error.permanent and state.log_troubles >= TROUBLES_LIMIT:
                raise
            return self._endure(error)
        state.log_troubles = 0
        if shown:
            # The others are not held up: they are asked for one by one, since a call for the vault would ask for these too.
            ready = [one for one in ready if one.backup.id not in shown]
            if not ready:
                return self._pause(
                    f"the operation log shows {counted(len(shown), 'copy', 'copies')} without a replication record",
                    self._spec.poll_interval,
                )
        decisions.check_limits(coverage, self.state, self._spec, wanted)
        self._log.info("%s", lines.about_to_replicate(coverage, ready, self._spec, self.state))
        return self._replicate_vault(coverage, ready) if by_vault and not shown else self._replicate_backups(coverage, ready)

    def _replicate_vault(self, coverage: Coverage, wanted: list[BackupCoverage]) -> Pause | None:
        spec, state = self._spec, self.state
        doubtful = dict.fromkeys((one.backup.id for one in wanted), float(self._clock.local))
        try:
            replication = self._calls.vault(coverage, wanted)
        except CbrOutcomeUnknownError as error:
            state.sent.update(doubtful)
            self._lose(spec.vault_id, error)
            return None
        except CbrApiError as error:
            if says_nothing_left(error) or declines_backup(error):
                self._log.info("The call for the whole vault started nothing; the missing backups are requested individually: %s", error)
                references: list[ReplicationReference] = []
            elif error.permanent:
                raise
            else:
                return self._pause_for_service(error, doubtful)
        else:
            references = replication.references
        state.one_by_one = True
        state.refusals = 0
        if references:
            self._accept(references)
            return self._pause_for_accepted()
        # An empty answer may be the echo of a call that did have an effect: it is waited out like one of unknown outcome.
        state.sent.update(doubtful)
        return None

    def _replicate_backups(self, coverage: Coverage, wanted: list[BackupCoverage]) -> Pause | None:
        state = self.state
        for one in wanted:
            backup_id = one.backup.id
            doubtful = {backup_id: float(self._clock.local)}
            try:
                replication = self._calls.backup(backup_id, coverage, wanted)
                if not replication.references:
                    raise CbrOutcomeUnknownError(f"The service accepted the replication of backup {backup_id}, but returned no record id.")
            except CbrOutcomeUnknownError as error:
                state.sent.update(doubtful)
                self._lose(backup_id, error)
            except CbrAlreadyReplicatedError as error:
                self._note_already_replicated(backup_id, doubtful, error)
            except (CbrAuthenticationError, CbrPermissionError):
                raise
            except CbrApiError as error:
                if declines_backup(error):
                    state.declined[backup_id] = note_of(error)
                elif error.permanent:
                    state.given_up[backup_id] = note_of(error)
                else:
                    return self._pause_for_service(error, doubtful)
            else:
                self._accept(replication.references)
        return self._pause_for_accepted() if state.accepted else None

    def _lose(self, key: str, error: CbrOutcomeUnknownError) -> None:
        times = self.state.unknown[key] = self.state.unknown.get(key, 0) + 1
        # Without adoption there is no establishing what was accepted, so nothing is sent a second time.
        self._note_unknown(times, error, may_look=self._spec.durable)

    def _note_already_replicated(self, backup_id: str, doubtful: dict[str, float], error: CbrAlreadyReplicatedError) -> None:
        """Wait once for the record that must exist; without one, the replica is elsewhere."""
        self.state.disowned.clear()
        if backup_id in self.state.sent:
            self.state.given_up[backup_id] = note_of(error)
        else:
            self.state.sent.update(doubtful)

    # --- looking

    def _read(self) -> Coverage:
        state, vault_id = self.state, self._spec.vault_id
        # The newest look would stay beside the one that is read now.
        self._seen = _NOTHING_SEEN
        coverage = assess(
            (backup for backup in self._rows() if backup.vault_id in (None, vault_id)),
            self._spec.destination,
            as_of=None if state.as_of is None else moment(state.as_of),
            counted=frozenset(state.wanted or ()),
            own=state.accepted,
            declined={backup_id: f"the service refuses to copy it: {describe(note)}" for backup_id, note in state.declined.items()},
            settled=decisions.takes_settled(self._spec.destination, state),
        )
        self._lookup.look_for_missing(coverage)
        return coverage if coverage.lists_records else self._judge_unlisted(coverage)

    def _rows(self) -> Iterator[BackupSummary]:
        """Yield the backups that are looked at, with their records; a row that comes again may say something else than before."""
        again: list[BackupSummary] = []
        yield from self._client.read_backups(BackupSummary, vault_id=self._spec.vault_id, show_replication=True, on_repeat=again.append)
        yield from again

    def _judge_unlisted(self, coverage: Coverage) -> Coverage:
        if self._unlisted is None:
            raise CbrConfigurationError("The service lists no replication records, and the destination vault cannot be read.")
        if not self._has_begun():
            self._log.warning("%s", NOTICE)
        return self._unlisted.judge(coverage)

    def _has_begun(self) -> bool:
        return self.state.as_of is not None

    def _timed_out(self) -> CbrReplicationTimeoutError:
        return decisions.timed_out(self._spec, self.state, self._seen, list(self.state.followed))

    def _followed(self) -> tuple[str, ...]:
        return tuple(self.state.followed)

    def _vault(self) -> str:
        return source_text(self._spec, self.state)

    def _begin(self, coverage: Coverage) -> None:
        """Note, at an attempt's first look, what existed before and what is running."""
        state = self.state
        ask_for_names(self._client, self._spec, state)
        # By the rows' own times; one that lies in the future makes no later backup count.
        state.as_of = min(coverage.as_of.timestamp(), self._clock.not_after(self._clock.local))
        state.looked_at = self._clock.local
        state.wanted = decisions.uncovered(coverage)
        state.stale = [record.id for one in coverage.of(CoverageStatus.FAILED) for record in one.failed]
        state.copying_since = running_since(coverage, self._clock)
        if not self._spec.durable:
            state.disowned = [one.record.id for one in coverage.of(CoverageStatus.IN_FLIGHT) if one.record is not None]
            return
        self._intents.correct_deadline(state, coverage)
        unsettled_until = self._intents.unsettled_until(coverage)
        state.unsettled_until = unsettled_until if unsettled_until > self._clock.local else 0.0

    # --- remembering and telling

    def _accept(self, references: list[ReplicationReference]) -> None:
        state = self.state
        state.accepted_at = self._clock.local
        state.copying_since = state.copying_since if state.copying_since is not None else float(self._clock.local)
        state.refusals = 0
        for pair in references:
            state.accepted[pair.replication_record_id] = pair.backup_id
            state.sent.pop(pair.backup_id, None)
            self._log.info("%s", lines.accepted(self._seen, pair))
        self._publisher.tell(list(state.followed), decisions.counts_before_looking(state))

    def _adopt(self, coverage: Coverage) -> None:
        state, spec = self.state, self._spec
        if not spec.durable:
            return
        # The call for the vault is made once in a Dag run: a service that takes everything again would copy twice what this run has copied.
        state.one_by_one = state.one_by_one or decisions.has_begun(coverage, since=state.began)
        found = decisions.adoptable(coverage, state, since=state.began)
        for record_id, record in found.items():
            backup_id, _ = coverage.records[record_id]
            state.adopted[record_id] = backup_id
            state.sent.pop(backup_id, None)
            self._log.info("%s", lines.adopted(coverage, record, foreign=record.extra.auto_trigger is True and not spec.auto_trigger))
        if found:
            self._publisher.tell_look(coverage, state)

    def _conclude(self, coverage: Coverage) -> Result:
        with self._at(Step.CONCLUDE):
            for one in coverage.of(CoverageStatus.SKIPPED):
                self._log.info("Not replicated: %s", one)
            record_ids, counts = self._publisher.tell_look(coverage, self.state)
            if error := self._failure(coverage):
                raise error
            return Result(record_ids, counts, self.figures)

    @property
    def figures(self) -> Figures:
        """Return how much is where, as the newest look found it."""
        return figures_of(self._seen, self.state, now=self._clock.local)

    def _failure(self, coverage: Coverage) -> CbrError | None:
        """Return why the task fails once nothing runs and nothing more can be asked for; None when it succeeds."""
        error = decisions.failure(coverage, self.state, self._spec)
        return error or why_not_there(coverage, self._client, self._spec, self.state, self._log)

    # --- pausing

    def _pause_for_being_made(self, being_made: list[BackupCoverage], others: bool) -> Pause | None:
        """Return the wait for backups that are still being made; None when the other backups have waited long enough."""
        until = self.state.looked_at + BEING_MADE_LIMIT
        if self._clock.local >= until and others:
            return None
        line = decisions.line_of(being_made)
        if self._clock.local < until:
            line += f"; after {BEING_MADE_LIMIT / 3600:g} h the other backups are replicated without waiting for them"
        return self._pause(line, self._spec.poll_interval)

    def _pause_for_service(self, error: CbrApiError, doubtful: dict[str, float]) -> Pause:
        if not isinstance(error, CbrThrottledError):
            # Such a refusal should have no effect; were it the echo of our own call, that would show first.
            self.state.sent.update(doubtful)
        if isinstance(error, CbrVaultReplicatingError):
            self.state.disowned.clear()
        self.state.refusals += 1
        return self._pause(str(error), self._backoff(self.state.refusals, error))

    def _pause_for_unlisted(self, in_flight: list[BackupCoverage]) -> Pause:
        records = [one.record for one in in_flight if one.record is not None]
        gap = self._schedule.gap(records, moment(self._clock.service), is_complete=len(records) == len(in_flight), at=self._clock.local)
        count = counted(len(in_flight), "copy is", "copies are")
        return self._pause(f"{count} running, according to the operation log and the destination vault", gap)

    def _pause_for_accepted(self) -> Pause | None:
        """Return the pause after an acceptance: nothing is listed yet. Without ``wait_for_completion``, look once more and end."""
        if not self._spec.wait_for_completion:
            return None
        running = tuple(self.state.accepted)
        return Pause(f"{counted(len(running), 'copy was', 'copies were')} accepted", self._spec.poll_interval, running)

    def _pause_for_copies(self, coverage: Coverage, running: list[str]) -> Pause:
        now = moment(self._clock.service)
        progress = decisions.progress_of(coverage, self.state, now=now)
        self._report(progress.change_key, progress.line)
        unfinished = [coverage.records[record_id][1] for record_id in running if record_id in coverage.records]
        return Pause(progress.line, self._schedule.gap(unfinished, now, at=self._clock.local), tuple(running))

    def _unsettled_until(self, one: BackupCoverage) -> float:
        return max(self.state.unsettled_until, self.state.sent.get(one.backup.id, -math.inf) + self._spec.settle_time)

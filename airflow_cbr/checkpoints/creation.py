"""Intent, POST once, adopt: how a vault gets one checkpoint for a task in a Dag run, and never two.

A :class:`Creation` is a :class:`~airflow_cbr.once.machine.Machine`: a process may die between any two steps.

The rules, in the order in which they are tried:

1. A checkpoint of this task that is complete, or being made, is adopted, whichever attempt started it.
2. Nothing is sent while a call of unknown outcome may still take effect (``settle_time``).
3. After that, a checkpoint without a readable name that the lost call may have started is adopted; if there are several, none is, and
   the task fails.
4. The intent is written down before the call, and the call is not repeated before a look has shown that it had no effect.
5. The task succeeds only when every backup of the checkpoint is available and nothing was left out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.api.stopping import refuse_if_stopped
from airflow_cbr.api.texts import LONGEST_NAME, counted, one_line
from airflow_cbr.checkpoints.condition import CheckpointFinding, Condition, describe, failure, judge, summarise
from airflow_cbr.checkpoints.intents import CheckpointIntents
from airflow_cbr.checkpoints.search import CheckpointSearch, Sighting, show
from airflow_cbr.checkpoints.steps import CheckpointResult, CheckpointStep
from airflow_cbr.exceptions import (
    CbrApiError,
    CbrCheckpointTimeoutError,
    CbrError,
    CbrOutcomeUnknownError,
    CbrThrottledError,
)
from airflow_cbr.once.ceiling import CallCeiling
from airflow_cbr.once.machine import Machine
from airflow_cbr.once.publisher import Publisher
from airflow_cbr.once.steps import Pause

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Checkpoint
    from airflow_cbr.checkpoints.spec import CheckpointSpec
    from airflow_cbr.checkpoints.state import CheckpointState
    from airflow_cbr.once.attempt import Attempt
    from airflow_cbr.once.intents import IntentStore

__all__ = ["Creation"]

logger = logging.getLogger(__name__)

_SHARE_OF_AGE: Final = 0.25
"""The gap between two looks, as a share of the checkpoint's age: how long it takes is not known, so up to this share is waited too long."""

Observer = Callable[[CheckpointStep, str], None]
Publish = Callable[[str, dict[str, Any]], None]


class Creation(Machine[CheckpointResult]):
    """One attempt at a checkpoint.

    :param client: a client of the vault's region and project.
    :param spec: what is asked.
    :param attempt: which attempt this is.
    :param intents: where the intent outlives this process, or None where there is no such place.
    :param publish: called with the checkpoint's id and a summary as soon as they are known, and again when they change.
    :param state: what an earlier leg of the same attempt knew. Default: nothing.
    :param observe: called with each step and ``before`` or ``after``; tests kill the process there.
    :param now: the local clock, Unix time.
    :param log: takes the lines.
    """

    def __init__(
        self,
        client: CbrClient,
        spec: CheckpointSpec,
        *,
        attempt: Attempt,
        intents: IntentStore | None,
        publish: Publish,
        state: CheckpointState | None = None,
        observe: Observer = lambda step, moment: None,
        now: Callable[[], float] = time.time,
        log: Any = logger,
    ) -> None:
        super().__init__(client, spec, observe=observe, now=now, log=log)
        self._spec = spec
        self._attempt = attempt
        self._publisher = Publisher(publish, CheckpointStep.PUBLISH, at=self._at)
        self._lookup = CheckpointSearch(client, spec, attempt.run_after, clock=self._clock)
        self._intents = CheckpointIntents(intents, spec, attempt, clock=self._clock, at=self._at)
        self.state: CheckpointState = self._intents.recall(state)
        self._ceiling = CallCeiling(self.state.calls, "checkpoint")

    def _step(self) -> Pause | CheckpointResult | None:
        return self._search() if self.state.checkpoint_id is None else self._follow(self.state.checkpoint_id)

    def _has_begun(self) -> bool:
        return self.state.has_looked

    def _ends_attempt(self, error: CbrError) -> bool:
        # It cannot be determined whose checkpoint it is, and no further look changes that.
        return isinstance(error, CbrOutcomeUnknownError) or super()._ends_attempt(error)

    # --- before there is a checkpoint -----------------------------------------------------------------------------------

    def _search(self) -> Pause | None:
        """Look for a checkpoint of this task, and send the call when there is none; None asks for another look at once."""
        state, spec = self.state, self._spec
        is_first = not state.has_looked
        if is_first:
            self._intents.keep_deadline(state)
        found = self._look(self._sightings if is_first else self._lookup.sightings, CheckpointStep.LOOK)
        if isinstance(found, Pause):
            return found
        if is_first:
            self._intents.begin(state)
            state.has_looked = True
        if own := next((one for one in found if one.evidence and one.checkpoint_id not in state.put_aside), None):
            self._adopt(own)
            return None
        if self._clock.local >= state.deadline:
            raise self._timed_out()
        if self._clock.local < state.unsettled_until:
            wait = max(state.unsettled_until - self._clock.local, 1.0)
            return self._pause("an earlier call may still take effect", min(spec.poll_interval, wait))
        if state.lost_from is not None:
            return self._settle_lost(found, state.lost_from)
        return self._create()

    def _settle_lost(self, found: list[Sighting], lost_from: float) -> Pause | None:
        """Send the call again only when it is established that the lost one has had no effect."""
        started = self._look(lambda: self._lookup.of_lost_calls(self.state, found, lost_from), CheckpointStep.LOOK_AT_LOG)
        if isinstance(started, Pause):
            return started
        if started is not None:
            self._adopt(started)
        elif self._clock.local >= self.state.unsettled_until:
            return self._create()
        return None

    def _sightings(self) -> list[Sighting]:
        """Return what an attempt's first look finds, after putting aside what is no longer a result."""
        found = self._lookup.sightings()
        if noted := self._intents.noted():
            found = [noted, *(one for one in found if one.checkpoint_id != noted.checkpoint_id)]
        for one in found:
            if one.evidence and one.checkpoint_id not in self.state.put_aside and self._is_spent(one):
                self.state.put_aside.append(one.checkpoint_id)
        return found

    def _is_spent(self, one: Sighting) -> bool:
        """Return whether a checkpoint of an earlier attempt calls for another one."""
        checkpoint_id = one.checkpoint_id
        age = self._clock.age(one.created.timestamp()) if one.created is not None else self._clock.local
        condition = self._inspect(checkpoint_id, self._clock.local - age).condition
        if condition is Condition.INCOMPLETE and self._attempt.number == 1 and self._attempt.generation:
            # Only a clear requests it again: it means that what was left out has been fixed.
            self._intents.put_aside(self.state, checkpoint_id)
        elif condition not in (Condition.FAILED, Condition.GONE):
            return False
        self._log.info("The checkpoint of an earlier attempt is %s; making another one (checkpoint %s)", condition, checkpoint_id)
        return True

    def _create(self) -> Pause | None:
        refuse_if_stopped("CreateCheckpoint was not sent.")
        spec, state = self._spec, self.state
        self._ceiling.count([spec.name], of=1)
        self._intents.record_intent(state)
        sent_at = self._clock.local
        self._log.info("About to back up %s as %s (vault %s)", self._what, spec.name, spec.vault_id)
        try:
            with self._at(CheckpointStep.CREATE):
                checkpoint = self._ceiling.send(
                    [spec.name],
                    lambda: self._client.create_checkpoint(
                        vault_id=spec.vault_id,
                        name=spec.name,
                        description=spec.description,
                        incremental=spec.incremental,
                        auto_trigger=spec.auto_trigger or None,
                        resources=spec.resource_ids,
                    ),
                )
            if not checkpoint.id:
                raise CbrOutcomeUnknownError(f"The service accepted the backup of vault {spec.vault_id}, but returned no checkpoint id.")
        except CbrOutcomeUnknownError as error:
            state.lose(sent_at)
            state.unsettled_until = sent_at + spec.settle_time
            state.unknown += 1
            self._note_unknown(state.unknown, error)
            return None
        except CbrApiError as error:
            if error.permanent:
                raise
            if not isinstance(error, CbrThrottledError):
                # Such a refusal should have no effect; were it the echo of our own call, that would show first.
                state.unsettled_until = sent_at + spec.settle_time
            state.refusals += 1
            return self._pause(str(error), self._backoff(state.refusals, error))
        return self._accept(checkpoint)

    def _accept(self, checkpoint: Checkpoint) -> Pause | None:
        state = self.state
        state.checkpoint_id, state.known_at = checkpoint.id, self._clock.local
        vault = checkpoint.vault
        state.skipped = {one.id or "": str(one.code or "") for one in (vault.skipped_resources if vault is not None else None) or ()}
        self._note_name(checkpoint)
        self._log.info("CBR accepted the backup of vault %s (checkpoint %s)", state.vault_name or self._spec.vault_id, checkpoint.id)
        self._tell(checkpoint.id, judge(checkpoint, (), self._spec, state, 0.0))
        self._intents.keep_checkpoint(state)
        return Pause("the checkpoint was accepted", self._spec.poll_interval) if self._spec.wait_for_completion else None

    def _adopt(self, one: Sighting) -> None:
        state, spec = self.state, self._spec
        state.checkpoint_id, state.evidence, state.known_at = one.checkpoint_id, one.evidence, self._clock.local
        state.unsettled_until, state.lost_from = 0.0, None
        attempt = self._attempt
        if not self._intents.has_store and attempt.number > 1 and not attempt.generation and one.created is not None:
            # Where nothing keeps the deadline it counts from the checkpoint, as long as there was no clear.
            state.deadline = min(state.deadline, self._clock.local - self._clock.age(one.created.timestamp()) + spec.timeout)
        created = one.created.isoformat() if one.created is not None else "an unknown time"
        self._log.info("Adopted a checkpoint, recognised %s, created at %s (checkpoint %s)", one.evidence, created, one.checkpoint_id)
        self._intents.keep_checkpoint(state)

    # --- once there is one ------------------------------------------------------------------------------------------------

    def _follow(self, checkpoint_id: str) -> Pause | CheckpointResult:
        state, spec = self.state, self._spec
        finding = self._look(lambda: self._inspect(checkpoint_id, state.known_at), CheckpointStep.LOOK)
        if isinstance(finding, Pause):
            return finding
        self._tell(checkpoint_id, finding)
        if finding.condition is not Condition.BEING_MADE or not spec.wait_for_completion:
            return self._conclude(checkpoint_id, finding)
        if self._clock.local >= state.deadline:
            raise self._timed_out()
        age = self._clock.local - state.known_at
        gap = min(max(spec.poll_interval, age * _SHARE_OF_AGE), spec.max_poll_interval)
        return self._pause(
            f"the checkpoint of vault {state.vault_name or spec.vault_id} is {finding.line} (checkpoint {checkpoint_id})", gap
        )

    def _inspect(self, checkpoint_id: str, known_at: float) -> CheckpointFinding:
        checkpoint = show(self._client, checkpoint_id)
        self._note_name(checkpoint)
        backups = [] if checkpoint is None else list(self._client.list_backups(checkpoint_id=checkpoint_id))
        self._clock.hear(self._client.server_time)
        created = checkpoint.created if checkpoint is not None else None
        # It is at least as old as this task has known it, whatever its row says.
        age = max(self._clock.local - known_at, self._clock.age(created.timestamp()) if created is not None else 0.0)
        return judge(checkpoint, backups, self._spec, self.state, age)

    def _conclude(self, checkpoint_id: str, finding: CheckpointFinding) -> CheckpointResult:
        with self._at(CheckpointStep.CONCLUDE):
            for one in finding.skipped:
                self._log.warning("Not backed up: %s", describe(one))
            vault = self.state.vault_name or self._spec.vault_id
            if error := failure(checkpoint_id, finding, self._spec, vault):
                raise error
            return CheckpointResult(checkpoint_id, summarise(finding, self._spec, self.state), vault)

    # --- looking, publishing, pausing --------------------------------------------------------------------------------------

    def _tell(self, checkpoint_id: str, finding: CheckpointFinding) -> None:
        """Publish, unless the same was published before."""
        self._publisher.tell(checkpoint_id, summarise(finding, self._spec, self.state))

    def _note_name(self, checkpoint: Checkpoint | None) -> None:
        """Note the vault's name, which a checkpoint tells; the task need not be allowed to read the vault."""
        if checkpoint is not None and checkpoint.vault is not None and checkpoint.vault.name:
            self.state.vault_name = one_line(checkpoint.vault.name, LONGEST_NAME)

    def _vault(self) -> str:
        name, vault_id = self.state.vault_name, self._spec.vault_id
        return f"{name} ({vault_id})" if name else vault_id

    def _timed_out(self) -> CbrCheckpointTimeoutError:
        spec, checkpoint_id = self._spec, self.state.checkpoint_id
        state = "no checkpoint was accepted" if checkpoint_id is None else f"checkpoint {checkpoint_id} continues in CBR"
        return CbrCheckpointTimeoutError(
            f"The timeout of {spec.timeout:g} s for the checkpoint of vault {self._vault()} has passed; {state}.",
            checkpoint_id=checkpoint_id,
            advice="Clear the task to keep waiting; it does not start a second checkpoint while this one is being made.",
        )

    @property
    def _what(self) -> str:
        resource_ids = self._spec.resource_ids
        return "all resources" if resource_ids is None else counted(len(resource_ids), "resource")

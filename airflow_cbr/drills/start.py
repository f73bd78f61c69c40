"""Intent, POST once, adopt: how a drill gets one image and one server, and never two of either.

A :class:`Start` is a :class:`~airflow_cbr.once.machine.Machine`: a process may die between any two steps.

The rules, in the order in which they are tried:

1. A server that carries the drill's mark is the drill's, whichever attempt started it; so is an image.
2. Nothing is sent while a call of unknown outcome may still take effect (``settle_time``), nor while a job makes the image.
3. What was seen once and is not listed is not made again: it is waited for, and then the drill fails.
4. The intent is written down and published before each call, and the call is not repeated before a look has shown that it had no effect.
5. The replica is picked when there is no image, and never again: the image says what it was made of.
6. The server has no public address, and an ``auto_terminate_time`` in any case.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.drills.belongings import Belongings
from airflow_cbr.drills.intents import DrillIntents
from airflow_cbr.drills.pick import Restorable
from airflow_cbr.drills.steps import DrillStep, Restored
from airflow_cbr.exceptions import (
    CbrApiError,
    CbrDrillFailedError,
    CbrDrillTimeoutError,
    CbrError,
    CbrOutcomeUnknownError,
    CbrTransportError,
)
from airflow_cbr.once.ceiling import CallCeiling
from airflow_cbr.once.clock import moment
from airflow_cbr.once.machine import Machine
from airflow_cbr.once.publisher import Publisher
from airflow_cbr.once.steps import Pause

if TYPE_CHECKING:
    from airflow_cbr.api.calls.servers import NewServer
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.machine_models import Image, Server
    from airflow_cbr.drills.spec import DrillSpec
    from airflow_cbr.drills.state import DrillState
    from airflow_cbr.once.attempt import Attempt
    from airflow_cbr.once.intents import IntentStore

__all__ = ["Start"]

logger = logging.getLogger(__name__)

Observer = Callable[[DrillStep, str], None]
_AT_MOST: Final = 2
"""What a drill makes: an image and a server; for the ceiling of its calls."""
_MINUTE: Final = timedelta(minutes=1)
_ADVICE: Final = "CbrEndRestoreDrillOperator deletes what there is. For another drill, clear both tasks, or trigger a new Dag run."


class Start(Machine[Restored]):
    """One attempt at the start of a drill.

    :param client: a client of the destination region and project.
    :param spec: what is asked.
    :param pick: verifies the replicas and returns the one that is meant; called only when no image is there yet.
    :param attempt: which attempt this is.
    :param intents: where the intent outlives this process, or None where there is no such place.
    :param publish: called with the state before each call, and when something has become known.
    :param state: what an earlier leg of the same attempt knew. Default: nothing.
    :param observe: called with each step and ``before`` or ``after``; tests kill the process there.
    :param now: the local clock, Unix time.
    :param log: takes the lines.
    """

    def __init__(
        self,
        client: CbrClient,
        spec: DrillSpec,
        *,
        pick: Callable[[], Restorable],
        attempt: Attempt,
        intents: IntentStore | None,
        publish: Callable[[DrillState], None],
        state: DrillState | None = None,
        observe: Observer = lambda step, moment: None,
        now: Callable[[], float] = time.time,
        log: Any = logger,
    ) -> None:
        super().__init__(client, spec, observe=observe, now=now, log=log)
        self._spec = spec
        self._pick = pick
        self._publisher = Publisher(lambda *_: publish(self.state), DrillStep.PUBLISH, at=self._at)
        self._intents = DrillIntents(intents, spec, attempt, clock=self._clock, at=self._at)
        self.state: DrillState = self._intents.recall(state)
        self._ceiling = CallCeiling(self.state.calls, "image or server of the drill")

    def _has_begun(self) -> bool:
        return self.state.has_looked

    def _subject(self) -> str:
        return f"Drill {self._spec.mark}"

    def _step(self) -> Pause | Restored | None:
        state = self.state
        if not state.has_looked:
            self._intents.keep_deadline(state)
        found = self._look(lambda: Belongings.find(self._client.machines, self._spec.mark), DrillStep.LOOK)
        if isinstance(found, Pause):
            return found
        if not state.has_looked:
            self._intents.begin(state)
            state.has_looked = True
        if found.usable_images:
            self._see_image(found.usable_images[0])
        if found.servers:
            return self._follow_server(found.servers[0])
        if self._clock.local >= state.deadline:
            raise self._timed_out()
        if state.server_id is not None or self._clock.local < state.server_unsettled_until:
            return self._await_server()
        if found.usable_images:
            return self._use_image(found.usable_images[0])
        return self._want_image()

    # --- the image ------------------------------------------------------------------------------------------------------

    def _see_image(self, image: Image) -> None:
        state = self.state
        if not state.image_seen_at:
            self._log.info("The image of the drill is %s: %s (%s)", image.status, image.name, image.id)
            if state.replica is None and image.backup_id is not None:
                state.replica = Restorable(replica_id=image.backup_id, backup_id=image.backup_id)
            if image.created is not None:
                # An adopted image tells when the drill began, where nothing else does.
                state.begun_at = min(state.begun_at, self._clock.local - self._clock.age(image.created.timestamp()))
        state.image_id, state.image_seen_at, state.image_unsettled_until = image.id, self._clock.local, 0.0
        if image.status == "active" and not state.image_ready_at:
            state.image_ready_at = self._clock.local
        self._intents.keep(state)
        self._tell()

    def _use_image(self, image: Image) -> Pause | None:
        if image.status != "active":
            return self._pause(f"image {image.id} is {image.status}", self._spec.poll_interval)
        return self._create_server(image)

    def _want_image(self) -> Pause | None:
        state, spec = self.state, self._spec
        now = self._clock.local
        if state.image_seen_at and state.image_id is not None:
            if now - state.image_seen_at >= spec.settle_time:
                raise CbrDrillFailedError(
                    f"Image {state.image_id} of the drill is no longer listed; somebody has deleted it.", advice=_ADVICE
                )
            return self._pause(f"image {state.image_id} is not listed", spec.poll_interval)
        if state.image_job_id is not None:
            return self._follow_job(state.image_job_id)
        if now < state.image_unsettled_until:
            return self._pause("an earlier call for an image may still take effect", self._until(state.image_unsettled_until))
        return self._create_image()

    def _follow_job(self, job_id: str) -> Pause | None:
        """Wait for the job of an image that is not listed."""
        job = self._look(lambda: self._client.machines.show_image_job(job_id), DrillStep.LOOK_AT_JOB)
        if isinstance(job, Pause):
            return job
        if job.status == "FAIL":
            self.state.image_job_id, self.state.image_unsettled_until = None, 0.0
            self._intents.keep(self.state)
            raise CbrDrillFailedError(
                f"The image of {self._replica} failed: {job.fail_reason or 'the service does not say why'}.",
                error_code=job.error_code,
                advice="A retry makes another image. If it lasts, check the replica, and the job in the IMS console.",
                permanent=False,
            )
        if job.status == "SUCCESS" and self._clock.local >= self.state.image_unsettled_until:
            raise CbrDrillFailedError(f"The job of the image has ended, and image {job.image_id} is not listed.", advice=_ADVICE)
        return self._pause(f"the job of the image is {job.status}", self._spec.poll_interval)

    def _create_image(self) -> Pause | None:
        state, spec = self.state, self._spec
        if state.replica is None:
            picked = self._look(self._pick, DrillStep.PICK)
            if isinstance(picked, Pause):
                return picked
            state.replica = picked
        replica = state.replica
        self._ceiling.count([f"image {spec.mark}"], of=_AT_MOST)
        self._intents.intend_image(state)
        sent_at = self._clock.local
        state.image_unsettled_until = sent_at + spec.settle_time
        self._tell()
        self._log.info("About to make an image of %s: %s", replica.subject, spec.mark)
        try:
            with self._at(DrillStep.CREATE_IMAGE):
                state.image_job_id = self._ceiling.send(
                    [f"image {spec.mark}"],
                    lambda: self._client.machines.create_whole_image(
                        backup_id=replica.replica_id,
                        name=spec.mark.name,
                        description=f"Restore drill of replica {replica.replica_id}. Made and deleted by airflow-cbr.",
                        tags=spec.mark.tags,
                    ),
                )
        except CbrOutcomeUnknownError as error:
            state.image_unknown += 1
            self._lose(state.image_unknown, error)
            return None
        except CbrError as error:
            state.image_unsettled_until = 0.0
            return self._refused(error)
        self._intents.keep(state)
        self._tell()
        return Pause("the image was accepted", spec.poll_interval)

    # --- the server -----------------------------------------------------------------------------------------------------

    def _await_server(self) -> Pause:
        """Wait for a server that was accepted, or may have been, and is not listed."""
        state, spec = self.state, self._spec
        if state.server_id is None:
            return self._pause("an earlier call for a server may still take effect", self._until(state.server_unsettled_until))
        since = state.server_seen_at or state.server_unsettled_until - spec.settle_time
        if self._clock.local - since >= spec.settle_time:
            raise CbrDrillFailedError(
                f"Server {state.server_id} of the drill is not there: it was deleted, or never started.", advice=_ADVICE
            )
        return self._pause(f"server {state.server_id} is not listed", spec.poll_interval)

    def _create_server(self, image: Image) -> Pause | None:
        state, spec = self.state, self._spec
        latest = moment(self._clock.not_after(self._clock.local) + spec.terminate_after)
        # The service ignores the seconds, and takes half an hour at the least.
        terminate_at = (latest + _MINUTE).strftime("%Y-%m-%dT%H:%M:00Z")
        server = spec.placement.server(image.id, name=spec.mark.name, terminate_at=terminate_at, tags=spec.mark.tags)
        if not state.is_checked:
            checked = self._look(lambda: self._check(server), DrillStep.CHECK_SERVER)
            if isinstance(checked, Pause):
                return checked
            state.is_checked = True
        self._ceiling.count([f"server {spec.mark}"], of=_AT_MOST)
        state.terminate_at = terminate_at
        self._intents.intend_server(state)
        state.server_unsettled_until = self._clock.local + spec.settle_time
        self._tell()
        self._log.info("About to start a server, which the service deletes at %s: %s (image %s)", terminate_at, spec.mark, image.id)
        try:
            with self._at(DrillStep.CREATE_SERVER):
                state.server_id = self._ceiling.send([f"server {spec.mark}"], lambda: self._client.machines.create_server(server))
        except CbrOutcomeUnknownError as error:
            state.server_unknown += 1
            self._lose(state.server_unknown, error)
            return None
        except CbrError as error:
            state.server_unsettled_until = 0.0
            return self._refused(error)
        self._intents.keep(state)
        self._tell()
        return Pause("the server was accepted", spec.poll_interval)

    def _check(self, server: NewServer) -> None:
        """Let the service check the server before it is paid for."""
        try:
            self._client.machines.check_server(server)
        except CbrApiError as error:
            if not error.permanent:
                raise
            raise CbrDrillFailedError(
                f"The service refuses the drill's server in a dry run: {error.message}",
                error_code=error.error_code,
                request_id=error.request_id,
                http_status=error.http_status,
                advice=f"Check flavor, network, quotas and permissions. {_ADVICE}",
            ) from error

    def _follow_server(self, server: Server) -> Pause | Restored:
        state, spec = self.state, self._spec
        if not state.server_seen_at:
            self._log.info("The server of the drill is %s: %s (%s)", server.status, server.name, server.id)
        state.server_id, state.server_seen_at, state.server_unsettled_until = server.id, self._clock.local, 0.0
        state.image_id = state.image_id or server.image_id
        state.private_ip = server.private_ip or state.private_ip
        state.terminate_at = server.auto_terminate_time or state.terminate_at
        if server.status == "ACTIVE" and not state.server_ready_at:
            state.server_ready_at = self._clock.local
        self._intents.keep(state)
        self._tell()
        if server.task_state == "deleting":
            return self._pause(f"server {server.id} is being deleted", spec.poll_interval)
        if server.status == "ERROR":
            raise CbrDrillFailedError(f"Server {server.id} of {self._replica} did not start: {server.why_it_failed}.", advice=_ADVICE)
        if server.status == "ACTIVE" and state.image_id is not None:
            with self._at(DrillStep.CONCLUDE):
                return Restored(server.id, state.private_ip, state.image_id)
        if self._clock.local >= state.deadline:
            raise self._timed_out()
        return self._pause(f"server {server.id} is {server.status}", spec.poll_interval)

    # --- what both share ------------------------------------------------------------------------------------------------

    def _lose(self, times: int, error: CbrOutcomeUnknownError) -> None:
        error.advice = f"Look for {self._spec.mark} among the images and servers; CbrEndRestoreDrillOperator deletes what there is."
        self._note_unknown(times, error)

    def _refused(self, error: CbrError) -> Pause:
        """Return the pause after a call that had no effect, or raise its error where another one would meet the same."""
        self._intents.keep(self.state)
        self._tell()
        if error.permanent or not isinstance(error, CbrApiError | CbrTransportError):
            raise error
        self.state.refusals += 1
        return self._pause(str(error), self._backoff(self.state.refusals, error))

    def _until(self, when: float) -> float:
        return min(self._spec.poll_interval, max(when - self._clock.local, 1.0))

    def _tell(self) -> None:
        state = self.state
        self._publisher.tell(
            state.image_id, state.image_job_id, state.image_ready_at, state.server_id, state.server_ready_at, state.unsettled_until
        )

    @property
    def _replica(self) -> str:
        return self.state.replica.subject if self.state.replica is not None else "an unknown replica"

    def _ends_attempt(self, error: CbrError) -> bool:
        # Neither another look nor a retry of the look gives a replica, or a server that the service refuses.
        return isinstance(error, CbrDrillFailedError) or super()._ends_attempt(error)

    def _timed_out(self) -> CbrDrillTimeoutError:
        state = self.state
        if state.server_id is not None:
            where = f"server {state.server_id} is not active"
        elif state.image_id is not None:
            where = f"image {state.image_id} is there, and no server"
        else:
            where = "no image is there"
        return CbrDrillTimeoutError(
            f"The timeout of {self._spec.timeout:g} s for the start of drill {self._spec.mark} has passed; {where}.", advice=_ADVICE
        )

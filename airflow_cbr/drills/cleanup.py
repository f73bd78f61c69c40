"""Deleting what drills have made: their servers with all disks, then their images; never a replica, and nothing without the mark.

A :class:`Cleanup` is a :class:`~airflow_cbr.once.machine.Machine`: a process may die between any two steps. To delete something twice does
no harm, so nothing is written down but the deadline.

The rules:

1. What is deleted carries the mark, as the service shows it at that moment.
2. Servers go first, with their disks; an image follows when no server is left.
3. An image that is still being made is waited for: deleting it may have no effect.
4. Nothing is left only when a look shows nothing, and no call of unknown outcome may still make something.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.drills.belongings import Belongings, show_owned_images, show_owned_server
from airflow_cbr.drills.state import CleanupState
from airflow_cbr.drills.steps import CleanupStep, Removed
from airflow_cbr.exceptions import CbrDrillCleanupError, CbrError, CbrNotFoundError
from airflow_cbr.once.intents import Intent, IntentLog
from airflow_cbr.once.machine import Machine
from airflow_cbr.once.steps import Pause

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.machine_models import Image, Server
    from airflow_cbr.drills.spec import CleanupSpec
    from airflow_cbr.once.attempt import Attempt
    from airflow_cbr.once.intents import IntentStore

__all__ = ["Cleanup", "CleanupIntent"]

logger = logging.getLogger(__name__)

Observer = Callable[[CleanupStep, str], None]
_ASK_AGAIN_AFTER: Final = 300.0
"""Seconds after which the deletion of what is still there is asked for again."""
_UNFINISHED: Final = frozenset({"queued", "saving"})


class CleanupIntent(Intent, frozen=True, kw_only=True):
    """What the end of a drill writes down.

    :param owner: whose things.
    :param begun_at: when its first attempt since the last clear began.
    """

    owner: str
    begun_at: float = 0.0


class Cleanup(Machine[Removed]):
    """One attempt at removing what drills have made.

    :param client: a client of the drills' region and project.
    :param spec: what is to be removed.
    :param attempt: which attempt this is.
    :param intents: where the deadline outlives this process, or None where there is no such place.
    :param state: what an earlier leg of the same attempt knew. Default: nothing.
    :param observe: called with each step and ``before`` or ``after``; tests kill the process there.
    :param now: the local clock, Unix time.
    :param log: takes the lines.
    """

    def __init__(
        self,
        client: CbrClient,
        spec: CleanupSpec,
        *,
        attempt: Attempt,
        intents: IntentStore | None,
        state: CleanupState | None = None,
        observe: Observer = lambda step, moment: None,
        now: Callable[[], float] = time.time,
        log: Any = logger,
    ) -> None:
        super().__init__(client, spec, observe=observe, now=now, log=log)
        self._spec = spec
        found = CleanupIntent.read(intents.load()) if intents is not None else None
        if found is not None and found.owner != str(spec.owner):
            found = None
        self._intents: IntentLog[CleanupIntent] = IntentLog(intents, found, attempt, clock=self._clock, at=self._at)
        if state is None:
            now_local = self._clock.local
            state = CleanupState(deadline=now_local + spec.timeout, begun_at=now_local)
            self._intents.resume(state)
            if found is not None and self._intents.has_deadline:
                state.begun_at = min(found.begun_at or now_local, now_local)
        self.state: CleanupState = state
        self._left = Belongings([], [])

    def _has_begun(self) -> bool:
        return self.state.has_looked

    def _subject(self) -> str:
        return f"What is left of {self._spec.owner}"

    def _step(self) -> Pause | Removed:
        state, spec = self.state, self._spec
        if not state.has_looked and not self._intents.has_deadline:
            intent = CleanupIntent(owner=str(spec.owner), begun_at=state.begun_at)
            self._intents.save(intent, state, CleanupStep.RECORD_INTENT)
        left = self._look(self._find, CleanupStep.LOOK)
        if isinstance(left, Pause):
            return left
        state.has_looked = True
        state.saw_server = state.saw_server or bool(left.servers)
        self._left = left
        self._note_what_is_gone(left)
        if not left:
            if self._clock.local >= spec.unsettled_until:
                with self._at(CleanupStep.CONCLUDE):
                    return Removed(tuple(state.servers), tuple(state.images))
            waiting = "a call of the drill may still take effect"
        elif left.servers:
            if isinstance(pause := self._remove_servers(left.servers), Pause):
                return pause
            waiting = f"{left.lines[0]}, is being deleted"
        else:
            if isinstance(pause := self._remove_images(left.images), Pause):
                return pause
            waiting = f"{left.lines[0]}, is being made or deleted"
        if self._clock.local >= state.deadline:
            raise self._timed_out()
        return self._pause(waiting, spec.poll_interval)

    def _find(self) -> Belongings:
        machines, spec = self._client.machines, self._spec
        found = Belongings.find(machines, spec.owner)
        if spec.before is not None:
            return found.made_before(spec.before)
        # A list may lag behind; who is known by id is asked for by id.
        if not found.servers and spec.server_id is not None:
            server = show_owned_server(machines, spec.owner, spec.server_id)
            found.servers.extend([] if server is None else [server])
        if not found.images and spec.image_id is not None:
            found.images.extend(show_owned_images(machines, spec.owner, spec.image_id))
        return found

    def _note_what_is_gone(self, left: Belongings) -> None:
        here = {one.id for one in left.servers} | {one.id for one in left.images}
        for gone in [one for one in self.state.asked if one not in here]:
            self._log.info("Gone: %s", gone)
            del self.state.asked[gone]

    def _remove_servers(self, servers: list[Server]) -> Pause | None:
        machines, owner = self._client.machines, self._spec.owner
        for listed in servers:
            if not self._is_due(listed.id):
                continue

            def read(server_id: str = listed.id) -> list[Server]:
                shown = show_owned_server(machines, owner, server_id)
                return [] if shown is None else [shown]

            shown = self._look(read, CleanupStep.LOOK_AT_SERVER)
            if isinstance(shown, Pause):
                return shown
            if not shown:
                continue
            self._log.info("Deleting a server with its disks: %s (%s)", listed.name, listed.id)
            pause = self._delete(lambda server_id=listed.id: machines.delete_server(server_id), CleanupStep.DELETE_SERVER)  # type: ignore[misc]
            if pause is not None:
                return pause
            self._note(listed.id, self.state.servers)
        return None

    def _remove_images(self, images: list[Image]) -> Pause | None:
        for image in images:
            if image.status in _UNFINISHED or not self._is_due(image.id):
                continue
            self._log.info("Deleting an image; the replica that it was made of stays: %s (%s)", image.name, image.id)
            pause = self._delete(
                lambda image_id=image.id: self._client.machines.delete_image(image_id),  # type: ignore[misc]
                CleanupStep.DELETE_IMAGE,
            )
            if pause is not None:
                return pause
            self._note(image.id, self.state.images)
        return None

    def _delete(self, call: Callable[[], None], step: CleanupStep) -> Pause | None:
        def send() -> bool:
            try:
                call()
            except CbrNotFoundError:
                return False
            return True

        sent = self._look(send, step)
        return sent if isinstance(sent, Pause) else None

    def _is_due(self, thing_id: str) -> bool:
        asked = self.state.asked.get(thing_id)
        return asked is None or self._clock.local - asked >= _ASK_AGAIN_AFTER

    def _note(self, thing_id: str, removed: list[str]) -> None:
        self.state.asked[thing_id] = self._clock.local
        if thing_id not in removed:
            removed.append(thing_id)

    def _timed_out(self) -> CbrError:
        lines = self._left.lines
        return CbrDrillCleanupError(
            f"The timeout of {self._spec.timeout:g} s for the end of {self._spec.owner} has passed, and something is left that is billed."
            if lines
            else f"The timeout of {self._spec.timeout:g} s for the end of {self._spec.owner} has passed, and whether a lost call has made "
            "something is not known.",
            problems=lines,
            advice="Clear the task to try again, or run CbrSweepRestoreDrillsOperator. A server ends by itself, an image does not.",
        )

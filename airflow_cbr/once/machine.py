"""The machine: look, decide, send once, adopt, and pause, so that a process may die between any two steps.

It knows nothing of what is sent. A consumer defines what it looks at and what follows from it. What a failing look leads to, how two clocks
and a deadline are read, and when a call of unknown outcome is given up, is decided here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from airflow_cbr.api.stopping import refuse_if_stopped
from airflow_cbr.exceptions import CbrError, CbrStoppedError
from airflow_cbr.once.backoff import backoff
from airflow_cbr.once.clock import ServiceClock
from airflow_cbr.once.steps import Pause

if TYPE_CHECKING:
    from enum import StrEnum

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.exceptions import CbrOutcomeUnknownError
    from airflow_cbr.once.state import AttemptState

__all__ = ["TROUBLES_LIMIT", "UNKNOWN_OUTCOMES_LIMIT", "Limits", "Machine"]

UNKNOWN_OUTCOMES_LIMIT: Final = 3
"""Calls for the same thing whose outcome is not known before an attempt gives up."""

TROUBLES_LIMIT: Final = 3
"""Looks in a row that meet a permanent error before the attempt fails with it."""

Outcome = TypeVar("Outcome")
Found = TypeVar("Found")


class Limits(Protocol):
    """What a machine reads of its specification. Times are seconds."""

    @property
    def vault_id(self) -> str:
        """Return the vault that it looks at."""

    @property
    def poll_interval(self) -> float:
        """Return the shortest gap between two looks."""

    @property
    def max_poll_interval(self) -> float:
        """Return the longest gap between two looks."""


class Machine(Generic[Outcome]):
    """One attempt.

    A consumer sets :attr:`state` in its constructor, and decides in :meth:`_step` what follows from what it sees.

    :param client: a client of the vault's region and project.
    :param limits: the specification, as far as the machine reads it.
    :param observe: called with each step and ``before`` or ``after``; tests kill the process there.
    :param now: this machine's clock, Unix time.
    :param log: takes the lines.
    """

    state: AttemptState

    def __init__(
        self,
        client: CbrClient,
        limits: Limits,
        *,
        observe: Callable[[Any, str], None],
        now: Callable[[], float] = time.time,
        log: Any,
    ) -> None:
        self._client = client
        self._limits = limits
        self._clock = ServiceClock(now)
        self._observe = observe
        self._log = log
        self._reported: Any = None

    def advance(self) -> Pause | Outcome:
        """Do everything that can be done now.

        :return: a pause (sleep or defer, then call this again) or the result.
        :raises CbrStoppedError: the task was stopped.
        :raises CbrError: a permanent one when running the task again would not help.
        """
        while True:
            refuse_if_stopped("nothing more was sent.")
            step = self._step()
            if step is not None:
                return step

    # --- what a consumer defines -------------------------------------------------------------------------------------------

    def _step(self) -> Pause | Outcome | None:
        """Take the next step; None asks for another one at once."""
        raise NotImplementedError

    def _has_begun(self) -> bool:
        """Return whether this attempt has looked at the service; before that, a failing look fails the attempt."""
        raise NotImplementedError

    def _timed_out(self) -> CbrError:
        """Return the error of a task whose deadline has passed."""
        raise NotImplementedError

    def _ends_attempt(self, error: CbrError) -> bool:
        """Return whether a failing look ends the attempt; a wait that has begun outlasts an outage of the service.

        :param error: why it failed; it is counted already.
        """
        return not self._has_begun() or (error.permanent and self.state.troubles >= TROUBLES_LIMIT)

    def _followed(self) -> tuple[str, ...]:
        """Return the ids of the replication records that a pause waits for. Default: none."""
        return ()

    def _subject(self) -> str:
        """Return what it looks at, for the log. Default: the vault."""
        return f"Vault {self._vault()}"

    def _vault(self) -> str:
        """Return how a message names the vault. Default: by its id."""
        return self._limits.vault_id

    # --- looking --------------------------------------------------------------------------------------------------------

    def _look(self, read: Callable[[], Found], step: StrEnum) -> Found | Pause:
        """Read something, or return the pause after which it is read again.

        :param read: asks the service.
        :param step: how the step is marked.
        """
        try:
            with self._at(step):
                found = read()
        except CbrError as error:
            return self._endure(error)
        self.state.troubles = 0
        self._clock.hear(self._client.server_time)
        return found

    def _endure(self, error: CbrError) -> Pause:
        """Return the pause after a look that failed, or raise its error where that ends the attempt."""
        if isinstance(error, CbrStoppedError):
            raise error
        state = self.state
        state.troubles += 1
        if self._ends_attempt(error):
            raise error
        if self._clock.local >= state.deadline:
            raise self._timed_out() from error
        self._log.warning("%s could not be read; trying again: %s", self._subject(), error)
        return Pause(str(error), self._backoff(state.troubles, error), self._followed())

    # --- sending --------------------------------------------------------------------------------------------------------

    def _note_unknown(self, times: int, error: CbrOutcomeUnknownError, *, may_look: bool = True) -> None:
        """Continue after a call whose outcome is not known, or end the attempt.

        :param times: such calls for the same thing, this one included.
        :param error: what is known of it.
        :param may_look: whether a look can show its outcome. Default: True.
        """
        self._log.warning(
            "Whether the service accepted the call is not known; the task checks that before it sends anything again: %s", error
        )
        if times >= UNKNOWN_OUTCOMES_LIMIT or not may_look:
            error.permanent = False
            raise error

    # --- pausing --------------------------------------------------------------------------------------------------------

    def _pause(self, reason: str, seconds: float) -> Pause:
        self._report(reason, f"Waiting: {reason}")
        return Pause(reason, seconds)

    def _report(self, key: Any, line: str) -> None:
        """Log a line, unless the last one said the same.

        :param key: what must differ for the line to be logged.
        :param line: the line.
        """
        if self._reported != key:
            self._log.info("%s", line)
            self._reported = key

    def _backoff(self, times: int, error: CbrError) -> float:
        limits = self._limits
        return backoff(times, shortest=limits.poll_interval, longest=limits.max_poll_interval, asked=error.retry_after)

    @contextmanager
    def _at(self, step: StrEnum) -> Iterator[None]:
        self._observe(step, "before")
        yield
        self._observe(step, "after")

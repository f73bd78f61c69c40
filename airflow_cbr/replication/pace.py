"""What all watches of an account or of a login have to heed: how fast they may ask, and whether their credentials are good at all."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

    from airflow_cbr.exceptions import CbrAuthenticationError, CbrThrottledError

__all__ = ["Login", "Pace"]

REFUSED_FOR: Final = 120.0
"""Seconds that refused credentials are not tried again. More than five wrong passwords or signatures in a row lock a user or a key."""


class Pace:
    """How fast an account may be asked: after a 429, everybody on it waits.

    :param shortest: first back-off in seconds; it doubles with each round of refusals.
    :param longest: longest back-off of our own, in seconds. The service may ask for more.
    """

    def __init__(self, shortest: float = 30.0, longest: float = 600.0) -> None:
        self._shortest = shortest
        self._longest = longest
        self._delay = 0.0
        self._until = 0.0
        self._raised_at = 0.0

    def throttled(self, error: CbrThrottledError, *, asked_at: float, now: float) -> None:
        """Back off, further than in the last round, or for as long as the service says.

        :param error: the refusal.
        :param asked_at: when the look began; looks that were on their way together are one round.
        :param now: the loop's clock.
        """
        if self._delay == 0.0 or asked_at >= self._raised_at:
            self._delay = min(max(self._delay * 2, self._shortest), self._longest)
            self._raised_at = now
        self._until = max(self._until, now + max(self._delay, error.retry_after or 0.0))

    def answered(self, *, asked_at: float) -> None:
        """Forget the back-off, unless the look that was answered began before it."""
        if asked_at >= self._raised_at:
            self._delay = self._until = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds that everybody on the account has to wait."""
        return max(self._until - now, 0.0)


class Login:
    """Whether the service takes one user's credentials: what it has refused, no watch tries again for a while.

    The threads that look read and write it. A password may be refused for one project alone, so a refusal that persists is told only
    where one was met.
    """

    ATTEMPTS: Final = 3
    ROUNDS: Final = 2
    """A refusal persists after so many attempts, at so many moments."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._error: CbrAuthenticationError | None = None
        self._held_until = self._refused_at = float("-inf")
        self._attempts: dict[Hashable, int] = {}
        self._rounds = 0

    def check(self, now: float) -> None:
        """Return if the credentials may be tried; after a refusal one look may, and the others wait for what it is told.

        :param now: the loop's clock.
        :raises CbrAuthenticationError: they were refused a short while ago, in these words.
        """
        with self._lock:
            if self._error is None:
                return
            if now < self._held_until:
                raise copy.copy(self._error)
            self._held_until = now + REFUSED_FOR

    def refused(self, error: CbrAuthenticationError, *, project: Hashable, asked_at: float, now: float) -> None:
        """Keep a refusal.

        :param error: the refusal.
        :param project: the project that was asked about.
        :param asked_at: when the look began; looks that were on their way together are one moment.
        :param now: the loop's clock.
        """
        with self._lock:
            if asked_at >= self._refused_at:
                self._rounds += 1
                self._refused_at = now
            self._attempts[project] = self._attempts.get(project, 0) + 1
            self._error, self._held_until = error, now + REFUSED_FOR

    def accepted(self, *, project: Hashable, asked_at: float) -> None:
        """Forget the refusals of a project; all others may try again.

        :param project: the project that was asked about.
        :param asked_at: when the look began; one that began before the refusal says nothing.
        """
        with self._lock:
            if asked_at >= self._refused_at:
                self._attempts.pop(project, None)
                self._error = None
                self._rounds = self._rounds if self._attempts else 0

    def persists(self, project: Hashable) -> bool:
        """Return whether the refusal is one that persists, for those who look at a project.

        :param project: the project.
        """
        with self._lock:
            return project in self._attempts and sum(self._attempts.values()) >= self.ATTEMPTS and self._rounds >= self.ROUNDS

"""How fast all watches of an account may poll."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from airflow_cbr.exceptions import CbrThrottledError

__all__ = ["LONGEST_HOLD", "AccountThrottle"]

LONGEST_HOLD: Final = 1800.0
"""Most seconds for which the watches of an account wait, however long the service asks to wait."""


class AccountThrottle:
    """How fast an account may be polled: after a 429, all its watches wait.

    :param shortest: first back-off in seconds; it doubles with each round of refusals.
    :param longest: longest back-off that the package chooses, in seconds. The service may ask for more, up to :data:`LONGEST_HOLD`.
    """

    def __init__(self, shortest: float = 30.0, longest: float = 600.0) -> None:
        self._shortest = shortest
        self._longest = longest
        self._delay = 0.0
        self._until = 0.0
        self._raised_at = 0.0

    def throttled(self, error: CbrThrottledError, *, asked_at: float, now: float) -> None:
        """Back off, further than in the last round, or for as long as the service says, within :data:`LONGEST_HOLD`.

        :param error: the refusal.
        :param asked_at: when the look began; looks that were on their way together are one round.
        :param now: the loop's clock.
        """
        if self._delay == 0.0 or asked_at >= self._raised_at:
            self._delay = min(max(self._delay * 2, self._shortest), self._longest)
            self._raised_at = now
        asked = error.retry_after or 0.0
        self._until = max(self._until, now + min(max(self._delay, 0.0 if math.isnan(asked) else asked), LONGEST_HOLD))

    def answered(self, *, asked_at: float) -> None:
        """Forget the back-off, unless the look that was answered began before it."""
        if asked_at >= self._raised_at:
            self._delay = self._until = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds that all watches of the account have to wait."""
        # A sum of times, less one of them, may be a little more than the other.
        return min(max(self._until - now, 0.0), LONGEST_HOLD)

"""Which copies have ended since the last time: a cursor over the records of a vault, small enough to be kept.

Records have a time of creation and none of their end, and they end in any order. So the cursor remembers by id which copies have not been
told yet, however old they are, and which of the newest have: a record may be listed a little late, but not later than :data:`WINDOW`.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_cbr.waiting.copies import Copy

__all__ = ["WINDOW", "EndedCopies"]

WINDOW: Final = 6 * 3600.0
"""Seconds after its creation within which a record must have been listed to be noticed."""

FORGET: Final = 86400.0
"""Seconds after which a copy that has not ended and is no longer listed is forgotten."""

_VERSION: Final = 1


class EndedCopies:
    """What is known of the copies out of a vault; the first look only takes note, so that nothing of the past is told.

    :param since: Unix time; a copy that began earlier, and is not open, has been told. Default: nothing is known yet.
    :param told: copies that have been told, each with the time from which on ``since`` covers it.
    :param open: copies that have not been told, each with the time at which it was last listed.
    """

    def __init__(
        self, since: float | None = None, told: Mapping[str, float] | None = None, open: Mapping[str, float] | None = None
    ) -> None:
        self._since = since
        self._told = dict(told or {})
        self._open = dict(open or {})
        self.running = 0
        """Copies of the last look that have not ended."""
        self.has_changed = False
        """Whether there is something new to be kept; whoever keeps it sets it back."""

    @classmethod
    def load(cls, dumped: Any) -> Self:
        """Return the cursor that was kept.

        :param dumped: what :meth:`dump` returned.
        :raises ValueError: when it is something else.
        """
        try:
            if dumped["version"] != _VERSION:
                raise ValueError("It is of another version.")
            since, told, still_open = _number(dumped["since"]), _times(dumped["told"]), _times(dumped["open"])
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError("It is no cursor.") from error
        return cls(since, told, still_open)

    def dump(self) -> dict[str, Any]:
        """Return what is to be kept, as plain JSON."""
        return {"version": _VERSION, "since": self._since, "told": self._told, "open": self._open}

    def look(self, copies: Iterable[Copy], now: float) -> list[Copy]:
        """Return the copies that have ended and have not been told; the same ones again until :meth:`tell`.

        :param copies: every copy that is listed.
        :param now: Unix time, at most the service's and at most this machine's: no wrong clock may put the cursor past what is to come.
        """
        is_first, since = self._since is None, now - WINDOW if self._since is None else self._since
        ended: list[Copy] = []
        self.running = 0
        for copy in copies:
            key = _key_of(copy)
            if key in self._told:
                self._told[key] = _covered_from(copy, now)
                continue
            if key not in self._open:
                if copy.has_ended and is_first:
                    self._told[key] = _covered_from(copy, now)
                    continue
                if copy.has_ended and copy.began is not None and copy.began <= since:
                    continue
                self.has_changed = True
            self._open[key] = now
            if copy.has_ended:
                ended.append(copy)
            else:
                self.running += 1
        self._move_on(max(since, now - WINDOW), now)
        self.has_changed = self.has_changed or is_first
        return ended

    def tell(self, copies: Iterable[Copy], now: float) -> None:
        """Note that copies have been told.

        :param copies: those that :meth:`look` returned.
        :param now: as of the look.
        """
        for copy in copies:
            key = _key_of(copy)
            self._open.pop(key, None)
            self._told[key] = _covered_from(copy, now)
            self.has_changed = True

    def _move_on(self, since: float, now: float) -> None:
        self._since = since
        self._told = {key: time for key, time in self._told.items() if time > since}
        self._open = {key: time for key, time in self._open.items() if time > now - FORGET}


def _key_of(copy: Copy) -> str:
    """Return a short name for a record: a thousand of them must fit into a value of Airflow's store."""
    return blake2b(copy.id.lower().encode(), digest_size=8).hexdigest()


def _covered_from(copy: Copy, now: float) -> float:
    """Return the time that ``since`` must reach to cover a copy; without a time, or with one to come, it is put off while it is listed."""
    return now if copy.began is None or copy.began > now else copy.began


def _times(value: Any) -> dict[str, float]:
    return {str(key): _number(time) for key, time in value.items()}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"A time is no number: it is a {type(value).__name__}.")
    return float(value)

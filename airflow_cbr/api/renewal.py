"""Keys that end: kept for the life of the process, and renewed before they end, by one thread for everybody.

A key has a margin at its end (:func:`margin`). Within it one thread asks for a new key, while the others go on with the old one. If that
fails, the old key is used for as long as it is good, and asking goes on with growing pauses: nobody notices. If it fails until after the
old key's end, what follows is told as something that passes, for :data:`RENEWAL_BUDGET` seconds; then as what it is.
"""

from __future__ import annotations

import copy
import logging
import os
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.deadline import within
from airflow_cbr.exceptions import CbrConnectionError, CbrError

if TYPE_CHECKING:
    from airflow_cbr.api.credentials import AkSkCredentials

__all__ = ["IssuedKey", "KeyCache", "margin"]

log = logging.getLogger(__name__)

LONGEST_MARGIN: Final = 600.0
MARGIN_SHARE: Final = 0.1
RENEWAL_PATIENCE: Final = 20.0
"""Seconds that a renewal may keep the one who makes it, as long as the old key is good."""
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 60.0
"""Seconds between two tries of a renewal, while the old key is good."""
RENEWAL_BUDGET: Final = 900.0
"""Seconds after a key's end within which a renewal that fails is taken for something that passes."""
REFUSED_AGAIN: Final = 60.0
"""Seconds within which a key that took the place of a refused one, and is refused too, is not replaced again."""


def margin(lifetime: float) -> float:
    """Return how many seconds before its end a token or key is renewed: a tenth of its life, at most ten minutes.

    :param lifetime: seconds from its issue to its end.
    """
    return min(LONGEST_MARGIN, lifetime * MARGIN_SHARE)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key, and how long it lasts.

    :param credentials: the key.
    :param ends_at: reading of the monotonic clock at which it ends; None: not known, it is used until it is refused. Default: None.
    :param renew_at: reading at which its margin begins. Default: None.
    """

    credentials: AkSkCredentials
    ends_at: float | None = None
    renew_at: float | None = None

    @classmethod
    def lasting(cls, credentials: AkSkCredentials, seconds: float, *, asked_at: float) -> IssuedKey:
        """Return a key that lasts a while.

        :param credentials: the key.
        :param seconds: how long from when it was asked for.
        :param asked_at: reading of the monotonic clock then.
        """
        return cls(credentials, asked_at + seconds, asked_at + seconds - margin(seconds))

    def is_fresh(self) -> bool:
        """Return whether its margin has not begun."""
        return self.renew_at is None or time.monotonic() < self.renew_at

    def is_good(self) -> bool:
        """Return whether it has not ended."""
        return self.ends_at is None or time.monotonic() < self.ends_at


@dataclass(slots=True)
class _Place:
    """Where the key of one asker is kept, and what is known of its renewal."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    key: IssuedKey | None = None
    failures: int = 0
    error: CbrError | None = None
    try_at: float = 0.0
    pause: float = FIRST_PAUSE
    replaced_at: float = float("-inf")


class KeyCache:
    """Keys by asker, shared by all threads of the process."""

    def __init__(self) -> None:
        self._places: dict[Hashable, _Place] = {}
        self._guard = threading.Lock()
        # A child that was forked while another thread held a lock would wait for it for ever.
        os.register_at_fork(after_in_child=self._reset_locks)

    def get(self, asker: Hashable, issue: Callable[[], IssuedKey], *, who: str) -> IssuedKey:
        """Return a key that is good.

        :param asker: tells what the key depends on; all who ask alike share it.
        :param issue: asks for a new key.
        :param who: the asker, as a message names it.
        :raises CbrError: there is no key that is good, and none can be had; also for those who waited for the same answer.
        """
        place = self._place(asker)
        key = place.key
        if key is not None and key.is_fresh():
            return key
        if key is not None and key.is_good():
            return self._renewed(place, key, issue, who)
        failures = place.failures
        with place.lock:
            key = place.key
            if key is not None and key.is_good():
                return key
            if place.error is not None and place.failures != failures:
                raise copy.copy(place.error)
            return self._issue(place, issue, who)

    def replace(self, asker: Hashable, refused: IssuedKey, issue: Callable[[], IssuedKey], *, who: str) -> IssuedKey | None:
        """Return another key than one that was refused before its end, or None when the one before it was refused a moment ago too.

        :param asker: tells what the key depends on.
        :param refused: the refused key.
        :param issue: asks for a new key.
        :param who: the asker, as a message names it.
        :raises CbrError: none can be had.
        """
        place = self._place(asker)
        with place.lock:
            key = place.key
            if key is not None and key.credentials != refused.credentials and key.is_good():
                return key
            now = time.monotonic()
            if now < place.replaced_at + REFUSED_AGAIN:
                return None
            # To everybody it has ended, whatever was said when it was issued.
            place.key = IssuedKey(refused.credentials, now, now)
            new = self._issue(place, issue, who)
            place.replaced_at = time.monotonic()
            return new if new.credentials != refused.credentials else None

    def clear(self) -> None:
        """Forget all keys."""
        self._places.clear()

    # --- one at a time ------------------------------------------------------------------------------------------------

    def _renewed(self, place: _Place, old: IssuedKey, issue: Callable[[], IssuedKey], who: str) -> IssuedKey:
        """Return the new key, or the old one where somebody else is at it, or it cannot be had just now."""
        if time.monotonic() < place.try_at or not place.lock.acquire(blocking=False):
            return old
        try:
            if place.key is not old:
                return place.key or old
            try:
                with within(RENEWAL_PATIENCE):
                    new = issue()
            except CbrError as error:
                self._put_off(place)
                log.warning("The key of %s could not be renewed yet; the old one is used for as long as it is good. %s", who, error)
                return old
            if old.ends_at is not None and new.ends_at is not None and new.ends_at <= old.ends_at + 1.0:
                # It is the same one, or as good as that.
                self._put_off(place)
            else:
                place.try_at, place.pause = 0.0, FIRST_PAUSE
            place.key = new
            return new
        finally:
            place.lock.release()

    @staticmethod
    def _put_off(place: _Place) -> None:
        place.try_at = time.monotonic() + place.pause
        place.pause = min(2 * place.pause, LONGEST_PAUSE)

    @staticmethod
    def _issue(place: _Place, issue: Callable[[], IssuedKey], who: str) -> IssuedKey:
        try:
            new = issue()
        except CbrError as error:
            told = _passing(error, place.key, who)
            place.failures += 1
            place.error = told
            if told is error:
                raise
            raise told from error
        place.key, place.error = new, None
        place.try_at, place.pause = 0.0, FIRST_PAUSE
        return new

    def _place(self, asker: Hashable) -> _Place:
        place = self._places.get(asker)
        if place is None:
            with self._guard:
                place = self._places.setdefault(asker, _Place())
        return place

    def _reset_locks(self) -> None:
        self._guard = threading.Lock()
        for place in self._places.values():
            place.lock = threading.Lock()


def _passing(error: CbrError, old: IssuedKey | None, who: str) -> CbrError:
    """Return an error as something that passes, where a key was had before and its end is not long ago."""
    if old is None or (old.ends_at is not None and time.monotonic() >= old.ends_at + RENEWAL_BUDGET):
        return error
    return CbrConnectionError(
        f"The key of {who} could not be renewed, and the old one is not good any more. {error.message}",
        sent=False,
        advice=error.advice,
        error_code=error.error_code,
        request_id=error.request_id,
        http_status=error.http_status,
    )

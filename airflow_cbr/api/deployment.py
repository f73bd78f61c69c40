"""The same brake for hosts that share no file: one of them tries a login, the others wait for what comes of it.

What they share is a store of texts that can only be read and written, such as Airflow's Variables, without any lock. So a turn is taken as
Fischer's algorithm does: who finds nobody's name writes its own, waits for longer than anybody who saw the same may take to write, and
goes on if its own name is still there. That is done only where nothing is known of a secret. One that was seen to work is used by all for
:data:`PROVEN_FOR` seconds, and one that was refused by nobody.

Of a secret the store holds 16 bits of a slow, salted fingerprint: enough to tell a corrected one from the refused one, and far too little
to find either by guessing. Nothing here fails a task: where the store cannot be used, the brake of the machine holds alone.
"""

from __future__ import annotations

import contextlib
import logging
import random
import secrets
import time
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import msgspec

from airflow_cbr.api.tallies import RefusedCredential, Tally
from airflow_cbr.exceptions import CbrAuthenticationError, CbrConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Deployment", "Register", "Registers", "share"]

log = logging.getLogger(__name__)

PROVEN_FOR: Final = 60.0
"""Seconds for which all hosts use a secret that one of them has seen work."""
QUICK: Final = 1.5
"""Seconds within which a host that found nobody's name must have written its own."""
SETTLED_AFTER: Final = 2.0
"""Seconds after which a name that is still there holds the turn; longer than :data:`QUICK`."""
AFTER_A_SLOW_WRITE: Final = 15.0
"""The same for a host that was too slow: its name may stand where that of another stood, which is trying the login now."""
GIVEN_UP_AFTER: Final = 90.0
"""Seconds after which a name that does not change is that of a process that was killed."""
OUT_OF_USE: Final = 60.0
"""Seconds for which a store that could not be used is left alone."""
FINGERPRINT: Final = 4
"""Hexadecimal digits that are kept of a fingerprint."""

FREE: Final = "free"
_OLDEST_KEPT: Final = 20

Result = TypeVar("Result")


class Register(Protocol):
    """One text in a store that all hosts share. What was written is what every later read returns."""

    def read(self) -> str | None:
        """Return the text, or None if nothing was written yet."""

    def write(self, text: str) -> None:
        """Replace the text."""


class Registers(Protocol):
    """The store."""

    def register(self, name: str) -> Register:
        """Return the text of a name: letters, digits and underscores."""


def _nothing_shared() -> Registers | None:
    return None


_find: Callable[[], Registers | None] = _nothing_shared
_unusable_until = float("-inf")


def share(find: Callable[[], Registers | None]) -> None:
    """Let this process count refusals together with other hosts.

    :param find: returns the store, or None where there is none at the moment.
    """
    global _find
    _find = find


def forget() -> None:
    """Forget the store, and that it could not be used; for tests."""
    global _unusable_until
    share(_nothing_shared)
    _unusable_until = float("-inf")


class _Record(Tally):
    """What all hosts know of one login.

    :param proven: when a secret was seen to work, by its fingerprint.
    """

    proven: dict[str, float] = msgspec.field(default_factory=dict)


#: Made once, and not by the threads that sign in: two at a time would end the process.
_decode: Final = msgspec.json.Decoder(_Record).decode


class Deployment:
    """Lets one host at a time try a login whose secret nobody knows to work.

    :param name: the login's name among all.
    :param who: the login as a message names it.
    :param scope: what it is tried for.
    :param fingerprint: tells this secret from others, given a salt.
    :param check: raises what a refusal that counts leads to, given all of them and the fingerprint.
    :param patience: seconds to wait for others.
    :param within: seconds after which a refusal is forgotten.
    :param clock: Unix time.
    """

    def __init__(
        self,
        name: str,
        *,
        who: str,
        scope: str,
        fingerprint: Callable[[str], str],
        check: Callable[[Tally, str], object],
        patience: float,
        within: float,
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._who = who
        self._scope = scope
        self._whole_fingerprint = fingerprint
        self._check = check
        self._patience = patience
        self._within = within
        self._clock = clock
        self._seen: tuple[str, float] = ("", 0.0)

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Let the block try the login, when it is its turn, and tell all what came of it.

        :raises CbrAuthenticationError: another host was refused; nothing was sent.
        :raises CbrConnectionError: another host tries the login, and gets no answer; nothing was sent.
        """
        store = _find() if time.monotonic() >= _unusable_until else None
        if store is None:
            yield
            return
        has_turn = self._wait_for_turn(store)
        try:
            yield
        except CbrAuthenticationError as error:
            self.note_refusal(error)
            raise
        else:
            if has_turn:
                self._note_success(store)
        finally:
            if has_turn:
                self._give_back(store)

    def note_refusal(self, error: CbrAuthenticationError) -> None:
        """Tell all of a refusal.

        :param error: the service's refusal.
        """
        store = _find() if time.monotonic() >= _unusable_until else None
        if store is None or error.is_local:
            return
        record = self._read(store)
        fingerprint = self._fingerprint(record.salt)
        record.proven.pop(fingerprint, None)
        record.refused.append(
            RefusedCredential(
                fingerprint=fingerprint,
                scope=self._scope,
                at=self._clock(),
                message=error.message,
                error_code=error.error_code,
                request_id=error.request_id,
                http_status=error.http_status,
            )
        )
        self._write(store, record)

    # --- may it be tried? ---------------------------------------------------------------------------------------------

    def _wait_for_turn(self, store: Registers) -> bool:
        """Return whether this host alone tries the login, so that all wait for it; False: it is known to work."""
        give_up_at = time.monotonic() + self._patience
        while True:
            if self._is_proven(store):
                return False
            if _safely(lambda: self._takes_turn(self._turn(store)), True):
                # Whoever had the turn before may have found out in the meantime.
                is_known = True
                try:
                    is_known = self._is_proven(store)
                finally:
                    if is_known:
                        self._give_back(store)
                return not is_known
            if time.monotonic() >= give_up_at:
                raise CbrConnectionError(
                    f"A task on another machine is trying the login of {self._who}, and has had no answer for {self._patience:g} s; one at "
                    "a time tries a login that is not known to work, so that a wrong secret does not lock it.",
                    sent=False,
                    advice="If the service is only slow, nothing: a retry continues. Otherwise find out why it does not answer.",
                )
            time.sleep(random.uniform(0.3, 0.9))  # noqa: S311 - spreads load, guards nothing

    def _is_proven(self, store: Registers) -> bool:
        """Return whether the secret was seen to work a short while ago; raise if it was refused."""
        record = self._read(store)
        if not record.refused and not record.proven:
            return False
        fingerprint = self._fingerprint(record.salt)
        self._check(record, fingerprint)
        at = record.proven.get(fingerprint)
        return at is not None and abs(self._clock() - at) < PROVEN_FOR

    def _takes_turn(self, turn: Register) -> bool:
        began = time.monotonic()
        holder = turn.read() or FREE
        if holder != FREE and not self._is_abandoned(holder):
            return False
        own = secrets.token_hex(8)
        turn.write(own)
        is_late = time.monotonic() - began > QUICK
        time.sleep(AFTER_A_SLOW_WRITE if is_late else SETTLED_AFTER)
        found = turn.read()
        if not found:
            raise LookupError("what was written is not kept")
        return found == own

    def _give_back(self, store: Registers) -> None:
        _safely(lambda: self._turn(store).write(FREE), None)

    def _is_abandoned(self, name: str) -> bool:
        # By this machine's own clock: those of others may be wrong.
        if self._seen[0] != name:
            self._seen = (name, time.monotonic())
        return time.monotonic() - self._seen[1] >= GIVEN_UP_AFTER

    # --- what is known of it --------------------------------------------------------------------------------------------

    def _note_success(self, store: Registers) -> None:
        record = self._read(store)
        fingerprint = self._fingerprint(record.salt)
        record.refused = [one for one in record.refused if (one.fingerprint, one.scope) != (fingerprint, self._scope)]
        for one in record.refused:
            one.is_forgiven = one.is_forgiven or one.fingerprint == fingerprint
        record.proven = {fingerprint: self._clock()}
        self._write(store, record)

    def _read(self, store: Registers) -> _Record:
        text = _safely(store.register(self._name).read, None)
        try:
            record = _decode(text) if text else _Record()
        except (msgspec.DecodeError, UnicodeError):
            record = _Record()
        now = self._clock()
        record.pending = {}
        record.refused = [one for one in record.refused if abs(now - one.at) < self._within][-_OLDEST_KEPT:]
        for one in record.refused:
            # The clock of the host that was refused may be ahead of this one's.
            one.at = min(one.at, now)
        return record

    def _write(self, store: Registers, record: _Record) -> None:
        text = msgspec.json.encode(record).decode()
        _safely(lambda: store.register(self._name).write(text), None)

    def _fingerprint(self, salt: str) -> str:
        return self._whole_fingerprint(salt)[:FINGERPRINT]

    def _turn(self, store: Registers) -> Register:
        return store.register(f"{self._name}_turn")


def _safely(do: Callable[[], Result], otherwise: Result) -> Result:
    """Use the store, or leave it alone for a while where it cannot be used."""
    global _unusable_until
    if time.monotonic() < _unusable_until:
        return otherwise
    try:
        return do()
    except Exception as error:
        # Whatever it raises: a store of refusals must not be the reason why a task fails. The text may be a secrets backend's.
        log.warning(
            "Refused credentials are counted for this machine alone, not for the whole deployment: the shared store cannot be used (%s).",
            type(error).__name__,
        )
        _unusable_until = time.monotonic() + OUT_OF_USE
        return otherwise

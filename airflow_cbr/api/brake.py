"""A brake on refused credentials, for all processes of a machine together; and of a deployment, where machines can tell each other.

More than five wrong passwords or signatures in a row lock an IAM user or an access key, for everybody who uses it. So what the service has
refused is not tried by each task again: after a refusal nobody on the machine tries the same secret for :data:`PAUSE` seconds, and at most
:data:`LIMIT` refusals are met in :data:`WITHIN` seconds. Attempts that are on their way count as if they were refused, so that tasks which
start together do not all find out for themselves. Another secret, a rotated one, is tried at once.

Of a secret only a fingerprint is kept, which is slow to compute and salted by file; it is computed only where something was refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import random
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from airflow_cbr.api import deployment, tallies
from airflow_cbr.api.deployment import Deployment
from airflow_cbr.api.tallies import RefusedCredential, Tally, open_tally
from airflow_cbr.exceptions import CbrAuthenticationError, CbrConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

__all__ = ["Brake", "forget"]

LIMIT: Final = 3
"""Refusals of one secret that a machine meets in :data:`WITHIN`; the service locks a login after more than five in a row."""
WITHIN: Final = 900.0
PAUSE: Final = 120.0
"""Seconds after a refusal within which the same secret is not tried again."""
IN_FLIGHT: Final = 2
"""Attempts of one login that are on their way at the same moment."""
RESERVED_FOR: Final = 60.0
"""Seconds for which an attempt counts that is not heard of any more; its process may have been killed."""
PROVEN_FOR: Final = 30.0
"""Seconds for which a process that has seen a key work uses it without looking at what others met."""
LONGEST_PATIENCE: Final = 180.0
SHORTEST_PATIENCE: Final = 5.0

_KEY: Final = os.urandom(32)
_proven: dict[tuple[str, str], float] = {}
_fingerprints: dict[tuple[str, str], str] = {}


def forget() -> None:
    """Forget what this process knows of any login; for tests, each of which is a machine of its own."""
    _proven.clear()
    _fingerprints.clear()
    tallies.forget()
    deployment.forget()


class Brake:
    """Lets one login be tried with one secret, or says why not.

    :param place: the cloud or the endpoints that know the login.
    :param login: what identifies it there.
    :param who: the login as a message names it.
    :param secret: returns the secret; asked for only when something was refused.
    :param digest: tells this secret from others within the process.
    :param scope: what the login is tried for, where it may be refused for that alone. Default: one for all.
    :param patience: seconds to wait for attempts of others, at least :data:`SHORTEST_PATIENCE`, at most :data:`LONGEST_PATIENCE`.
    :param clock: Unix time. Default: this machine's.
    """

    def __init__(
        self,
        *,
        place: str,
        login: str,
        who: str,
        secret: Callable[[], str],
        scope: str = "",
        patience: float = LONGEST_PATIENCE,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._name = hashlib.sha256(f"{place}\0{login}".encode()).hexdigest()[:40]
        self._key = (self._name, hmac.new(_KEY, secret().encode(), hashlib.sha256).hexdigest())
        self._who = who
        self._secret = secret
        self._scope = scope
        self._patience = min(max(patience, SHORTEST_PATIENCE), LONGEST_PATIENCE)
        self._clock = clock or time.time
        self._while_proven = _WhileProven(self)
        self._deployment = Deployment(
            self._name[:24],
            who=who,
            scope=scope,
            fingerprint=self._compute_fingerprint,
            check=lambda record, fingerprint: self._check(record, fingerprint, "No task of this deployment tries"),
            patience=self._patience,
            within=WITHIN,
            clock=self._clock,
        )

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Let the block try the secret, and note what came of it.

        :raises CbrAuthenticationError: it was refused a short while ago, by what others met; nothing was sent.
        :raises CbrConnectionError: others try the login, and none of them gets an answer; nothing was sent.
        """
        reservation = self._reserve()
        try:
            with self._deployment.attempt():
                yield
        except BaseException as error:
            if isinstance(error, CbrAuthenticationError) and not error.is_local:
                self.note_refusal(error, reservation)
            else:
                with self._tally() as tally:
                    tally.pending.pop(reservation, None)
            raise
        self._note_success(reservation)

    def use(self) -> AbstractContextManager[None]:
        """Let the block use the secret: freely, as long as this process has seen it work and nobody has seen it refused since."""
        now, until = self._clock(), _proven.get(self._key)
        if until is not None and now < until <= now + PROVEN_FOR:
            return self._while_proven
        if until is not None:
            with self._tally() as tally:
                if not tally.refused:
                    _proven[self._key] = now + PROVEN_FOR
                    return self._while_proven
        return self.attempt()

    # --- what came of it ----------------------------------------------------------------------------------------------

    def note_refusal(self, error: CbrAuthenticationError, reservation: str | None = None) -> None:
        """Keep a refusal, and say in the error how many there were.

        :param error: the service's refusal.
        :param reservation: the attempt that met it. Default: one that needed none.
        """
        _proven.pop(self._key, None)
        with self._tally() as tally:
            salt = tally.salt
        self._compute_fingerprint(salt)
        with self._tally() as tally:
            tally.pending.pop(reservation or "", None)
            fingerprint = self._fingerprint(tally.salt) or self._compute_fingerprint(tally.salt)
            tally.refused.append(
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
            error.refusals = self._count(tally, fingerprint)

    def _note_success(self, reservation: str) -> None:
        while True:
            with self._tally() as tally:
                fingerprint = self._fingerprint(tally.salt)
                salt = tally.salt
                if fingerprint is not None or not tally.refused:
                    tally.pending.pop(reservation, None)
                    tally.refused = [one for one in tally.refused if not self._is_own(one, fingerprint)]
                    for one in tally.refused:
                        one.is_forgiven = one.is_forgiven or one.fingerprint == fingerprint
                    break
            self._compute_fingerprint(salt)
        _proven[self._key] = self._clock() + PROVEN_FOR

    # --- may it be tried? ---------------------------------------------------------------------------------------------

    def _reserve(self) -> str:
        give_up_at = time.monotonic() + self._patience
        while True:
            with self._tally() as tally:
                salt, fingerprint = tally.salt, self._fingerprint(tally.salt)
                if fingerprint is not None or not tally.refused:
                    in_a_row = self._check(tally, fingerprint)
                    if len(tally.pending) < min(IN_FLIGHT, LIMIT - in_a_row):
                        reservation = secrets.token_hex(8)
                        tally.pending[reservation] = self._clock() + RESERVED_FOR
                        return reservation
            if fingerprint is None and tally.refused:
                # Not while others wait for the file.
                self._compute_fingerprint(salt)
                continue
            if time.monotonic() >= give_up_at:
                raise CbrConnectionError(
                    f"Other tasks on this machine are trying the login of {self._who}, and have had no answer for {self._patience:g} s; "
                    f"at most {IN_FLIGHT} may try it at the same time, so that a wrong secret does not lock the login.",
                    sent=False,
                    advice="If the service is only slow, nothing: a retry continues. Otherwise find out why it does not answer.",
                )
            time.sleep(random.uniform(0.01, 0.1))  # noqa: S311 - spreads load, guards nothing

    def note_late_refusal(self, error: CbrAuthenticationError) -> None:
        """Keep the refusal of a secret that had worked, and tell other machines.

        :param error: the service's refusal.
        """
        self.note_refusal(error)
        self._deployment.note_refusal(error)

    def _check(self, tally: Tally, fingerprint: str | None, nobody_tries: str = "This machine does not try") -> int:
        """Return how many refusals count, if the secret may be tried."""
        own, in_a_row = self._own(tally, fingerprint), self._in_a_row(tally, fingerprint)
        until = own[-1].at + PAUSE if own else 0.0
        for counted in (own, in_a_row):
            if len(counted) >= LIMIT:
                until = max(until, counted[-LIMIT].at + WITHIN)
        if until > self._clock():
            raise self._refusal((own or in_a_row)[-1], max(own, in_a_row, key=len), until, nobody_tries)
        return len(in_a_row)

    def _refusal(
        self, last: RefusedCredential, counted: list[RefusedCredential], until: float, nobody_tries: str
    ) -> CbrAuthenticationError:
        times = "once" if len(counted) == 1 else f"{len(counted)} times"
        error = CbrAuthenticationError(
            f"The service has refused the secret of {self._who} {times} since {_moment(counted[0].at)}. {nobody_tries} it "
            f"again before {_moment(until)}, so that the login is not locked. The service's message: {last.message}",
            advice="Correct login and password of the connection; a new secret is tried at once. If they are right, wait until then.",
            error_code=last.error_code,
            request_id=last.request_id,
            http_status=last.http_status,
            retry_after=max(until - self._clock(), 0.0),
            # One refusal may be a bad moment of IAM's, and must not fail all tasks of a machine for good.
            permanent=len(counted) >= LIMIT,
        )
        error.refusals = len(counted)
        error.is_local = True
        return error

    # --- counting -----------------------------------------------------------------------------------------------------

    def _is_own(self, one: RefusedCredential, fingerprint: str | None) -> bool:
        return one.fingerprint == fingerprint and one.scope == self._scope

    def _own(self, tally: Tally, fingerprint: str | None) -> list[RefusedCredential]:
        return [one for one in tally.refused if self._is_own(one, fingerprint)]

    def _in_a_row(self, tally: Tally, fingerprint: str | None) -> list[RefusedCredential]:
        return [one for one in tally.refused if one.fingerprint == fingerprint and not one.is_forgiven]

    def _count(self, tally: Tally, fingerprint: str) -> int:
        return max(len(self._own(tally, fingerprint)), len(self._in_a_row(tally, fingerprint)))

    @contextlib.contextmanager
    def _tally(self) -> Iterator[Tally]:
        with open_tally(self._name) as tally:
            tally.tidy(self._clock(), within=WITHIN, reserved_for=RESERVED_FOR)
            yield tally

    def _fingerprint(self, salt: str) -> str | None:
        return _fingerprints.get((salt, self._key[1]))

    def _compute_fingerprint(self, salt: str) -> str:
        found = self._fingerprint(salt)
        if found is None:
            try:
                found = hashlib.scrypt(self._secret().encode(), salt=salt.encode(), n=1 << 14, r=8, p=1, maxmem=1 << 26, dklen=16).hex()
            except (AttributeError, ValueError):
                # A Python without it, or one that may not use it: this process's own digest, with which it counts for itself.
                found = self._key[1]
            _fingerprints[salt, self._key[1]] = found
        return found


class _WhileProven:
    """Costs next to nothing; notes a refusal."""

    __slots__ = ("_brake",)

    def __init__(self, brake: Brake) -> None:
        self._brake = brake

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if isinstance(error, CbrAuthenticationError):
            self._brake.note_late_refusal(error)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

"""Signing in by steps: from what a process is given, over keys that end, to the key that signs.

Each step's key is kept and renewed on its own (:mod:`airflow_cbr.api.renewal`), for all clients of the process that sign in alike. An error
says in which step it happened.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, TypeVar, runtime_checkable

from airflow_cbr.api.key_answers import read_key
from airflow_cbr.api.renewal import IssuedKey, KeyCache
from airflow_cbr.exceptions import CbrApiError, CbrConnectionError, CbrError, CbrThrottledError, CbrTimeoutError, CbrUnavailableError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from requests.auth import AuthBase

    from airflow_cbr.api.secret import Secret
    from airflow_cbr.api.transport import OutgoingCall, Transport

__all__ = ["KeySource", "SignIn"]

Result = TypeVar("Result")

KEYS: Final = KeyCache()


@runtime_checkable
class KeySource(Protocol):
    """Something that keys come from. Two that are equal give the same key; none shows a secret."""

    step: ClassVar[str]
    """What it does, as a message names it: ``asking the metadata service for a key``."""
    advice: ClassVar[str]
    """What to do when it is refused."""

    def __hash__(self) -> int:
        """Return a hash that goes with being equal."""

    @property
    def base(self) -> KeySource | None:
        """Return where the key comes from with which it asks, or None when it needs none."""

    def issue(self, desk: SignIn, base: IssuedKey | None) -> IssuedKey:
        """Ask for a key.

        :param desk: what to ask with.
        :param base: a good key of :attr:`base`, if there is one.
        :raises CbrError: there is none.
        """

    def guard(self, desk: SignIn) -> AbstractContextManager[None]:
        """Guard a call that is signed with its key: one that was refused may have to rest for a while.

        :param desk: what is asked with.
        """


@dataclass(frozen=True)
class SignIn:
    """What the steps ask with.

    :param transport: sends the requests.
    :param iam_url: returns the base URL of IAM.
    :param sts_url: returns the base URL of STS.
    :param place: the cloud or the endpoints that know the asker.
    :param patience: seconds to wait while others try the same login.
    :param region: the connection's own region.
    :param tell: is told each secret before it is used.
    """

    transport: Transport
    iam_url: Callable[[], str]
    sts_url: Callable[[], str]
    place: str
    patience: float
    region: str
    tell: Callable[[str], None]
    _told: set[Secret] = field(default_factory=set, repr=False, compare=False)

    def key_of(self, source: KeySource) -> IssuedKey:
        """Return a good key of a source, which others may have asked for.

        :param source: where it comes from.
        :raises CbrError: none can be had; the message names the step.
        """
        key = KEYS.get(self._asker(source), lambda: self._issue(source), who=source.step)
        self._hide(key)
        return key

    def replace(self, source: KeySource, refused: IssuedKey) -> IssuedKey | None:
        """Return another key than one that the service has refused, or None when there is nothing better.

        :param source: where it came from.
        :param refused: the refused key.
        :raises CbrError: none can be had; the message names the step.
        """
        key = KEYS.replace(self._asker(source), refused, lambda: self._issue(source), who=source.step)
        if key is not None:
            self._hide(key)
        return key

    def ask(
        self,
        call: OutgoingCall,
        *,
        auth: AuthBase | None,
        asked_at: float,
        secrets: tuple[Secret, ...] = (),
    ) -> IssuedKey:
        """Send a call whose answer holds a key, and read it.

        :param call: the call.
        :param auth: authenticates it, if it has to be.
        :param asked_at: reading of the monotonic clock now.
        :param secrets: texts that must not appear in a message.
        """
        return self.transport.send(call, lambda answer: read_key(answer, call=call.name, asked_at=asked_at), auth=auth, secrets=secrets)

    def hide(self, secret: Secret) -> None:
        """Tell a secret that was come by, once, so that it is masked.

        :param secret: the secret.
        """
        if secret not in self._told:
            self._told.add(secret)
            self.tell(secret.reveal())

    def _hide(self, key: IssuedKey) -> None:
        self.hide(key.credentials.secret_key)
        if key.credentials.security_token is not None:
            self.hide(key.credentials.security_token)

    def _asker(self, source: KeySource) -> tuple[object, ...]:
        return source, self.place, self.region, self.transport.verify

    def _issue(self, source: KeySource) -> IssuedKey:
        # A step below names itself.
        base = self.key_of(source.base) if source.base is not None else None
        with _named(source):
            return source.issue(self, base)


@contextlib.contextmanager
def _named(source: KeySource) -> Iterator[None]:
    """Say in an error which step it was."""
    try:
        yield
    except CbrError as error:
        error.message = f"Signing in failed while {source.step}: {error.message}"
        passes = isinstance(error, CbrThrottledError | CbrUnavailableError) or getattr(error, "is_local", False)
        if isinstance(error, CbrApiError | CbrConnectionError | CbrTimeoutError) and not passes:
            error.advice = source.advice
        raise

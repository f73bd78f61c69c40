"""Who asks: the gate between a client's calls and the ways to sign in.

A key that the connection holds signs each request (here); a password buys a token (:mod:`airflow_cbr.api.tokens`); a key that ends comes
from a source, and is renewed (:mod:`airflow_cbr.api.sign_in`). Tokens, keys that end and looked-up project ids are kept for the life of the
process and shared by its clients: a process that runs many tasks signs in once. The caches' keys hold everything that their values depend
on, and no secret in the clear.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from airflow_cbr.api.brake import LONGEST_PATIENCE
from airflow_cbr.api.credentials import AkSkCredentials, PasswordCredentials
from airflow_cbr.api.given_credentials import key_brake
from airflow_cbr.api.process_cache import digest
from airflow_cbr.api.projects import ask_for_projects, find_project
from airflow_cbr.api.sign_in import KeySource, SignIn
from airflow_cbr.api.signed import SignedAuth
from airflow_cbr.api.tokens import TokenAuthenticator, login_brake
from airflow_cbr.exceptions import CbrAuthenticationError, CbrConfigurationError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from requests.auth import AuthBase

    from airflow_cbr.api import responses
    from airflow_cbr.api.brake import Brake
    from airflow_cbr.api.renewal import IssuedKey
    from airflow_cbr.api.secret import Secret
    from airflow_cbr.api.transport import Transport

__all__ = ["AkSkCredentials", "Authenticator", "Credentials", "PasswordCredentials", "make_authenticator"]

Credentials = AkSkCredentials | PasswordCredentials | KeySource


class Authenticator(Protocol):
    """What the client needs from either kind of credentials."""

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Return the texts that must not appear in any message."""

    def project_id(self) -> str:
        """Return the project id; asks IAM on first use when it was not given."""

    def current(self) -> AuthBase:
        """Return what authenticates a request; may ask IAM for a token."""

    def renew(self, refused: AuthBase) -> AuthBase | None:
        """Return something better than what the service has just refused, or None when there is nothing better."""

    def use(self) -> AbstractContextManager[None]:
        """Guard a call that is authenticated: a secret that was refused is not tried again for a while."""


def make_authenticator(
    credentials: Credentials,
    transport: Transport,
    *,
    iam_url: Callable[[], str],
    region: str,
    project_id: str | None,
    on_secret: Callable[[str], None] | None,
    sign_in_iam_url: Callable[[], str] | None = None,
    sts_url: Callable[[], str] | None = None,
    home_region: str | None = None,
    place: str = "",
    patience: float = LONGEST_PATIENCE,
) -> Authenticator:
    """Return the authenticator for a kind of credentials.

    :param credentials: who asks: a key, a user, or a source of keys that end.
    :param transport: sends the requests to IAM, and to wherever keys come from.
    :param iam_url: returns the base URL of IAM; called only when IAM is asked.
    :param region: region id, which is also the name of the region's default project.
    :param project_id: the project to work in, or None to look it up.
    :param on_secret: called with each new secret before it is used, or None.
    :param sign_in_iam_url: returns the base URL of IAM in the connection's own region: a key that was issued there is good in all regions.
        Default: ``iam_url``.
    :param sts_url: returns the base URL of STS, in the same region. Default: there is none.
    :param home_region: the connection's own region. Default: ``region``.
    :param place: the cloud or the endpoints that know the credentials; refusals are counted by it. Default: one for all.
    :param patience: seconds to wait while others try the same login. Default: 180.
    :raises CbrConfigurationError: the credentials are of an unknown kind.
    """
    if isinstance(credentials, AkSkCredentials):
        brake = key_brake(credentials, place, patience)
        return _KeyAuthenticator(credentials, transport, iam_url, region, project_id, brake)
    if isinstance(credentials, PasswordCredentials):
        brake = login_brake(credentials, region=region, project_id=project_id, place=place, patience=patience)
        return TokenAuthenticator(credentials, transport, iam_url, region, project_id, on_secret, brake)
    if isinstance(credentials, KeySource):
        desk = SignIn(
            transport=transport,
            iam_url=sign_in_iam_url or iam_url,
            sts_url=sts_url or _no_sts,
            place=place,
            patience=patience,
            region=home_region or region,
            tell=on_secret or _tell_nobody,
        )
        return _RenewedAuthenticator(credentials, desk, iam_url, region, project_id)
    raise CbrConfigurationError(f"Credentials of an unknown kind: {type(credentials).__name__}.")


def _no_sts() -> str:
    raise CbrConfigurationError("There is no address of STS.")


def _tell_nobody(secret: str) -> None:
    pass


class _KeyAuthenticator:
    """Signs with a key that does not end, or whose end nobody knows."""

    def __init__(
        self,
        credentials: AkSkCredentials,
        transport: Transport,
        iam_url: Callable[[], str],
        region: str,
        project_id: str | None,
        brake: Brake,
    ) -> None:
        self._credentials = credentials
        self._brake = brake
        self._transport = transport
        self._iam_url = iam_url
        self._region = region
        self._project_id = project_id
        self._auth = SignedAuth(credentials, project_id) if project_id else None
        self.secrets: tuple[Secret, ...] = _secrets_of(credentials)

    def project_id(self) -> str:
        if self._project_id is None:
            iam_url, who = self._iam_url(), self._credentials
            self._project_id = find_project(
                (who.access_key, digest(who.secret_key)),
                transport=self._transport,
                iam_url=iam_url,
                region=self._region,
                look_up=lambda: self._look_up(iam_url),
            )
        return self._project_id

    def current(self) -> AuthBase:
        if self._auth is None:
            self._auth = SignedAuth(self._credentials, self.project_id())
        return self._auth

    def renew(self, refused: AuthBase) -> None:
        # The same key would be refused again, and the sixth refusal locks it for five minutes.
        return None

    def use(self) -> AbstractContextManager[None]:
        return self._brake.use()

    def _look_up(self, iam_url: str) -> list[responses.Project]:
        with self.use():
            return ask_for_projects(self._transport, iam_url, self._region, auth=SignedAuth(self._credentials, None), secrets=self.secrets)


class _IssuedAuth(SignedAuth):
    """Signs with a key that ends."""

    def __init__(self, key: IssuedKey, project_id: str | None) -> None:
        super().__init__(key.credentials, project_id)
        self.key = key


class _RenewedAuthenticator:
    """Signs with keys that end, one after the other."""

    def __init__(self, source: KeySource, desk: SignIn, iam_url: Callable[[], str], region: str, project_id: str | None) -> None:
        self._source = source
        self._desk = desk
        self._iam_url = iam_url
        self._region = region
        self._project_id = project_id
        self._key: IssuedKey | None = None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        key = self._key
        return _secrets_of(key.credentials) if key is not None else ()

    def project_id(self) -> str:
        if self._project_id is None:
            iam_url, desk = self._iam_url(), self._desk
            self._project_id = find_project(
                (self._source, desk.place, desk.region),
                transport=desk.transport,
                iam_url=iam_url,
                region=self._region,
                look_up=lambda: self._look_up(iam_url),
            )
        return self._project_id

    def current(self) -> AuthBase:
        project_id = self.project_id()
        key = self._key = self._desk.key_of(self._source)
        return _IssuedAuth(key, project_id)

    def renew(self, refused: AuthBase) -> AuthBase | None:
        key = self._desk.replace(self._source, refused.key) if isinstance(refused, _IssuedAuth) else None
        if key is None:
            return None
        self._key = key
        return _IssuedAuth(key, self.project_id())

    def use(self) -> AbstractContextManager[None]:
        # Nobody is locked out with a key that ends; the one that buys it is guarded where it is used.
        return contextlib.nullcontext()

    def _look_up(self, iam_url: str) -> list[responses.Project]:
        def ask(key: IssuedKey) -> list[responses.Project]:
            self._key = key
            auth = SignedAuth(key.credentials, None)
            return ask_for_projects(self._desk.transport, iam_url, self._region, auth=auth, secrets=_secrets_of(key.credentials))

        key = self._desk.key_of(self._source)
        try:
            return ask(key)
        except CbrAuthenticationError:
            better = self._desk.replace(self._source, key)
            if better is None:
                raise
        return ask(better)


def _secrets_of(credentials: AkSkCredentials) -> tuple[Secret, ...]:
    return tuple(filter(None, (credentials.secret_key, credentials.security_token)))

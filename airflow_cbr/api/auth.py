"""Who asks: AK/SK credentials that sign each request, or an IAM user's password that buys a token.

Tokens and looked-up project ids are kept for the life of the process and shared by its clients: a process that runs many tasks logs in
once. The cache's keys hold everything that a token depends on, and of the password only a keyed hash.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import hmac
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from requests.auth import AuthBase

from airflow_cbr.api import answers
from airflow_cbr.api.brake import LONGEST_PATIENCE, Brake
from airflow_cbr.api.models import parse_time
from airflow_cbr.api.signing import authorization, format_sdk_date
from airflow_cbr.api.transport import Call, Transport
from airflow_cbr.exceptions import CbrConfigurationError, CbrError, CbrProtocolError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from requests import PreparedRequest

__all__ = ["AkSkCredentials", "Authenticator", "Credentials", "PasswordCredentials", "make_authenticator"]

_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_LONGEST_MARGIN: Final = 600.0
_MARGIN_SHARE: Final = 0.1


@dataclass(frozen=True)
class AkSkCredentials:
    """An access key pair, permanent or temporary.

    :param access_key: the AK.
    :param secret_key: the SK.
    :param security_token: comes with temporary keys; is sent and signed. Default: none.
    :raises CbrConfigurationError: a part is empty, or has a space or a line end in it.
    """

    access_key: str
    secret_key: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        parts = {"access key (login)": self.access_key, "secret key (password)": self.secret_key}
        if self.security_token is not None:
            parts["security_token"] = self.security_token
        for name, value in parts.items():
            if not value:
                raise CbrConfigurationError(f"There is no {name}.")
            if not _VISIBLE.fullmatch(value):
                raise CbrConfigurationError(f"The {name} has a space, a line end or another sign that no key has.")


@dataclass(frozen=True)
class PasswordCredentials:
    """An IAM user; a HUAWEI ID cannot do this.

    :param user_name: name of the IAM user.
    :param password: its password.
    :param domain_name: name of the account that the user belongs to.
    :raises CbrConfigurationError: a part is empty.
    """

    user_name: str
    password: str = field(repr=False)
    domain_name: str

    def __post_init__(self) -> None:
        for name, value in {
            "IAM user name (login)": self.user_name,
            "IAM password (password)": self.password,
            "domain_name": self.domain_name,
        }.items():
            if not value:
                raise CbrConfigurationError(f"There is no {name}.")


Credentials = AkSkCredentials | PasswordCredentials


class Authenticator(Protocol):
    """What the client needs from either kind of credentials."""

    @property
    def secrets(self) -> tuple[str, ...]:
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
    place: str = "",
    patience: float = LONGEST_PATIENCE,
) -> Authenticator:
    """Return the authenticator for a kind of credentials.

    :param credentials: who asks.
    :param transport: sends the requests to IAM.
    :param iam_url: returns the base URL of IAM; called only when IAM is asked.
    :param region: region id, which is also the name of the region's default project.
    :param project_id: the project to work in, or None to look it up.
    :param on_secret: called with each new token before it is used, or None.
    :param place: the cloud or the endpoints that know the credentials; refusals are counted by it. Default: one for all.
    :param patience: seconds to wait while others try the same login. Default: 180.
    :raises CbrConfigurationError: the credentials are of an unknown kind.
    """
    if isinstance(credentials, AkSkCredentials):
        brake = Brake(
            place=place,
            login=f"key {credentials.access_key}",
            who=f"access key {credentials.access_key[:4]}***",
            secret=lambda: f"{credentials.secret_key}\0{credentials.security_token or ''}",
            patience=patience,
        )
        return _KeyAuthenticator(credentials, transport, iam_url, region, project_id, brake)
    if isinstance(credentials, PasswordCredentials):
        brake = Brake(
            place=place,
            login=f"user {credentials.domain_name}\0{credentials.user_name}",
            who=f"IAM user {credentials.user_name} of {credentials.domain_name}",
            secret=lambda: credentials.password,
            # IAM may refuse a password for one project alone.
            scope=f"{region} {project_id or ''}",
            patience=patience,
        )
        return _TokenAuthenticator(credentials, transport, iam_url, region, project_id, on_secret, brake)
    raise CbrConfigurationError(f"Credentials of an unknown kind: {type(credentials).__name__}.")


# --- what is known for the life of the process ------------------------------------------------------------------------

_Value = TypeVar("_Value")
_HASH_KEY: Final = os.urandom(32)


@dataclass
class _Making:
    """One thread makes the value, the others wait for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    failures: int = 0
    error: CbrError | None = None


class _ProcessCache(Generic[_Value]):
    """Values by key, made by one thread at a time per key.

    Threads that need the same value ask IAM once, also when the answer is an error: ten tasks with a wrong password would otherwise
    lock the user.
    """

    def __init__(self) -> None:
        self._values: dict[tuple[object, ...], _Value] = {}
        self.reset_locks()
        # A child that was forked while another thread held a lock would wait for it for ever.
        os.register_at_fork(after_in_child=self.reset_locks)

    def reset_locks(self) -> None:
        self._guard = threading.Lock()
        self._making: dict[tuple[object, ...], _Making] = {}

    def get(self, key: tuple[object, ...], is_good: Callable[[_Value], bool], make: Callable[[], _Value]) -> _Value:
        value = self._values.get(key)
        if value is not None and is_good(value):
            return value
        with self._guard:
            making = self._making.setdefault(key, _Making())
            failures = making.failures
        with making.lock:
            value = self._values.get(key)
            if value is not None and is_good(value):
                return value
            if making.error is not None and making.failures != failures:
                raise copy.copy(making.error)
            try:
                value = self._values[key] = make()
            except CbrError as error:
                making.failures += 1
                making.error = error
                raise
            return value

    def clear(self) -> None:
        self._values.clear()


def _digest(secret: str) -> str:
    return hmac.new(_HASH_KEY, secret.encode(), hashlib.sha256).hexdigest()


# --- AK/SK ------------------------------------------------------------------------------------------------------------

_PROJECT_IDS: Final[_ProcessCache[str]] = _ProcessCache()


class _SignedAuth(AuthBase):
    """Signs a prepared request."""

    def __init__(self, credentials: AkSkCredentials, project_id: str | None) -> None:
        self._credentials = credentials
        self._project_id = project_id

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        url = request.url or ""
        body = request.body or b""
        headers = {
            "Host": urlsplit(url).netloc,
            "Content-Type": str(request.headers["Content-Type"]),
            "X-Sdk-Date": format_sdk_date(datetime.now(UTC)),
        }
        if self._project_id:
            headers["X-Project-Id"] = self._project_id
        if self._credentials.security_token:
            headers["X-Security-Token"] = self._credentials.security_token
        request.headers.update(headers)
        request.headers["Authorization"] = authorization(
            self._credentials.access_key,
            self._credentials.secret_key,
            method=request.method or "GET",
            url=url,
            headers=headers,
            body=body if isinstance(body, bytes) else body.encode(),
        )
        return request


class _KeyAuthenticator:
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
        self._auth = _SignedAuth(credentials, project_id) if project_id else None
        self.secrets = tuple(filter(None, (credentials.secret_key, credentials.security_token)))

    def project_id(self) -> str:
        if self._project_id is None:
            iam_url = self._iam_url()
            key = (iam_url, self._credentials.access_key, _digest(self._credentials.secret_key), self._region, self._transport.verify)
            self._project_id = _PROJECT_IDS.get(key, bool, lambda: self._look_up(iam_url))
        return self._project_id

    def current(self) -> AuthBase:
        if self._auth is None:
            self._auth = _SignedAuth(self._credentials, self.project_id())
        return self._auth

    def renew(self, refused: AuthBase) -> None:
        # The same key would be refused again, and the sixth refusal locks it for five minutes.
        return None

    def use(self) -> AbstractContextManager[None]:
        return self._brake.use()

    def _look_up(self, iam_url: str) -> str:
        call = Call("KeystoneListProjects", "GET", f"{iam_url}/v3/projects?name={quote(self._region, safe='')}", iam=True)
        with self.use():
            found = self._transport.send(
                call,
                lambda answer: answers.decode(answer, answers.ProjectsAnswer, call=call.name),
                auth=_SignedAuth(self._credentials, None),
                secrets=self.secrets,
            ).projects
        if len(found) != 1:
            names = ", ".join(sorted(answers.clean(project.id) for project in found)) or "none"
            raise CbrConfigurationError(
                f"IAM knows {len(found)} projects named {self._region!r} for this access key (ids: {names}).",
                advice="Set project_id in the connection. If it should be found by itself, check region and cloud.",
            )
        return found[0].id


# --- password ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    project_id: str | None
    renew_at: float | None
    """Reading of the monotonic clock; None: keep until refused."""

    def is_fresh(self) -> bool:
        return self.renew_at is None or time.monotonic() < self.renew_at


_TOKENS: Final[_ProcessCache[_Token]] = _ProcessCache()


class _TokenAuth(AuthBase):
    """Sends a token."""

    def __init__(self, token: _Token) -> None:
        self.token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["X-Auth-Token"] = self.token.value
        return request


class _TokenAuthenticator:
    def __init__(
        self,
        credentials: PasswordCredentials,
        transport: Transport,
        iam_url: Callable[[], str],
        region: str,
        project_id: str | None,
        on_secret: Callable[[str], None] | None,
        brake: Brake,
    ) -> None:
        self._credentials = credentials
        self._brake = brake
        self._transport = transport
        self._iam_url = iam_url
        self._region = region
        self._asked_project = project_id
        self._on_secret = on_secret
        self._auth: _TokenAuth | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        auth = self._auth
        return (self._credentials.password, auth.token.value) if auth else (self._credentials.password,)

    def project_id(self) -> str:
        if self._asked_project is not None:
            return self._asked_project
        token = self._current().token
        if not token.project_id:
            raise CbrConfigurationError(
                f"IAM did not say which project the token for {self._region!r} belongs to.",
                advice="Set project_id in the connection.",
            )
        return token.project_id

    def current(self) -> AuthBase:
        return self._current()

    def renew(self, refused: AuthBase) -> AuthBase:
        dead = refused.token.value if isinstance(refused, _TokenAuth) else None
        # Another thread may have renewed it already; then its token is the better one.
        return self._use(lambda token: token.is_fresh() and token.value != dead)

    def use(self) -> AbstractContextManager[None]:
        # A token that is refused says nothing of the password; that is shown to IAM alone, where it is guarded.
        return contextlib.nullcontext()

    def _current(self) -> _TokenAuth:
        auth = self._auth
        if auth is not None and auth.token.is_fresh():
            return auth
        return self._use(_Token.is_fresh)

    def _use(self, is_good: Callable[[_Token], bool]) -> _TokenAuth:
        iam_url = self._iam_url()
        who = self._credentials
        key = (iam_url, who.domain_name, who.user_name, _digest(who.password), self._region, self._asked_project, self._transport.verify)
        token = _TOKENS.get(key, is_good, lambda: self._log_in(iam_url))
        if self._on_secret is not None and (self._auth is None or self._auth.token.value != token.value):
            self._on_secret(token.value)
        auth = self._auth = _TokenAuth(token)
        return auth

    def _log_in(self, iam_url: str) -> _Token:
        who = self._credentials
        # A project's name says nothing without its domain: Huawei's IAM fills the domain in, a plain Keystone refuses the request.
        project = {"id": self._asked_project} if self._asked_project else {"name": self._region, "domain": {"name": who.domain_name}}
        body = {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {"name": who.user_name, "password": who.password, "domain": {"name": who.domain_name}}},
                },
                "scope": {"project": project},
            }
        }
        call = Call(
            "KeystoneCreateUserTokenByPassword",
            "POST",
            f"{iam_url}/v3/auth/tokens?nocatalog=true",
            body=msgspec.json.encode(body),
            iam=True,
        )
        asked_at = time.monotonic()
        with self._brake.attempt():
            return self._transport.send(call, lambda answer: _read_token(answer, call.name, asked_at), auth=None, secrets=(who.password,))


def _read_token(answer: answers.Answer, call: str, asked_at: float) -> _Token:
    value = answer.headers.get("X-Subject-Token")
    if not value or not _VISIBLE.fullmatch(value):
        raise CbrProtocolError(
            f"{call}: the answer has no usable X-Subject-Token header.", request_id=answer.request_id, http_status=answer.status
        )
    body = answers.decode(answer, answers.TokenAnswer, call=call).token
    issued, expires = parse_time(body.issued_at), parse_time(body.expires_at)
    renew_at = None
    if issued is not None and expires is not None and expires > issued:
        # Both times are by the service's clock, so their difference holds on this machine's, however wrong that one is.
        lifetime = (expires - issued).total_seconds()
        renew_at = asked_at + lifetime - min(_LONGEST_MARGIN, lifetime * _MARGIN_SHARE)
    return _Token(value, body.project.id if body.project else None, renew_at)

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
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from requests.auth import AuthBase

from airflow_cbr.api import responses
from airflow_cbr.api.brake import LONGEST_PATIENCE, Brake
from airflow_cbr.api.credentials import VISIBLE, AkSkCredentials, Credentials, PasswordCredentials
from airflow_cbr.api.endpoints import is_id
from airflow_cbr.api.models import parse_time
from airflow_cbr.api.secret import Secret
from airflow_cbr.api.signing import authorization, format_sdk_date
from airflow_cbr.api.texts import clean
from airflow_cbr.api.transport import OutgoingCall, Transport
from airflow_cbr.exceptions import CbrConfigurationError, CbrError, CbrProtocolError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from requests import PreparedRequest

__all__ = ["AkSkCredentials", "Authenticator", "Credentials", "PasswordCredentials", "make_authenticator"]

_LONGEST_MARGIN: Final = 600.0
_MARGIN_SHARE: Final = 0.1
_SHOWN_PROJECTS: Final = 5


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
            secret=credentials.all_secrets,
            patience=patience,
        )
        return _KeyAuthenticator(credentials, transport, iam_url, region, project_id, brake)
    if isinstance(credentials, PasswordCredentials):
        brake = Brake(
            place=place,
            login=f"user {credentials.domain_name}\0{credentials.user_name}",
            who=f"IAM user {credentials.user_name} of {credentials.domain_name}",
            secret=lambda: credentials.password.reveal(),
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


def _digest(secret: Secret) -> str:
    return hmac.new(_HASH_KEY, secret.reveal().encode(), hashlib.sha256).hexdigest()


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
            headers["X-Security-Token"] = self._credentials.security_token.reveal()
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
        self.secrets: tuple[Secret, ...] = tuple(filter(None, (credentials.secret_key, credentials.security_token)))

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
        call = OutgoingCall("KeystoneListProjects", "GET", f"{iam_url}/v3/projects?name={quote(self._region, safe='')}", iam=True)
        with self.use():
            found = self._transport.send(
                call,
                lambda answer: responses.decode(answer, responses.ProjectsAnswer, call=call.name),
                auth=_SignedAuth(self._credentials, None),
                secrets=self.secrets,
            ).projects
        own = [project for project in found if project.name == self._region]
        if len(own) != 1:
            raise _no_project(self._region, found, len(own))
        if not is_id(own[0].id):
            raise CbrProtocolError(f"{call.name}: the id of project {self._region!r} is not valid ({clean(own[0].id)}).")
        return own[0].id


def _no_project(region: str, found: Sequence[responses.Project], own: int) -> CbrConfigurationError:
    seen = [
        f"{clean(project.name or 'without a name', longest=80)} ({clean(project.id, longest=80)})" for project in found[:_SHOWN_PROJECTS]
    ]
    if own:
        return CbrConfigurationError(
            f"IAM lists {own} projects named {region!r} for this access key: {', '.join(seen)}.", advice="Set project_id in the connection."
        )
    if any((project.name or "").startswith(f"{region}_") for project in found):
        return CbrConfigurationError(
            f"IAM lists no project named {region!r} for this access key, only a sub-project: {', '.join(seen)}.",
            advice="Set project_id in the connection to the id of the project that holds the vaults.",
        )
    others = f"; it lists {', '.join(seen)}" if seen else ""
    return CbrConfigurationError(
        f"IAM lists no project named {region!r} for this access key{others}.",
        advice="Set project_id in the connection. If it should be looked up, check region and cloud.",
    )


# --- password ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Token:
    value: Secret
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
        request.headers["X-Auth-Token"] = self.token.value.reveal()
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
    def secrets(self) -> tuple[Secret, ...]:
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
            self._on_secret(token.value.reveal())
        auth = self._auth = _TokenAuth(token)
        return auth

    def _log_in(self, iam_url: str) -> _Token:
        who = self._credentials
        # A project's name says nothing without its domain: Huawei's IAM fills the domain in, a plain Keystone refuses the request.
        project = {"id": self._asked_project} if self._asked_project else {"name": self._region, "domain": {"name": who.domain_name}}
        call = OutgoingCall(
            "KeystoneCreateUserTokenByPassword",
            "POST",
            f"{iam_url}/v3/auth/tokens?nocatalog=true",
            body=_login_body(who, project),
            iam=True,
        )
        asked_at = time.monotonic()
        with self._brake.attempt():
            return self._transport.send(call, lambda answer: _read_token(answer, call.name, asked_at), auth=None, secrets=(who.password,))


def _login_body(who: PasswordCredentials, project: dict[str, Any]) -> Secret:
    body = {
        "auth": {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": who.user_name, "password": who.password.reveal(), "domain": {"name": who.domain_name}}},
            },
            "scope": {"project": project},
        }
    }
    return Secret(msgspec.json.encode(body).decode())


def _read_token(answer: responses.ServiceResponse, call: str, asked_at: float) -> _Token:
    value = Secret(answer.headers.get("X-Subject-Token") or "")
    if not VISIBLE.fullmatch(value.reveal()):
        raise CbrProtocolError(
            f"{call}: the answer has no usable X-Subject-Token header.", request_id=answer.request_id, http_status=answer.status
        )
    # From here on the token is a secret of this answer too.
    answer = replace(answer, secrets=(*answer.secrets, value))
    body = responses.decode(answer, responses.TokenAnswer, call=call).token
    issued, expires = parse_time(body.issued_at), parse_time(body.expires_at)
    renew_at = None
    if issued is not None and expires is not None and expires > issued:
        # Both times are by the service's clock, so their difference holds on this machine's, however wrong that one is.
        lifetime = (expires - issued).total_seconds()
        renew_at = asked_at + lifetime - min(_LONGEST_MARGIN, lifetime * _MARGIN_SHARE)
    return _Token(value, body.project.id if body.project else None, renew_at)

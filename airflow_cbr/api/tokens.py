"""An IAM user's password, which buys a token."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
from requests.auth import AuthBase

from airflow_cbr.api import responses
from airflow_cbr.api.brake import Brake
from airflow_cbr.api.credentials import VISIBLE, PasswordCredentials
from airflow_cbr.api.models import parse_time
from airflow_cbr.api.process_cache import ProcessCache, digest
from airflow_cbr.api.renewal import margin
from airflow_cbr.api.secret import Secret
from airflow_cbr.api.transport import OutgoingCall, Transport
from airflow_cbr.exceptions import CbrConfigurationError, CbrProtocolError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from requests import PreparedRequest

__all__ = ["TokenAuthenticator", "login_brake"]


def login_brake(credentials: PasswordCredentials, *, region: str, project_id: str | None, place: str, patience: float) -> Brake:
    """Return the brake of an IAM user's password.

    :param credentials: the user.
    :param region: the region that the token is for.
    :param project_id: the project that it is for; None for the region's own.
    :param place: the cloud or the endpoints that know the user.
    :param patience: seconds to wait while others try it.
    """
    return Brake(
        place=place,
        login=f"user {credentials.domain_name}\0{credentials.user_name}",
        who=f"IAM user {credentials.user_name} of {credentials.domain_name}",
        secret=lambda: credentials.password.reveal(),
        # IAM may refuse a password for one project alone.
        scope=f"{region} {project_id or ''}",
        patience=patience,
    )


@dataclass(frozen=True, slots=True)
class _Token:
    value: Secret
    project_id: str | None
    renew_at: float | None
    """Reading of the monotonic clock; None: keep until refused."""

    def is_fresh(self) -> bool:
        return self.renew_at is None or time.monotonic() < self.renew_at


_TOKENS: Final[ProcessCache[_Token]] = ProcessCache()


class _TokenAuth(AuthBase):
    """Sends a token."""

    def __init__(self, token: _Token) -> None:
        self.token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["X-Auth-Token"] = self.token.value.reveal()
        return request


class TokenAuthenticator:
    """Authenticates with a token of an IAM user.

    :param credentials: the user.
    :param transport: sends the requests to IAM.
    :param iam_url: returns the base URL of IAM.
    :param region: region id, which is also the name of the region's default project.
    :param project_id: the project to work in, or None for the region's own.
    :param on_secret: called with each new token before it is used, or None.
    :param brake: says whether the password may be tried.
    """

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
        """Return the password, and the token."""
        auth = self._auth
        return (self._credentials.password, auth.token.value) if auth else (self._credentials.password,)

    def project_id(self) -> str:
        """Return the project id; asks IAM on first use when it was not given."""
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
        """Return a token that is good."""
        return self._current()

    def renew(self, refused: AuthBase) -> AuthBase:
        """Return another token than the one that the service has just refused."""
        dead = refused.token.value if isinstance(refused, _TokenAuth) else None
        # Another thread may have renewed it already; then its token is the better one.
        return self._use(lambda token: token.is_fresh() and token.value != dead)

    def use(self) -> AbstractContextManager[None]:
        """Guard nothing."""
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
        key = (iam_url, who.domain_name, who.user_name, digest(who.password), self._region, self._asked_project, self._transport.verify)
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
        renew_at = asked_at + lifetime - margin(lifetime)
    return _Token(value, body.project.id if body.project else None, renew_at)

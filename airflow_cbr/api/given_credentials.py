"""What a connection itself holds, as a source of keys for the agency that is assumed with it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from airflow_cbr.api.brake import Brake
from airflow_cbr.api.renewal import IssuedKey
from airflow_cbr.api.tokens import TokenAuthenticator, login_brake
from airflow_cbr.api.transport import OutgoingCall
from airflow_cbr.exceptions import CbrAuthenticationError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from airflow_cbr.api.credentials import AkSkCredentials, PasswordCredentials
    from airflow_cbr.api.sign_in import SignIn

__all__ = ["GivenKey", "GivenPassword", "key_brake"]

_SECONDS: Final = 3600


def key_brake(credentials: AkSkCredentials, place: str, patience: float) -> Brake:
    """Return the brake of an access key.

    :param credentials: the key.
    :param place: the cloud or the endpoints that know it.
    :param patience: seconds to wait while others try it.
    """
    return Brake(
        place=place,
        login=f"key {credentials.access_key}",
        who=f"access key {credentials.access_key[:4]}***",
        secret=credentials.all_secrets,
        patience=patience,
    )


@dataclass(frozen=True)
class GivenKey:
    """The access key of the connection.

    :param credentials: the key.
    """

    credentials: AkSkCredentials

    step: ClassVar[str] = "using the access key of the connection"
    advice: ClassVar[str] = "Check login and password of the connection (access key and secret key)."

    @property
    def base(self) -> None:
        """Return None: it is there."""
        return None

    def issue(self, desk: SignIn, base: IssuedKey | None) -> IssuedKey:
        """Return it; nothing is asked."""
        return IssuedKey(self.credentials)

    def guard(self, desk: SignIn) -> AbstractContextManager[None]:
        """Let it be tried, unless it was refused a short while ago: the sixth refusal locks it."""
        return key_brake(self.credentials, desk.place, desk.patience).use()


@dataclass(frozen=True)
class GivenPassword:
    """The IAM user of the connection, whose token buys a key that ends.

    :param credentials: the user.
    """

    credentials: PasswordCredentials

    step: ClassVar[str] = "logging in as the IAM user of the connection (auth_type password)"
    advice: ClassVar[str] = "Check login, password and domain_name of the connection."

    @property
    def base(self) -> None:
        """Return None: the password is there."""
        return None

    def issue(self, desk: SignIn, base: IssuedKey | None) -> IssuedKey:
        """Log in, and exchange the token for a key."""
        asked_at = time.monotonic()
        iam_url = desk.iam_url()
        who = self.credentials
        brake = login_brake(who, region=desk.region, project_id=None, place=desk.place, patience=desk.patience)
        login = TokenAuthenticator(who, desk.transport, lambda: iam_url, desk.region, None, desk.tell, brake)
        body = {"auth": {"identity": {"methods": ["token"], "token": {"duration_seconds": _SECONDS}}}}
        call = OutgoingCall(
            "CreateTemporaryAccessKeyByToken",
            "POST",
            f"{iam_url}/v3.0/OS-CREDENTIAL/securitytokens",
            body=msgspec.json.encode(body),
            iam=True,
        )
        token = login.current()
        try:
            return desk.ask(call, auth=token, asked_at=asked_at, secrets=login.secrets)
        except CbrAuthenticationError:
            token = login.renew(token)
        return desk.ask(call, auth=token, asked_at=asked_at, secrets=login.secrets)

    def guard(self, desk: SignIn) -> AbstractContextManager[None]:
        """Guard nothing: the password is shown to IAM alone, where it is guarded."""
        return contextlib.nullcontext()

"""Reading answers that hold a key, however their fields are spelt."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from airflow_cbr.api.credentials import AkSkCredentials
from airflow_cbr.api.models import parse_time
from airflow_cbr.api.renewal import IssuedKey
from airflow_cbr.api.responses import ServiceResponse, decode, parse_http_date
from airflow_cbr.api.secret import Secret
from airflow_cbr.exceptions import CbrConfigurationError, CbrProtocolError

__all__ = ["read_key"]


class _Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key, in the spellings of the metadata service and IAM, of pods, and of STS."""

    access: str | None = None
    accessKeyId: str | None = None  # noqa: N815
    access_key_id: str | None = None
    secret: str | None = None
    secretAccessKey: str | None = None  # noqa: N815
    secret_access_key: str | None = None
    securitytoken: str | None = None
    securityToken: str | None = None  # noqa: N815
    security_token: str | None = None
    expires_at: str | None = None
    expiration: str | None = None

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "***"


class _KeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    credential: _Key | None = None
    credentials: _Key | None = None


def read_key(answer: ServiceResponse, *, call: str, asked_at: float) -> IssuedKey:
    """Return the key of an answer.

    How long it lasts is the difference between the end that the answer names and the answer's own date. Both are by the service's clock, so
    it holds however wrong this machine's is.

    :param answer: a successful answer with ``credential`` or ``credentials``.
    :param call: the call's name, for messages.
    :param asked_at: reading of the monotonic clock when it was asked for.
    :raises CbrProtocolError: there is no usable key in it.
    """
    found = decode(answer, _KeyAnswer, call=call)
    key = found.credential or found.credentials
    if key is None:
        raise _no_key(answer, call)
    try:
        credentials = AkSkCredentials(
            key.access or key.accessKeyId or key.access_key_id or "",
            Secret(key.secret or key.secretAccessKey or key.secret_access_key or ""),
            Secret(key.securitytoken or key.securityToken or key.security_token or ""),
        )
    except CbrConfigurationError:
        raise _no_key(answer, call) from None
    ends = parse_time(key.expires_at or key.expiration)
    if ends is None:
        return IssuedKey(credentials)
    seconds = (ends - (parse_http_date(answer.headers.get("Date")) or datetime.now(UTC))).total_seconds()
    # One that has ended already is one of two clocks that is wrong: the service will say.
    return IssuedKey.lasting(credentials, seconds, asked_at=asked_at) if seconds > 0 else IssuedKey(credentials)


def _no_key(answer: ServiceResponse, call: str) -> CbrProtocolError:
    return CbrProtocolError(
        f"{call}: the answer holds no usable key: access key, secret key and security token.",
        request_id=answer.request_id,
        http_status=answer.status,
    )

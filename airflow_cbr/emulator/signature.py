"""Verification of ``SDK-HMAC-SHA256``, written from the documentation: whoever holds the secret key signed exactly this request."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHM: Final = "SDK-HMAC-SHA256"
CLOCK_WINDOW: Final = 15 * 60
UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_AUTHORIZATION: Final = re.compile(rf"{ALGORITHM} Access=([^,\s]+), ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]{{64}})")


class SignatureError(Exception):
    """A signature that does not hold; the text says why, as the gateway would."""


@dataclass(frozen=True)
class Authorization:
    """The parts of an ``Authorization`` header."""

    access_key: str
    signed_headers: tuple[str, ...]
    signature: str

    @classmethod
    def read(cls, header: str) -> Authorization:
        """Take a header apart.

        :param header: the header's value.
        :raises SignatureError: it is of another form or algorithm.
        """
        found = _AUTHORIZATION.fullmatch(header.strip())
        if found is None:
            raise SignatureError("the authorization header is malformed")
        return cls(found[1], tuple(found[2].split(";")), found[3])


def canonical_request(
    method: str, raw_path: str, raw_query: str, headers: Mapping[str, str], signed_headers: tuple[str, ...], body: bytes
) -> str:
    """Return the canonical form of a request, of which the signature is made.

    :param method: HTTP method, upper case.
    :param raw_path: the path as it was sent, percent-encoded.
    :param raw_query: the query as it was sent, without the question mark.
    :param headers: lower-case names.
    :param signed_headers: the names that are signed, in the client's order.
    :param body: the bytes sent.
    :raises SignatureError: a header that is named as signed was not sent.
    """
    path = "/".join(quote(unquote(segment), safe="-_.~") for segment in raw_path.split("/"))
    if not path.endswith("/"):
        path += "/"
    pairs = sorted(parse_qsl(raw_query, keep_blank_values=True))
    query = "&".join(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in pairs)
    missing = [name for name in signed_headers if name not in headers]
    if missing:
        raise SignatureError(f"signed header {missing[0]} is missing")
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in signed_headers)
    unsigned = headers.get("x-sdk-content-sha256") == UNSIGNED and not headers.get("content-type", "").startswith("application/json")
    body_hash = UNSIGNED if unsigned else hashlib.sha256(body).hexdigest()
    return "\n".join([method, path, query, lines, ";".join(signed_headers), body_hash])


def signature_of(canonical: str, date: str, secret_key: str) -> str:
    """Return the signature of a canonical request.

    :param canonical: from :func:`canonical_request`.
    :param date: the value of ``X-Sdk-Date``.
    :param secret_key: the key itself; the algorithm derives none.
    """
    to_sign = f"{ALGORITHM}\n{date}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(secret_key.encode(), to_sign.encode(), hashlib.sha256).hexdigest()


def verify(
    authorization: Authorization,
    *,
    secret_key: str,
    security_token: str | None,
    method: str,
    raw_path: str,
    raw_query: str,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
) -> None:
    """Check a signed request.

    :param authorization: the parts of the header.
    :param secret_key: the secret key that belongs to the access key.
    :param security_token: the token that temporary keys must bring, signed; None for permanent keys.
    :param method: HTTP method.
    :param raw_path: the path as it was sent.
    :param raw_query: the query as it was sent.
    :param headers: lower-case names.
    :param body: the bytes sent.
    :param now: the time by which ``X-Sdk-Date`` is judged, seconds since 1970.
    :raises SignatureError: it does not hold.
    """
    date = headers.get("x-sdk-date", "")
    try:
        signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise SignatureError("x-sdk-date is missing or malformed") from None
    if abs(now - signed_at) > CLOCK_WINDOW:
        raise SignatureError("the signature expired: x-sdk-date is more than 15 minutes off the service's clock")
    must_sign = {"host", "x-sdk-date"}
    if security_token is not None:
        if headers.get("x-security-token") != security_token:
            raise SignatureError("the security token is missing or wrong")
        must_sign.add("x-security-token")
    unsigned = must_sign.difference(authorization.signed_headers)
    if unsigned:
        raise SignatureError(f"header {min(unsigned)} is not signed")
    canonical = canonical_request(method, raw_path, raw_query, headers, authorization.signed_headers, body)
    if not hmac.compare_digest(signature_of(canonical, date, secret_key), authorization.signature):
        raise SignatureError("verify aksk signature fail")

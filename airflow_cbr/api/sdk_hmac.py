"""The request signature ``SDK-HMAC-SHA256`` that Huawei Cloud's API gateway checks for AK/SK credentials.

Source: "Signing Algorithm" in the API Gateway developer guide, and the signer of the official SDK (``huaweicloudsdkcore``), with
which this one is compared in the tests. The secret key signs directly: there is no key derivation and no scope.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from airflow_cbr.api.secret import Secret

__all__ = ["ALGORITHM", "authorization", "canonical_request", "format_sdk_date"]

ALGORITHM: Final = "SDK-HMAC-SHA256"


def format_sdk_date(moment: datetime) -> str:
    """Write a time as the ``X-Sdk-Date`` header wants it.

    :param moment: the time of signing, aware; the service refuses one more than 15 minutes from its own clock.
    :return: for example ``20260101T000000Z``.
    """
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def canonical_request(method: str, url: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return the text whose hash is signed.

    :param method: HTTP method.
    :param url: the URL exactly as it is sent, with its query.
    :param headers: the headers to sign; a name with an underscore is left out, because gateways drop such headers.
    :param body: the exact bytes that are sent; empty for a GET.
    :return: six parts joined by line feeds: method, path (always ending with a slash), query (sorted), headers (sorted, each line
        ended), names of the signed headers, hash of the body.
    """
    parts = urlsplit(url)
    path = quote(unquote(parts.path), safe="/")
    if not path.endswith("/"):
        path += "/"
    signed = _signed(headers)
    return "\n".join(
        (
            method.upper(),
            path,
            _canonical_query(parts.query),
            "".join(f"{name}:{value}\n" for name, value in signed),
            ";".join(name for name, _ in signed),
            hashlib.sha256(body).hexdigest(),
        )
    )


def authorization(
    access_key: str, secret_key: str | Secret, *, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
) -> str:
    """Sign a request.

    :param access_key: the AK.
    :param secret_key: the SK.
    :param method: HTTP method.
    :param url: the URL exactly as it is sent.
    :param headers: the headers to sign; must hold ``host`` and ``x-sdk-date``, and ``x-security-token`` with temporary credentials.
    :param body: the exact bytes that are sent. Default: empty.
    :return: the value of the ``Authorization`` header.
    :raises KeyError: ``x-sdk-date`` is not among the headers.
    """
    secret_key = Secret.of(secret_key)
    date = next((value for name, value in headers.items() if name.lower() == "x-sdk-date"), None)
    if date is None:
        raise KeyError("x-sdk-date")
    request = canonical_request(method, url, headers, body)
    text = f"{ALGORITHM}\n{date}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(secret_key.reveal().encode(), text.encode(), "sha256").hex()
    names = ";".join(name for name, _ in _signed(headers))
    return f"{ALGORITHM} Access={access_key}, SignedHeaders={names}, Signature={signature}"


def _signed(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted((name.lower(), value.strip()) for name, value in headers.items() if "_" not in name)


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = []
    for item in query.split("&"):
        name, _, value = item.partition("=")
        pairs.append((unquote(name), unquote(value)))
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(pairs))

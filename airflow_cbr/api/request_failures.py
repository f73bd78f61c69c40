"""Why a request failed, in words and as one of the package's errors."""

from __future__ import annotations

import ssl
import traceback
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from airflow_cbr.api.texts import clean
from airflow_cbr.api.wire import AnswerTooLargeError
from airflow_cbr.exceptions import CbrConnectionError, CbrProtocolError, CbrTimeoutError, CbrTransportError

if TYPE_CHECKING:
    from airflow_cbr.api.secret import Secret

__all__ = ["WIRE_ERRORS", "forget_locals", "transport_error"]

WIRE_ERRORS: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError)
"""What sending a request raises of its own accord."""


def forget_locals(error: BaseException) -> None:
    """Empty the frames that an error has left behind: those of the libraries below hold the headers, and with them a token or a signature.

    Who prints a traceback with the frames' locals would print these.

    :param error: an error that goes on its way; the frames that are still running keep what they have.
    """
    for one in _chain(error):
        traceback.clear_frames(one.__traceback__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and everything that it wraps: requests, urllib3 and ssl each put the next one into another place."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            waiting += [
                *item.args,
                getattr(item, "reason", None),
                getattr(item, "original_error", None),
                item.__cause__,
                item.__context__,
            ]


def transport_error(
    error: BaseException, *, call: str, url: str, sent: bool, timeout: float | None, secrets: Iterable[Secret]
) -> CbrTransportError:
    """Make the package's error of one that came from the wire.

    :param error: what was raised while a request was sent or its answer read.
    :param call: the call's name in the API reference, for the message.
    :param url: where it went.
    :param sent: whether the service can have seen the request.
    :param timeout: seconds that the answer was given, when they have passed.
    :param secrets: texts that must not appear in the message.
    """
    causes = list(_chain(error))
    host = urlsplit(url).netloc

    def is_any(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if is_any(ssl.SSLCertVerificationError):
        return CbrConnectionError(
            f"{call}: the certificate of {host} cannot be verified ({_reason(causes, secrets, ssl.SSLCertVerificationError)}).",
            sent=sent,
            advice="Set verify to the file of the authority's certificate, if this is your own endpoint or your company's proxy.",
            permanent=True,
        )
    if is_any(requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError):
        return CbrProtocolError(f"{call}: the answer from {host} is compressed in a way that cannot be read.", sent=sent)
    if is_any(AnswerTooLargeError):
        return CbrProtocolError(f"{call}: the answer from {host} is larger than any answer of the API.", sent=sent)
    if is_any(requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL):
        # Their texts quote the header or the URL.
        return CbrProtocolError(f"{call}: the request to {host} cannot be written as HTTP.", sent=sent, permanent=True)
    if is_any(urllib3.exceptions.NameResolutionError):
        return CbrConnectionError(
            f"{call}: the name {host} cannot be resolved.", sent=sent, advice="Check region, cloud and endpoints of the connection."
        )
    if not sent and is_any(urllib3.exceptions.ProxyError):
        return CbrConnectionError(
            f"{call}: the proxy on the way to {host} did not connect ({_reason(causes, secrets)}).",
            sent=sent,
            advice="Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY in the environment.",
        )
    if sent and timeout is not None:
        return CbrTimeoutError(f"{call}: the answer from {host} was not complete after {timeout:.3g} s.", sent=sent)
    # A refused connection is a kind of timeout in urllib3 1.
    if is_any(urllib3.exceptions.NewConnectionError):
        return CbrConnectionError(
            f"{call}: the connection to {host} could not be made ({_reason(causes, secrets)}).",
            sent=sent,
            advice="Check region, cloud and endpoints of the connection, and check for a firewall or a missing proxy setting.",
        )
    if is_any(urllib3.exceptions.ConnectTimeoutError):
        return CbrTimeoutError(f"{call}: {host} did not accept a connection in time.", sent=sent)
    if is_any(requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
        return CbrTimeoutError(f"{call}: {host} did not answer in time.", sent=sent)
    return CbrConnectionError(f"{call}: the connection to {host} broke ({_reason(causes, secrets)}).", sent=sent)


def _reason(causes: list[BaseException], secrets: Iterable[Secret], kind: type[BaseException] = BaseException) -> str:
    innermost = next(cause for cause in reversed(causes) if isinstance(cause, kind))
    text = getattr(innermost, "verify_message", "") or getattr(innermost, "strerror", "") or str(innermost)
    return clean(f"{type(innermost).__name__}: {text}", secrets)

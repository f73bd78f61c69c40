"""Sending: one pooled session, timeouts, what may be sent again and when, and why a request failed.

The question behind every failure is whether the service can have seen the request. Reads may be sent again in any case. A call that
changes something, and a replication costs money, is sent again only when it is certain that it was not processed.
"""

from __future__ import annotations

import logging
import os
import random
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3.exceptions
from requests.utils import default_headers, get_environ_proxies

from airflow_cbr import __version__
from airflow_cbr.api import error_lookup, request_failures, responses
from airflow_cbr.api.addresses import is_link_local
from airflow_cbr.api.catalogue_row import Decision
from airflow_cbr.api.deadline import seconds_left
from airflow_cbr.api.endpoints import is_loopback
from airflow_cbr.api.responses import ServiceResponse
from airflow_cbr.api.secret import Secret
from airflow_cbr.api.stopping import refuse_if_stopped
from airflow_cbr.api.wire import Exchange, WatchedAdapter
from airflow_cbr.exceptions import (
    CbrApiError,
    CbrConfigurationError,
    CbrError,
    CbrOutcomeUnknownError,
    CbrProtocolError,
    CbrThrottledError,
    CbrTransportError,
)

if TYPE_CHECKING:
    from requests.auth import AuthBase

__all__ = ["OutgoingCall", "Transport"]

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_POOL_SIZE: Final = 10
_CHUNK: Final = 1 << 18
_LARGEST_BODY: Final = 64 << 20
"""Bytes of a body, after it was decompressed. As they are sent, with all that frames them, there may be twice as many."""
ANSWER_PATIENCE: Final = 5
"""An exchange may take this many read timeouts, from the first byte of the request to the last of the answer: each of them limits only the
gap between two packets. With the time to connect before it, no exchange takes longer than ``connect_timeout + 5 * read_timeout``."""
_IDLE_LIMIT: Final = 20.0
_UNREADABLE_ATTEMPTS: Final = 3
_PAUSE: Final = tenacity.wait_exponential(multiplier=0.5, max=30)
_PAUSE_THROTTLED: Final = tenacity.wait_exponential(multiplier=5, max=60)

_warned_hosts: set[str] = set()


@dataclass(frozen=True, slots=True)
class OutgoingCall:
    """One call of the API.

    :param name: its name in the API reference, for messages.
    :param method: HTTP method.
    :param url: the whole URL, with its query, percent-encoded.
    :param body: the exact bytes to send, or the secret text of them. Default: none.
    :param repeatable: whether sending it twice does no more than sending it once. Default: True.
    :param changes: whether it changes something, so that a stop keeps it from being sent. Default: False.
    :param single: whether it is sent once only, even if it was certainly not processed. Default: False.
    :param iam: whether it goes to IAM. Default: False.
    :param direct: whether no proxy of the environment may see it, as with what only this machine or its link can reach. Default: False.
    """

    name: str
    method: str
    url: str
    body: bytes | Secret | None = field(default=None, repr=False)
    repeatable: bool = True
    changes: bool = False
    single: bool = False
    iam: bool = False
    direct: bool = False


class Transport:
    """Sends calls for one client; safe to use from several threads.

    :param verify: True: check certificates against the usual authorities, or those that ``REQUESTS_CA_BUNDLE`` or ``CURL_CA_BUNDLE``
        name. False: do not check. A path: a file or folder of authorities.
    :param connect_timeout: seconds for making a connection: the name, the connection itself, the proxy's consent and TLS together.
    :param read_timeout: seconds without a byte of the answer. The whole answer may take five times as long.
    :param retry_budget: seconds, from the first attempt, within which another one may begin. 0: one attempt. A bound of
        :func:`airflow_cbr.api.deadline.within` around the call limits attempts, answers and pauses further.
    :param sleep: waits between attempts.
    :param on_throttled: called for each answer that says "too many requests", in the thread of the call. Default: nothing is.
    :raises CbrConfigurationError: ``verify`` names a path that does not exist.
    """

    def __init__(
        self,
        *,
        verify: bool | str,
        connect_timeout: float,
        read_timeout: float,
        retry_budget: float,
        sleep: Callable[[float], None],
        on_throttled: Callable[[], None] = lambda: None,
    ) -> None:
        if isinstance(verify, str) and not Path(verify).exists():
            raise CbrConfigurationError(f"verify: the file or folder with certificates {verify!r} does not exist.")
        self.verify = verify
        self._authorities = verify
        if verify is True:
            self._authorities = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        self.newest_date: str | None = None
        self._timeout = (connect_timeout, read_timeout)
        self._answer_timeout = ANSWER_PATIENCE * read_timeout
        self._retry_budget = retry_budget
        self._sleep = sleep
        self._on_throttled = on_throttled
        self._last_used = time.monotonic()
        self._proxies: dict[str, dict[str, str]] = {}
        self._headers = default_headers()
        self._headers["User-Agent"] = f"airflow-cbr/{__version__}"
        self._headers["Accept"] = "application/json"
        self._headers["Content-Type"] = "application/json;charset=UTF-8"
        self._session = self._make_session()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def send(
        self, call: OutgoingCall, read: Callable[[ServiceResponse], Result], *, auth: AuthBase | None, secrets: Iterable[Secret] = ()
    ) -> Result:
        """Send a call, again if that is right, and read its answer.

        :param call: what to send.
        :param read: makes the result from a successful answer; raises :class:`CbrProtocolError` when it cannot.
        :param auth: authenticates each attempt. Default: nothing does.
        :param secrets: texts that must not appear in a message.
        :return: what ``read`` returned.
        :raises CbrStoppedError: a call that changes something was not sent, because the task was stopped.
        :raises CbrOutcomeUnknownError: a call that is not repeatable may or may not have been processed.
        :raises CbrTransportError: no usable answer. After a call that is not repeatable: it was certainly not processed.
        :raises CbrApiError: the service's own error.
        """
        budget = _Budget(self._retry_budget, seconds_left())
        retrying = tenacity.Retrying(
            sleep=self._sleep,
            retry=lambda state: _may_repeat(call, state),
            wait=budget.pause,
            stop=budget.is_spent,
            before_sleep=lambda state: budget.log_retry(call, state),
            reraise=True,
        )
        try:
            result: Result = retrying(self._attempt, call, read, auth, secrets)
            return result
        except CbrError as error:
            if not call.repeatable and _outcome_is_unknown(error):
                raise CbrOutcomeUnknownError(
                    f"{error.message} Whether the service accepted the request is not known.",
                    advice="Check the source vault's backups and their replication records, or its tasks in the CBR console, before "
                    "sending it again.",
                    error_code=error.error_code,
                    request_id=error.request_id,
                    http_status=error.http_status,
                ) from error
            raise

    # --- one attempt --------------------------------------------------------------------------------------------------

    def _attempt(
        self, call: OutgoingCall, read: Callable[[ServiceResponse], Result], auth: AuthBase | None, secrets: Iterable[Secret]
    ) -> Result:
        answer = self._exchange(call, auth, secrets)
        self.newest_date = answer.headers.get("Date") or self.newest_date
        if 200 <= answer.status < 300:
            return read(answer)
        if answer.status < 400:
            # 301, 307 and 308 come from something in front of the service and mean that the request was not processed. After 302 and
            # 303 it may have been: both are also used to say "done, now look there".
            raise CbrProtocolError(
                f"{call.name}: HTTP {answer.status} redirects the request; redirects are not followed, because they would carry "
                "credentials to another host.",
                sent=answer.status not in (301, 307, 308),
                request_id=answer.request_id,
                http_status=answer.status,
                advice="Check region, cloud and endpoints of the connection (https, not http?), and whether a proxy requires a login.",
                permanent=True,
            )
        error = responses.error_from_answer(
            answer.status, answer.headers, answer.body, call=call.name, iam=call.iam, secrets=answer.secrets
        )
        log.info("%s: HTTP %s, code %s, request id %s", call.name, answer.status, error.error_code, error.request_id)
        if isinstance(error, CbrThrottledError):
            self._on_throttled()
        raise error

    def _exchange(self, call: OutgoingCall, auth: AuthBase | None, secrets: Iterable[Secret]) -> ServiceResponse:
        now = time.monotonic()
        if not call.repeatable and now - self._last_used > _IDLE_LIMIT:
            # A connection that a proxy has dropped without a word would leave open whether the call arrived: take a new one.
            self._session.close()
        self._last_used = now
        connecting, gap = self._timeout
        exchange = Exchange(
            connecting=connecting,
            answering=self._answer_timeout,
            gap=gap,
            largest=2 * _LARGEST_BODY,
            until=now + seconds_left(),
            # To connect takes a while, and so do the pauses before a call is repeated.
            permit=(lambda: refuse_if_stopped(f"{call.name} was not sent.")) if call.changes else None,
        )
        try:
            with exchange.on_this_thread():
                return self._answer(call, exchange, auth, secrets)
        except request_failures.WIRE_ERRORS as error:
            failure = request_failures.transport_error(
                error,
                call=call.name,
                url=call.url,
                sent=exchange.is_sent,
                timeout=exchange.allotted if exchange.is_over else None,
                secrets=secrets,
            )
            request_failures.forget_locals(error)
        except BaseException as error:
            # Also what a signal raises while the answer is awaited, as Airflow's own timeout does.
            request_failures.forget_locals(error)
            raise
        # Out here the error has no context, which would lead to all that the libraries say of the request; and in no circle, which would
        # keep their connections open for a while.
        try:
            raise failure
        finally:
            del failure

    def _answer(self, call: OutgoingCall, exchange: Exchange, auth: AuthBase | None, secrets: Iterable[Secret]) -> ServiceResponse:
        request = self._prepare(call, auth)
        adapter = self._session.get_adapter(call.url)
        # Not known to be unsent from here on, unless the adapter knows better.
        exchange.is_sent = True
        # Not through Session.send: it would read the body of a redirect to its end, however large, to say where it leads.
        response = adapter.send(
            request,
            timeout=self._timeout,
            verify=self._authorities,
            proxies={} if call.direct else self._proxies_of(call.url),
            stream=True,
        )
        with response:
            is_redirect = 300 <= response.status_code < 400
            body = b"" if is_redirect else self._read_body(response, call)
            return ServiceResponse(response.status_code, response.headers, body, tuple(secrets))

    def _prepare(self, call: OutgoingCall, auth: AuthBase | None) -> requests.PreparedRequest:
        # Session.request and Request.prepare would merge this with the session's settings and the environment, and look for forms, files,
        # cookies and hooks, on every call, which costs more of it than the signature does.
        request = requests.PreparedRequest()
        request.prepare_method(call.method)
        request.prepare_url(call.url, None)
        request.headers = self._headers.copy()
        request.body = call.body.reveal().encode() if isinstance(call.body, Secret) else call.body
        request.prepare_content_length(request.body)
        return auth(request) if auth is not None else request

    def _read_body(self, response: requests.Response, call: OutgoingCall) -> bytes:
        parts: list[bytes] = []
        size = 0
        # What is not compressed would be copied once more on its way through the decoder.
        is_compressed = "Content-Encoding" in response.headers
        # read1 returns what is there; the other ways of reading wait until a whole chunk is.
        while part := response.raw.read1(_CHUNK, decode_content=is_compressed):
            parts.append(part)
            size += len(part)
            if size > _LARGEST_BODY:
                raise CbrProtocolError(f"{call.name}: the answer is larger than {_LARGEST_BODY >> 20} MiB.")
        return b"".join(parts)

    # --- the session --------------------------------------------------------------------------------------------------

    def _make_session(self) -> requests.Session:
        session = requests.Session()
        # The environment's proxies and authorities are asked for once, elsewhere. What remains of trust_env is netrc, which would put
        # another password into the Authorization header.
        session.trust_env = False
        for scheme in ("https://", "http://"):
            session.mount(scheme, WatchedAdapter(pool_connections=4, pool_maxsize=_POOL_SIZE))
        return session

    def _proxies_of(self, url: str) -> dict[str, str]:
        parts = urlsplit(url)
        host = f"{parts.scheme}://{parts.netloc}"
        proxies = self._proxies.get(host)
        if proxies is None:
            # What is on this link alone no proxy can reach, and it must not be asked to.
            proxies = self._proxies[host] = {} if is_link_local(url) else dict(get_environ_proxies(url))
            self._warn_once(host, parts.scheme)
        return proxies

    def _warn_once(self, host: str, scheme: str) -> None:
        if scheme == "https" and not self.verify:
            warnings.filterwarnings("ignore", f".*host '{urlsplit(host).hostname}'", category=urllib3.exceptions.InsecureRequestWarning)
            text = "Certificates of %s are not checked (verify is off): anyone on the network path can read and change everything."
        elif scheme == "http" and not is_loopback(host):
            text = "Requests to %s are not encrypted: anyone on the network path can read tokens and change answers. Use https."
        else:
            return
        if host not in _warned_hosts:
            _warned_hosts.add(host)
            log.warning(text, host)


class _Budget:
    """How long one call may be repeated.

    :param budget: seconds, from the first attempt, within which another one may begin.
    :param bound: seconds after which the caller waits no longer; no attempt begins at its very end.
    """

    def __init__(self, budget: float, bound: float) -> None:
        self._budget = min(budget, bound)
        self._bound = bound

    def is_spent(self, state: tenacity.RetryCallState) -> bool:
        """Return whether no other attempt may follow, after the pause that is planned."""
        left = self._left(state)
        return left <= 0.001 or self._bound - self._budget + left <= state.upcoming_sleep

    def _left(self, state: tenacity.RetryCallState) -> float:
        # Sleeps count even where a test's sleep takes no time.
        return self._budget - max(state.seconds_since_start or 0.0, state.idle_for)

    def pause(self, state: tenacity.RetryCallState) -> float:
        """Return how long to wait before the next attempt."""
        error = _error_of(state)
        asked = error.retry_after if isinstance(error, CbrError) else None
        if asked is not None:
            # A little more than asked, so that the tasks which were refused together do not return together.
            pause = asked + random.uniform(0.0, 1.0)  # noqa: S311 - spreads load, guards nothing
        else:
            longest: float = (_PAUSE_THROTTLED if isinstance(error, CbrThrottledError) else _PAUSE)(state)
            pause = random.uniform(0.5, 1.0) * longest  # noqa: S311
        return max(0.0, min(pause, self._left(state)))

    def log_retry(self, call: OutgoingCall, state: tenacity.RetryCallState) -> None:
        """Say why there is another attempt, and when."""
        log.warning(
            "%s This was attempt %s; the next one follows in %.1f s (%.0f s of %.0f s left for %s).",
            _error_of(state),
            state.attempt_number,
            state.upcoming_sleep,
            max(0.0, self._left(state)),
            self._budget,
            call.name,
        )


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _may_repeat(call: OutgoingCall, state: tenacity.RetryCallState) -> bool:
    error = _error_of(state)
    if call.single or not isinstance(error, CbrError) or error.permanent:
        return False
    if isinstance(error, CbrThrottledError):
        return True
    if not call.repeatable:
        return isinstance(error, CbrTransportError) and not error.sent
    if isinstance(error, CbrProtocolError):
        return state.attempt_number < _UNREADABLE_ATTEMPTS
    if isinstance(error, CbrApiError):
        return error_lookup.decide(error) is Decision.RETRY
    return isinstance(error, CbrTransportError)


def _outcome_is_unknown(error: CbrError) -> bool:
    if isinstance(error, CbrTransportError):
        return error.sent
    return isinstance(error, CbrApiError) and error_lookup.is_uncertain(error)

"""The wire: one exchange at a time on a connection, with an end that nothing puts off, and the moment at which the request went out.

Whether the service can have seen a request is known here and nowhere else. The classes of exceptions do not tell: one and the same comes
from a proxy that was never reached and from one that passed the request on and lost the answer.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ipaddress
import math
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import urllib3.exceptions
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import allowed_gai_family

if TYPE_CHECKING:
    from requests import Response
    from urllib3.connectionpool import HTTPConnectionPool

__all__ = ["AnswerTooLargeError", "Exchange", "WatchedAdapter"]

_EXCHANGE: Final[ContextVar[Exchange]] = ContextVar("exchange")


class AnswerTooLargeError(OSError):
    """More bytes came than any answer has."""


class Exchange:
    """One request and its answer: how long they may take, and how far they have come.

    :param connecting: seconds for the name, the connection, the proxy's consent and TLS, all together.
    :param answering: seconds from the first byte of the request to the last of the answer.
    :param gap: seconds without a byte of the answer.
    :param largest: bytes of the answer, with its headers and as they are sent, that are read.
    :param until: reading of the monotonic clock at which all ends in any case. Default: none.
    :param permit: called right before the first byte goes out; what it raises keeps the request from being sent. Default: nothing does.
    """

    __slots__ = ("_answering", "_deadline", "_gap", "_largest", "_permit", "_received", "_until", "allotted", "is_sent")

    def __init__(
        self,
        *,
        connecting: float,
        answering: float,
        gap: float,
        largest: int,
        until: float = math.inf,
        permit: Callable[[], None] | None = None,
    ) -> None:
        self._answering = answering
        self._gap = gap
        self._largest = largest
        self._until = until
        self._permit = permit
        self._deadline = min(time.monotonic() + connecting, until)
        self._received = 0
        self.allotted = answering
        """Seconds that the answer is given in fact."""
        self.is_sent = False
        """Whether a byte of the request can have gone out: to the service, or to a proxy that passes requests on. Who hands a request over
        sets it; only what is known to tell takes that back until it happens."""

    @contextlib.contextmanager
    def on_this_thread(self) -> Iterator[None]:
        """Let the connections that are used meanwhile, in this thread, belong to the exchange."""
        token = _EXCHANGE.set(self)
        try:
            yield
        finally:
            _EXCHANGE.reset(token)

    def goes_out(self) -> None:
        """Note that from now on the service may see the request."""
        if not self.is_sent:
            self.seconds()
            if self._permit is not None:
                self._permit()
            self.is_sent = True
            now = time.monotonic()
            self.allotted = min(self._answering, self._until - now)
            self._deadline = now + self.allotted

    def seconds(self) -> float:
        """Return how long the next step may take.

        :raises TimeoutError: no time is left.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no time is left")
        return min(left, self._gap) if self.is_sent else left

    @property
    def is_over(self) -> bool:
        """Return whether its time has passed."""
        return time.monotonic() >= self._deadline

    def received(self, count: int) -> None:
        """Count bytes of the answer.

        :raises AnswerTooLargeError: there are too many.
        """
        self._received += count
        if self._received > self._largest:
            raise AnswerTooLargeError(f"more than {self._largest} bytes")


class WatchedAdapter(HTTPAdapter):
    """Sends requests over connections that belong to an exchange; repeats none of its own accord."""

    def send(self, *args: Any, **options: Any) -> Response:
        """Send a request; until one of the connections says otherwise, it has not gone out."""
        _EXCHANGE.get().is_sent = False
        return super().send(*args, **options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the connections that go straight to the service."""
        super().init_poolmanager(*args, **options)
        _watch(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Make the connections that go through a proxy."""
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if is_new:
            _watch(manager)
        return manager


def _watch(manager: Any) -> None:
    manager.pool_classes_by_scheme = {scheme: _watched(pool) for scheme, pool in manager.pool_classes_by_scheme.items()}


def _watched(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    known: dict[type, type] = {HTTPConnection: _PlainConnection, HTTPSConnection: _SecureConnection}
    # A SOCKS proxy's connections look names up and connect in their own way; all the rest holds for them too.
    connection = known.get(pool.ConnectionCls) or type("_OtherConnection", (_Connection, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


# --- connections ------------------------------------------------------------------------------------------------------


class _TimedResponse(http.client.HTTPResponse):
    """Reads an answer, of the service or of a proxy that is asked for a tunnel, within the time of its exchange."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_Meter(self.fp.detach(), sock, _EXCHANGE.get()))

    def begin(self) -> None:
        super().begin()
        # What cannot be read as a header urllib3 would write into the log, as it is and with a traceback.
        self.msg.defects.clear()
        self.msg.set_payload("")


class _Meter(io.RawIOBase):
    """Reads from a socket as long as the exchange has time: a timeout of the socket alone begins anew with each byte."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, exchange: Exchange) -> None:
        self._raw = raw
        self._sock = sock
        self._exchange = exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._exchange.seconds())
        count = self._raw.readinto(buffer)
        self._exchange.received(count or 0)
        return count

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Connection(HTTPConnection):
    """Keeps to the time of the exchange, and tells it when the request goes out."""

    response_class = _TimedResponse
    _is_connecting = False
    _held: list[bytes] | None = None

    def request(self, *args: Any, **options: Any) -> None:
        """Send head and body in one piece: in two, they are two packets, and what reads them wakes up twice."""
        held = self._held = list[bytes]()
        try:
            super().request(*args, **options)
        finally:
            self._held = None
        self.send(b"".join(held))

    def connect(self) -> None:
        self._is_connecting = True
        try:
            super().connect()
        finally:
            self._is_connecting = False

    def _new_conn(self) -> socket.socket:
        self.timeout = _seconds_to_connect(self)
        return super()._new_conn()

    def _tunnel(self) -> None:
        super()._tunnel()
        # What is left of the time to connect is for TLS.
        self.sock.settimeout(_EXCHANGE.get().seconds())

    def send(self, data: Any) -> None:
        if self._held is not None:
            self._held.append(data)
            return
        if self.sock is None and self.auto_open:
            self.connect()
        exchange = _EXCHANGE.get()
        if not self._is_connecting:
            exchange.goes_out()
        self.sock.settimeout(exchange.seconds())
        super().send(data)


class _ResolvingConnection(_Connection):
    """Looks the name up and tries its addresses, all within the time to connect."""

    def _new_conn(self) -> socket.socket:
        host = self._dns_host
        addresses = _addresses(self, host)
        try:
            while True:
                self._dns_host = addresses.pop(0)
                # An address that swallows packets leaves the others their share.
                self.timeout = _seconds_to_connect(self) / (len(addresses) + 1)
                try:
                    return HTTPConnection._new_conn(self)
                except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
                    if not addresses:
                        raise
        finally:
            self._dns_host = host


class _PlainConnection(_ResolvingConnection):
    pass


class _SecureConnection(_ResolvingConnection, HTTPSConnection):
    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> Any:
        return _ProxySocket(super()._connect_tls_proxy(hostname, sock))


class _ProxySocket:
    """A TLS socket to a proxy, over which TLS to the service is spoken: the loop that does so asks for no time of its own."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    @property
    def _io_refs(self) -> int:
        return self._sock._io_refs  # type: ignore[no-any-return]

    @_io_refs.setter
    def _io_refs(self, count: int) -> None:
        self._sock._io_refs = count

    def recv(self, *args: Any) -> bytes:
        self._sock.settimeout(_EXCHANGE.get().seconds())
        return self._sock.recv(*args)  # type: ignore[no-any-return]

    def sendall(self, *args: Any) -> None:
        self._sock.settimeout(_EXCHANGE.get().seconds())
        self._sock.sendall(*args)


# --- names ------------------------------------------------------------------------------------------------------------


def _seconds_to_connect(connection: HTTPConnection) -> float:
    try:
        return _EXCHANGE.get().seconds()
    except TimeoutError as error:
        raise urllib3.exceptions.ConnectTimeoutError(connection, str(error)) from error


def _addresses(connection: HTTPConnection, host: str) -> list[str]:
    try:
        ipaddress.ip_address(host.strip("[]"))
        return [host]
    except ValueError:
        pass
    found: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found.put(socket.getaddrinfo(host, connection.port, allowed_gai_family(), socket.SOCK_STREAM))
        except Exception as error:
            found.put(error)

    # Nothing can stop a look-up that has begun. The thread ends when the resolver gives up; the exchange goes on without it.
    threading.Thread(target=ask, name="cbr-look-up", daemon=True).start()
    try:
        answer = found.get(timeout=_seconds_to_connect(connection))
    except queue.Empty:
        raise urllib3.exceptions.ConnectTimeoutError(connection, f"the name {host} was not resolved in time") from None
    if isinstance(answer, (OSError, UnicodeError)):
        raise urllib3.exceptions.NameResolutionError(host, connection, answer)  # type: ignore[arg-type]  # takes any error
    if isinstance(answer, Exception):
        raise answer
    return list(dict.fromkeys(_numeric(address) for *_, address in answer)) or [host]


def _numeric(address: tuple[Any, ...]) -> str:
    scope = address[3] if len(address) > 3 else 0
    return f"{address[0]}%{scope}" if scope else str(address[0])

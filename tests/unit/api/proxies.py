"""Servers that count what they read, and proxies that pass on so much and no more."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

ACCEPTED = (
    b'{"replication": {"backups": [{"backup_id": "7558e1a3-7046-4787-95cd-14b0ad0642a8",'
    b' "replication_record_id": "11111111-2222-4333-8444-555555555555"}]}}'
)
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@contextlib.contextmanager
def listening(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve each connection in a thread of its own; yield the port."""
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            handle(connection)

    def run() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=one, args=(connection,), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=run, daemon=True)
    accepting.start()
    try:
        yield server.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        accepting.join(10)
        for thread in threads:
            thread.join(10)


class Counting:
    """A service that accepts each POST, and counts the bytes of requests that it reads, by connection.

    :param context: speaks TLS. Default: none is spoken.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context
        self.seen: list[int] = []
        self.posts = 0
        self._lock = threading.Lock()

    def __call__(self, connection: socket.socket) -> None:
        with self._lock:
            number = len(self.seen)
            self.seen.append(0)
        connection.settimeout(10)
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_side=True)
        with connection:
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += self._read(connection, number)
                head, _, body = head.partition(b"\r\n\r\n")
                length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                while len(body) < length:
                    body += self._read(connection, number)
                with self._lock:
                    self.posts += 1
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(ACCEPTED), ACCEPTED))

    def _read(self, connection: socket.socket, number: int) -> bytes:
        part = connection.recv(65536)
        if not part:
            raise ConnectionResetError
        with self._lock:
            self.seen[number] += len(part)
        return part


class Proxy:
    """Passes requests on to one service, through a tunnel where it is asked for one; cuts its first connection.

    :param port: the service's port.
    :param upward: bytes from the client that are passed on before the cut. Default: all.
    :param downward: bytes to the client, the answer to CONNECT among them, before the cut. Default: all.
    :param context: speaks TLS to the client. Default: none is spoken.
    """

    def __init__(self, port: int, *, upward: int | None = None, downward: int | None = None, context: ssl.SSLContext | None = None) -> None:
        self.port = port
        self.upward, self.downward = upward, downward
        self.context = context
        self.down = 0
        self.connections = 0
        self._lock = threading.Lock()

    def __call__(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            is_first = self.connections == 1
        connection.settimeout(10)
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_side=True)
        upward, downward = (self.upward, self.downward) if is_first else (None, None)
        with connection, socket.create_connection(("127.0.0.1", self.port)) as service:
            service.settimeout(10)
            head = b""
            while b"\r\n\r\n" not in head:
                part = connection.recv(65536)
                if not part:
                    return
                head += part
            if head.startswith(b"CONNECT"):
                head = b""
                downward = self._pass(connection, ESTABLISHED, downward, down=True)
                if downward == 0:
                    return
            upward = self._pass(service, head, upward)
            if upward == 0:
                return
            self._pump(connection, service, upward, downward)

    def _pass(self, to: socket.socket, part: bytes, left: int | None, *, down: bool = False) -> int | None:
        part = part if left is None else part[:left]
        self.down += len(part) if down else 0
        to.sendall(part)
        return None if left is None else left - len(part)

    def _pump(self, client: socket.socket, service: socket.socket, upward: int | None, downward: int | None) -> None:
        # In one thread: two must not use a TLS socket at the same time.
        with contextlib.suppress(OSError):
            while upward != 0 and downward != 0:
                has_more = isinstance(client, ssl.SSLSocket) and client.pending()
                ready = [client] if has_more else select.select([client, service], [], [], 10)[0]
                parts = {source: source.recv(65536) for source in ready}
                if not ready or b"" in parts.values():
                    break
                upward = self._pass(service, parts.get(client, b""), upward)
                downward = self._pass(client, parts.get(service, b""), downward, down=True)
        for end in (client, service):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(end, socket.SHUT_RDWR)

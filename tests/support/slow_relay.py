"""A relay before a service that lets answers pass at once, or, from some moment on, byte by byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

GAP: Final = 0.02
"""Seconds between two bytes: far below what any timeout of a socket notices."""

PATIENCE: Final = 500
"""Bytes after which an answer that dribbles is given up; by then its reader has outlasted what a test waits for."""


@dataclass
class SlowRelay:
    """One relay.

    :param target: base URL of the service.
    """

    target: str
    url: str = ""
    outlasted: bool = False
    """Whether somebody has read an answer that dribbles for as long as it was given."""
    dribbling: threading.Event = field(default_factory=threading.Event)
    """Set: answers dribble from now on, also those that are on their way."""

    def _serve(self, client: socket.socket) -> None:
        parts = urlsplit(self.target)
        with client, socket.create_connection((parts.hostname, parts.port)) as service:
            threading.Thread(target=self._pass_requests, args=(client, service), daemon=True).start()
            with contextlib.suppress(OSError):
                self._pass_answers(service, client)

    def _pass_requests(self, client: socket.socket, service: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := client.recv(65536):
                service.sendall(part)
            service.shutdown(socket.SHUT_WR)

    def _pass_answers(self, service: socket.socket, client: socket.socket) -> None:
        while part := service.recv(65536):
            if not self.dribbling.is_set():
                client.sendall(part)
                continue
            # An interim answer in front of each: it has no end, however short the answer itself is.
            client.sendall(b"HTTP/1.1 100 Continue\r\nX-Wait: ")
            for _ in range(PATIENCE):
                client.sendall(b"a")
                threading.Event().wait(GAP)
            self.outlasted = True
            return


@contextlib.contextmanager
def slow_relay(target: str) -> Iterator[SlowRelay]:
    """Run a relay, on a port of its own.

    :param target: base URL of the service.
    """
    relay = SlowRelay(target)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=relay._serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield relay
        finally:
            listener.shutdown(socket.SHUT_RDWR)

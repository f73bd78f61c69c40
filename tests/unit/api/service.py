"""A service that answers what a test tells it to, byte by byte if need be.

The emulator behaves like CBR; this one misbehaves like networks, proxies and gateways do.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PROJECT = "4229d7a45436489f8c3dc2b1d35d4987"
VAULT = "3b5816b5-f29c-4172-9d9a-76c719a659ce"
BACKUP = "7558e1a3-7046-4787-95cd-14b0ad0642a8"
RECORD = "11111111-2222-4333-8444-555555555555"
DESTINATION: dict[str, Any] = {
    "destination_region": "cn-shenzhen-1",
    "destination_project_id": "68589cac08274b82b4e254268a3862d8",
    "destination_vault_id": "0ca3eb86-8800-46da-9c37-9d657a825274",
}


@dataclass
class Request:
    """A request as it arrived."""

    method: str
    target: str
    headers: Message
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """An answer; ``raw`` replaces it with exactly these bytes and closes the connection."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None


def reply(content: object, status: int = 200, **headers: str) -> Reply:
    """Return a JSON answer; an underscore in a header's name stands for a dash."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Reply(status, body, {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}})


def raw(content: bytes) -> Reply:
    """Return an answer that consists of these bytes and the end of the connection."""
    return Reply(raw=content)


RESET = Reply(raw=b"RESET")
"""Close the connection with a reset, without an answer."""


def error(code: str, text: str = "It went wrong.", status: int = 400, **headers: str) -> Reply:
    return reply({"error_code": code, "error_msg": text}, status, **headers)


def replication(*record_ids: str) -> Reply:
    return reply({"replication": {"backups": [{"backup_id": BACKUP, "replication_record_id": record} for record in record_ids]}})


def token_answer(value: str, *, lifetime: int = 86400, project_id: str | None = PROJECT) -> Reply:
    """Return IAM's answer with a token that was issued in the middle of a day in 2020, whatever the time is."""
    token: dict[str, Any] = {
        "issued_at": "2020-01-01T12:00:00.000000Z",
        "expires_at": f"2020-01-{1 + (43200 + lifetime) // 86400:02}T{(43200 + lifetime) % 86400 // 3600:02}"
        f":{lifetime % 3600 // 60:02}:{lifetime % 60:02}.000000Z",
    }
    if project_id:
        token["project"] = {"id": project_id, "name": "cn-north-4"}
    return reply({"token": token}, 201, X_Subject_Token=value)


Responder = Reply | Callable[[Request], Reply]


class Service:
    """Gives the prepared answers in turn; the last one is given again and again."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self._replies: list[Responder] = []
        self._iam: list[Responder] = []
        self._lock = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                with service._lock:
                    service.connections += 1
                super().setup()

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                service._give(self, Request(self.command, self.path, self.headers, body))

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names that http.server calls

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                # Clients that hang up are what this is for; anything else is a mistake of a test.
                if not isinstance(sys.exception(), OSError):
                    super().handle_error(request, client_address)  # type: ignore[arg-type]

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def wrap(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    def answers(self, *replies: Responder) -> None:
        """Set what CBR answers from now on."""
        self._replies = list(replies)

    def iam_answers(self, *replies: Responder) -> None:
        """Set what IAM answers from now on."""
        self._iam = list(replies)

    @property
    def cbr_requests(self) -> list[Request]:
        return [request for request in self.requests if not _is_iam(request)]

    @property
    def iam_requests(self) -> list[Request]:
        return [request for request in self.requests if _is_iam(request)]

    def _give(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        with self._lock:
            self.requests.append(request)
            replies = self._iam if _is_iam(request) else self._replies
            responder = replies.pop(0) if len(replies) > 1 else replies[0]
        answer = responder if isinstance(responder, Reply) else responder(request)
        if answer is RESET:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if answer.raw is not None:
            if answer is not RESET:
                handler.wfile.write(answer.raw)
                handler.wfile.flush()
            handler.close_connection = True
            # The reset is sent when the last reference to the socket is closed.
            with contextlib.suppress(OSError):
                handler.connection.close()
            return
        handler.send_response(answer.status)
        for name, text in answer.headers.items():
            handler.send_header(name, text)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _is_iam(request: Request) -> bool:
    return request.path.startswith(("/v3/auth/", "/v3/projects"))


@contextlib.contextmanager
def running() -> Iterator[Service]:
    service = Service()
    try:
        yield service
    finally:
        service.close()

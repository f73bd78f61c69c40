"""CBR behind a Keystone: each request's token is put to Keystone for judgement, and what passes is answered by an emulator.

The emulator has an IAM of its own. Standing before it, the gate takes that one's place: a token counts when, and only when, Keystone says
so, and only for the project that it is scoped to.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import requests

from tests.support.plain_client import token_body

if TYPE_CHECKING:
    from collections.abc import Callable

_LIMIT = 30.0
#: Headers that belong to one connection and are not passed on.
_OF_THE_CONNECTION = {"connection", "content-length", "host", "transfer-encoding", "x-auth-token"}


class TokenGate:
    """A server on a free port of 127.0.0.1, in a thread of this process.

    :param emulator_url: base URL of the emulator, whose projects have the ids that Keystone gave.
    :param judge: returns what IAM says of a token, or None when it does not accept it.
    """

    def __init__(self, emulator_url: str, judge: Callable[[str], dict[str, Any] | None]) -> None:
        self.seen: list[tuple[str, str, int]] = []
        """Method, path and status of each request."""
        self.tokens: list[str] = []
        """Each token that came, in the order in which it was first seen."""
        self._emulator_url = emulator_url
        self._judge = judge
        self._sessions = threading.local()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="token gate", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._server.shutdown()
        self._thread.join(_LIMIT)
        self._server.server_close()

    def statuses(self, path_end: str = "") -> list[int]:
        """Return the status of each request whose path ends so."""
        return [status for _, path, status in self.seen if path.partition("?")[0].endswith(path_end)]

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        token = headers.get("x-auth-token")
        if token is None:
            return _refusal(401, "APIG.0301", "Incorrect IAM authentication information: x-auth-token not found")
        if token not in self.tokens:
            self.tokens.append(token)
        judgement = self._judge(token)
        if judgement is None:
            return _refusal(401, "APIG.0301", "Incorrect IAM authentication information: decrypt token fail")
        project_id = path.split("/")[2]
        if judgement.get("project", {}).get("id") != project_id:
            return _refusal(403, "APIG.0302", "The token is not scoped to this project.")
        passed = {name: value for name, value in headers.items() if name not in _OF_THE_CONNECTION}
        session = self._session()
        passed["X-Auth-Token"] = self._emulator_token(session, project_id)
        answer = session.request(method, self._emulator_url + path, data=body, headers=passed, timeout=_LIMIT)
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_THE_CONNECTION}
        return answer.status_code, kept, answer.content

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = requests.Session()
            session.trust_env = False
        return session

    def _emulator_token(self, session: requests.Session, project_id: str) -> str:
        body = token_body({"project": {"id": project_id}})
        answer = session.post(f"{self._emulator_url}/v3/auth/tokens", json=body, timeout=_LIMIT)
        return answer.headers["X-Subject-Token"]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, sent, content = gate._answer(self.command, self.path, headers, body)
                gate.seen.append((self.command, self.path, status))
                self.send_response_only(status)
                for name, value in sent.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = _handle  # noqa: N815  (the names by which http.server calls)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def _refusal(status: int, code: str, message: str) -> tuple[int, dict[str, str], bytes]:
    content = {"error_code": code, "error_msg": message, "request_id": "0" * 32}
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()

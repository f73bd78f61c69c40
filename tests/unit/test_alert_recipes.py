"""The recipes for alerts send what they promise, to real sockets; nothing of a callback runs when a Dag file is read."""

from __future__ import annotations

import json
import runpy
import smtplib
import socketserver
import threading
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_cbr.exceptions import CbrReplicationFailedError
from airflow_cbr.notifications import failure_text

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
TI = SimpleNamespace(dag_id="nightly", run_id="r", task_id="replicate", map_index=-1, try_number=4, log_url="https://airflow/log")
CONTEXT = {
    "ti": TI,
    "task": SimpleNamespace(pair="vault-nightly → 保管库"),
    "exception": CbrReplicationFailedError("The vault is full.", advice="Make room.", error_code="BackupService.6129", request_id="r-1"),
}


def callback(recipe: str, name: str) -> Any:
    """Return the callback that the Dag of a recipe hands to Airflow, not only one that stands in its file."""
    (task,) = runpy.run_path(str(EXAMPLES / f"{recipe}.py"))["dag"].tasks
    found = getattr(task, name)
    return found[0] if isinstance(found, list | tuple) else found


@contextmanager
def listening(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def web(status: int = 200) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Serve one status; yield the address, and what was posted where."""
    posted: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append((self.path, self.rfile.read(int(self.headers["Content-Length"] or 0))))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    with listening(server):
        yield f"http://127.0.0.1:{server.server_port}/hook", posted


def test_a_mail_says_what_failed_in_its_subject_and_what_to_do_in_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bytes] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 mail\r\n")
            while line := self.rfile.readline():
                if line.upper().startswith(b"DATA"):
                    self.wfile.write(b"354 go on\r\n")
                    told.append(b"".join(iter(self.rfile.readline, b".\r\n")))
                if line.upper().startswith(b"QUIT"):
                    return
                self.wfile.write(b"250 ok\r\n")

    server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
    host, port = server.server_address[:2]
    asked: list[Any] = []

    class SMTP(smtplib.SMTP):
        """The recipe's own host stands for this test's."""

        def __init__(self, name: str, timeout: float) -> None:
            asked.append((name, timeout))
            super().__init__(str(host), int(port), timeout=timeout)

    monkeypatch.setattr("smtplib.SMTP", SMTP)
    with listening(server):
        callback("alert_by_mail", "on_failure_callback")(CONTEXT)

    (data,) = told
    mail = message_from_bytes(data, policy=policy.default)
    assert asked == [("mail.example.com", 20)]
    assert (mail["Subject"], mail["To"]) == ("CBR: nightly.replicate failed", "backup-team@example.com")
    assert mail.get_content().splitlines() == failure_text(CONTEXT).splitlines()


def test_slack_gets_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    with web() as (url, posted):
        monkeypatch.setenv("SLACK_WEBHOOK_URL", url)
        callback("alert_by_slack", "on_failure_callback")(CONTEXT)

    assert [(path, json.loads(body)) for path, body in posted] == [("/hook", {"text": failure_text(CONTEXT)})]


def test_a_health_check_is_pinged_of_a_success_and_told_of_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with web() as (url, posted):
        monkeypatch.setenv("HEALTH_CHECK_URL", url)
        callback("ping_health_check", "on_success_callback")({"ti": TI})
        callback("ping_health_check", "on_failure_callback")(CONTEXT)

    assert posted == [("/hook", b""), ("/hook/fail", failure_text(CONTEXT).encode())]


@pytest.mark.parametrize(
    ("recipe", "name", "variable"),
    [
        ("alert_by_slack", "on_failure_callback", "SLACK_WEBHOOK_URL"),
        ("ping_health_check", "on_success_callback", "HEALTH_CHECK_URL"),
        ("ping_health_check", "on_failure_callback", "HEALTH_CHECK_URL"),
    ],
)
def test_an_alert_that_is_refused_is_no_silence(recipe: str, name: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with web(status=503) as (url, _):
        monkeypatch.setenv(variable, url)
        with pytest.raises(requests.HTTPError):
            callback(recipe, name)(CONTEXT)

"""The emulator on real sockets: as a process, and with faults that only a real connection shows."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests

from airflow_cbr.emulator.server import connection_json
from airflow_cbr.emulator.vault_parts import GeneratePart, VaultPart
from airflow_cbr.emulator.world import SOURCE_PROJECT, SOURCE_VAULT, default_world
from tests.support.emulator import EmulatorServer
from tests.support.plain_client import TO_DESTINATION, Plain

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_PROGRAM = "import sys; from airflow_cbr.emulator.server import serve; sys.exit(serve(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))"
_LIMIT = 30.0


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", _PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def announced(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("CBR emulator listening on http://127.0.0.1:"), line
    return line.split()[-1]


@pytest.fixture
def served() -> Generator[Plain]:
    with EmulatorServer() as server, requests.Session() as session:
        session.trust_env = False
        yield Plain(session, server.url, server.control)


# --- the process ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_and_stops_on_a_signal(number: signal.Signals) -> None:
    process = start("127.0.0.1", "0")
    try:
        url = announced(process)
        assert requests.get(f"{url}/v3", timeout=_LIMIT).status_code == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=_LIMIT)
        assert (process.returncode, out) == (0, "")
        (_, _, command) = err.splitlines()
        assert command.startswith("export AIRFLOW_CONN_HUAWEICLOUD_CBR_DEFAULT='{")
    finally:
        process.kill()
        process.wait()


def test_it_stops_although_a_client_waits() -> None:
    process = start("127.0.0.1", "0")
    try:
        url = announced(process)
        requests.post(f"{url}/_emulator/faults", json={"kind": "timeout", "call": "KeystoneShowVersion"}, timeout=_LIMIT)
        where = urlsplit(url)
        with socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=_LIMIT) as waiting:
            waiting.sendall(b"GET /v3 HTTP/1.1\r\nHost: x\r\n\r\n")
            deadline = time.monotonic() + _LIMIT
            while not requests.get(f"{url}/_emulator/ledger", timeout=_LIMIT).json()["requests"]:
                assert time.monotonic() < deadline
            process.send_signal(signal.SIGTERM)
            assert process.wait(_LIMIT) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start("127.0.0.1", str(port))
        out, err = process.communicate(timeout=_LIMIT)
    assert (process.returncode, out) == (1, "")
    assert err == f"CBR emulator: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_an_unknown_host_is_one_clear_line() -> None:
    process = start("no-such-host.invalid", "0")
    _, err = process.communicate(timeout=_LIMIT)
    assert process.returncode == 1
    assert err.startswith("CBR emulator: cannot listen on no-such-host.invalid:0: ")
    assert err.count("\n") == 1


def test_a_world_file(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    world = default_world().model_dump(mode="json")
    world["vaults"][0]["generate"] = {"count": 7}
    path.write_text(json.dumps(world))
    process = start("127.0.0.1", "0", str(path))
    try:
        state = requests.get(f"{announced(process)}/_emulator/state", timeout=_LIMIT).json()
        assert next(vault["backups"] for vault in state["vaults"] if vault["id"] == SOURCE_VAULT) == 10
    finally:
        process.terminate()
        process.communicate(timeout=_LIMIT)


def test_a_wrong_world_file_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    path.write_text(json.dumps(default_world().model_dump(mode="json") | {"colour": 1}))
    process = start("127.0.0.1", "0", str(path))
    _, err = process.communicate(timeout=_LIMIT)
    assert (process.returncode, err) == (1, f"CBR emulator: world file {path}: colour: Extra inputs are not permitted\n")


# --- the connection -------------------------------------------------------------------------------------------------------


def test_a_reset_after_the_commit(served: Plain) -> None:
    served.token(SOURCE_PROJECT)
    served.control.fault("reset", call="CopyCheckpoint")
    with pytest.raises(requests.exceptions.ConnectionError, match="Connection reset by peer"):
        served.replicate()
    (call,) = served.control.ledger()["calls"]
    assert (call["outcome"], call["answer_delivered"]) == ("accepted", False)
    assert len(served.control.ledger()["replications"]) == 3


def test_silence(served: Plain) -> None:
    served.token(SOURCE_PROJECT)
    served.control.fault("timeout", call="ListBackups")
    with pytest.raises(requests.exceptions.ReadTimeout):
        served.send("GET", "/backups", timeout=(5, 0.2))
    assert served.get("/backups")["count"] == 3


def test_a_truncated_body(served: Plain) -> None:
    served.token(SOURCE_PROJECT)
    served.control.fault("truncated", call="ListBackups")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        served.send("GET", "/backups")
    assert served.get("/backups")["count"] == 3


def test_a_slow_first_byte(served: Plain) -> None:
    served.token(SOURCE_PROJECT)
    served.control.fault("slow", call="ListBackups", seconds=0.3)
    before = time.monotonic()
    assert served.get("/backups")["count"] == 3
    assert time.monotonic() - before >= 0.3


def test_a_slow_answer_that_nobody_waits_for_is_not_delivered(served: Plain) -> None:
    served.token(SOURCE_PROJECT)
    served.control.fault("slow", call="CopyCheckpoint", seconds=0.5)
    with pytest.raises(requests.exceptions.ReadTimeout):
        served.send("POST", "/checkpoints/replicate", body={"replicate": {"vault_id": SOURCE_VAULT} | TO_DESTINATION}, timeout=(5, 0.1))
    served.control.fault("slow", call="ListBackups", seconds=1)
    served.get("/backups")
    (call,) = served.control.ledger()["calls"]
    assert (call["outcome"], call["answer_delivered"]) == ("accepted", False)


def test_others_are_served_while_one_waits(served: Plain) -> None:
    served.control.fault("timeout", call="KeystoneShowVersion")
    where = urlsplit(served.url)
    with socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=_LIMIT) as waiting:
        waiting.sendall(b"GET /v3 HTTP/1.1\r\nHost: x\r\n\r\n")
        deadline = time.monotonic() + _LIMIT
        while not served.control.requests():
            assert time.monotonic() < deadline
        assert served.get("/backups")["count"] == 3
        waiting.setblocking(False)
        with pytest.raises(BlockingIOError):
            waiting.recv(1)


def test_a_connection_is_kept(served: Plain) -> None:
    where = urlsplit(served.url)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=_LIMIT)
    connection.request("GET", "/v3")
    assert connection.getresponse().read()
    kept = connection.sock
    connection.request("GET", "/v3")
    assert connection.getresponse().status == 200
    assert connection.sock is kept is not None
    connection.close()


def exchanged(url: str, *pieces: bytes) -> bytes:
    """Send bytes as they are; return the first line of the answer, empty when the connection was closed upon what was still on its way."""
    where = urlsplit(url)
    with socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=_LIMIT) as raw:
        for piece in pieces:
            try:
                raw.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                break
        try:
            with raw.makefile("rb") as answer:
                return answer.readline().strip()
        except ConnectionResetError:
            return b""


_HOST = b"Host: localhost\r\n"


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"GET /_emulator/state HTTP/1.1\r\nHost: evil.example\r\n\r\n"], 403),
        ([b"GET /_emulator/state HTTP/1.0\r\n\r\n"], 403),
        ([b"GET /%5femulator/state HTTP/1.1\r\nHost: evil.example\r\n\r\n"], 403),
        ([b"GET http://evil.example/_emulator/state HTTP/1.1\r\nHost: evil.example\r\n\r\n"], 404),
        ([b"POST /_emulator/reset HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n\r\n"], 403),
        ([b"GET /v3/\xff\xfe HTTP/1.1\r\n", _HOST, b"\r\n"], 400),
        ([b"GET /v3/%ff%fe/backups/%00 HTTP/1.1\r\n", _HOST, b"\r\n"], 401),
        ([b"GET /v3/projects HTTP/1.1\r\n", _HOST, b"Authorization: \xff\xfe\x80\r\nX-Auth-Token: \xe9\r\n\r\n"], 401),
        ([b"GET /v3 HTTP/1.1\r\n", _HOST, b"X-Auth-Token: ", b"a" * 200_000, b"\r\n\r\n"], 400),
        ([b"GET /v3/?", b"a=b&" * 50_000, b" HTTP/1.1\r\n", _HOST, b"\r\n"], 400),
        ([b"POST /v3/auth/tokens HTTP/1.1\r\n", _HOST, b"Content-Length: ", b"9" * 5000, b"\r\n\r\n"], 400),
        ([b"POST /v3/auth/tokens HTTP/1.1\r\n", _HOST, b"Content-Length: -1\r\n\r\n"], 400),
        ([b"POST /v3/auth/tokens HTTP/1.1\r\n", _HOST, b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"], 400),
        ([b"\x16\x03\x01\x02\x00"], 400),
        ([b"TRACE /v3 HTTP/1.1\r\n", _HOST, b"\r\n"], 405),
        (
            [
                b"POST /v3/auth/tokens HTTP/1.1\r\n",
                _HOST,
                b"Transfer-Encoding: chunked\r\n\r\n",
                *[b"10000\r\n" + b" " * 65536 + b"\r\n"] * 40,
                b"0\r\n\r\n",
            ],
            413,
        ),
        (
            [b"POST /_emulator/world HTTP/1.1\r\n", _HOST, b"Content-Length: 8000000\r\n\r\n", *[b" " * 80_000] * 100],
            413,
        ),
    ],
)
def test_whatever_bytes_come(served: Plain, pieces: list[bytes], status: int) -> None:
    line = exchanged(served.url, *pieces)
    head_too_long = status == 400 and len(b"".join(pieces)) > 64 * 1024
    assert line.startswith(b"HTTP/1.1 %d " % status) or (line == b"" and head_too_long)
    assert served.get("/backups")["count"] == 3


def test_a_name_of_its_own_and_none_besides() -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "airflow_cbr.cli",
            "emulator",
            "--port",
            "0",
            "--allow-host",
            "cbr",
            "--allow-host",
            "Emulator.Example",
            "--lang",
            "zh",
        ],
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        url = announced(process)
        for name, status in (("cbr:18090", 200), ("emulator.example", 200), ("127.0.0.1", 200), ("evil.example", 403)):
            assert requests.get(f"{url}/_emulator/clock", headers={"Host": name}, timeout=_LIMIT).status_code == status
    finally:
        process.terminate()
        _, err = process.communicate(timeout=_LIMIT)
    (line,) = [line for line in err.splitlines() if line.startswith("export ")]
    name, value = shlex.split(line)[1].split("=", 1)
    assert name == "AIRFLOW_CONN_HUAWEICLOUD_CBR_DEFAULT"
    connection = json.loads(value)
    assert connection["extra"] == {"region": "cn-north-4", "project_id": SOURCE_PROJECT, "cbr_endpoint": url, "iam_endpoint": url}
    assert (connection["conn_type"], connection["login"]) == ("huaweicloud_cbr", "EMULATORACCESSKEY001")
    assert len(err.splitlines()) == 3, "and nothing else"
    assert err.startswith("用下面的命令让 Airflow 连接它：\n")


def test_the_printed_connection_survives_a_shell() -> None:
    world = default_world()
    world.users[0].secret_key = 'it\'s $HOME; `true` \\ "quoted"'
    (value,) = shlex.split(f"'{connection_json(world, 'http://127.0.0.1:1')}'")
    assert json.loads(value)["password"] == world.users[0].secret_key


def test_an_error_that_nobody_foresaw_is_no_500(served: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise LookupError("unforeseen")

    monkeypatch.setattr("airflow_cbr.emulator.service.Service.handle", broken)
    answer = requests.get(f"{served.url}/v3", timeout=_LIMIT)
    assert (answer.status_code, "LookupError" in answer.json()["error"]) == (400, True)
    assert served.control.state()["vaults"]


def test_ten_thousand_backups_page_by_page() -> None:
    world = default_world()
    world.vaults = [VaultPart(id=SOURCE_VAULT, project_id=SOURCE_PROJECT, size=1_000_000, generate=GeneratePart(count=10_000))]
    with EmulatorServer(world) as server, requests.Session() as session:
        cbr = Plain(session, server.url, server.control)
        seen: set[str] = set()
        offset = 0
        while rows := cbr.get("/backups", vault_id=SOURCE_VAULT, show_replication="true", limit=1000, offset=offset)["backups"]:
            seen.update(row["id"] for row in rows)
            offset += len(rows)
        assert (len(seen), server.control.requests()["ListBackups"]) == (10_000, 11)

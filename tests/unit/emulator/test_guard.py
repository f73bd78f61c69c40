"""Who is let in, and how much they may send."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.emulator.guard import CALL_BODY, CONTROL_BODY, Guard, Hosts
from airflow_cbr.emulator.world import SOURCE_PROJECT

if TYPE_CHECKING:
    from tests.support.plain_client import Plain

CALL = f"/v3/{SOURCE_PROJECT}/backups"
CONTROL = "/_emulator/state"


def ask(cbr: Plain, method: str, path: str, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return cbr.session.request(method, cbr.url + path, headers=named, timeout=5).status_code


@pytest.mark.parametrize("path", [CONTROL, CALL, "/v3", "/v3/auth/tokens", "/nowhere"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "http://127.0.0.1:1.evil.example"},
        {"Origin": "http://evil.example/127.0.0.1:1"},
        {"Origin": "file://127.0.0.1:1"},
        {"Origin": ""},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "same-origin", "Origin": "https://evil.example"},
    ],
)
def test_no_page_of_another_site_gets_in(cbr: Plain, path: str, headers: dict[str, str]) -> None:
    before = cbr.control.ledger()["requests"]
    for method in ("GET", "POST", "PATCH", "DELETE"):
        assert ask(cbr, method, path, **headers) == 403
    assert cbr.control.ledger()["requests"] == before


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://127.0.0.1:1"}, {"Sec_Fetch_Site": "none"}, {"Sec_Fetch_Site": "same-origin"}])
def test_programs_and_its_own_address_get_in(cbr: Plain, headers: dict[str, str]) -> None:
    assert ask(cbr, "GET", CONTROL, **headers) == 200
    assert ask(cbr, "GET", CALL, **headers) == 401


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:18090", "localhost", "LocalHost.:80", "cbr.localhost:1", "[::1]:18090", "10.1.2.3:18090", "0.0.0.0:1"]
)
def test_a_name_that_nobody_else_can_have(cbr: Plain, host: str) -> None:
    assert ask(cbr, "GET", CONTROL, Host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:18090",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhostx",
        "0x7f.1",
        "127.1",
        "a@127.0.0.1",
        "[::1",
    ],
)
def test_a_name_of_somebody_else(cbr: Plain, host: str) -> None:
    for path in (CONTROL, "/_emulator", "/_emulator/nowhere"):
        assert ask(cbr, "GET", path, Host=host) == 403
    assert ask(cbr, "POST", "/_emulator/reset", Host=host) == 403
    # A call brings credentials; the names of the service's own endpoints may lead here.
    assert ask(cbr, "GET", CALL, Host=host) == 401


def test_names_that_were_given() -> None:
    hosts = Hosts(["emulator", "CBR.Example."])
    assert [hosts.own(name) for name in ("emulator:18090", "cbr.example", "cbr.example.evil", "emulator.evil")] == [
        True,
        True,
        False,
        False,
    ]


@given(st.text(max_size=40))
def test_no_host_is_too_odd_to_be_judged(text: str) -> None:
    assert Hosts().own(text) in (True, False)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", ""])
def test_a_body_that_any_page_could_send(cbr: Plain, kind: str) -> None:
    answer = cbr.session.post(f"{cbr.url}/_emulator/switches", data='{"careless": true}', headers={"Content-Type": kind}, timeout=5)
    assert (answer.status_code, answer.json()["error"]) == (415, "control calls take a body of content type application/json")
    kind = "Application/JSON; charset=utf-8"
    assert cbr.session.patch(f"{cbr.url}/_emulator/switches", data="{}", headers={"Content-Type": kind}, timeout=5).status_code == 200


@pytest.mark.parametrize(("path", "limit"), [("/_emulator/faults", CONTROL_BODY), ("/v3/auth/tokens", CALL_BODY)])
def test_a_body_has_a_limit(cbr: Plain, path: str, limit: int) -> None:
    for size, status in ((limit, 400), (limit + 1, 413)):
        answer = cbr.session.post(cbr.url + path, data=b"[" + b" " * (size - 1), timeout=5)
        assert answer.status_code == status
        assert f"longer than {limit} bytes" in answer.text or status == 400


@given(st.lists(st.integers(0, 3 * CALL_BODY // 2), min_size=1, max_size=6), st.booleans())
def test_a_body_is_counted_while_it_is_read(sizes: list[int], control: bool) -> None:
    """Whatever pieces a body comes in, and whatever length it claims, no more than the limit is ever held."""
    limit = CONTROL_BODY if control else CALL_BODY
    pieces = [b"x" * size for size in sizes]
    seen: list[bytes] = []
    statuses: list[int] = []
    left = list(pieces)

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        seen.append((await receive())["body"])

    async def receive() -> dict[str, Any]:
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 0))

    path = "/_emulator/world" if control else "/v3"
    scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"host", b"localhost"), (b"content-length", b"0")]}
    asyncio.run(Guard(app, Hosts())(scope, receive, send))
    if sum(sizes) <= limit:
        assert (seen, statuses) == ([b"".join(pieces)], [])
    else:
        assert (seen, statuses[0]) == ([], 413)


def test_a_body_without_an_end_is_not_read_for_ever() -> None:
    read = 0

    async def app(*_: Any) -> None:
        raise AssertionError("no body came whole")

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1 << 20
        return {"type": "http.request", "body": bytes(1 << 20), "more_body": True}

    statuses: list[int] = []

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 0))

    scope = {"type": "http", "method": "POST", "path": "/v3", "headers": [(b"host", b"localhost")]}
    asyncio.run(Guard(app, Hosts())(scope, receive, send))
    assert statuses[0] == 413
    assert read <= 300 << 20

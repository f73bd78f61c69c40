"""Whether a request went out is known, wherever the connection breaks, and no exchange outlasts its time."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from requests.adapters import HTTPAdapter

from airflow_cbr.api import transport
from airflow_cbr.api.deadline import seconds_left, within
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.exceptions import (
    CbrConnectionError,
    CbrError,
    CbrOutcomeUnknownError,
    CbrProtocolError,
    CbrThrottledError,
    CbrTimeoutError,
    CbrTransportError,
)
from tests.support.thinned import thinned
from tests.unit.api.calls import CHANGES, SHOWN, copy_vault, show
from tests.unit.api.certificates import make_certificate
from tests.unit.api.proxies import ESTABLISHED, Counting, Proxy, listening
from tests.unit.api.service import RESET, Reply, Request, Service, raw, replication, reply

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from tests.unit.api.conftest import MakeClient


TIMES = {"connect_timeout": 10, "read_timeout": 10}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture(params=["http", "https", "https through https"])
def route(
    request: pytest.FixtureRequest, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, certificate: Path, context: ssl.SSLContext
) -> Callable[..., tuple[Counting, Proxy, BaseException | None]]:
    """Return what sends one call to a new service, through a new proxy that cuts where it is told to."""
    scheme = str(request.param).split()[0]

    def send(call: Callable[[CbrClient], object] = copy_vault, **cut: int) -> tuple[Counting, Proxy, BaseException | None]:
        service = Counting(context if scheme == "https" else None)
        with listening(service) as port:
            proxy = Proxy(port, **cut, context=context if "through" in request.param else None)
            with listening(proxy) as proxy_port:
                own = "https" if proxy.context else "http"
                monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"{own}://localhost:{proxy_port}")
                client = make_client(endpoints=Endpoints(cbr=f"{scheme}://localhost:{port}"), verify=str(certificate), **TIMES)
                try:
                    call(client)
                except CbrError as error:
                    return service, proxy, error
                finally:
                    client.close()
        return service, proxy, None

    return send


def test_a_call_goes_through_a_proxy(route: Any) -> None:
    service, proxy, error = route()
    assert error is None
    assert (service.posts, proxy.connections) == (1, 1)


#: More than any of the three ways needs before the request is there, or the answer.
ALL = 6000


@pytest.mark.parametrize("direction", ["upward", "downward"])
@pytest.mark.campaign
def test_wherever_a_proxy_cuts_one_request_arrives_and_what_is_not_certain_is_said(route: Any, direction: str) -> None:
    """The proxy passes on so many bytes and drops both ends; only its first connection is cut."""
    ends = set()
    # Within the proxy's own answer, and from then on at distances that hit records and lines anywhere.
    for cut in [*range(0, len(ESTABLISHED) + 1, 4), *range(len(ESTABLISHED) + 1, ALL, 149)]:
        service, proxy, error = route(**{direction: cut})
        assert service.posts <= 1, cut
        if error is None:
            assert service.posts == 1, cut
            # Sent again only when the service has seen nothing of the first.
            assert proxy.connections == 1 or service.seen[0] == 0, cut
        else:
            assert isinstance(error, CbrOutcomeUnknownError), cut
            assert proxy.connections == 1, cut
        if sum(service.seen[:1]):
            assert proxy.connections == 1, cut
        ends.add((type(error), proxy.connections))
        if error is None and proxy.connections == 1:
            break
    assert (CbrOutcomeUnknownError, 1) in ends
    assert (type(None), 1) in ends


def test_what_a_tunnel_needs_is_not_the_request(route: Any, request: pytest.FixtureRequest) -> None:
    is_tunnel = "https" in request.node.callspec.id
    for cut in range(0, len(ESTABLISHED) + 100, 11):
        service, proxy, error = route(downward=cut)
        assert service.posts == 1 if is_tunnel else service.posts <= 1
        # A plain proxy has the request by then; through a tunnel it was not sent, and now is.
        assert (error is None, proxy.connections) == ((True, 2) if is_tunnel else (False, 1)), cut


@pytest.mark.parametrize("call", CHANGES)
def test_an_answer_that_a_proxy_loses_leaves_the_outcome_open(route: Any, call: Callable[[CbrClient], object]) -> None:
    # A signature of the handshake is a byte longer or shorter each time; the answer is what comes last.
    _, whole, _ = route(call)
    service, proxy, error = route(call, downward=whole.down - 20)
    assert isinstance(error, CbrOutcomeUnknownError)
    assert (service.posts, proxy.connections) == (1, 1)


@pytest.mark.parametrize("status", [502, 503, 504, 408])
@pytest.mark.parametrize("call", CHANGES)
def test_a_page_of_a_proxy_that_took_the_request_leaves_the_outcome_open(
    service: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, call: Callable[[CbrClient], object], status: int
) -> None:
    monkeypatch.setenv("HTTP_PROXY", service.url)
    service.answers(Reply(status, b"<html>The proxy is sorry</html>", {"Content-Type": "text/html", "Retry-After": "1"}))
    with pytest.raises(CbrOutcomeUnknownError):
        call(make_client(endpoints=Endpoints(cbr="http://cbr.example.com")))
    assert len(service.requests) == 1


@pytest.mark.parametrize("refusal", [b"407 Proxy Authentication Required", b"403 Forbidden", b"502 Bad Gateway", b"503 Busy", b"504 Late"])
@pytest.mark.parametrize("call", CHANGES)
def test_a_tunnel_that_is_refused_is_asked_for_again(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, pauses: list[float], call: Callable[[CbrClient], object], refusal: bytes
) -> None:
    asked = []

    def refuse(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 " + refusal + b"\r\nContent-Type: text/html\r\n\r\n<html>No</html>")

    with listening(refuse) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(CbrConnectionError, match=r"proxy.*did not connect") as caught:
            call(make_client(endpoints=Endpoints(cbr="https://cbr.example.com"), retry_budget=2))
    assert not caught.value.sent
    assert len(asked) == len(pauses) + 1 >= 2
    assert all(one.startswith(b"CONNECT") for one in asked)


def test_a_kept_connection_that_dies_leaves_the_outcome_open(service: Service, make_client: MakeClient) -> None:
    service.answers(SHOWN, RESET)
    client = make_client()
    show(client)
    with pytest.raises(CbrOutcomeUnknownError):
        copy_vault(client)
    assert service.connections == 1
    assert len(service.requests) == 2


def test_a_reset_in_the_middle_of_the_request_leaves_the_outcome_open(make_client: MakeClient) -> None:
    connections = []

    def reset(connection: socket.socket) -> None:
        connections.append(connection.recv(10))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with listening(reset) as port, pytest.raises(CbrOutcomeUnknownError):
        copy_vault(make_client(endpoints=Endpoints(cbr=f"http://127.0.0.1:{port}")))
    assert len(connections) == 1


def test_head_and_body_go_out_in_one_piece(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = []
    send = socket.socket.sendall

    def spy(connection: socket.socket, data: bytes) -> None:
        pieces.append(data)
        send(connection, data)

    monkeypatch.setattr(socket.socket, "sendall", spy)

    def read(connection: socket.socket) -> None:
        connection.recv(65536)

    with listening(read) as port, pytest.raises(CbrOutcomeUnknownError):
        copy_vault(make_client(endpoints=Endpoints(cbr=f"http://127.0.0.1:{port}")))
    (piece,) = pieces
    assert piece.startswith(b"POST ")
    assert piece.endswith(b"}}")


def test_nothing_of_a_redirect_is_awaited_but_its_head(make_client: MakeClient) -> None:
    def redirect(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 307 Elsewhere\r\nLocation: /elsewhere\r\nContent-Length: 1000\r\n\r\n")
        connection.recv(1)

    with listening(redirect) as port, pytest.raises(CbrProtocolError, match="HTTP 307 redirects"):
        copy_vault(make_client(endpoints=Endpoints(cbr=f"http://127.0.0.1:{port}"), read_timeout=1))


def test_who_does_not_tell_when_a_request_goes_out_is_not_believed(make_client: MakeClient) -> None:
    client = make_client(retry_budget=0)
    client._transport._session.mount("http://", HTTPAdapter())
    with pytest.raises(CbrOutcomeUnknownError):
        copy_vault(client)


# --- time -------------------------------------------------------------------------------------------------------------


def dribble(*, first: bytes, again: bytes, gap: float = 0.02, read: bool = True) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        if read:
            connection.recv(65536)
        connection.sendall(first)
        while True:
            connection.sendall(again)
            threading.Event().wait(gap)

    return handle


OK = b"HTTP/1.1 200 OK\r\n"
GZIP = b"\x1f\x8b\x08\x08\0\0\0\0\0\x03"
ANSWERS = {
    "status line": (b"", b"H"),
    "header": (OK + b"X-A: ", b"a"),
    "headers": (OK, b"X-A: a\r\n"),
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (OK + b"Content-Length: 10000000\r\n\r\n", b" "),
    "body without a length": (OK + b"\r\n", b" "),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "chunk extension": (OK + b"Transfer-Encoding: chunked\r\n\r\n1;x=", b"a"),
    "trailer": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: a\r\n"),
    "gzip name": (OK + b"Content-Encoding: gzip\r\nContent-Length: 10000000\r\n\r\n" + GZIP, b"a"),
    "gzip name in chunks": (OK + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\na\r\n" + GZIP + b"\r\n", b"1\r\na\r\n"),
}


@pytest.mark.parametrize(("first", "again"), thinned(ANSWERS.values(), every=3), ids=ANSWERS)
@pytest.mark.parametrize("call", [show, copy_vault])
@pytest.mark.campaign
def test_no_exchange_outlasts_its_time_whatever_dribbles(
    make_client: MakeClient, call: Callable[[CbrClient], object], first: bytes, again: bytes
) -> None:
    with listening(dribble(first=first, again=again)) as port:
        client = make_client(endpoints=Endpoints(cbr=f"http://127.0.0.1:{port}"), read_timeout=0.1, retry_budget=0)
        with pytest.raises((CbrTimeoutError, CbrOutcomeUnknownError, CbrConnectionError)) as caught:
            call(client)
    # A hundred header lines are more than Python's own limit, which may be reached first.
    assert "not complete after 0.5 s" in str(caught.value) or again == b"X-A: a\r\n"


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nX-A: "], ids=["status line", "header"])
def test_a_tunnel_has_the_time_to_connect(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, first: bytes) -> None:
    with listening(dribble(first=first, again=b"a")) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(CbrTransportError) as caught:
            copy_vault(make_client(endpoints=Endpoints(cbr="https://cbr.example.com"), connect_timeout=0.3, retry_budget=0))
    assert not caught.value.sent


def test_tls_has_the_time_to_connect(make_client: MakeClient) -> None:
    # A handshake record whose bytes come one by one.
    handshake = dribble(first=b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", again=b"a")
    with listening(handshake) as port, pytest.raises(CbrTransportError) as caught:
        copy_vault(make_client(endpoints=Endpoints(cbr=f"https://127.0.0.1:{port}"), connect_timeout=0.3, retry_budget=0))
    assert not caught.value.sent


def test_tls_through_a_proxy_with_tls_has_the_time_to_connect(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, certificate: Path, context: ssl.SSLContext
) -> None:
    def proxy(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(65536)
            dribble(first=ESTABLISHED + b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", again=b"a")(secure)

    with listening(proxy) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"https://localhost:{port}")
        client = make_client(
            endpoints=Endpoints(cbr="https://cbr.example.com"), connect_timeout=0.5, retry_budget=0, verify=str(certificate)
        )
        with pytest.raises(CbrTransportError) as caught:
            copy_vault(client)
    assert not caught.value.sent


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Return what ends the waiting of all servers and resolvers of a test."""
    event = threading.Event()
    yield event
    event.set()


def test_a_name_has_the_time_to_connect(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, over: threading.Event) -> None:
    def getaddrinfo(*args: Any) -> Any:
        over.wait(30)
        raise socket.gaierror(-3, "Temporary failure")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(CbrTimeoutError) as caught:
        copy_vault(make_client(endpoints=Endpoints(cbr="http://cbr.example.com"), connect_timeout=0.1, retry_budget=0))
    assert not caught.value.sent


@pytest.mark.parametrize("fault", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
def test_a_name_that_cannot_be_resolved(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    def getaddrinfo(*args: Any) -> Any:
        raise fault

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(CbrConnectionError, match=r"name cbr.example.com cannot be resolved") as caught:
        copy_vault(make_client(endpoints=Endpoints(cbr="http://cbr.example.com"), retry_budget=0))
    assert not caught.value.sent


def test_every_address_of_a_name_is_tried(service: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    port = int(service.url.rpartition(":")[2])
    numeric = socket.getaddrinfo

    def getaddrinfo(host: str, *args: Any) -> Any:
        if host != "cbr.example.com":
            return numeric(host, *args)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.9", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    service.answers(replication("11111111-2222-4333-8444-555555555555"))
    copy_vault(make_client(endpoints=Endpoints(cbr=f"http://cbr.example.com:{port}")))
    assert service.requests[0].headers["Host"] == f"cbr.example.com:{port}"


@pytest.mark.parametrize(
    ("first", "again"),
    [ANSWERS["continue"], ANSWERS["gzip name"], ANSWERS["body without a length"]],
    ids=["continue", "gzip name", "body"],
)
def test_an_answer_without_end_is_refused_by_its_size_too(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, first: bytes, again: bytes
) -> None:
    monkeypatch.setattr(transport, "_LARGEST_BODY", 100_000)
    with listening(dribble(first=first, again=again * 1000, gap=0)) as port:
        client = make_client(endpoints=Endpoints(cbr=f"http://127.0.0.1:{port}"), retry_budget=0)
        with pytest.raises(CbrProtocolError, match=r"larger than"):
            show(client)


def test_what_counts_is_the_size_after_decompression(service: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_LARGEST_BODY", 1 << 20)
    service.answers(Reply(200, gzip.compress(b" " * (8 << 20)), {"Content-Encoding": "gzip"}))
    with pytest.raises(CbrProtocolError, match=r"larger than 1 MiB"):
        show(make_client(retry_budget=0))


def test_what_is_no_header_does_not_get_into_the_log(service: Service, make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    service.answers(raw(b"HTTP/1.1 200 OK\r\nno header\x1b[2J\r\nContent-Length: 900\r\n\r\n" + SHOWN.body))
    with contextlib.suppress(CbrError):
        show(make_client(retry_budget=0))
    assert len(service.requests) == 1
    assert [record for record in caplog.records if "no header" in record.getMessage()] == []


# --- a bound from outside ---------------------------------------------------------------------------------------------


@pytest.fixture
def held(service: Service, over: threading.Event) -> Callable[[Request], Reply]:
    def hold(request: Request) -> Reply:
        over.wait(30)
        return SHOWN

    return hold


def test_a_bound_ends_an_exchange(service: Service, make_client: MakeClient, held: Callable[[Request], Reply], pauses: list[float]) -> None:
    service.answers(held)
    client = make_client()
    with within(0.2), pytest.raises(CbrTimeoutError, match=r"not complete after 0\.\d+ s") as caught:
        show(client)
    assert caught.value.sent
    with within(0.2), pytest.raises(CbrOutcomeUnknownError):
        copy_vault(client)
    assert len(service.requests) == 2
    assert pauses == []


def test_when_no_time_is_left_nothing_is_sent(service: Service, make_client: MakeClient) -> None:
    service.answers(SHOWN)
    client = make_client()
    show(client)
    for call, seconds in itertools.product([show, copy_vault], [0, -1]):
        with within(seconds), pytest.raises(CbrTransportError) as caught:
            call(client)
        assert not caught.value.sent
    assert len(service.requests) == 1
    show(client)


def test_no_pause_reaches_the_bound(service: Service, make_client: MakeClient, pauses: list[float]) -> None:
    service.answers(reply({}, 429, Retry_After="60"))
    client = make_client()
    with within(50), pytest.raises(CbrThrottledError):
        show(client)
    assert pauses == []
    with within(140), pytest.raises(CbrThrottledError):
        show(client)
    assert len(pauses) == 2
    assert sum(pauses) < 140


def test_a_bound_can_only_be_narrowed_and_ends_with_its_block() -> None:
    with within(10):
        with within(1000):
            assert seconds_left() <= 10
        with within(1):
            assert seconds_left() <= 1
        assert 1 < seconds_left() <= 10
    assert seconds_left() == float("inf")


def test_a_bound_holds_in_its_own_thread_alone(service: Service, make_client: MakeClient) -> None:
    service.answers(SHOWN)
    client = make_client()
    shown: list[object] = []
    with within(0):
        thread = threading.Thread(target=lambda: shown.append(show(client)))
        thread.start()
        thread.join()
    assert len(shown) == 1

"""What is sent again and what is not, what became of a request that failed, and how the session behaves on a network."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import urllib3.util.connection

from airflow_cbr import __version__
from airflow_cbr.api import transport
from airflow_cbr.api.auth import AkSkCredentials, PasswordCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.exceptions import (
    CbrAlreadyReplicatedError,
    CbrApiError,
    CbrBusyError,
    CbrConfigurationError,
    CbrConnectionError,
    CbrError,
    CbrOutcomeUnknownError,
    CbrProtocolError,
    CbrRefusedError,
    CbrThrottledError,
    CbrTimeoutError,
    CbrTransportError,
    CbrUnavailableError,
    CbrVaultReplicatingError,
)
from tests.unit.api.calls import CHANGES, SHOWN, copy_backup, copy_vault, show
from tests.unit.api.certificates import make_certificate
from tests.unit.api.service import (
    BACKUP,
    PROJECT,
    RECORD,
    RESET,
    Reply,
    Request,
    Service,
    error,
    raw,
    replication,
    reply,
    running,
    token_answer,
)

if TYPE_CHECKING:
    from tests.unit.api.conftest import MakeClient

TRUNCATED = raw(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"backup": {"id"')
CHUNKED = raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"backup": {"id"\r\n')
HALF_JSON = reply(b'{"backup": {"id"')
HTML = Reply(200, b"<html>Please log in</html>", {"Content-Type": "text/html"})
NO_HTTP = raw(b"220 ftp ready\r\n")
CLOSED = raw(b"")

OutgoingCall = Callable[[CbrClient], object]


# --- reads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        RESET,
        CLOSED,
        TRUNCATED,
        CHUNKED,
        NO_HTTP,
        HALF_JSON,
        HTML,
        Reply(500),
        Reply(502, b"<html>Bad gateway</html>"),
        Reply(503),
        Reply(504),
        Reply(408),
        Reply(429),
        error("APIGW.0308", status=429),
        error("APIG.0613", status=503),
        error("BackupService.9910", status=500),
        error("BackupService.6107", status=400),
        error("BackupService.4005", status=400),
    ],
    ids=repr,
)
def test_reads_are_sent_again(service: Service, make_client: MakeClient, pauses: list[float], trouble: Reply) -> None:
    service.answers(trouble, trouble, SHOWN)
    assert make_client().show_backup(BACKUP).id == BACKUP
    assert len(service.requests) == 3
    assert len(pauses) == 2


@pytest.mark.parametrize(
    "refusal",
    [
        error("BackupService.6200", status=404),
        error("BackupService.9900", status=400),
        error("BackupService.6105", status=500),
        error("APIG.0302", status=403),
        Reply(400),
        Reply(403),
        Reply(404),
    ],
    ids=repr,
)
def test_refused_reads_are_not_sent_again(service: Service, make_client: MakeClient, pauses: list[float], refusal: Reply) -> None:
    service.answers(refusal)
    with pytest.raises(CbrApiError):
        show(make_client())
    assert len(service.requests) == 1
    assert pauses == []


@pytest.mark.parametrize("unreadable", [HALF_JSON, HTML, reply({"vault": {}})])
def test_an_unreadable_answer_is_asked_for_three_times(service: Service, make_client: MakeClient, unreadable: Reply) -> None:
    service.answers(unreadable)
    with pytest.raises(CbrProtocolError, match=r"ShowBackup"):
        show(make_client())
    assert len(service.requests) == 3


def test_reads_end_when_the_budget_is_spent(service: Service, make_client: MakeClient, pauses: list[float]) -> None:
    service.answers(Reply(503))
    with pytest.raises(CbrUnavailableError):
        show(make_client(retry_budget=100))
    assert 99 < sum(pauses) <= 100
    assert len(service.requests) == len(pauses) + 1


def test_time_spent_on_requests_counts_too(service: Service, make_client: MakeClient, pauses: list[float]) -> None:
    def slow(request: Request) -> Reply:
        time.sleep(0.06)
        return Reply(503)

    service.answers(slow)
    with pytest.raises(CbrUnavailableError):
        show(make_client(retry_budget=0.05))
    assert len(service.requests) == 1


def test_without_a_budget_there_is_one_attempt(service: Service, make_client: MakeClient, pauses: list[float]) -> None:
    service.answers(Reply(503))
    with pytest.raises(CbrUnavailableError):
        show(make_client(retry_budget=0))
    assert len(service.requests) == 1
    assert pauses == []


def test_pauses_grow_and_are_jittered(service: Service, make_client: MakeClient, pauses: list[float]) -> None:
    service.answers(Reply(503))
    with pytest.raises(CbrUnavailableError):
        show(make_client(retry_budget=600))
    for number, pause in enumerate(pauses[:6]):
        assert 0.25 * 2**number <= pause <= 0.5 * 2**number
    assert max(pauses) <= 30
    assert len(set(pauses)) == len(pauses)


def test_the_service_says_how_long_to_wait_in_seconds(service: Service, make_client: MakeClient, pauses: list[float]) -> None:
    service.answers(reply({}, 429, Retry_After="40"), SHOWN)
    show(make_client())
    assert 40 <= pauses[0] <= 41


def test_the_service_says_until_when_to_wait_by_its_own_clock(service: Service, make_client: MakeClient, pauses: list[float]) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=50), usegmt=True)
    service.answers(reply({}, 503, Retry_After=until), SHOWN)
    show(make_client())
    assert 45 <= pauses[0] <= 52


def test_waiting_as_asked_is_capped_by_the_budget(service: Service, make_client: MakeClient, pauses: list[float]) -> None:
    service.answers(reply({}, 429, Retry_After="86400"), SHOWN)
    show(make_client(retry_budget=30))
    assert pauses == [pytest.approx(30, abs=0.5)]


def test_each_throttled_answer_is_told_with_the_region_and_nothing_else_is(service: Service, make_client: MakeClient) -> None:
    told: list[str] = []
    service.answers(Reply(429), error("APIGW.0308", status=429), Reply(503), RESET, SHOWN)
    show(make_client(on_throttled=told.append))
    assert told == ["cn-north-4"] * 2
    service.answers(Reply(429))
    with pytest.raises(CbrThrottledError):
        copy_backup(make_client(on_throttled=told.append, region="cn-east-3", retry_budget=0))
    assert told[2:] == ["cn-east-3"]


def test_throttling_without_a_hint_waits_longer_than_other_trouble(service: Service, make_client: MakeClient, pauses: list[float]) -> None:
    service.answers(Reply(429), SHOWN)
    show(make_client())
    assert 2.5 <= pauses[0] <= 5


def test_each_retry_is_logged(service: Service, make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    service.answers(error("APIG.0613", "IAM is away.", 503, X_Request_Id="req-7"), SHOWN)
    show(make_client())
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    text = record.getMessage()
    for part in ("ShowBackup", "IAM is away.", "APIG.0613", "req-7", "attempt 1"):
        assert part in text


def test_errors_are_logged_with_their_request_id(service: Service, make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    service.answers(error("BackupService.6130", status=400, X_Request_Id="req-8"))
    with pytest.raises(CbrVaultReplicatingError) as caught:
        copy_vault(make_client())
    assert caught.value.request_id == "req-8"
    assert "req-8" in caplog.text


# --- calls that change something --------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CHANGES)
@pytest.mark.parametrize(
    "trouble",
    [
        RESET,
        CLOSED,
        TRUNCATED,
        CHUNKED,
        NO_HTTP,
        HALF_JSON,
        HTML,
        reply({}),
        reply({"replication": None, "checkpoint": None}),
        Reply(500),
        Reply(502),
        Reply(503),
        Reply(504),
        Reply(408),
        Reply(302, headers={"Location": "https://login.example.com/"}),
        Reply(303, headers={"Location": "https://login.example.com/"}),
        error("BackupService.9910", status=500),
        error("BackupService.7777", status=500),
        error("APIG.0201", status=502),
        error("APIG.0203", status=504),
    ],
    ids=repr,
)
def test_an_uncertain_outcome_is_said_and_nothing_is_sent_again(
    service: Service, make_client: MakeClient, pauses: list[float], call: OutgoingCall, trouble: Reply
) -> None:
    service.answers(trouble)
    with pytest.raises(
        CbrOutcomeUnknownError, match=r"Whether the service accepted the request is not known\..*before sending it again"
    ) as caught:
        call(make_client())
    assert len(service.requests) == 1
    assert pauses == []
    assert isinstance(caught.value.__cause__, CbrError)


@pytest.mark.parametrize(
    "answer",
    [
        reply({"replication": {}}),
        reply({"replication": {"backups": None}}),
        reply({"replication": {"backups": [{"backup_id": BACKUP}]}}),
        reply({"replication": {"backups": [{"backup_id": BACKUP, "replication_record_id": ""}]}}),
    ],
)
def test_an_answer_without_record_ids_leaves_the_outcome_open(service: Service, make_client: MakeClient, answer: Reply) -> None:
    service.answers(answer)
    for call in (copy_vault, copy_backup):
        with pytest.raises(CbrOutcomeUnknownError):
            call(make_client())


@pytest.mark.parametrize("call", CHANGES)
@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("BackupService.1009", CbrAlreadyReplicatedError),
        ("BackupService.6130", CbrVaultReplicatingError),
        ("BackupService.6125", CbrBusyError),
        ("BackupService.1007", CbrUnavailableError),
        ("BackupService.8400", CbrUnavailableError),
        ("BackupService.0001", CbrRefusedError),
        ("BackupService.1006", CbrRefusedError),
        ("APIG.0613", CbrUnavailableError),
    ],
)
def test_a_known_code_is_never_uncertain(
    service: Service, make_client: MakeClient, pauses: list[float], call: OutgoingCall, status: int, code: str, kind: type[CbrApiError]
) -> None:
    service.answers(error(code, status=status))
    with pytest.raises(kind) as caught:
        call(make_client())
    assert type(caught.value) is kind
    assert caught.value.error_code == code
    assert len(service.requests) == 1
    assert pauses == []


@pytest.mark.parametrize("throttled", [Reply(429), error("APIG.0308", status=429), error("APIGW.0308", status=400)])
def test_a_throttled_call_is_sent_again(service: Service, make_client: MakeClient, pauses: list[float], throttled: Reply) -> None:
    service.answers(throttled, throttled, replication(RECORD))
    copy_vault(make_client())
    assert len(service.requests) == 3
    assert service.requests[0].body == service.requests[2].body


def test_throttling_to_the_end_is_no_uncertain_outcome(service: Service, make_client: MakeClient) -> None:
    service.answers(Reply(429))
    with pytest.raises(CbrThrottledError):
        copy_vault(make_client())


def test_after_trouble_that_was_survived_uncertainty_still_counts(service: Service, make_client: MakeClient) -> None:
    service.answers(Reply(429), RESET)
    with pytest.raises(CbrOutcomeUnknownError):
        copy_vault(make_client())
    assert len(service.requests) == 2


@contextmanager
def closed_port() -> Iterator[int]:
    """Hold a port that nobody listens on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.mark.parametrize("call", [show, *CHANGES])
def test_a_connection_that_is_never_made_is_tried_again(make_client: MakeClient, pauses: list[float], call: OutgoingCall) -> None:
    with closed_port() as port, pytest.raises(CbrConnectionError) as caught:
        call(make_client(endpoints=Endpoints(cbr=f"http://127.0.0.1:{port}")))
    assert type(caught.value) is CbrConnectionError
    assert not caught.value.sent
    assert sum(pauses) == pytest.approx(180, abs=2)


def test_the_call_goes_through_when_the_service_is_back(service: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    service.answers(replication(RECORD))
    connect = urllib3.util.connection.create_connection
    refusals = iter([OSError(113, "No route to host"), TimeoutError("timed out"), socket.gaierror(-3, "Temporary failure")])

    def create_connection(*args: Any, **options: Any) -> socket.socket:
        if (refusal := next(refusals, None)) is not None:
            raise refusal
        return connect(*args, **options)

    monkeypatch.setattr(urllib3.util.connection, "create_connection", create_connection)
    copy_vault(make_client())
    assert len(service.requests) == 1
    assert next(refusals, None) is None


@pytest.mark.parametrize(
    ("refusal", "kind", "text"),
    [
        (OSError(113, "No route to host"), CbrConnectionError, "could not be made"),
        (TimeoutError("timed out"), CbrTimeoutError, "did not accept a connection in time"),
        (socket.gaierror(-2, "Name or service not known"), CbrConnectionError, "cannot be resolved"),
    ],
)
def test_kinds_of_connections_never_made(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, refusal: OSError, kind: type[CbrTransportError], text: str
) -> None:
    def create_connection(*args: Any, **options: Any) -> socket.socket:
        raise refusal

    monkeypatch.setattr(urllib3.util.connection, "create_connection", create_connection)
    with pytest.raises(kind, match=text) as caught:
        copy_vault(make_client(retry_budget=0))
    assert not caught.value.sent
    assert not caught.value.permanent


@pytest.mark.parametrize("status", [301, 307, 308])
@pytest.mark.parametrize("call", [show, copy_vault])
def test_a_redirect_is_not_followed(service: Service, make_client: MakeClient, status: int, call: OutgoingCall) -> None:
    with running() as elsewhere:
        service.answers(Reply(status, headers={"Location": elsewhere.url}))
        with pytest.raises(CbrProtocolError, match=rf"HTTP {status} redirects") as caught:
            call(make_client())
        assert elsewhere.requests == []
    assert caught.value.permanent
    assert not caught.value.sent
    assert len(service.requests) == 1


@pytest.mark.parametrize("status", [302, 303])
def test_a_redirected_read_is_not_repeated(service: Service, make_client: MakeClient, status: int) -> None:
    service.answers(Reply(status, headers={"Location": "/elsewhere"}))
    with pytest.raises(CbrProtocolError) as caught:
        show(make_client())
    assert caught.value.permanent
    assert len(service.requests) == 1


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def held(service: Service) -> Iterator[Callable[[Request], Reply]]:
    """Return a responder that holds its answer back until the test is over."""
    over = threading.Event()

    def hold(request: Request) -> Reply:
        over.wait(30)
        return CLOSED

    yield hold
    over.set()


def test_a_read_that_is_not_answered_in_time(service: Service, make_client: MakeClient, held: Callable[[Request], Reply]) -> None:
    service.answers(held, SHOWN)
    show(make_client(read_timeout=0.2))
    assert len(service.requests) == 2


def test_a_replicate_call_that_is_not_answered_in_time(service: Service, make_client: MakeClient, held: Callable[[Request], Reply]) -> None:
    service.answers(held)
    with pytest.raises(CbrOutcomeUnknownError, match=r"did not answer in time") as caught:
        copy_vault(make_client(read_timeout=0.2))
    assert isinstance(caught.value.__cause__, CbrTimeoutError)
    assert len(service.requests) == 1


def test_a_body_that_drips_is_given_up(make_client: MakeClient) -> None:
    """Each byte comes within the read timeout, the whole never."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while not over.wait(0.02):
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            client = make_client(endpoints=Endpoints(cbr=f"http://127.0.0.1:{server.getsockname()[1]}"), read_timeout=0.1, retry_budget=0)
            with pytest.raises(CbrTimeoutError, match=r"not complete after 0.5 s"):
                show(client)
        finally:
            over.set()
            thread.join()


def test_every_request_has_both_timeouts(service: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    client = make_client(PasswordCredentials("u", "p", "d"), connect_timeout=3, read_timeout=7)
    adapter = client._transport._session.get_adapter("http://")
    send = adapter.send

    def spy(*args: Any, **options: Any) -> Any:
        seen.append(options["timeout"])
        return send(*args, **options)

    monkeypatch.setattr(adapter, "send", spy)
    service.iam_answers(token_answer("t"))
    service.answers(SHOWN)
    show(client)
    assert seen == [(3, 7), (3, 7)]


def test_a_body_beyond_all_measure_is_refused(service: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_LARGEST_BODY", 1000)
    service.answers(reply(b" " * 1001))
    with pytest.raises(CbrProtocolError, match=r"larger than"):
        show(make_client(retry_budget=0))


def test_compressed_answers(service: Service, make_client: MakeClient) -> None:
    service.answers(Reply(200, gzip.compress(SHOWN.body), {"Content-Encoding": "gzip"}))
    show(make_client())
    service.answers(Reply(200, b"no gzip", {"Content-Encoding": "gzip"}))
    with pytest.raises(CbrProtocolError, match=r"compressed"):
        show(make_client())
    with pytest.raises(CbrOutcomeUnknownError):
        copy_vault(make_client())


# --- the session ------------------------------------------------------------------------------------------------------


def test_connections_are_kept(service: Service, make_client: MakeClient) -> None:
    service.answers(SHOWN)
    client = make_client()
    for _ in range(5):
        show(client)
    assert service.connections == 1


def test_a_replicate_call_takes_no_connection_that_has_idled(service: Service, make_client: MakeClient) -> None:
    client = make_client()
    service.answers(SHOWN, replication(RECORD), replication(RECORD), SHOWN)
    show(client)
    client._transport._last_used -= 21
    copy_vault(client)
    copy_vault(client)
    assert service.connections == 2
    client._transport._last_used -= 21
    show(client)
    assert service.connections == 2


def test_a_closed_client_opens_new_connections(service: Service, make_client: MakeClient) -> None:
    service.answers(SHOWN)
    with make_client() as client:
        show(client)
    show(client)
    assert service.connections == 2


def test_threads_share_a_client(service: Service, make_client: MakeClient) -> None:
    service.answers(lambda request: reply({"backup": {"id": request.path.rpartition("/")[2]}}))
    client = make_client()
    wrong: list[str] = []

    def work(number: int) -> None:
        for round_ in range(20):
            backup_id = f"{number:08x}-0000-4000-8000-{round_:012x}"
            if client.show_backup(backup_id).id != backup_id:
                wrong.append(backup_id)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(service.requests) == 80


def test_the_client_says_who_it_is(service: Service, make_client: MakeClient) -> None:
    service.answers(SHOWN)
    show(make_client())
    assert service.requests[0].headers["User-Agent"] == f"airflow-cbr/{__version__}"
    assert service.requests[0].headers["Content-Type"] == "application/json;charset=UTF-8"


def test_cookies_are_not_kept(service: Service, make_client: MakeClient) -> None:
    service.answers(reply({"backup": {"id": BACKUP}}, Set_Cookie="HWWAFSESID=1; Path=/"))
    client = make_client()
    show(client)
    show(client)
    assert "Cookie" not in service.requests[1].headers


@pytest.mark.parametrize("credentials", [None, PasswordCredentials("u", "p", "d")])
def test_netrc_is_not_read(
    service: Service,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    credentials: PasswordCredentials | None,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    service.iam_answers(token_answer("t"))
    service.answers(SHOWN)
    show(make_client(credentials))
    assert not [request for request in service.requests if "Basic" in str(request.headers["Authorization"])]


def test_the_clock_of_the_service(service: Service, make_client: MakeClient) -> None:
    client = make_client()
    assert client.server_time is None
    service.answers(raw(b"HTTP/1.1 404 Not Found\r\nDate: Thu, 01 Jan 2026 12:00:00 GMT\r\nContent-Length: 0\r\n\r\n"))
    with pytest.raises(CbrApiError):
        show(client)
    assert client.server_time == datetime(2026, 1, 1, 12, tzinfo=UTC)
    service.answers(raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
    with pytest.raises(CbrApiError):
        show(client)
    assert client.server_time == datetime(2026, 1, 1, 12, tzinfo=UTC)


# --- proxies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy"])
def test_proxies_of_the_environment_are_used(
    service: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str
) -> None:
    monkeypatch.delenv("REQUEST_METHOD", raising=False)
    monkeypatch.setenv(variable, service.url)
    service.answers(SHOWN)
    client = make_client(endpoints=Endpoints(cbr="http://cbr.example.com"))
    show(client)
    show(client)
    assert service.requests[0].target == f"http://cbr.example.com/v3/{PROJECT}/backups/{BACKUP}"
    assert service.requests[0].headers["Host"] == "cbr.example.com"
    warned = [record.getMessage() for record in caplog.records if "not encrypted" in record.getMessage()]
    assert len(warned) == 1
    assert "http://cbr.example.com" in warned[0]


def test_hosts_without_a_proxy(service: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_port() as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        service.answers(SHOWN)
        show(make_client())
    assert len(service.requests) == 1


def test_plain_http_to_this_machine_warns_of_nothing(service: Service, make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    service.answers(SHOWN)
    show(make_client())
    assert caplog.records == []


def test_a_tunnel_that_is_refused_means_not_sent(service: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", service.url.replace("http://", "http://me:hunter2@"))
    with pytest.raises(CbrConnectionError, match=r"proxy.*HTTPS_PROXY") as caught:
        copy_vault(make_client(endpoints=Endpoints(cbr="https://cbr.example.com"), retry_budget=0))
    assert not caught.value.sent
    assert "hunter2" not in str(caught.value)


def test_a_proxy_that_is_not_there_means_not_sent(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_port() as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(CbrConnectionError, match=r"proxy") as caught:
            copy_vault(make_client(endpoints=Endpoints(cbr="https://cbr.example.com"), retry_budget=0))
    assert not caught.value.sent


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure(service: Service, certificate: Path) -> Service:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    service.wrap(context)
    service.answers(SHOWN)
    return service


def secured(service: Service, host: str = "localhost") -> Endpoints:
    return Endpoints(cbr=service.url.replace("http://127.0.0.1", f"https://{host}"))


@pytest.mark.parametrize("call", [show, copy_vault])
def test_a_certificate_of_an_unknown_authority_is_refused(
    secure: Service, make_client: MakeClient, pauses: list[float], call: OutgoingCall
) -> None:
    with pytest.raises(CbrConnectionError, match=r"certificate of localhost.*cannot be verified.*Set verify") as caught:
        call(make_client(endpoints=secured(secure)))
    assert caught.value.permanent
    assert not caught.value.sent
    assert pauses == []
    assert secure.requests == []


def test_a_certificate_for_another_host_is_refused(secure: Service, make_client: MakeClient, certificate: Path) -> None:
    with pytest.raises(CbrConnectionError, match=r"cannot be verified"):
        show(make_client(endpoints=secured(secure, "127.0.0.1"), verify=str(certificate)))


def test_an_authority_can_be_named(secure: Service, make_client: MakeClient, certificate: Path) -> None:
    show(make_client(endpoints=secured(secure), verify=str(certificate)))


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_authorities_of_the_environment_are_used(
    secure: Service, make_client: MakeClient, certificate: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(certificate))
    show(make_client(endpoints=secured(secure)))


def test_switching_the_check_off_is_logged_once_and_silences_only_its_own_warnings(
    secure: Service, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            show(make_client(endpoints=secured(secure), verify=False))
        assert [str(warning.message) for warning in caught] == []
        warnings.warn(
            "Unverified HTTPS request is being made to host 'other.example.com'.", urllib3.exceptions.InsecureRequestWarning, stacklevel=1
        )
        assert len(caught) == 1
    assert [record.getMessage() for record in caplog.records if "not checked" in record.getMessage()] == [
        f"Certificates of {secured(secure).cbr} are not checked (verify is off): anyone on the network path can read and change everything."
    ]


def test_the_environment_does_not_switch_the_check_on_again(
    secure: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    show(make_client(endpoints=secured(secure), verify=False))


def test_an_authority_that_does_not_exist_is_a_matter_of_configuration(make_client: MakeClient) -> None:
    with pytest.raises(CbrConfigurationError, match=r"verify.*nowhere"):
        make_client(verify="/nowhere/ca.pem")


def test_an_authority_in_the_environment_that_does_not_exist_is_a_connection_error(
    secure: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    with pytest.raises(CbrConnectionError, match=r"nowhere"):
        show(make_client(endpoints=secured(secure), retry_budget=0))


def test_tls_to_a_port_that_speaks_plain_http(service: Service, make_client: MakeClient) -> None:
    with pytest.raises(CbrConnectionError):
        show(make_client(endpoints=secured(service), retry_budget=0))


# --- imports ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["models", "errors", "endpoints", "paging", "sdk_hmac"])
def test_what_tasks_import_early_does_not_import_requests(module: str) -> None:
    script = (
        f"import sys; import airflow_cbr.api.{module}; print(sorted({{'requests', 'urllib3', 'tenacity', 'airflow'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_whole_ring_does_without_airflow() -> None:
    script = "import sys; import airflow_cbr.api.client; print('airflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_header_that_cannot_be_written_does_not_end_up_in_the_message(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_client(AkSkCredentials("ACCESSKEY", "the-secret-key"))

    def broken(request: Any) -> Any:
        request.headers["X-Auth-Token"] = "hunter2\r\nX-Evil: 1"
        raise requests.exceptions.InvalidHeader(f"Invalid header {request.headers['X-Auth-Token']}")

    monkeypatch.setattr(client._authenticator, "current", lambda: broken)
    with pytest.raises(CbrProtocolError) as caught:
        copy_vault(client)
    assert "hunter2" not in str(caught.value)
    assert not caught.value.sent
    assert caught.value.__cause__ is None

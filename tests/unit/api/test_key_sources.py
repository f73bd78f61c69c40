"""Where keys come from, against an emulator of them: what is asked, of whom, and what is said when it fails."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api import renewal
from airflow_cbr.api.agencies import AgencyByName, AgencyByUrn
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.credential_sources import SOURCES
from airflow_cbr.api.credentials import AkSkCredentials, PasswordCredentials
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.api.given_credentials import GivenKey, GivenPassword
from airflow_cbr.emulator.world import DESTINATION_PROJECT, SOURCE_PROJECT
from airflow_cbr.exceptions import (
    CbrAuthenticationError,
    CbrConfigurationError,
    CbrConnectionError,
    CbrError,
    CbrParameterError,
    CbrPermissionError,
    CbrProtocolError,
    CbrTransportError,
    CbrUnavailableError,
)
from tests.support.emulator import EmulatorServer
from tests.support.key_world import AGENCY_URN, PARTNER_URN, Pod, id_token, keyless_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_cbr.api.sign_in import KeySource

KEY = GivenKey(AkSkCredentials("EMULATORACCESSKEY001", "emulator-secret-key-for-local-use-only"))
USER = GivenPassword(PasswordCredentials("backup-bot", "emulator-password", "acme"))
KEY_CALLS = {"CreateTemporaryAccessKey", "AssumeAgency", "AssumeAgencyWithOIDC", "GetSecurityKey", "GetPodIdentityCredentials"}


@pytest.fixture
def emulator() -> Iterator[EmulatorServer]:
    with EmulatorServer(keyless_world()) as server:
        yield server


@pytest.fixture(autouse=True)
def pod(emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    return Pod(tmp_path, emulator.url, monkeypatch)


def make(emulator: EmulatorServer, source: Any, **options: Any) -> CbrClient:
    defaults: dict[str, Any] = {"region": "cn-north-4", "project_id": SOURCE_PROJECT, "retry_budget": 0.0}
    url = emulator.url
    return CbrClient(source, endpoints=Endpoints(cbr=url, iam=url, sts=url), **(defaults | options))


def ecs(emulator: EmulatorServer) -> KeySource:
    return SOURCES["ecs_agency"].of({"metadata_endpoint": emulator.url})


WAYS: dict[str, Callable[[EmulatorServer], Any]] = {
    "ecs_agency": ecs,
    "pod_identity": lambda _: SOURCES["pod_identity"].of({}),
    "oidc": lambda _: SOURCES["oidc"].of({}),
    "key, by urn": lambda _: AgencyByUrn(KEY, 3600, AGENCY_URN),
    "key, by name": lambda _: AgencyByName(KEY, 3600, "airflow", "acme"),
    "password, by urn": lambda _: AgencyByUrn(USER, 3600, AGENCY_URN),
    "password, by name": lambda _: AgencyByName(USER, 3600, "airflow", "acme"),
    "ecs_agency, by urn": lambda emulator: AgencyByUrn(ecs(emulator), 3600, AGENCY_URN),
    "oidc, by name": lambda _: AgencyByName(SOURCES["oidc"].of({}), 3600, "airflow", "acme"),
}


def key_requests(emulator: EmulatorServer) -> Counter[str]:
    return Counter({call: count for call, count in emulator.control.requests().items() if call in KEY_CALLS})


# --- every way -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_key_is_asked_for_once_for_all_clients_and_regions_of_a_process(emulator: EmulatorServer, way: str) -> None:
    for _ in range(2):
        client = make(emulator, WAYS[way](emulator), project_id=None)
        assert len(list(client.list_backups())) == 3
        assert client.project_id == SOURCE_PROJECT
        there = make(emulator, WAYS[way](emulator), region="cn-shenzhen-1", project_id=None, home_region="cn-north-4")
        assert list(there.list_backups()) == []
        assert there.project_id == DESTINATION_PROJECT
    # IAM hands out both kinds of keys by one call: by a token, and of an agency.
    assert set(key_requests(emulator).values()) == ({2} if way == "password, by name" else {1})
    assert emulator.control.requests()["KeystoneListProjects"] == 2


@pytest.mark.parametrize("way", WAYS)
def test_a_key_that_ends_in_the_middle_of_a_list_is_replaced_and_the_list_goes_on(emulator: EmulatorServer, way: str) -> None:
    client = make(emulator, WAYS[way](emulator))
    rows = client.list_backups(page_size=1)
    found = [next(rows)]
    assert emulator.control.end_keys() >= 1
    found += rows
    assert len(found) == 3


@pytest.mark.parametrize("way", WAYS)
def test_a_replicate_call_with_a_key_that_has_ended_is_sent_once_more_and_carried_out_once(emulator: EmulatorServer, way: str) -> None:
    from tests.support.task_run import IDS

    client = make(emulator, WAYS[way](emulator))
    emulator.control.fault("key_expired", call="CopyCheckpoint")
    assert len(client.replicate_checkpoint(**IDS).references) == 3
    ledger = emulator.control.ledger()
    assert (ledger["requests"]["CopyCheckpoint"], len(ledger["replications"]), ledger["duplicates"]) == (2, 3, [])


@pytest.mark.parametrize("way", WAYS)
def test_every_secret_is_told_before_it_is_used_and_none_shows(emulator: EmulatorServer, way: str) -> None:
    told: list[str] = []
    client = make(emulator, WAYS[way](emulator), on_secret=told.append)
    list(client.list_backups())
    keys = emulator.emulator.service.iam.agencies.keys.values()
    assert keys
    for key in keys:
        assert {key.secret_key, key.security_token} <= set(told)
        assert key.secret_key not in repr(vars(client)) + repr(vars(client._authenticator))
    late: list[str] = []
    list(make(emulator, WAYS[way](emulator), on_secret=late.append).list_backups())
    newest = list(keys)[-1]
    assert {newest.secret_key, newest.security_token} <= set(late), "who takes a key of the cache is told it too"


@pytest.mark.parametrize("way", [way for way in WAYS if "by" in way])
def test_an_agency_that_trusts_nobody_is_a_refusal_that_names_the_step(emulator: EmulatorServer, way: str) -> None:
    emulator.control.change_agency("airflow", trusts=["cluster"])
    with pytest.raises(CbrPermissionError, match=r"Signing in failed while assuming the agency at (STS|IAM).*whether the agency trusts"):
        list(make(emulator, WAYS[way](emulator)).list_backups())
    assert emulator.control.requests().get("ListBackups", 0) == 0


@pytest.mark.parametrize("way", ["ecs_agency", "pod_identity", "oidc"])
def test_a_source_that_fails_for_now_is_told_by_its_step_and_passes(emulator: EmulatorServer, way: str) -> None:
    emulator.control.fault("status", status=502, path="*", method="POST" if way != "ecs_agency" else "GET", when="before")
    client = make(emulator, WAYS[way](emulator))
    with pytest.raises(CbrError, match=rf"Signing in failed while .*auth_type {way}") as caught:
        list(client.list_backups())
    assert not caught.value.permanent
    assert len(list(client.list_backups())) == 3


def test_another_account_is_worked_in_with_its_agency(emulator: EmulatorServer) -> None:
    client = make(emulator, AgencyByUrn(KEY, 3600, PARTNER_URN), region="cn-shenzhen-1", home_region="cn-north-4", project_id=None)
    assert client.project_id == DESTINATION_PROJECT
    with pytest.raises(CbrPermissionError):
        list(make(emulator, AgencyByUrn(KEY, 3600, PARTNER_URN)).list_backups())


def test_a_wrong_key_under_an_agency_is_tried_once_and_rests(emulator: EmulatorServer) -> None:
    wrong = AgencyByUrn(GivenKey(AkSkCredentials("EMULATORACCESSKEY001", "wrong")), 3600, AGENCY_URN)
    for _ in range(5):
        with pytest.raises(CbrAuthenticationError):
            list(make(emulator, wrong).list_backups())
    assert key_requests(emulator) == {"AssumeAgency": 1}


def test_clock_skew_is_no_reason_to_ask_for_keys_all_the_time(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_cbr.api import signed

    monkeypatch.setattr(signed, "format_sdk_date", lambda _: "20200101T000000Z")
    client = make(emulator, ecs(emulator))
    for _ in range(5):
        with pytest.raises(CbrAuthenticationError):
            list(client.list_backups())
    assert key_requests(emulator)["GetSecurityKey"] <= 2


# --- the metadata service -----------------------------------------------------------------------------------------------


def test_an_older_image_is_asked_without_a_token(emulator: EmulatorServer) -> None:
    emulator.control.change_server(metadata_tokens=False)
    assert len(list(make(emulator, ecs(emulator)).list_backups())) == 3


def test_a_token_that_is_not_to_be_had_just_now_is_no_refusal(emulator: EmulatorServer) -> None:
    emulator.control.fault("status", status=503, call="GetMetadataToken", when="before")
    with pytest.raises(CbrUnavailableError, match=r"GetMetadataToken"):
        list(make(emulator, ecs(emulator)).list_backups())
    emulator.control.change_server(metadata_tokens=False)
    emulator.control.fault("status", status=503, call="GetMetadataToken", when="before")
    assert len(list(make(emulator, ecs(emulator)).list_backups())) == 3


def test_a_server_without_an_agency_is_told_what_to_do(emulator: EmulatorServer) -> None:
    emulator.control.change_server(agency=None)
    with pytest.raises(CbrAuthenticationError, match=r"Cloud Service Agency.*What to do: See whether this runs on an ECS server"):
        list(make(emulator, ecs(emulator)).list_backups())


@pytest.mark.parametrize("call", ["GetMetadataToken", "GetSecurityKey"])
def test_a_metadata_service_that_hangs_keeps_nobody_for_long(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    from airflow_cbr.api.credential_sources import metadata

    monkeypatch.setattr(metadata, "_PATIENCE", 0.4)
    monkeypatch.setattr(metadata, "_TOKEN_PATIENCE", 0.3)
    emulator.control.fault("timeout", call=call, when="before")
    with pytest.raises(CbrTransportError, match=r"Signing in failed while asking the metadata service"):
        list(make(emulator, ecs(emulator), retry_budget=180.0).list_backups())


def test_a_slow_metadata_service_does_not_matter_while_the_old_key_is_good(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(emulator, ecs(emulator))
    list(client.list_backups())
    monkeypatch.setattr(renewal.IssuedKey, "is_fresh", lambda self: False)
    monkeypatch.setattr(renewal, "RENEWAL_PATIENCE", 0.2)
    emulator.control.fault("slow", call="GetSecurityKey", seconds=5.0, count=None)
    for _ in range(3):
        assert len(list(client.list_backups())) == 3
    assert key_requests(emulator)["GetSecurityKey"] == 2, "the renewal rests after it failed"


@contextmanager
def listening(status: int, headers: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Serve one answer to everything; give the address, and what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(f"{self.command} {self.path}")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = do_PUT = do_CONNECT = _answer  # noqa: N815 - the names that http.server calls

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with listening(200, {}) as (elsewhere, asked), listening(status, {"Location": elsewhere}) as (here, _):
        monkeypatch.setenv("HC_CONTAINER_CREDENTIALS_FULL_URI", here)
        for source in (SOURCES["ecs_agency"].of({"metadata_endpoint": here}), SOURCES["pod_identity"].of({})):
            with pytest.raises(CbrProtocolError, match="redirects"):
                list(make(emulator, source).list_backups())
        assert asked == []


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("way", ["ecs_agency", "pod_identity"])
def test_no_proxy_of_the_environment_is_told_of_it(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, way: str, variable: str
) -> None:
    with listening(502, {}) as (proxy, asked):
        monkeypatch.setenv(variable, proxy)
        with pytest.raises(CbrError):
            # CBR itself is asked over the proxy, as elsewhere; the key was had by then.
            list(make(emulator, WAYS[way](emulator)).list_backups())
        assert key_requests(emulator).total() == 1
        assert asked
        assert [line for line in asked if not line.endswith("/backups?limit=1000&offset=0")] == []


def test_a_link_local_address_is_never_asked_over_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_cbr.api.transport import Transport

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    transport = Transport(verify=True, connect_timeout=1, read_timeout=1, retry_budget=0, sleep=lambda _: None)
    assert transport._proxies_of("http://169.254.169.254/x") == {}
    assert transport._proxies_of("http://example.com/x") != {}


@pytest.mark.parametrize("credentials", [KEY.credentials, USER.credentials, AgencyByUrn(KEY, 3600, AGENCY_URN), SOURCES["oidc"].of({})])
def test_nothing_asks_the_metadata_service_unless_it_is_told_to(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, credentials: Any
) -> None:
    reached: list[Any] = []
    connect = socket.socket.connect

    def noted(self: socket.socket, address: Any) -> Any:
        reached.append(address)
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    list(make(emulator, credentials).list_backups())
    assert reached
    assert {address[0] for address in reached} == {"127.0.0.1"}
    assert not {"GetMetadataToken", "GetSecurityKey", "GetPodIdentityCredentials"} & set(emulator.control.requests())


# --- pods and tokens ------------------------------------------------------------------------------------------------------


def test_a_rotated_token_file_is_read_anew_for_each_key(emulator: EmulatorServer, pod: Pod) -> None:
    client = make(emulator, SOURCES["pod_identity"].of({}))
    list(client.list_backups())
    emulator.control.change_pod(token="the-next-one")
    pod.mount(pod="the-next-one")
    emulator.control.end_keys()
    assert len(list(client.list_backups())) == 3


def test_a_rotated_id_token_is_read_anew_for_each_key(emulator: EmulatorServer, pod: Pod) -> None:
    client = make(emulator, SOURCES["oidc"].of({}))
    list(client.list_backups())
    pod.mount(oidc=id_token(seconds=-1))
    emulator.control.end_keys()
    with pytest.raises(CbrConnectionError, match=r"could not be renewed.*the id token has expired"):
        list(client.list_backups())
    pod.mount(oidc=id_token())
    assert len(list(client.list_backups())) == 3


@pytest.mark.parametrize(
    ("way", "variable"),
    [
        ("pod_identity", "HC_CONTAINER_CREDENTIALS_FULL_URI"),
        ("pod_identity", "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        ("oidc", "HUAWEICLOUD_OIDC_PROVIDER_URN"),
        ("oidc", "HUAWEICLOUD_OIDC_AGENCY_URN"),
        ("oidc", "HUAWEICLOUD_OIDC_TOKEN_FILE"),
    ],
)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_variable_that_is_not_set_is_named(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, way: str, variable: str, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    with pytest.raises(CbrConfigurationError, match=rf"auth_type {way}.*{variable} is not set.*triggerer"):
        list(make(emulator, WAYS[way](emulator)).list_backups())
    assert key_requests(emulator).total() == 0


@pytest.mark.parametrize("content", [None, b"", b" \n", b"two words", b"line\nline", "schlüssel".encode(), b"\xff\xfe", b"x" * 70_000])
@pytest.mark.parametrize("way", ["pod_identity", "oidc"])
def test_a_file_that_holds_no_token_is_named_and_not_quoted(
    emulator: EmulatorServer, pod: Pod, tmp_path: Path, way: str, content: bytes | None
) -> None:
    file = tmp_path / ("pod-token" if way == "pod_identity" else "id-token")
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CbrConfigurationError, match="token file") as caught:
        list(make(emulator, WAYS[way](emulator)).list_backups())
    assert not caught.value.permanent, "it may be just being replaced"
    if content is not None and content.strip():
        assert content.decode("latin-1").strip() not in str(caught.value)
    pod.mount(pod="emulator-pod-token", oidc=id_token())
    assert len(list(make(emulator, WAYS[way](emulator)).list_backups())) == 3


@pytest.mark.parametrize("address", ["http://example.com/v1", "http://169.254.169.254@evil.example", "file:///etc/passwd"])
def test_a_pods_address_elsewhere_is_refused_before_its_token_is_read(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HC_CONTAINER_CREDENTIALS_FULL_URI", address)
    monkeypatch.setattr("airflow_cbr.api.credential_sources.pod_identity.read_token_file", pytest.fail)
    with pytest.raises(CbrParameterError, match="HC_CONTAINER_CREDENTIALS_FULL_URI"):
        list(make(emulator, SOURCES["pod_identity"].of({})).list_backups())


@pytest.mark.parametrize("value", ["899", "43201", "soon", "3600.0", "-1", "²²²²"])
def test_a_duration_of_the_environment_is_checked(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HUAWEICLOUD_OIDC_DURATION_SECONDS", value)
    with pytest.raises(CbrConfigurationError, match="900 to 43200"):
        list(make(emulator, SOURCES["oidc"].of({})).list_backups())


# --- a new way ---------------------------------------------------------------------------------------------------------------


def test_each_way_is_a_module_that_is_found() -> None:
    assert set(SOURCES) == {"ecs_agency", "pod_identity", "oidc"}
    for word, source in SOURCES.items():
        assert source.auth_type == word
        assert f"(auth_type {word})" in source.step
        assert source.advice

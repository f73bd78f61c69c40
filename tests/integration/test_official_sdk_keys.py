"""The official SDK's own providers of keys as clients of the emulator: both must read the documentation alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
from huaweicloudsdkcbr.v1 import CbrClient, ListBackupsRequest
from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.auth.internal import MetadataAccessor
from huaweicloudsdkcore.auth.provider import MetadataCredentialProvider, OidcStsCredentialProvider, PodIdentityCredentialProvider
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException, SdkException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkiam.v3 import (
    AgencyAuth,
    AgencyAuthIdentity,
    CreateTemporaryAccessKeyByAgencyRequest,
    CreateTemporaryAccessKeyByAgencyRequestBody,
    CreateTemporaryAccessKeyByTokenRequest,
    CreateTemporaryAccessKeyByTokenRequestBody,
    IamClient,
    IdentityAssumerole,
    IdentityToken,
    TokenAuth,
    TokenAuthIdentity,
)

from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.world import BACKUPS, SOURCE_PROJECT, SOURCE_VAULT
from tests.support.answer_schemas import check_every_answer
from tests.support.emulator import EmulatorServer
from tests.support.key_world import AGENCY_URN, Pod, id_token, keyless_world
from tests.support.plain_client import Plain

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

ACCESS_KEY, SECRET_KEY = "EMULATORACCESSKEY001", "emulator-secret-key-for-local-use-only"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the SDK a home of its own: it leaves a file there. And check every answer that it gets."""
    monkeypatch.setenv("HOME", str(tmp_path))
    check_every_answer(monkeypatch)


@pytest.fixture
def server() -> Generator[EmulatorServer]:
    with EmulatorServer(keyless_world(), clock=Clock(speed=0)) as server:
        yield server


@pytest.fixture(autouse=True)
def pod(server: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    monkeypatch.setattr(MetadataAccessor, "_METADATA_ENDPOINT", server.url)
    monkeypatch.setenv("HUAWEICLOUD_SDK_STS_ENDPOINT", server.url)
    return Pod(tmp_path, server.url, monkeypatch)


def config() -> HttpConfig:
    return HttpConfig(timeout=(5, 20))


def listed(server: EmulatorServer, credentials: Any) -> list[str]:
    client = CbrClient.new_builder().with_http_config(config()).with_credentials(credentials).with_endpoint(server.url).build()
    rows = client.list_backups(ListBackupsRequest(vault_id=SOURCE_VAULT)).backups
    return [row.id for row in rows]


def of_key(key: dict[str, str]) -> BasicCredentials:
    return BasicCredentials(key["access"], key["secret"], SOURCE_PROJECT).with_security_token(key["token"])


# --- its providers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata_tokens", [True, False])
def test_the_metadata_service(server: EmulatorServer, metadata_tokens: bool) -> None:
    server.control.change_server(metadata_tokens=metadata_tokens)
    credentials = MetadataCredentialProvider.get_basic().get_credentials()
    credentials.project_id = SOURCE_PROJECT
    assert listed(server, credentials) == list(BACKUPS)
    assert server.control.requests()["GetSecurityKey"] == 1


def test_a_server_without_an_agency(server: EmulatorServer) -> None:
    server.control.change_server(agency=None)
    with pytest.raises(ClientRequestException, match="Cloud Service Agency"):
        MetadataCredentialProvider.get_basic().get_credentials()


def test_the_identity_of_a_pod(server: EmulatorServer, pod: Pod) -> None:
    credentials = PodIdentityCredentialProvider.get_basic().get_credentials()
    credentials.project_id = SOURCE_PROJECT
    assert listed(server, credentials) == list(BACKUPS)
    pod.mount(pod="rotated")
    with pytest.raises(SdkException, match="401"):
        PodIdentityCredentialProvider.get_basic().get_credentials()
    server.control.change_pod(token="rotated")
    assert PodIdentityCredentialProvider.get_basic().get_credentials().security_token


def test_an_openid_connect_token(server: EmulatorServer, pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUAWEICLOUD_SDK_PROJECT_ID", SOURCE_PROJECT)
    assert listed(server, OidcStsCredentialProvider.get_basic().get_credentials()) == list(BACKUPS)
    pod.mount(oidc=id_token(signed_by="another-key", kid="key-1"))
    with pytest.raises(SdkException, match="signature of the id token"):
        listed(server, OidcStsCredentialProvider.get_basic().get_credentials())


def test_its_key_is_taken_anew_when_it_has_little_left(server: EmulatorServer) -> None:
    server.control.switch(key_seconds=1800, key_overlap_seconds=1800)
    credentials = MetadataCredentialProvider.get_basic().get_credentials()
    credentials.project_id = SOURCE_PROJECT
    assert listed(server, credentials) == list(BACKUPS)
    assert server.control.requests()["GetSecurityKey"] == 2, "the SDK renews a key that has less than forty minutes left"


# --- its calls --------------------------------------------------------------------------------------------------------


def iam_client(server: EmulatorServer) -> Any:
    credentials = GlobalCredentials(ACCESS_KEY, SECRET_KEY, "account")
    return IamClient.new_builder().with_http_config(config()).with_credentials(credentials).with_endpoint(server.url).build()


def test_an_agency_at_iam(server: EmulatorServer) -> None:
    role = IdentityAssumerole(agency_name="airflow", domain_name="acme", duration_seconds=900)
    auth = AgencyAuth(identity=AgencyAuthIdentity(methods=["assume_role"], assume_role=role))
    request = CreateTemporaryAccessKeyByAgencyRequest(body=CreateTemporaryAccessKeyByAgencyRequestBody(auth=auth))
    found = iam_client(server).create_temporary_access_key_by_agency(request).credential
    key = {"access": found.access, "secret": found.secret, "token": found.securitytoken}
    assert listed(server, of_key(key)) == list(BACKUPS)
    server.control.change_agency("airflow", trusts=[])
    with pytest.raises(ClientRequestException) as refused:
        iam_client(server).create_temporary_access_key_by_agency(request)
    assert refused.value.status_code == 403


def test_a_token_buys_a_key_at_iam(server: EmulatorServer) -> None:
    with requests.Session() as session:
        token = Plain(session, server.url, server.control).token(SOURCE_PROJECT)
    client = iam_client(server)
    # Any Authorization header switches the SDK's signing off.
    client.preset_headers = {"X-Auth-Token": token, "Authorization": "none"}
    auth = TokenAuth(identity=TokenAuthIdentity(methods=["token"], token=IdentityToken(duration_seconds=900)))
    request = CreateTemporaryAccessKeyByTokenRequest(body=CreateTemporaryAccessKeyByTokenRequestBody(auth=auth))
    found = client.create_temporary_access_key_by_token(request).credential
    assert listed(server, of_key({"access": found.access, "secret": found.secret, "token": found.securitytoken})) == list(BACKUPS)


def test_an_agency_at_sts_by_the_sdks_signature(server: EmulatorServer) -> None:
    """No client of STS is installed; the request is signed by the SDK's core."""
    credentials = GlobalCredentials(ACCESS_KEY, SECRET_KEY, "account")
    scheme, _, host = server.url.partition("://")
    request = SdkRequest(
        method="POST",
        schema=scheme,
        host=host,
        resource_path="/v5/agencies/assume",
        query_params=[],
        header_params={"Content-Type": "application/json;charset=UTF-8"},
        body=json.dumps({"agency_urn": AGENCY_URN, "agency_session_name": "night", "duration_seconds": 900}),
        signing_algorithm=config().signing_algorithm,
    )
    signed = credentials.sign_request(request)
    answer = requests.post(server.url + request.resource_path, data=signed.body, headers=signed.header_params, timeout=20)
    assert answer.status_code == 200, answer.text
    found = answer.json()["credentials"]
    key = {"access": found["access_key_id"], "secret": found["secret_access_key"], "token": found["security_token"]}
    assert listed(server, of_key(key)) == list(BACKUPS)

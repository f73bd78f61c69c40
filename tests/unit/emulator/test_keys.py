"""Keys that end, as the emulator hands them out and judges them: by signature, token and time, and by whom an agency trusts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.key_parts import POD_TOKEN
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.signature import canonical_request, signature_of
from airflow_cbr.emulator.world import DESTINATION_PROJECT, SOURCE_PROJECT, read_world
from tests.support.emulator import InProcessAdapter
from tests.support.key_world import AGENCY_URN, PARTNER_URN, PROVIDER_URN, id_token, keyless_world, public_key

if TYPE_CHECKING:
    import requests

    from tests.support.emulator import ControlClient
    from tests.support.plain_client import Plain

USER = {"access": "EMULATORACCESSKEY001", "secret": "emulator-secret-key-for-local-use-only"}
ASSUME = "/v5/agencies/assume"
WITH_OIDC = "/v5/agencies/assume-with-oidc"
BY_IAM = "/v3.0/OS-CREDENTIAL/securitytokens"


@pytest.fixture
def adapter() -> InProcessAdapter:
    return InProcessAdapter(Emulator(keyless_world(), Clock(speed=0)))


def signed(cbr: Plain, key: dict[str, str], method: str, path: str, body: Any = None, leave_out: str = "") -> requests.Response:
    """Send a request that is signed with a key."""
    content = b"" if body is None else json.dumps(body).encode()
    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": "127.0.0.1:1", "x-sdk-date": date}
    if "securitytoken" in key:
        headers["x-security-token"] = key["securitytoken"]
    names = tuple(sorted(name for name in headers if name != leave_out))
    signature = signature_of(canonical_request(method, path, "", headers, names, content), date, key["secret"])
    headers["authorization"] = f"SDK-HMAC-SHA256 Access={key['access']}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return cbr.session.request(method, cbr.url + path, data=content, headers=headers, timeout=5)


def metadata_key(cbr: Plain) -> dict[str, str]:
    token = cbr.session.put(f"{cbr.url}/meta-data/latest/api/token", headers={"X-Metadata-Token-Ttl-Seconds": "60"}, timeout=5).text
    answer = cbr.session.get(f"{cbr.url}/openstack/latest/securitykey", headers={"X-Metadata-Token": token}, timeout=5)
    assert answer.status_code == 200, answer.text
    key: dict[str, str] = answer.json()["credential"]
    return key


def assume(cbr: Plain, key: dict[str, str], urn: str = AGENCY_URN, **body: Any) -> requests.Response:
    return signed(cbr, key, "POST", ASSUME, {"agency_urn": urn, "agency_session_name": "night", **body})


def role(**fields: Any) -> dict[str, Any]:
    assumed = {"agency_name": "airflow", "domain_name": "acme", **fields}
    return {"auth": {"identity": {"methods": ["assume_role"], "assume_role": assumed}}}


def backups(cbr: Plain, key: dict[str, str], project: str = SOURCE_PROJECT, **more: str) -> int:
    return signed(cbr, key, "GET", f"/v3/{project}/backups", **more).status_code


def as_key(answer: requests.Response) -> dict[str, str]:
    found = answer.json()["credentials"]
    return {"access": found["access_key_id"], "secret": found["secret_access_key"], "securitytoken": found["security_token"]}


# --- keys ---------------------------------------------------------------------------------------------------------------


def test_a_key_needs_its_token_signed_and_ends(cbr: Plain, control: ControlClient) -> None:
    control.switch(key_seconds=900)
    key = metadata_key(cbr)
    assert backups(cbr, key) == 200
    assert backups(cbr, key | {"secret": "x" * 40}) == 401
    assert backups(cbr, key | {"securitytoken": "another"}) == 401
    assert backups(cbr, {name: key[name] for name in ("access", "secret")}) == 401
    assert backups(cbr, key, leave_out="x-security-token") == 401
    control.advance(899)
    assert backups(cbr, key) == 200
    control.advance(1)
    assert backups(cbr, key) == 401


def test_keys_are_ended_by_a_control_call_and_by_a_fault(cbr: Plain, control: ControlClient) -> None:
    control.switch(key_overlap_seconds=1e9)
    key = metadata_key(cbr)
    assert control.end_keys() == 1
    assert backups(cbr, key) == 401
    key = metadata_key(cbr)
    control.fault("key_expired", call="ListBackups", nth=2)
    assert [backups(cbr, key) for _ in range(3)] == [200, 401, 401]


def test_the_metadata_service_gives_the_same_key_until_it_is_due(cbr: Plain, control: ControlClient) -> None:
    control.switch(key_seconds=7200, key_overlap_seconds=1800)
    first = metadata_key(cbr)
    control.advance(5400)
    assert metadata_key(cbr) == first
    control.advance(1)
    second = metadata_key(cbr)
    assert second["access"] != first["access"]
    ends = datetime.fromisoformat(second["expires_at"])
    now = datetime.fromisoformat(control.state()["clock"]["now"]).replace(tzinfo=UTC)
    assert ends - now == timedelta(hours=2)


@pytest.mark.parametrize("token", [None, "made-up", ""])
def test_the_metadata_service_wants_its_token(cbr: Plain, token: str | None) -> None:
    headers = {} if token is None else {"X-Metadata-Token": token}
    assert cbr.session.get(f"{cbr.url}/openstack/latest/securitykey", headers=headers, timeout=5).status_code == 401


@pytest.mark.parametrize("seconds", ["", "0", "21601", "soon", "-1", "9" * 5000, "²"])
def test_the_metadata_service_gives_tokens_for_six_hours_at_most(cbr: Plain, seconds: str) -> None:
    headers = {"X-Metadata-Token-Ttl-Seconds": seconds.encode()}
    assert cbr.session.put(f"{cbr.url}/meta-data/latest/api/token", headers=headers, timeout=5).status_code == 400


def test_an_older_image_wants_no_token_and_a_server_without_an_agency_gives_no_key(cbr: Plain, control: ControlClient) -> None:
    control.change_server(metadata_tokens=False)
    put = cbr.session.put(f"{cbr.url}/meta-data/latest/api/token", headers={"X-Metadata-Token-Ttl-Seconds": "60"}, timeout=5)
    assert put.status_code == 404
    url = f"{cbr.url}/openstack/latest/securitykey"
    assert cbr.session.get(url, timeout=5).status_code == 200
    control.change_server(agency=None)
    refused = cbr.session.get(url, timeout=5)
    assert (refused.status_code, "Cloud Service Agency" in refused.text) == (401, True)


def test_a_pod_is_known_by_what_its_file_holds_now(cbr: Plain, control: ControlClient) -> None:
    def ask(token: str) -> int:
        headers = {"Authorization": token}
        return cbr.session.post(f"{cbr.url}/pod-identity/credentials", json={}, headers=headers, timeout=5).status_code

    assert (ask(POD_TOKEN), ask("another")) == (200, 401)
    control.change_pod(token="another")
    assert (ask(POD_TOKEN), ask("another")) == (401, 200)


# --- agencies -----------------------------------------------------------------------------------------------------------


def test_an_agency_is_assumed_at_sts_by_signature_alone(cbr: Plain) -> None:
    answer = assume(cbr, USER)
    assert answer.status_code == 200, answer.text
    assert backups(cbr, as_key(answer)) == 200
    by_token = cbr.session.post(
        cbr.url + ASSUME,
        json={"agency_urn": AGENCY_URN, "agency_session_name": "night"},
        headers={"X-Auth-Token": cbr.token(SOURCE_PROJECT)},
        timeout=5,
    )
    assert by_token.status_code == 401


def test_an_agency_of_another_account_may_do_what_that_account_lets_it(cbr: Plain) -> None:
    key = as_key(assume(cbr, USER, PARTNER_URN))
    assert backups(cbr, key, DESTINATION_PROJECT) == 200
    assert backups(cbr, key) == 403


@pytest.mark.parametrize(
    ("changes", "body", "status"),
    [
        ({"trusts": []}, {}, 403),
        ({"trusts": ["somebody-else"]}, {}, 403),
        ({"trusts": ["backup-bot"]}, {}, 200),
        ({}, {"duration_seconds": 3601}, 400),
        ({"longest_seconds": 43200}, {"duration_seconds": 43200}, 200),
        ({"longest_seconds": 86400}, {"duration_seconds": 43201}, 400),
        ({}, {"duration_seconds": 899}, 400),
        ({}, {"duration_seconds": "3600"}, 400),
        ({}, {"agency_session_name": "a"}, 400),
        ({}, {"agency_urn": "iam::nobody:agency:airflow"}, 404),
    ],
)
def test_sts_refuses_in_its_own_words(
    cbr: Plain, control: ControlClient, changes: dict[str, Any], body: dict[str, Any], status: int
) -> None:
    control.change_agency("airflow", **changes)
    answer = assume(cbr, USER, **body)
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["error_code"].startswith("STS5.")


def test_with_a_key_that_ends_itself_a_session_lasts_an_hour_at_most(cbr: Plain, control: ControlClient) -> None:
    control.change_agency("airflow", longest_seconds=43200)
    key = metadata_key(cbr)
    assert assume(cbr, key, duration_seconds=3600).status_code == 200
    assert assume(cbr, key, duration_seconds=3601).status_code == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (role(), 201),
        (role(duration_seconds=86400), 201),
        (role(duration_seconds=86401), 400),
        (role(domain_name="partner"), 404),
        (role(agency_name="nobody"), 404),
        (role(domain_name=None), 400),
        ({"auth": {"identity": {"methods": ["password"]}}}, 400),
        ([], 400),
    ],
)
def test_iam_hands_out_keys_of_an_agency(cbr: Plain, body: Any, status: int) -> None:
    answer = signed(cbr, USER, "POST", BY_IAM, body)
    assert answer.status_code == status
    if status == 201:
        assert backups(cbr, answer.json()["credential"]) == 200


def test_iam_asks_whom_the_agency_trusts(cbr: Plain, control: ControlClient) -> None:
    control.change_agency("airflow", trusts=["partner-backup"])
    assert signed(cbr, USER, "POST", BY_IAM, role()).status_code == 403
    assert signed(cbr, as_key(assume(cbr, USER, PARTNER_URN)), "POST", BY_IAM, role()).status_code == 201


def test_a_token_buys_a_key_of_its_user(cbr: Plain) -> None:
    body = {"auth": {"identity": {"methods": ["token"], "token": {"duration_seconds": 900}}}}
    headers = {"X-Auth-Token": cbr.token(SOURCE_PROJECT)}
    answer = cbr.session.post(cbr.url + BY_IAM, json=body, headers=headers, timeout=5)
    assert answer.status_code == 201
    assert backups(cbr, answer.json()["credential"]) == 200
    assert signed(cbr, USER, "POST", BY_IAM, body).status_code == 401


# --- OpenID Connect -----------------------------------------------------------------------------------------------------


def exchange(cbr: Plain, token: str, **body: Any) -> requests.Response:
    content = {"provider_urn": PROVIDER_URN, "agency_urn": AGENCY_URN, "agency_session_name": "night", "id_token": token} | body
    return cbr.session.post(cbr.url + WITH_OIDC, json=content, timeout=5)


def test_a_token_that_the_providers_key_has_signed_is_exchanged(cbr: Plain) -> None:
    answer = exchange(cbr, id_token())
    assert answer.status_code == 200, answer.text
    assert backups(cbr, as_key(answer)) == 200


def unsigned() -> str:
    return jwt.encode(jwt.decode(id_token(), options={"verify_signature": False}), "", algorithm="none")


def signed_with_the_public_key() -> str:
    claims = jwt.decode(id_token(), options={"verify_signature": False})
    return jwt.encode(claims, public_key()["n"], algorithm="HS256", headers={"kid": "key-1"})


def changed_afterwards() -> str:
    head, _, signature = id_token().split(".")
    return ".".join((head, id_token(sub="system:admin").split(".")[1], signature))


@pytest.mark.parametrize(
    "make",
    [
        unsigned,
        signed_with_the_public_key,
        changed_afterwards,
        lambda: id_token(signed_by="another-key", kid="key-1"),
        lambda: id_token(kid="key-2"),
        lambda: id_token(iss="https://evil.example.com"),
        lambda: id_token(aud="another"),
        lambda: id_token(sub="system:serviceaccount:other:default"),
        lambda: id_token(seconds=-1),
        lambda: id_token(nbf=4_000_000_000),
        lambda: id_token(exp="never"),
        lambda: "a.b.c",
        lambda: "no token",
        lambda: id_token()[:-4],
        lambda: id_token() + "AAAA",
    ],
)
def test_any_other_token_is_not(cbr: Plain, make: Any) -> None:
    assert exchange(cbr, make()).status_code == 403


def test_an_id_token_ends_by_simulated_time(cbr: Plain, control: ControlClient) -> None:
    control.advance(601)
    assert exchange(cbr, id_token()).status_code == 403
    assert exchange(cbr, id_token(now=control.state()["clock"]["seconds"])).status_code == 200


def test_the_agency_must_trust_the_provider(cbr: Plain, control: ControlClient) -> None:
    control.change_agency("airflow", trusts=["backup-bot"])
    assert exchange(cbr, id_token()).status_code == 403
    assert exchange(cbr, id_token(), provider_urn="iam::x:oidc-provider:cluster").status_code == 404


# --- the world ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"server": {"agency": "nobody"}}, "agency nobody is unknown"),
        ({"pod": {"agency": "nobody"}}, "agency nobody is unknown"),
        ({"agencies": [{"name": "airflow"}, {"name": "airflow"}]}, "agency airflow is listed twice"),
    ],
)
def test_a_world_whose_agencies_make_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_world(keyless_world().model_dump(mode="json") | changes)

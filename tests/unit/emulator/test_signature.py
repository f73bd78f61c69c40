from __future__ import annotations

import hashlib

import pytest

from airflow_cbr.emulator.signature import Authorization, SignatureError, canonical_request, signature_of, verify

DOC_KEYS = ("QTWAOYTTINDUT2QVKYUC", "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc")
KEYS = ("EXAMPLEACCESSKEY0001", "ExampleSecretKeyForTestVectorsOnly0000001")
PROJECT = "f841e01fd2b14e7fa41b6ae7aa6b0594"
HOST = "cbr.cn-north-4.myhuaweicloud.com"
BODY = (
    b'{"replicate":{"vault_id":"3b5816b5-f29c-4172-9d9a-76c719a659ce","destination_vault_id":"0ca3eb86-8800-46da-9c37-9d657a825274",'
    b'"destination_region":"region2","destination_project_id":"68589cac08274b82b4e254268a3862d8"}}'
)
POST_HEADERS = {
    "content-type": "application/json;charset=UTF-8",
    "host": HOST,
    "x-project-id": PROJECT,
    "x-sdk-date": "20260101T000000Z",
}
NOON = 1767225600.0  # 2026-01-01T00:00:00Z


def test_the_published_example() -> None:
    headers = {"content-type": "application/json", "host": "service.region.example.com", "x-sdk-date": "20191115T033655Z"}
    canonical = canonical_request(
        "GET",
        "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs",
        "limit=2&marker=13551d6b-755d-4757-b956-536f674975c0",
        headers,
        ("content-type", "host", "x-sdk-date"),
        b"",
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    assert digest.startswith("b25362e6")
    assert digest.endswith("cd7a")
    assert signature_of(canonical, "20191115T033655Z", DOC_KEYS[1]) == "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"


@pytest.mark.parametrize(
    ("more_headers", "signature"),
    [
        ({"user-agent": "x"}, "c46a9003fbd742f6b5b07f1c109c1fdfe126af01ef8bf0de4997055c6c70bdb9"),
        ({"x-security-token": "exampletoken"}, "f04fca75ad1cbc677c0be3c9ae03210a3be617435777af4887d78e55d9c765dd"),
    ],
    ids=["permanent keys", "temporary keys"],
)
def test_a_replicate_call(more_headers: dict[str, str], signature: str) -> None:
    headers = POST_HEADERS | more_headers
    verify(
        Authorization(KEYS[0], tuple(sorted(headers)), signature),
        secret_key=KEYS[1],
        security_token=more_headers.get("x-security-token"),
        method="POST",
        raw_path=f"/v3/{PROJECT}/checkpoints/replicate",
        raw_query="",
        headers=headers,
        body=BODY,
        now=NOON,
    )


def signed_get(**changes: object) -> None:
    headers = POST_HEADERS | {"content-type": "application/json"}
    query = (
        "vault_id=3b5816b5-f29c-4172-9d9a-76c719a659ce&start_time=2026-01-01T00%3A00%3A00Z&operation_type=replication&offset=0&limit=100"
    )
    request: dict[str, object] = {
        "secret_key": KEYS[1],
        "security_token": None,
        "method": "GET",
        "raw_path": f"/v3/{PROJECT}/operation-logs",
        "raw_query": query,
        "headers": headers,
        "body": b"",
        "now": NOON,
    }
    signed = tuple(sorted(headers))
    authorization = Authorization(KEYS[0], signed, "8e6a23d30cd75f9e5b769d925ef134a5fdc6a155f8ae4ac21c517d909cda9e2b")
    verify(authorization, **(request | changes))  # type: ignore[arg-type]


def test_a_query_in_any_order() -> None:
    signed_get()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"secret_key": "wrong"}, "verify aksk signature fail"),
        ({"method": "POST"}, "verify aksk signature fail"),
        ({"raw_query": "limit=1"}, "verify aksk signature fail"),
        ({"body": b"x"}, "verify aksk signature fail"),
        ({"now": NOON + 901}, "15 minutes"),
        ({"now": NOON - 901}, "15 minutes"),
        ({"security_token": "exampletoken"}, "security token is missing"),
        ({"headers": POST_HEADERS | {"x-sdk-date": "yesterday"}}, "x-sdk-date is missing or malformed"),
    ],
)
def test_what_does_not_hold(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(SignatureError, match=reason):
        signed_get(**changes)


def test_a_security_token_that_is_sent_but_not_signed() -> None:
    headers = POST_HEADERS | {"content-type": "application/json", "x-security-token": "exampletoken"}
    authorization = Authorization(KEYS[0], tuple(sorted(POST_HEADERS)), "0" * 64)
    with pytest.raises(SignatureError, match="x-security-token is not signed"):
        verify(
            authorization,
            secret_key=KEYS[1],
            security_token="exampletoken",
            method="GET",
            raw_path="/",
            raw_query="",
            headers=headers,
            body=b"",
            now=NOON,
        )


def test_at_the_edge_of_the_window() -> None:
    signed_get(now=NOON + 900)


@pytest.mark.parametrize("header", ["none", "SDK-HMAC-SM3 Access=a, SignedHeaders=b, Signature=c", "", "Bearer x"])
def test_other_authorizations(header: str) -> None:
    with pytest.raises(SignatureError, match="malformed"):
        Authorization.read(header)

"""The signature, against published and computed vectors and against the official SDK's signer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.api.sdk_hmac import authorization, canonical_request, format_sdk_date

PROJECT = "f841e01fd2b14e7fa41b6ae7aa6b0594"
CBR = f"https://cbr.cn-north-4.myhuaweicloud.com/v3/{PROJECT}"
KEYS = ("EXAMPLEACCESSKEY0001", "ExampleSecretKeyForTestVectorsOnly0000001")
BODY = (
    b'{"replicate":{"vault_id":"3b5816b5-f29c-4172-9d9a-76c719a659ce","destination_vault_id":"0ca3eb86-8800-46da-9c37-9d657a825274",'
    b'"destination_region":"region2","destination_project_id":"68589cac08274b82b4e254268a3862d8"}}'
)
COMMON = {"Host": "cbr.cn-north-4.myhuaweicloud.com", "X-Project-Id": PROJECT, "X-Sdk-Date": "20260101T000000Z"}
POST_HEADERS = {**COMMON, "Content-Type": "application/json;charset=UTF-8"}


def signature(text: str) -> str:
    return text.rpartition("Signature=")[2]


def test_vector_of_the_official_documentation() -> None:
    url = "https://service.region.example.com/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0"
    headers = {"Content-Type": "application/json", "Host": "service.region.example.com", "X-Sdk-Date": "20191115T033655Z"}
    signed = authorization("QTWAOYTTINDUT2QVKYUC", "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc", method="GET", url=url, headers=headers)
    assert signed == (
        "SDK-HMAC-SHA256 Access=QTWAOYTTINDUT2QVKYUC, SignedHeaders=content-type;host;x-sdk-date, "
        "Signature=7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"
    )


@pytest.mark.parametrize(
    ("method", "url", "headers", "body", "expected"),
    [
        pytest.param(
            "POST",
            f"{CBR}/checkpoints/replicate",
            {**POST_HEADERS, "User-Agent": "x"},
            BODY,
            "c46a9003fbd742f6b5b07f1c109c1fdfe126af01ef8bf0de4997055c6c70bdb9",
            id="post",
        ),
        pytest.param(
            "POST",
            f"{CBR}/checkpoints/replicate",
            {**POST_HEADERS, "X-Security-Token": "exampletoken"},
            BODY,
            "f04fca75ad1cbc677c0be3c9ae03210a3be617435777af4887d78e55d9c765dd",
            id="post with a security token",
        ),
        pytest.param(
            "GET",
            f"{CBR}/operation-logs?limit=100&offset=0&operation_type=replication&start_time=2026-01-01T00%3A00%3A00Z"
            "&vault_id=3b5816b5-f29c-4172-9d9a-76c719a659ce",
            {**COMMON, "Content-Type": "application/json"},
            b"",
            "8e6a23d30cd75f9e5b769d925ef134a5fdc6a155f8ae4ac21c517d909cda9e2b",
            id="get with a query",
        ),
    ],
)
def test_vectors_computed_with_the_sdk(method: str, url: str, headers: dict[str, str], body: bytes, expected: str) -> None:
    assert signature(authorization(*KEYS, method=method, url=url, headers=headers, body=body)) == expected


def test_the_order_of_headers_and_query_does_not_matter() -> None:
    backwards = dict(reversed(POST_HEADERS.items()))
    assert authorization(*KEYS, method="GET", url=f"{CBR}/vaults?b=2&a=1", headers=POST_HEADERS) == authorization(
        *KEYS, method="get", url=f"{CBR}/vaults?a=1&b=2", headers=backwards
    )


def test_headers_with_an_underscore_are_not_signed() -> None:
    signed = authorization(*KEYS, method="GET", url=CBR, headers={**COMMON, "x_trace": "1"})
    assert "x_trace" not in signed
    assert "x_trace" not in canonical_request("GET", CBR, {**COMMON, "x_trace": "1"}, b"")


def test_a_request_without_a_date_cannot_be_signed() -> None:
    with pytest.raises(KeyError, match="x-sdk-date"):
        authorization(*KEYS, method="GET", url=CBR, headers={"Host": "x"})


def test_the_date_has_the_form_of_the_header() -> None:
    assert format_sdk_date(datetime(2026, 1, 2, 3, 4, 5, 999999, tzinfo=UTC)) == "20260102T030405Z"


def test_the_date_is_utc_whatever_the_zone_of_the_time() -> None:
    assert format_sdk_date(datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=8)))) == "20260101T000000Z"


PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=("Cs", "Cc")), max_size=12)
ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "delete"]),
    segments=st.lists(PRINTABLE.filter(lambda text: text not in {".", ".."}), max_size=4),
    query=st.lists(st.tuples(ASCII, PRINTABLE), max_size=5, unique_by=lambda pair: pair[0]),
    headers=st.dictionaries(st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,10}", fullmatch=True), ASCII, max_size=4),
    body=st.binary(max_size=50),
    keys=st.tuples(ASCII, ASCII),
)
def test_agrees_with_the_sdk_on_any_request(
    method: str, segments: list[str], query: list[tuple[str, str]], headers: dict[str, str], body: bytes, keys: tuple[str, str]
) -> None:
    lower = {name.lower(): value for name, value in headers.items()}
    lower.update({"host": "cbr.example.com", "x-sdk-date": "20260101T000000Z", "content-type": "application/json"})
    lower.pop("x-sdk-content-sha256", None)
    lower.pop("authorization", None)
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    url = f"https://cbr.example.com{path}"
    if query:
        url += f"?{urlencode(query, quote_via=quote, safe='')}"

    request: Any = SdkRequest(
        method=method,
        schema="https",
        host="cbr.example.com",
        resource_path=path,
        query_params=list(query),
        header_params=dict(lower),
        body=body,
    )
    expected = Signer(BasicCredentials(*keys, PROJECT)).sign(request).header_params["Authorization"]
    assert authorization(*keys, method=method, url=url, headers=lower, body=body) == expected

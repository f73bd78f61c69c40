"""Whatever comes back is read as a model, or becomes a typed error; no secret and no whole body gets into a message."""

from __future__ import annotations

import contextlib
import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from airflow_cbr.api import responses
from airflow_cbr.api.actions import ACTION_OF_CALL
from airflow_cbr.api.responses import LONGEST_RETRY_AFTER, ServiceResponse, decode, error_from_answer, parse_http_date, retry_after
from airflow_cbr.api.texts import clean
from airflow_cbr.exceptions import (
    CbrAlreadyReplicatedError,
    CbrApiError,
    CbrAuthenticationError,
    CbrNotFoundError,
    CbrPermissionError,
    CbrProtocolError,
    CbrRefusedError,
    CbrThrottledError,
    CbrUnavailableError,
)
from airflow_cbr.languages import in_chinese
from tests.support.thinned import thinned

ENVELOPES = [value for name, value in vars(responses).items() if name.endswith("Answer")]


def answer(content: object, status: int = 200, **headers: str) -> ServiceResponse:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return ServiceResponse(status, CaseInsensitiveDict({name.replace("_", "-"): text for name, text in headers.items()}), body)


def error(content: object, status: int = 400, *, iam: bool = False, secrets: tuple[str, ...] = (), **headers: str) -> CbrApiError:
    given_answer = answer(content, status, **headers)
    return error_from_answer(status, given_answer.headers, given_answer.body, call="CopyCheckpoint", iam=iam, secrets=secrets)


# --- success ----------------------------------------------------------------------------------------------------------


def test_a_page_of_backups() -> None:
    page = decode(answer({"backups": [{"id": "b"}], "count": "1", "offset": 0, "extra": {}}), responses.BackupsAnswer, call="ListBackups")
    assert page.backups is not None
    assert (page.backups[0].id, page.count) == ("b", 1)


@pytest.mark.parametrize("content", [{}, {"vaults": []}, {"count": 0}, [], None, "text", 5, True])
def test_a_missing_list_is_not_an_empty_list(content: object) -> None:
    with pytest.raises(CbrProtocolError, match=r"ListBackups"):
        decode(answer(content), responses.BackupsAnswer, call="ListBackups")


def test_a_null_list_is_an_empty_list() -> None:
    assert decode(answer({"backups": None}), responses.BackupsAnswer, call="ListBackups").backups is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"backups": [{"id": "b"}',
        b"<html><body>Login</body></html>",
        b"\xff\xfe",
        b'{"backups": [{"id": "\xff"}]}',
        b'{"backups": [{"id": "\\ud800"}]}',
        b'{"backups": [{"id": 5}]}',
        b'{"backups": [{"id": null}]}',
        b'{"backups": [null]}',
        b'{"backups": [], "x": ' + b"[" * 200_000,
        b'{"backups": [{"id": "b", "resource_size": 1e999}]}',
    ],
)
def test_an_unreadable_body_names_call_status_and_request_id(body: bytes) -> None:
    with pytest.raises(CbrProtocolError) as caught:
        decode(
            answer(body, 200, X_Request_Id="req-1", Content_Type="text/html; charset=utf-8"), responses.BackupsAnswer, call="ListBackups"
        )
    assert caught.value.request_id == "req-1"
    assert caught.value.http_status == 200
    assert caught.value.sent
    assert "ListBackups" in str(caught.value)
    assert "text/html" in str(caught.value)
    assert len(str(caught.value)) < 600
    assert caught.value.__cause__ is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "name", "error_code", "code"]), inner, max_size=4),
    max_leaves=12,
)
KEYS = sorted(
    {name for envelope in ENVELOPES for name in envelope.__struct_fields__} | {"error_code", "error_msg", "error", "unauthorized"}
)


@pytest.mark.parametrize("envelope", ENVELOPES)
@given(body=st.binary(max_size=60))
def test_arbitrary_bytes_are_read_or_refused(envelope: type[Any], body: bytes) -> None:
    # Nothing but this may be raised.
    with contextlib.suppress(CbrProtocolError):
        decode(answer(body), envelope, call="X")


@pytest.mark.parametrize("envelope", thinned(ENVELOPES, every=4))
@given(content=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4) | JSON)
@pytest.mark.campaign
def test_arbitrary_json_is_read_or_refused(envelope: type[Any], content: object) -> None:
    # Nothing but this may be raised.
    with contextlib.suppress(CbrProtocolError):
        decode(answer(content), envelope, call="X")


# --- errors -----------------------------------------------------------------------------------------------------------


@given(
    body=st.binary(max_size=80)
    | st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4).map(lambda content: json.dumps(content).encode()),
    status=st.integers(400, 599),
)
def test_any_error_body_becomes_a_typed_error(body: bytes, status: int) -> None:
    raised = error(body, status)
    assert isinstance(raised, CbrApiError)
    assert raised.http_status == status
    assert str(raised).startswith("CopyCheckpoint: ")
    assert len(raised.message) <= 320


@pytest.mark.parametrize(
    ("content", "status", "kind", "code", "text"),
    [
        ({"error_code": "BackupService.1009", "error_msg": "copied"}, 500, CbrAlreadyReplicatedError, "BackupService.1009", "copied"),
        ({"error_code": "1009", "error_msg": "copied"}, 400, CbrAlreadyReplicatedError, "BackupService.1009", "copied"),
        ({"error_code": 1009, "error_msg": "copied"}, 400, CbrAlreadyReplicatedError, "BackupService.1009", "copied"),
        ({"errorCode": "BackupService.6200", "errorMsg": "gone"}, 404, CbrNotFoundError, "BackupService.6200", "gone"),
        ({"error": {"code": "BackupService.6119", "message": "wrong kind"}}, 400, CbrRefusedError, "BackupService.6119", "wrong kind"),
        ({"badRequest": {"code": 400, "message": "no"}}, 400, CbrRefusedError, None, "no"),
        ({"error_code": "APIGW.0308", "error_msg": "too many"}, 429, CbrThrottledError, "APIG.0308", "too many"),
        ({"error_code": "APIG.0308", "error_msg": "too many"}, 429, CbrThrottledError, "APIG.0308", "too many"),
        (
            {"error": {"code": 401, "message": "The username or password is wrong.", "title": "Unauthorized"}},
            401,
            CbrAuthenticationError,
            None,
            "The username or password is wrong.",
        ),
        ({"error_code": "IAM.0011", "error_msg": "bad"}, 400, CbrRefusedError, "IAM.0011", "bad"),
        ({"error_code": "New.4711", "error_msg": "?"}, 403, CbrPermissionError, "New.4711", "?"),
        ({"encoded_authorization_message": "x", "error_code": "PAP5.0011", "error_msg": "?"}, 403, CbrPermissionError, "PAP5.0011", "?"),
        (
            b"<html><head><style>p{}</style></head><body><h1>502 Bad&nbsp;Gateway</h1></body></html>",
            502,
            CbrUnavailableError,
            None,
            "502 Bad Gateway",
        ),
        (b"", 503, CbrUnavailableError, None, "HTTP 503 without an explanation."),
        (b"upstream \xff broke", 500, CbrUnavailableError, None, "upstream \ufffd broke"),
        ("just text", 400, CbrRefusedError, None, "just text"),
        ([1, 2], 400, CbrRefusedError, None, "HTTP 400 without an explanation."),
        ({"error_code": "BackupService.6129"}, 400, CbrRefusedError, "BackupService.6129", "The destination vault is full."),
        ({"error_code": {"a": 1}, "error_msg": ["b"]}, 400, CbrRefusedError, None, "HTTP 400 without an explanation."),
    ],
)
def test_shapes_of_error_bodies(content: object, status: int, kind: type[CbrApiError], code: str | None, text: str) -> None:
    raised = error(content, status)
    assert type(raised) is kind
    assert raised.error_code == code
    assert raised.message == f"CopyCheckpoint: {text}"


def test_a_bare_code_of_iam() -> None:
    assert error({"error_code": "0067", "error_msg": "x"}, 401, iam=True).error_code == "IAM.0067"


@pytest.mark.parametrize(
    "content",
    [
        {"unauthorized": {"code": "401", "message": "Malformed request url"}},
        {"unauthorized": {"message": "something new"}},
        {"error_code": "APIG.0301", "error_msg": "Malformed request url"},
    ],
)
def test_a_wrong_id_is_not_a_failed_login(content: object) -> None:
    raised = error(content, 401)
    assert type(raised) is CbrNotFoundError
    assert raised.advice is not None
    assert "project_id" in raised.advice


def test_the_gate_behind_a_refused_acceleration_is_named() -> None:
    raised = error({"error_code": "BackupService.9900", "error_msg": "invalid key enable_acceleration"})
    assert raised.advice is not None
    assert "OP_GATED_CSBS_REP_ACCELERATION" in raised.advice
    other = error({"error_code": "BackupService.9900", "error_msg": "invalid name"})
    assert other.advice is not None
    assert "OP_GATED" not in other.advice


def test_advice_comes_from_the_catalogue_or_the_status() -> None:
    assert "Expand the destination vault" in (error({"error_code": "BackupService.6129"}).advice or "")
    assert "permission" in (error(b"", 403).advice or "")
    assert "login" in (error(b"", 401).advice or "")
    assert "HTTPS_PROXY" in (error(b"", 407).advice or "")


@pytest.mark.parametrize("call", [*ACTION_OF_CALL, "KeystoneListProjects"])
def test_a_call_that_is_not_allowed_names_its_action_and_no_more(call: str) -> None:
    refused = error_from_answer(403, {}, b'{"error_code": "APIG.0302", "error_msg": "?"}', call=call)
    advice = refused.advice or ""
    named = re.findall(r"[a-z]+:[\w:*]+", advice)
    assert named == ([ACTION_OF_CALL[call]] if call in ACTION_OF_CALL else [])
    assert "page on permissions" in advice
    assert re.findall(r"[a-z]+:[\w:*]+", in_chinese(advice)) == named
    assert in_chinese(advice) != advice


@pytest.mark.parametrize(
    ("headers", "content", "expected"),
    [
        ({"X_Request_Id": "header"}, {"error_code": "x", "request_id": "body"}, "header"),
        ({"X_IAM_Trace_Id": "trace"}, {}, "trace"),
        ({}, {"error_code": "x", "request_id": "body"}, "body"),
        ({}, {"request_id": "body", "error": {"message": "m"}}, "body"),
        ({}, {}, None),
    ],
)
def test_request_ids(headers: dict[str, Any], content: object, expected: str | None) -> None:
    assert error(content, **headers).request_id == expected


def test_waiting_times_of_throttled_and_unavailable() -> None:
    throttled = error({"error_code": "APIGW.0308"}, 429, Retry_After="7")
    assert isinstance(throttled, CbrThrottledError)
    assert throttled.retry_after == 7
    unavailable = error(b"", 503, Retry_After="3")
    assert isinstance(unavailable, CbrUnavailableError)
    assert unavailable.retry_after == 3


# --- headers ----------------------------------------------------------------------------------------------------------

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "0x10"}, None),
        ({"Retry-After": "1_000"}, None),
        ({"Retry-After": "\u0661\u0662"}, None),
        ({"Retry-After": "1e9"}, None),
        ({"Retry-After": "3601"}, LONGEST_RETRY_AFTER),
        ({"Retry-After": "9" * 5000}, LONGEST_RETRY_AFTER),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST_RETRY_AFTER),
        ({"Retry-After": format_datetime(NOON, usegmt=True), "Date": "Mon, 01 Jan 1900 00:00:00 GMT"}, LONGEST_RETRY_AFTER),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": format_datetime(NOON + timedelta(seconds=30), usegmt=True), "Date": format_datetime(NOON, usegmt=True)}, 30),
        ({"Retry-After": format_datetime(NOON - timedelta(seconds=30), usegmt=True), "Date": format_datetime(NOON, usegmt=True)}, 0),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after(CaseInsensitiveDict(headers)) == expected


def test_a_date_without_the_answers_own_date_is_compared_with_this_machines_clock() -> None:
    seconds = retry_after({"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)})
    assert seconds is not None
    assert 3500 < seconds <= 3600


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Thu, 01 Jan 2026 12:00:00 GMT", NOON),
        ("Thu, 01 Jan 2026 14:00:00 +0200", NOON),
        ("Thu, 01 Jan 2026 12:00:00 -0000", NOON),
        ("", None),
        (None, None),
        ("noon", None),
        ("Thu, 99 Jan 2026 12:00:00 GMT", None),
    ],
)
def test_dates(text: str | None, expected: datetime | None) -> None:
    assert parse_http_date(text) == expected


@given(st.text(max_size=40))
def test_no_header_breaks_the_reading(text: str) -> None:
    parse_http_date(text)
    seconds = retry_after({"Retry-After": text, "Date": text})
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


# --- messages ---------------------------------------------------------------------------------------------------------


def test_messages_are_one_short_line_without_markup() -> None:
    text = clean("<script>alert('x')</script>\n\n<b>Bad</b>\t&lt;gateway&gt;\x1b[31m\x00 <!-- no --> end " + "x" * 1000)
    assert text.startswith("Bad <gateway> [31m end xxx")
    assert len(text) == 300
    assert text.endswith("...")


SECRET = 'pa"ss/w\u00f6rd +1'


@pytest.mark.parametrize(
    "text",
    [
        f"you sent {SECRET}",
        f"you sent {json.dumps(SECRET)}",
        "you sent pa%22ss/w%C3%B6rd%20%2B1",
        "you sent pa%22ss%2Fw%C3%B6rd%20%2B1",
        "you sent pa&quot;ss/w&ouml;rd +1",
    ],
)
def test_secrets_are_blacked_out_in_every_notation(text: str) -> None:
    assert "w\u00f6rd" not in clean(text, [SECRET])
    assert "***" in clean(text, [SECRET])
    assert "w%C3" not in clean(text, [SECRET])


def test_secrets_in_error_bodies_are_blacked_out() -> None:
    raised = error(
        {"error_code": "APIG.0301", "error_msg": "Bad token MIIsecret in Authorization: SDK-HMAC-SHA256 Access=A, Signature=0123abcdef"},
        401,
        secrets=("MIIsecret", ""),
    )
    assert "MIIsecret" not in str(raised)
    assert "0123abcdef" not in str(raised)
    assert "Bad token ***" in str(raised)


def test_passwords_in_addresses_are_blacked_out() -> None:
    assert clean("proxy http://me:hunter2@proxy.example.com refused") == "proxy http://***@proxy.example.com refused"


@pytest.mark.parametrize(
    ("iam", "message", "told"),
    [(True, "Could not find project: eu-de.", True), (True, "no such page", False), (False, "Could not find project: eu-de.", False)],
)
def test_a_user_who_sees_a_sub_project_alone_is_told_to_name_it(iam: bool, message: str, told: bool) -> None:
    told_error = error({"error": {"code": 404, "title": "Not Found", "message": message}}, 404, iam=iam)
    assert ("Set project_id" in (told_error.advice or "")) is told

"""Whatever a service writes, what is shown is short, one line, and harmless; and it takes no longer the worse it is."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.api import decoding, responses
from airflow_cbr.api.decoding import decode_json
from airflow_cbr.api.models import Backup, OperationLog, ReplicationRecord
from airflow_cbr.api.responses import error_from_answer
from airflow_cbr.api.texts import LONGEST_FIELD, LONGEST_MESSAGE, clean, counted, one_line
from airflow_cbr.exceptions import CbrProtocolError
from airflow_cbr.inventory.backups import name_of
from airflow_cbr.inventory.coverage import failure_of
from airflow_cbr.replication.publisher import RecordPublisher
from tests.unit.api.service import BACKUP, RECORD, Service, reply

if TYPE_CHECKING:
    from tests.unit.api.conftest import MakeClient

#: A line end, its look-alikes of Unicode, a terminal's escape, a change of the direction of writing, marks without width, half a pair.
HOSTILE = [
    "\n",
    "\r",
    "\x0b",
    "\x85",
    "\u2028",
    "\u2029",
    "\x1b[2J",
    "\x9b",
    "\x00",
    "\x7f",
    "\u202e",
    "\u2066",
    "\u200b",
    "\ufeff",
    "\ud800",
]
TEXTS = st.lists(
    st.one_of(st.text(max_size=20), st.sampled_from([*HOSTILE, "<script", "<!--", "&#10;", "&#x1b;", "&lt;", "A" * 2000]))
).map("".join)


def is_harmless(text: str, longest: int) -> bool:
    return text.isprintable() and len(text) <= longest


@given(TEXTS)
def test_a_text_is_one_short_printable_line(text: str) -> None:
    assert is_harmless(one_line(text), LONGEST_FIELD)
    assert is_harmless(one_line(text, 10), 10)
    assert is_harmless(clean(text), LONGEST_MESSAGE)


@given(st.text(st.characters(categories=["L", "N"]), max_size=LONGEST_FIELD))
def test_a_plain_text_stays_as_it_is(text: str) -> None:
    assert one_line(text) == text


@given(st.text(max_size=20), st.integers(19_150, 19_250), TEXTS)
def test_no_part_of_a_secret_is_left_where_a_text_is_cut(before: str, padding: int, after: str) -> None:
    secret = "QQQQsecretQQQQ/+=" * 3
    said = clean(f"{before}<style>{'x' * padding}</style>{secret}{after}", [secret])
    assert "QQQQ" not in said


@pytest.mark.parametrize("secret", ["two  spaces", "a<b>c", "&amp;", "tab\there", "\ud800lone", "<!-- x", "pass\u200bword"])
@pytest.mark.parametrize("form", [str, json.dumps, lambda text: f"<p>{text}</p>"])
def test_a_secret_with_any_sign_is_blacked_out(secret: str, form: Any) -> None:
    said = clean(f"you sent {form(secret)} here", [secret])
    assert "***" in said
    assert one_line(secret) not in said


@pytest.mark.parametrize(
    "unit", ["<script", "<!--", "<", "://a", "://", "&amp;", "&#", "&#9", "&", "</script ", "Signature=", " ", "\n", "<style>", "@"]
)
@pytest.mark.campaign
def test_the_largest_answer_takes_no_time(unit: str) -> None:
    """Anything but linear time would take hours here."""
    text = unit * ((32 << 20) // len(unit))
    assert len(clean(text)) <= LONGEST_MESSAGE
    for body in (text.encode(), json.dumps({"error_code": "X", "error_msg": text}).encode()):
        assert len(error_from_answer(500, {}, body, call="ShowBackup").message) < 400


@pytest.mark.parametrize("number", ["&#" + "9" * 5000 + ";", "&#x" + "f" * 5000 + ";", "&#1114112;", "&#xd800;"])
def test_absurd_references_are_no_error(number: str) -> None:
    assert clean(f"a {number} b").startswith("a ")


@pytest.mark.parametrize("body", [b"1" * 5000, b'{"code": ' + b"1" * 5000 + b"}", b'{"code": ' + b"1" * 4000 + b"}"])
def test_absurd_numbers_are_no_error(body: bytes) -> None:
    raised = error_from_answer(500, {"X-Request-Id": "a\nb"}, body, call="ShowBackup")
    assert len(raised.error_code or "") <= 80
    assert raised.request_id == "a b"


# --- rows -------------------------------------------------------------------------------------------------------------


def texts_in(value: Any) -> list[str]:
    return (
        [value]
        if isinstance(value, str)
        else [text for item in value for text in texts_in(item)]
        if isinstance(value, (list, tuple))
        else []
    )


def fields_of(row: Any) -> list[str]:
    return texts_in(list(msgspec.structs.asdict(row).values()))


#: JSON cannot carry half a pair as UTF-8, only escaped, which is no valid JSON for the decoder.
JSON_TEXTS = TEXTS.map(lambda text: text.replace("\ud800", ""))


@given(JSON_TEXTS, JSON_TEXTS, st.booleans(), st.sampled_from([None, 2]))
def test_every_text_of_a_row_is_harmless(name: str, status: str, ascii_only: bool, indent: int | None) -> None:
    body = json.dumps([{"id": BACKUP, "name": name, "status": status}] * 3, ensure_ascii=ascii_only, indent=indent).encode()
    rows = decode_json(body, list[Backup])
    assert len(rows) == 3
    for text in fields_of(rows[0]):
        assert is_harmless(text, LONGEST_FIELD)
    assert rows[0].name == one_line(name)


@given(
    st.lists(st.sampled_from(['"', "\\", "/", "n", "u0041", "\n", "\x1b", "\u202e", "é", "a" * 600]), max_size=30).map("".join),
    st.booleans(),
)
def test_escapes_hide_nothing(name: str, ascii_only: bool) -> None:
    """Whatever stands in pairs of backslashes, the quick look lets nothing pass that the slow one would change."""
    body = json.dumps({"id": BACKUP, "name": name}, ensure_ascii=ascii_only).encode()
    assert decode_json(body, Backup).name == one_line(name)


@given(
    st.dictionaries(
        st.sampled_from(["name", "created_at", "resource_size", "incremental", "unknown"]),
        st.none() | st.integers(0, 9) | st.text("a1é中", max_size=30),
    ),
    st.booleans(),
)
def test_plain_rows_are_read_alike_in_both_ways(fields: dict[str, Any], ascii_only: bool) -> None:
    body = json.dumps({"id": BACKUP, **fields}, ensure_ascii=ascii_only).encode()

    def read(how: Any) -> Any:
        try:
            return how()
        except msgspec.ValidationError:
            return "refused"

    direct = read(lambda: msgspec.json.decode(body, type=Backup, strict=False))
    assert read(lambda: decode_json(body, Backup)) == direct
    assert read(lambda: msgspec.convert(decoding._harmless(msgspec.json.decode(body)), type=Backup, strict=False)) == direct


@pytest.mark.parametrize("reason", ["x" * 5000 + '"\n\x1b[2J', "plain"])
def test_an_object_that_comes_as_a_text_is_opened_before_it_is_cut(reason: str) -> None:
    extra = json.dumps({"fail_reason": reason, "destination_vault_id": "vault-1"})
    record = decode_json(json.dumps({"id": RECORD, "extra_info": extra}).encode(), ReplicationRecord)
    assert record.extra.destination_vault_id == "vault-1"
    assert is_harmless(record.extra.fail_reason or "", LONGEST_FIELD)
    log = decode_json(
        json.dumps({"id": "l", "extra_info": json.dumps({"replication": {"source_backup_id": reason}})}).encode(), OperationLog
    )
    assert is_harmless(log.replication.source_backup_id or "", LONGEST_FIELD)
    built = msgspec.convert({"id": RECORD, "extra_info": extra}, ReplicationRecord)
    assert isinstance(built.extra_info, str)
    assert is_harmless(built.extra.fail_reason or "", LONGEST_FIELD)


def test_an_object_in_an_object_in_an_object_takes_no_time() -> None:
    """Anything but linear time would take for ever here."""
    extra = b'{"extra_info": ' * 200 + b'"\\u202e"' + b"}" * 200
    with pytest.raises(msgspec.ValidationError):
        decode_json(b'{"id": 1, "extra_info": ' + extra + b"}", Backup)


def test_texts_of_a_list_arrive_harmless(service: Service, make_client: MakeClient) -> None:
    service.answers(
        reply(
            {
                "backups": [{"id": BACKUP, "name": "n\n[INFO] Verified: all good", "status": "fail\u202e", "resource_name": "r" * 9999}],
                "count": 1,
            }
        )
    )
    (backup,) = make_client().list_backups()
    assert (backup.name, backup.status) == ("n [INFO] Verified: all good", "fail ")
    assert len(backup.resource_name or "") == LONGEST_FIELD


@pytest.mark.parametrize("bad", ["../../x", "$(id)", f"{RECORD}\n", "", " ", "x" * 65, "\u0661" * 8, "a b"])
def test_a_row_without_an_id_makes_a_list_unreadable(service: Service, make_client: MakeClient, bad: str) -> None:
    """Left out, its backup would be copied again; taken in, its id would go on to wherever ids go."""
    for row in ({"id": bad}, {"id": BACKUP, "replication_records": [{"id": bad, "status": "success"}]}):
        service.answers(reply({"backups": [row], "backup": row, "count": 1}))
        client = make_client(retry_budget=0)
        for read in (lambda: list(client.list_backups()), lambda: client.show_backup(BACKUP)):  # noqa: B023 - called at once
            with pytest.raises(CbrProtocolError, match=r"the id of a backup or of a replication record is not valid"):
                read()


@given(TEXTS, TEXTS, TEXTS)
def test_what_a_failed_record_and_a_backup_are_called_is_harmless(one: str, other: str, third: str) -> None:
    record = msgspec.convert({"id": one, "status": "fail", "extra_info": {"fail_code": other, "fail_reason": third}}, ReplicationRecord)
    assert is_harmless(failure_of(record), LONGEST_FIELD)
    assert is_harmless(name_of(msgspec.convert({"id": one, "name": other}, Backup)), 2 * LONGEST_FIELD)
    assert name_of(msgspec.convert({"id": BACKUP, "name": "n" * 10_000}, Backup)).endswith(f"({BACKUP})")


def test_a_record_without_an_id_is_not_handed_on() -> None:
    published: list[list[str]] = []
    announcer = RecordPublisher(lambda ids, counts: published.append(ids), at=lambda step: contextlib.nullcontext())
    ids, _ = announcer.tell(["r1", RECORD, f"{RECORD}\n", "../../x"], {})
    assert published == [ids] == [[RECORD]]


def test_a_header_that_is_quoted_is_harmless() -> None:
    answer = responses.ServiceResponse(200, {"Content-Type": "text/html\x1b[2J" + "x" * 9999, "X-Request-Id": "a\u2028b"}, b"{")
    assert answer.request_id == "a b"
    assert is_harmless(answer.quoted("Content-Type") or "", LONGEST_MESSAGE)


@given(number=st.integers(min_value=0, max_value=10**9))
def test_a_noun_agrees_with_its_number(number: int) -> None:
    expected = ("1 backup", "1 copy is") if number == 1 else (f"{number} backups", f"{number} copies are")
    assert (counted(number, "backup"), counted(number, "copy is", "copies are")) == expected

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.world import BACKUPS, SOURCE_VAULT, read_world
from tests.support.emulator import ControlError, InProcessAdapter
from tests.support.plain_client import Plain, code_of

if TYPE_CHECKING:
    from tests.support.emulator import ControlClient


def started(control: ControlClient) -> int:
    return len(control.ledger()["replications"])


@pytest.mark.parametrize(
    ("kind", "when", "raised"),
    [
        ("reset", "before", requests.exceptions.ConnectionError),
        ("reset", "after", requests.exceptions.ConnectionError),
        ("timeout", "before", requests.exceptions.ReadTimeout),
        ("timeout", "after", requests.exceptions.ReadTimeout),
        ("truncated", "after", requests.exceptions.ChunkedEncodingError),
    ],
)
def test_answers_that_do_not_arrive(cbr: Plain, control: ControlClient, kind: str, when: str, raised: type[Exception]) -> None:
    control.fault(kind, call="CopyCheckpoint", when=when)
    with pytest.raises(raised):
        cbr.replicate()
    copies = 3 if when == "after" else 0
    assert started(control) == copies
    call = control.ledger()["calls"][0]
    assert (call["answer_delivered"], call["fault"]) == (False, kind)
    assert call["outcome"] == ("accepted" if copies else "not carried out")


@pytest.mark.parametrize(("when", "copies"), [("before", 0), ("after", 3)])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_statuses_of_the_gateway(cbr: Plain, control: ControlClient, status: int, when: str, copies: int) -> None:
    control.fault("status", status=status, call="CopyCheckpoint", when=when)
    answer = cbr.replicate()
    assert answer.status_code == status
    assert answer.json()["error_code"].startswith("APIG.")
    assert started(control) == copies


@pytest.mark.parametrize(("when", "copies"), [("before", 0), ("after", 3)])
@pytest.mark.parametrize(("code", "status"), [("6130", 400), ("1009", 400), ("0001", 400), ("1007", 500), ("9910", 500), ("4444", 400)])
def test_any_code(cbr: Plain, control: ControlClient, code: str, status: int, when: str, copies: int) -> None:
    control.fault("code", code=code, call="CopyCheckpoint", when=when)
    assert code_of(cbr.replicate()) == (status, f"BackupService.{code}")
    assert started(control) == copies


def test_throttling(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.fault("throttle", call="CopyCheckpoint")
    control.fault("throttle", call="CopyCheckpoint", retry_after=7)
    control.fault("throttle", call="CopyCheckpoint", retry_after=7, as_date=True)
    bare, seconds, date = (cbr.replicate() for _ in range(3))
    assert [code_of(one) for one in (bare, seconds, date)] == [(429, "APIG.0308")] * 3
    assert "Retry-After" not in bare.headers
    assert seconds.headers["Retry-After"] == "7"
    assert parsedate_to_datetime(date.headers["Retry-After"]).timestamp() == int(adapter.clock.now() + 7)
    assert started(control) == 0
    assert len(cbr.accepted()) == 3


@pytest.mark.parametrize(("kind", "code"), [("token_expired", "APIG.0307"), ("token_revoked", "APIG.0301")])
def test_tokens_that_end_in_the_middle(cbr: Plain, control: ControlClient, kind: str, code: str) -> None:
    control.fault(kind, call="ListBackups", nth=2)
    cbr.get("/backups")
    assert code_of(cbr.send("GET", "/backups")) == (401, code)
    assert code_of(cbr.send("GET", "/vaults")) == (401, code)
    cbr.forget_tokens()
    assert cbr.get("/backups")["count"] == 3


def test_malformed_request_url(cbr: Plain, control: ControlClient) -> None:
    control.fault("malformed_url", call="ShowBackup")
    answer = cbr.send("GET", f"/backups/{BACKUPS[0]}")
    assert (answer.status_code, answer.json()["unauthorized"]["message"]) == (401, "Malformed request url")
    assert cbr.records(BACKUPS[0]) == []


def test_bodies_that_are_no_json(cbr: Plain, control: ControlClient) -> None:
    control.fault("not_json", call="ListBackups")
    control.fault("html", call="ListBackups", status=502)
    no_json, html = cbr.send("GET", "/backups"), cbr.send("GET", "/backups")
    with pytest.raises(requests.exceptions.JSONDecodeError):
        no_json.json()
    assert (html.status_code, html.headers["Content-Type"][:9], html.text[:9]) == (502, "text/html", "<!DOCTYPE")


def test_a_slow_first_byte(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    cbr.get("/backups")
    control.fault("slow", call="CopyCheckpoint", seconds=15)
    before = adapter.clock.now()
    assert len(cbr.accepted()) == 3
    assert adapter.clock.now() == before + 15
    control.fault("slow", call="ListBackups", seconds=25)
    with pytest.raises(requests.exceptions.ReadTimeout):
        cbr.get("/backups")
    assert adapter.clock.now() == before + 35


@pytest.mark.parametrize(("when", "copies"), [("before", 0), ("after", 3)])
def test_an_empty_list_of_backups(cbr: Plain, control: ControlClient, when: str, copies: int) -> None:
    control.fault("empty_backups", call="CopyCheckpoint", when=when)
    assert cbr.accepted() == []
    assert started(control) == copies
    control.fault("empty_backups", call="ListBackups")
    assert cbr.get("/backups")["backups"] == []


def test_rows_that_move_between_pages(cbr: Plain, control: ControlClient) -> None:
    control.fault("rows_inserted", call="ListBackups", nth=2)
    first = cbr.get("/backups", vault_id=SOURCE_VAULT, limit=2)["backups"]
    second = cbr.get("/backups", vault_id=SOURCE_VAULT, limit=2, offset=2)
    assert second["count"] == 4
    assert second["backups"][0]["id"] == first[1]["id"]
    control.fault("rows_deleted", call="ListBackups", nth=2, rows=2)
    first = cbr.get("/backups", vault_id=SOURCE_VAULT, limit=2)["backups"]
    second = cbr.get("/backups", vault_id=SOURCE_VAULT, limit=2, offset=2)
    assert (second["count"], second["backups"]) == (2, [])


# --- which calls are hit ------------------------------------------------------------------------------------------------


def hits(cbr: Plain, calls: int) -> str:
    return "".join("x" if cbr.send("GET", "/backups").status_code == 500 else "." for _ in range(calls))


def test_nth_and_count(cbr: Plain, control: ControlClient) -> None:
    control.fault("status", call="ListBackups", nth=3, count=2)
    assert hits(cbr, 7) == "..xx..."
    assert control.faults()[0] | {"fault": None} == {"number": 1, "met": 7, "hits": 2, "fault": None}


def test_all_until_it_is_removed(cbr: Plain, control: ControlClient) -> None:
    control.fault("status", call="ListBackups", count=None)
    assert hits(cbr, 3) == "xxx"
    control.clear_faults()
    assert hits(cbr, 3) == "..."


def test_by_method_and_path(cbr: Plain, control: ControlClient) -> None:
    control.fault("status", method="get", path="/v3/*/backups/*", count=None)
    assert hits(cbr, 2) == ".."
    assert cbr.send("GET", f"/backups/{BACKUPS[0]}").status_code == 500
    assert cbr.replicate_backup(BACKUPS[0]).status_code == 200


def test_by_vault(cbr: Plain, control: ControlClient) -> None:
    control.fault("status", vault_id=SOURCE_VAULT, count=None)
    assert hits(cbr, 2) == ".."
    assert cbr.send("GET", "/backups", query={"vault_id": SOURCE_VAULT}).status_code == 500
    assert cbr.send("GET", f"/backups/{BACKUPS[0]}").status_code == 500
    assert cbr.replicate().status_code == 500
    assert cbr.send("GET", f"/vaults/{SOURCE_VAULT}").status_code == 500


def test_the_first_fault_that_strikes_is_the_one(cbr: Plain, control: ControlClient) -> None:
    control.fault("status", status=502, call="ListBackups", nth=2)
    control.fault("status", status=503, call="ListBackups", count=None)
    assert [cbr.send("GET", "/backups").status_code for _ in range(3)] == [503, 502, 503]


def test_chances_repeat_under_a_seed() -> None:
    def run(seed: int) -> str:
        world = read_world(
            {
                "seed": seed,
                "users": [{"name": "backup-bot", "password": "emulator-password", "access_key": "a", "secret_key": "b"}],
                "regions": [{"id": "cn-north-4"}],
                "projects": [{"id": "4229d7a45436489f8c3dc2b1d35d4987", "region": "cn-north-4"}],
                "faults": [{"kind": "status", "call": "ListBackups", "count": None, "chance": 0.5}],
            }
        )
        return hits(Plain.in_process(InProcessAdapter(Emulator(world, Clock(speed=0)))), 40)

    assert run(1) == run(1) != run(2)
    assert 8 < run(1).count("x") < 32


def test_copies_meet_one_fault_each(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.fault("copy_fails", nth=2, count=1)
    cbr.accepted()
    adapter.clock.advance(10)
    assert sorted(cbr.statuses()) == ["fail", "success", "success"]
    assert cbr.records(BACKUPS[1])[0]["status"] == "fail"


# --- answers that are out of order, and clocks that are off ---------------------------------------------------------------


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


@pytest.mark.usefixtures("wrong_answers")
def test_rows_in_reverse_order_and_twice(cbr: Plain, control: ControlClient) -> None:
    before = ids(cbr.get("/backups")["backups"])
    control.fault("rows_reversed", call="ListBackups")
    assert ids(cbr.get("/backups")["backups"]) == before[::-1]
    control.fault("rows_repeated", call="ListBackups", status="error")
    rows = cbr.get("/backups")["backups"]
    assert ids(rows) == before * 2
    assert [row["status"] for row in rows] == ["available"] * 3 + ["error"] * 3
    assert ids(cbr.get("/backups")["backups"]) == before


@pytest.mark.usefixtures("wrong_answers")
def test_records_that_flap_change_places_and_repeat(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.fault("copy_fails", backup_id=BACKUPS[0])
    cbr.accepted()
    adapter.clock.advance(10)
    cbr.accepted()
    before = cbr.records(BACKUPS[0])
    assert len(before) == 2
    for kind, expected in (("records_reversed", before[::-1]), ("records_repeated", before * 2), ("records_hidden", [])):
        control.fault(kind, call="ShowBackup")
        assert cbr.records(BACKUPS[0]) == expected
    control.fault("records_repeated", call="ListBackups", status="success")
    row = next(row for row in cbr.get("/backups", show_replication="true")["backups"] if row["id"] == BACKUPS[0])
    assert [record["status"] for record in row["replication_records"][2:]] == ["success", "success"]
    assert cbr.records(BACKUPS[0]) == before


def test_a_date_that_is_off_or_absent(cbr: Plain, control: ControlClient) -> None:
    def date() -> str | None:
        return cbr.send("GET", "/backups").headers.get("Date")

    right = parsedate_to_datetime(str(date()))
    for seconds in (600, -86400, 1e10, -1e10):
        control.fault("date_shifted", call="ListBackups", seconds=seconds)
        assert (parsedate_to_datetime(str(date())) - right).total_seconds() == seconds
    control.fault("date_absent", call="ListBackups")
    assert date() is None
    control.fault("date_other", call="ListBackups")
    assert date() == "Mon, 01 Jan 1900 00:00:00 GMT"
    assert parsedate_to_datetime(str(date())) == right


@pytest.mark.parametrize("text", ["", "a\r\nX-Evil: 1", "\x00", "é", " a", "a" * 201])
def test_a_date_that_no_header_can_hold(control: ControlClient, text: str) -> None:
    with pytest.raises(ControlError, match="text"):
        control.fault("date_other", text=text)

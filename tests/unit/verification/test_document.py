"""The report's document is what its published schema says, which is what its types say."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from jsonschema import Draft202012Validator

from airflow_cbr.exceptions import CbrError, CbrPermissionError
from airflow_cbr.verification.document import Document, beginning, generate_schema, report_schema, whole, write
from airflow_cbr.verification.faults import Fault
from airflow_cbr.verification.level_outcome import why_not_judged
from airflow_cbr.verification.levels import Action, Level, Scope
from airflow_cbr.verification.report import FIRST_FINDINGS
from tests.support.replication_rows import HERE, THERE, Side, copied, judged, record, replica, source, vault

if TYPE_CHECKING:
    from airflow_cbr.api.models import Backup
    from airflow_cbr.verification.report import Report


def every_kind() -> Report:
    """Return a report with all verdicts, findings about backups, a resource and a vault, and more of them than a beginning has."""
    good, good_replica = copied(0)
    wrong = [copied(number) for number in range(1, FIRST_FINDINGS + 2)]
    skipped = source(id="b-skipped", resource_id="server-0", checkpoint_id="night-0", status="error")
    here = Side([good, skipped, *(backup for backup, _ in wrong)], [vault(HERE, "server-0", "bound, and never backed up")])
    levels: dict[Level, Action] = dict.fromkeys(Level, Action.FAIL) | {Level.VAULT: Action.WARN, Level.COVERAGE: Action.SKIP}
    return judged(here, Side([good_replica]), scope=Scope.ALL, levels=levels, max_age=86400.0)


def unlisted() -> Report:
    """Return a report whose one backup is a record that nothing lists."""
    return judged(Side([source(record("another"))]), Side([replica()]), "r1")


def all_is_well() -> Report:
    """Return a report without findings."""
    here, there = copied(1)
    return judged(Side([here]), Side([there]), "r1")


REPORTS = {"every kind": every_kind, "a record that nothing lists": unlisted, "all is well": all_is_well}


def published() -> Draft202012Validator:
    Draft202012Validator.check_schema(report_schema())
    return Draft202012Validator(report_schema())


def test_the_published_schema_is_that_of_the_types() -> None:
    assert report_schema() == json.loads(json.dumps(generate_schema())), "the types have changed: run `make schema`"


def test_the_schema_knows_every_fault() -> None:
    assert set(report_schema()["$defs"]["Fault"]["enum"]) == set(Fault)


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("path", [None, "some/where.json"])
def test_each_form_of_a_document_is_valid_and_says_the_same(name: str, path: str | None) -> None:
    report = REPORTS[name]()
    file = io.BytesIO()
    write(report, file, path)
    document, first = whole(report, path), beginning(report, path)

    assert json.loads(file.getvalue()) == document
    assert first == {key: value for key, value in document.items() if key != "backups"} | {
        "findings": document["findings"][:FIRST_FINDINGS]
    }
    for form in (document, first):
        assert list(published().iter_errors(form)) == []
        assert msgspec.convert(form, Document).path == path


def test_the_reports_of_these_tests_hold_what_a_report_can_hold() -> None:
    document = whole(every_kind(), None)

    assert len(document["findings"]) > FIRST_FINDINGS
    assert {finding["about"] for finding in document["findings"]} == {"backup", "resource", "vault"}
    assert {backup["verdict"] for backup in document["backups"]} == {"verified", "missing", "skipped"}
    assert whole(unlisted(), None)["backups"][0]["id"] is None


def test_a_document_says_what_was_asked_and_what_was_found() -> None:
    here = Side([source(record())], [vault(HERE, "server")])
    levels = {Level.REPLICA: Action.FAIL, Level.COVERAGE: Action.WARN, Level.VAULT: Action.SKIP}
    report = judged(
        here, Side([replica(resource_size=39)], [vault("c" * 32, protect_type="replication")]), levels=levels, max_age=7.0, retention=9.0
    )
    document = whole(report, None)

    assert (document["verdict"], document["outcome"], document["at"]) == ("failed", "failed", "2026-11-24T12:00:00+00:00")
    assert document["asked"] == {"scope": "newest", "max_age": 7.0, "retention": 9.0, "require_locked": False}
    assert document["levels"] == {
        "replica": {"action": "fail", "outcome": "violated", "violations": 1},
        "coverage": {"action": "warn", "outcome": "violated", "violations": 1},
        "vault": {"action": "skip", "outcome": "passed", "violations": 0},
    }
    found = [{key: one[key] for key in ("about", "id", "name", "action", "record_id", "replica_id")} for one in document["findings"]]
    assert found == [
        {"about": "backup", "id": "b1", "name": "db", "action": "fail", "record_id": "r1", "replica_id": "replica"},
        {"about": "resource", "id": "server", "name": "name of server", "action": "warn", "record_id": None, "replica_id": None},
    ]


@pytest.mark.parametrize(
    ("backups", "bound", "levels", "outcomes"),
    [
        ([source(record())], ["server"], list(Level), ["passed"] * 5),
        ([source()], ["server"], [Level.RECORD, Level.REPLICA], ["violated", "not_judged"]),
        ([source()], ["server"], [Level.RECORD], ["violated"]),
        ([source()], ["server"], [Level.REPLICA], ["violated"]),
        ([], ["server"], [Level.RECORD, Level.REPLICA, Level.VAULT], ["not_judged", "not_judged", "passed"]),
        ([source(record())], [], list(Level), ["passed", "passed", "not_judged", "not_judged", "passed"]),
        ([], [], list(Level), ["not_judged"] * 4 + ["passed"]),
    ],
    ids=["copied", "never copied", "by records alone", "by replicas alone", "nothing there", "nothing bound", "nothing at all"],
)
def test_a_level_that_had_nothing_to_look_at_has_not_passed(
    backups: list[Backup], bound: list[str], levels: list[Level], outcomes: list[str]
) -> None:
    there = Side([replica()], [vault(THERE.vault_id, protect_type="replication")])
    here = Side(backups, [vault(HERE, *bound)])
    document = whole(judged(here, there, levels=levels, allow_empty=True, max_age=10 * 365 * 86400.0), None)
    assert [one["outcome"] for one in document["levels"].values()] == outcomes
    assert published().is_valid(document)


@pytest.mark.parametrize("bound", [[], ["server"], ["server", "another"], None, CbrPermissionError("not allowed")])
@pytest.mark.parametrize("backups", [[], [source(record())], [source()]], ids=["nothing there", "copied", "never copied"])
def test_the_levels_about_resources_pass_only_where_a_resource_is_bound(backups: list[Backup], bound: list[str] | CbrError | None) -> None:
    here = bound if isinstance(bound, CbrError) else vault(HERE, *bound or ())
    if bound is None:
        here = vault(HERE, resources=None)
    report = judged(Side(backups, [here]), Side([replica()]), levels=list(Level), max_age=7e9, allow_empty=True)
    outcomes = {level: one["outcome"] for level, one in whole(report, None)["levels"].items()}
    expected = (
        "not_judged" if bound == [] else "passed" if bound == ["server"] and backups and backups[0].replication_records else "violated"
    )
    assert (outcomes["coverage"], outcomes["rpo"]) == (expected, expected)
    assert {level for level, outcome in outcomes.items() if outcome == "not_judged"} == set(why_not_judged(report))


def test_a_document_names_both_vaults_and_what_each_finding_is_about() -> None:
    here = Side([source(record(), resource_name="web")], [vault(HERE, name="nightly")])
    there = Side([replica(status="error")], [vault(THERE.vault_id, name="replicas", protect_type="backup")])
    document = whole(judged(here, there, levels=[Level.REPLICA, Level.VAULT]), None)
    assert document["source"] == {"region": "here", "project_id": "d" * 32, "vault_id": HERE, "vault_name": "nightly"}
    assert document["destination"] == {
        "region": THERE.region,
        "project_id": THERE.project_id,
        "vault_id": THERE.vault_id,
        "vault_name": "replicas",
    }
    assert [(one["resource_name"], one["vault_name"]) for one in document["findings"]] == [(None, "replicas"), ("web", None)]


def test_the_beginning_of_a_document_has_the_resources_that_are_worst_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_cbr.verification.document.FIRST_RESOURCES", 2)
    report = judged(Side([source(record())], [vault(HERE, "server", "b", "a")]), Side([replica()]))
    assert [one["id"] for one in beginning(report, None)["resources"]] == ["a", "b"]
    assert [one["id"] for one in whole(report, None)["resources"]] == ["a", "b", "server"]


def test_a_document_of_good_copies_and_silent_clocks_says_so() -> None:
    here, there = copied(1)
    document = whole(judged(Side([here], now=None), Side([there], now=None), "r1"), None)
    assert (document["verdict"], document["outcome"], document["at"]) == ("verified", "passed", None)


@pytest.mark.parametrize("piece", [1, 5, 1000])
def test_a_document_is_the_same_however_it_is_cut_into_pieces(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_cbr.verification.document._PIECE", piece)
    file = io.BytesIO()
    write(every_kind(), file, None)
    assert json.loads(file.getvalue()) == whole(every_kind(), None)


@pytest.mark.campaign
def test_a_document_with_more_or_less_than_the_types_is_not_valid() -> None:
    document = whole(every_kind(), None)

    for key in set(document) - {"backups"}:
        assert not published().is_valid({name: value for name, value in document.items() if name != key}), key
    assert not published().is_valid(document | {"more": 1})
    assert not published().is_valid(document | {"counts": document["counts"] | {"verified": -1}})
    assert not published().is_valid(document | {"levels": {"another": document["levels"]["vault"]}})

"""What a report says in lines, in its headline and in its error, small and large."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_cbr.exceptions import CbrVerificationError
from airflow_cbr.verification.faults import Fault, advice_on
from airflow_cbr.verification.levels import Action, Level, Scope
from airflow_cbr.verification.report import FIRST_FINDINGS, LARGEST_WHOLE, About, Entry, Finding, Outcome, Report
from airflow_cbr.verification.verdicts import Verdict
from tests.support.replication_rows import HERE, NOW, THERE, Side, copied, judged, record, replica, source, vault


@pytest.fixture(autouse=True)
def _this_machines_clock_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", NOW.timestamp)


def one_wrong(**fields: Any) -> Report:
    """Verify a good copy, and one whose replica has another size."""
    good, its_replica = copied(2)
    return judged(Side([source(record()), good]), Side([replica(resource_size=39), its_replica]), **fields)


def large(wrong: int, **fields: Any) -> Report:
    """Verify more backups than a report is handed on with as a whole, of which some have no record."""
    good, its_replica = copied(0)
    rest = [source(id=f"x{number:04d}", name=None, checkpoint_id=f"night-{number}") for number in range(LARGEST_WHOLE)]
    lists = [*rest[:wrong], *(source(id=one.id, name=None, status="error") for one in rest[wrong:]), good]
    return judged(Side(lists), Side([its_replica]), scope=Scope.ALL, **fields)


# --- lines --------------------------------------------------------------------------------------------------------------------


def test_each_backup_has_a_line_that_says_where_its_replica_is_or_what_is_wrong_and_what_to_do() -> None:
    assert list(one_wrong().lines()) == [
        (
            logging.INFO,
            "FAILED db (b1): replica replica: its size is 39 GB, the source's 40 GB "
            f"[replica: replica_size] What to do: {advice_on((Fault.REPLICA_SIZE,))}",
        ),
        (logging.INFO, "VERIFIED b2: replica replica-2: available in the destination vault"),
    ]


@pytest.mark.parametrize(("action", "severity"), [(Action.FAIL, logging.INFO), (Action.SKIP, logging.INFO), (Action.WARN, logging.WARNING)])
def test_what_is_only_a_warning_is_told_as_one(action: Action, severity: int) -> None:
    levels = {Level.REPLICA: action, Level.COVERAGE: action}
    here = Side([source(record())], [vault(HERE, "server", "another")])
    lines = list(judged(here, Side([replica(resource_size=39)]), levels=levels).lines())
    assert [level for level, _ in lines] == [severity] * 3
    assert [line.split(":")[0] for _, line in lines] == [
        "FAILED db (b1)",
        "FAILED resource name of server (server)",
        "FAILED resource name of another (another)",
    ]


def test_a_large_report_is_told_by_its_first_findings_alone() -> None:
    lines = list(large(FIRST_FINDINGS + 5, levels={Level.REPLICA: Action.WARN}).lines())
    assert len(lines) == FIRST_FINDINGS
    assert {level for level, _ in lines} == {logging.WARNING}
    assert all(line.startswith("MISSING x00") for _, line in lines)
    assert list(large(0).lines()) == []


def test_a_clock_that_is_far_off_is_told_first_and_only_where_replicas_are_judged() -> None:
    outcome = one_wrong()
    (severity, line), *rest = list(judged(Side([source(record())], now=NOW), Side([replica()], now=NOW.replace(year=2020))).lines())
    assert severity == logging.WARNING
    assert "clocks differ by more than an hour" in line
    assert len(rest) == 1
    assert "clocks" not in "".join(line for _, line in outcome.lines())
    by_record = judged(Side([source(record())], now=NOW.replace(year=2020)), Side(), levels=[Level.RECORD])
    assert [line.split(":")[0] for _, line in by_record.lines()] == ["VERIFIED db (b1)"]


@pytest.mark.parametrize(
    ("about", "id", "name", "subject"),
    [
        (About.BACKUP, "b1", "db", "db (b1)"),
        (About.BACKUP, "b1", None, "b1"),
        (About.BACKUP, None, None, "record r1"),
        (About.RESOURCE, "s1", "web", "resource web (s1)"),
        (About.RESOURCE, "s1", None, "resource s1"),
        (About.VAULT, "v1", "source vault", "source vault (v1)"),
        (About.VAULT, None, "source vault", "source vault"),
    ],
)
def test_a_finding_names_what_it_is_about(about: About, id: str | None, name: str | None, subject: str) -> None:
    finding = Finding(about, id, name, (Fault.REPLICA_SIZE,), "too small", record_id="r1")
    assert str(finding) == f"FAILED {subject}: too small [replica: replica_size] What to do: {finding.advice}"
    assert finding.advice == advice_on((Fault.REPLICA_SIZE,))
    by_record = Finding(about, id, name, (Fault.REPLICA_SIZE,), "too small", caught_by=Level.RECORD)
    assert by_record.level is Level.RECORD


def test_an_entry_of_a_record_that_no_backup_lists_names_the_record() -> None:
    entry = Entry(None, None, None, Verdict.MISSING, Level.RECORD, (Fault.RECORD_UNLISTED,), "gone", "r1", None)
    assert str(entry).startswith("MISSING record r1: gone [record: record_unlisted] What to do: ")


# --- what follows -------------------------------------------------------------------------------------------------------------


def test_the_error_says_how_many_backups_have_no_good_replica() -> None:
    error = one_wrong().failure()
    assert isinstance(error, CbrVerificationError)
    assert error.message == "1 of 2 backups without a verified replica."
    assert [line.split(":")[0] for line in error.problems] == ["FAILED db (b1)"]
    assert error.advice


@pytest.mark.parametrize(("resources", "times"), [(1, "1 time"), (2, "2 times")])
def test_the_headline_says_what_else_is_violated_and_how_often(resources: int, times: str) -> None:
    here = Side([source(record())], [vault(HERE, "server", *(f"other-{number}" for number in range(resources)))])
    outcome = judged(here, Side([replica()]), levels=[Level.REPLICA, Level.COVERAGE])
    assert outcome.headline() == f"The level coverage is violated {times}."
    wrong = judged(here, Side([replica(status="error")]), levels=[Level.REPLICA, Level.COVERAGE, Level.VAULT])
    assert wrong.headline() == (
        "1 of 1 backup without a verified replica. "
        f"The level coverage is violated {resources + 1} times. The level vault is violated 1 time."
    )


def test_the_headline_counts_what_is_wrong_and_what_is_missing() -> None:
    bad, missing = [copied(number) for number in (1, 2)]
    outcome = judged(Side([bad[0], missing[0]]), Side([replica(id="replica-1", resource_id="server-1", status="error")]))
    assert (outcome.counts["failed"], outcome.counts["missing"]) == (1, 1)
    assert outcome.headline() == "2 of 2 backups without a verified replica."


def test_where_nothing_is_wrong_the_headline_says_so() -> None:
    assert judged(Side([source(record())]), Side([replica()])).headline() == "Nothing is wrong."


@pytest.mark.parametrize(
    ("actions", "outcome", "verdict"),
    [
        ((Action.FAIL, Action.SKIP), Outcome.FAILED, Verdict.FAILED),
        ((Action.SKIP, Action.FAIL), Outcome.FAILED, Verdict.FAILED),
        ((Action.SKIP, Action.WARN), Outcome.SKIPPED, Verdict.FAILED),
        ((Action.WARN, Action.SKIP), Outcome.SKIPPED, Verdict.FAILED),
        ((Action.WARN, Action.WARN), Outcome.WARNED, Verdict.VERIFIED),
    ],
)
def test_the_gravest_action_of_a_violated_level_decides(actions: tuple[Action, Action], outcome: Outcome, verdict: Verdict) -> None:
    here = Side([source(record())], [vault(HERE, "server")])
    levels = {Level.RECORD: Action.FAIL, **dict(zip((Level.REPLICA, Level.COVERAGE), actions, strict=True))}
    report = judged(here, Side([replica(status="error")]), levels=levels)
    assert report.outcome is outcome
    assert report.verdict is verdict
    assert report.summary["verdict"] == str(verdict)
    assert (report.failure() is None) is (outcome is not Outcome.FAILED)
    assert report.violations == {Level.RECORD: 0, Level.REPLICA: 1, Level.COVERAGE: 1}


def test_findings_come_in_the_order_of_their_gravity_and_warnings_are_no_problems() -> None:
    here = Side([source(record())], [vault(HERE, "server")])
    levels = {Level.REPLICA: Action.WARN, Level.COVERAGE: Action.FAIL, Level.VAULT: Action.SKIP}
    report = judged(here, Side([replica(status="error")]), levels=levels)
    assert [finding.level for finding in report.findings] == [Level.COVERAGE, Level.VAULT, Level.REPLICA]
    assert [finding.about for finding in report.findings] == [About.RESOURCE, About.VAULT, About.BACKUP]
    assert [line.split(":")[0] for line in report.problems()] == [
        "FAILED resource name of server (server)",
        f"FAILED destination vault ({THERE.vault_id})",
    ]


def test_by_records_alone_a_good_record_is_a_good_verdict() -> None:
    (entry,) = judged(Side([source(record())]), Side(), levels=[Level.RECORD]).entries
    assert (entry.verdict, entry.reason) == ("verified", "record r1 is success; the replica was not checked")
    here = Side([source(record())], [vault(HERE, "server")])
    (entry,) = judged(here, Side([replica()]), levels=[Level.COVERAGE]).entries
    assert entry.verdict == "skipped"
    assert "not judged" in entry.reason


@pytest.mark.parametrize(
    ("extra", "last"), [(0, None), (1, "and 1 more finding: see the report"), (9, "and 9 more findings: see the report")]
)
def test_a_large_report_names_its_first_problems_and_counts_the_others(extra: int, last: str | None) -> None:
    report = large(FIRST_FINDINGS + extra, levels={Level.RECORD: Action.FAIL})
    assert report.is_large
    lines = report.problems()
    assert lines[FIRST_FINDINGS:] == ([last] if last else [])
    assert all(line.startswith("MISSING x00") for line in lines[:FIRST_FINDINGS])
    assert len(large(3).problems()) == 3


def test_what_is_only_warned_of_is_not_counted_among_the_problems_of_a_large_report() -> None:
    levels = {Level.RECORD: Action.FAIL, Level.COVERAGE: Action.WARN}
    good, its_replica = copied(0)
    rest = [source(id=f"x{number:04d}", name=None, checkpoint_id=f"night-{number}") for number in range(LARGEST_WHOLE)]
    here = Side([*rest, good], [vault(HERE, *(f"other-{number}" for number in range(7)))])
    lines = judged(here, Side([its_replica]), scope=Scope.ALL, levels=levels).problems()
    assert lines[-1] == f"and {LARGEST_WHOLE - FIRST_FINDINGS} more findings: see the report"


def test_what_may_settle_is_asked_about_only_where_replicas_are_looked_at() -> None:
    old = source(
        record("r0", destination_backup_id="not yet"), id="old", resource_id="server", checkpoint_id="before", created_at="2026-11-22"
    )
    new, its_replica = copied(1, resource_id="server", created_at="2026-11-23T00:00:00")
    missing = source(record("r2", destination_backup_id="not there yet"), id="b2", resource_id="other", checkpoint_id="x")
    here = Side([old, new, missing], [vault(HERE, "server", "other")])
    assert [row.id for row in judged(here, Side([its_replica])).settling] == ["b2"]
    assert judged(here, Side(), levels=[Level.RECORD]).settling == []
    by_record = judged(here, Side([its_replica]), "r1", levels=[Level.REPLICA, Level.COVERAGE])
    assert [row.id for row in by_record.settling] == ["b2"], "coverage rests on the newest backups, whatever records are asked about"
    assert judged(here, Side([its_replica]), "r1", levels=[Level.REPLICA]).settling == []

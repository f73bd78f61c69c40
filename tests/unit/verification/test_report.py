"""What a report says in lines, in its headline and in its error, small and large."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_cbr.exceptions import CbrVerificationError
from airflow_cbr.inventory.measures import duration_text
from airflow_cbr.verification.closing import closing_line
from airflow_cbr.verification.faults import Fault, advice_on
from airflow_cbr.verification.levels import Action, Level, Scope
from airflow_cbr.verification.report import FIRST_FINDINGS, LARGEST_WHOLE, About, Entry, Finding, Outcome, Report
from airflow_cbr.verification.verdicts import Verdict
from tests.support.replication_rows import HERE, NOW, THERE, Side, copied, judged, record, replica, source, vault

WAY = f"{HERE}: here -> {THERE.region}: "


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
            logging.ERROR,
            "FAILED db: the replica: its size is 39 GB, the source's 40 GB "
            f"[replica: replica_size] What to do: {advice_on((Fault.REPLICA_SIZE,))} (backup db b1, record r1, replica replica)",
        ),
        (logging.INFO, "VERIFIED b2: available in the destination vault (backup b2, record r2, replica replica-2)"),
    ]


@pytest.mark.parametrize(
    ("action", "severity"), [(Action.FAIL, logging.ERROR), (Action.SKIP, logging.WARNING), (Action.WARN, logging.WARNING)]
)
def test_what_fails_the_task_is_an_error_and_what_is_only_a_warning_is_told_as_one(action: Action, severity: int) -> None:
    levels = {Level.REPLICA: action, Level.COVERAGE: action}
    here = Side([source(record())], [vault(HERE, "server", "another")])
    lines = list(judged(here, Side([replica(resource_size=39)]), levels=levels).lines())
    assert [level for level, _ in lines] == [severity] * 3
    word = "WARNING" if action is Action.WARN else "FAILED"
    assert [line.split(":")[0] for _, line in lines] == [
        f"{word} db",
        f"{word} name of server",
        f"{word} name of another",
    ]


def test_a_large_report_is_told_by_its_first_findings_alone() -> None:
    lines = list(large(FIRST_FINDINGS + 5, levels={Level.REPLICA: Action.WARN}).lines())
    assert len(lines) == FIRST_FINDINGS
    assert {level for level, _ in lines} == {logging.WARNING}
    assert all(line.startswith("WARNING x00") for _, line in lines)
    assert list(large(0).lines()) == []


def test_a_clock_that_is_far_off_is_told_first_and_only_where_replicas_are_judged() -> None:
    outcome = one_wrong()
    (severity, line), *rest = list(judged(Side([source(record())], now=NOW), Side([replica()], now=NOW.replace(year=2020))).lines())
    assert severity == logging.WARNING
    assert "clocks differ by more than an hour" in line
    assert len(rest) == 1
    assert "clocks" not in "".join(line for _, line in outcome.lines())
    by_record = judged(Side([source(record())], now=NOW.replace(year=2020)), Side(), levels=[Level.RECORD])
    assert [line.split(":")[0] for _, line in by_record.lines()] == ["VERIFIED db"]


@pytest.mark.parametrize(
    ("about", "id", "name", "named"),
    [
        (About.BACKUP, "b1", "db", "db: backup db b1, record r1"),
        (About.BACKUP, "b1", None, "b1: backup b1, record r1"),
        (About.BACKUP, None, None, "an unknown backup: record r1"),
        (About.RESOURCE, "s1", "web", "web: resource s1, record r1"),
        (About.RESOURCE, "s1", None, "s1: resource s1, record r1"),
        (About.VAULT, "v1", "source vault", "source vault: vault v1, record r1"),
        (About.VAULT, None, "source vault", "source vault: record r1"),
    ],
)
def test_a_finding_names_what_it_is_about(about: About, id: str | None, name: str | None, named: str) -> None:
    finding = Finding(about, id, name, (Fault.REPLICA_SIZE,), "too small", record_id="r1", replica_id="copy")
    subject, ids = named.split(": ")
    assert str(finding) == f"FAILED {subject}: too small [replica: replica_size] What to do: {finding.advice} ({ids}, replica copy)"
    assert finding.advice == advice_on((Fault.REPLICA_SIZE,))
    by_record = Finding(about, id, name, (Fault.REPLICA_SIZE,), "too small", caught_by=Level.RECORD)
    assert by_record.level is Level.RECORD


def test_an_entry_of_a_record_that_no_backup_lists_names_the_record() -> None:
    entry = Entry(None, None, None, Verdict.MISSING, Level.RECORD, (Fault.RECORD_UNLISTED,), "gone", "r1", None)
    assert str(entry).startswith("MISSING an unknown backup: gone [record: record_unlisted] What to do: ")
    assert str(entry).endswith(" (record r1)")


def test_a_server_and_a_vault_are_named_by_their_own_names() -> None:
    here = Side([source(record(), resource_name="ecs-db-01")], [vault(HERE, "server", name="vault-nightly")])
    there = Side([replica(status="error")], [vault(THERE.vault_id, protect_type="backup", name="vault-replicas")])
    report = judged(here, there, levels=[Level.REPLICA, Level.VAULT])
    at_vault, backup = report.problems()
    assert backup.startswith("FAILED ecs-db-01: ")
    assert backup.endswith(" (backup db b1, record r1, replica replica)")
    assert at_vault.startswith("FAILED destination vault vault-replicas: ")
    assert at_vault.endswith(f" (vault {THERE.vault_id})")
    assert (report.vault_name, report.destination_name) == ("vault-nightly", "vault-replicas")
    assert [one.resource_name for one in report.entries] == ["ecs-db-01"]
    assert [(one.resource_name, one.vault_name) for one in report.findings] == [(None, "vault-replicas"), ("ecs-db-01", None)]


def test_a_good_replica_is_named_by_its_resource_too() -> None:
    (one,) = judged(Side([source(record(), resource_name="ecs-db-01")]), Side([replica()])).entries
    assert (one.verdict, one.resource_name) == ("verified", "ecs-db-01")


# --- the last line ------------------------------------------------------------------------------------------------------------


def test_the_last_line_says_how_many_how_much_which_levels_and_how_old() -> None:
    here = Side([source(record(), created_at="2026-11-23T21:00:00")], [vault(HERE, "server", name="vault-nightly")])
    levels = {Level.RECORD: Action.FAIL, Level.REPLICA: Action.FAIL, Level.RPO: Action.FAIL}
    severity, line = closing_line(judged(here, Side([replica()]), levels=levels, max_age=172800.0))
    assert severity == logging.INFO
    assert line == (
        f"VERIFIED vault-nightly: here -> {THERE.region}: 1 of 1 backup has a verified replica, 40 GB; passed: record, replica, rpo; "
        "the worst resource is name of server: its newest verified replica is "
        f"{duration_text((NOW - datetime(2026, 11, 23, 21, tzinfo=UTC)).total_seconds())} old (max_age 2 d)"
    )


@pytest.mark.parametrize(
    ("action", "severity", "said"),
    [
        (Action.FAIL, logging.ERROR, "FAILED"),
        (Action.SKIP, logging.WARNING, "FAILED"),
        (Action.WARN, logging.WARNING, "VERIFIED"),
    ],
)
def test_the_last_line_says_what_is_violated_and_how_grave_that_is(action: Action, severity: int, said: str) -> None:
    levels = {Level.REPLICA: Action.WARN, Level.COVERAGE: action}
    level, line = closing_line(judged(Side([source(record())], [vault(HERE, "server", "another")]), Side([replica()]), levels=levels))
    assert level == severity
    note = {Action.WARN: ", a warning", Action.SKIP: ", which skips the task"}.get(action, "")
    assert line == (
        f"{said} {HERE}: here -> {THERE.region}: 1 of 1 backup has a verified replica, 40 GB; violated: coverage (1 time{note}); "
        "passed: replica; name of another has no verified replica"
    )


# --- what follows -------------------------------------------------------------------------------------------------------------


def test_the_error_says_how_many_backups_have_no_good_replica() -> None:
    error = one_wrong().failure()
    assert isinstance(error, CbrVerificationError)
    assert error.message == f"{WAY}1 of 2 backups without a verified replica."
    assert [line.split(":")[0] for line in error.problems] == ["FAILED db"]
    assert error.advice


@pytest.mark.parametrize(("resources", "times"), [(1, "1 time"), (2, "2 times")])
def test_the_headline_says_what_else_is_violated_and_how_often(resources: int, times: str) -> None:
    here = Side([source(record())], [vault(HERE, "server", *(f"other-{number}" for number in range(resources)))])
    outcome = judged(here, Side([replica()]), levels=[Level.REPLICA, Level.COVERAGE])
    assert outcome.headline() == f"{WAY}The level coverage is violated {times}."
    wrong = judged(here, Side([replica(status="error")]), levels=[Level.REPLICA, Level.COVERAGE, Level.VAULT])
    assert wrong.headline() == (
        f"{WAY}1 of 1 backup without a verified replica. "
        f"The level coverage is violated {resources + 1} times. The level vault is violated 1 time."
    )


def test_the_headline_counts_what_is_wrong_and_what_is_missing() -> None:
    bad, missing = [copied(number) for number in (1, 2)]
    outcome = judged(Side([bad[0], missing[0]]), Side([replica(id="replica-1", resource_id="server-1", status="error")]))
    assert (outcome.counts["failed"], outcome.counts["missing"]) == (1, 1)
    assert outcome.headline() == f"{WAY}2 of 2 backups without a verified replica."


def test_where_nothing_is_wrong_the_headline_says_so() -> None:
    assert judged(Side([source(record())]), Side([replica()])).headline() == f"{WAY}Nothing is wrong."


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
        "FAILED name of server",
        "FAILED destination vault",
    ]


def test_by_records_alone_a_good_record_is_a_good_verdict() -> None:
    (entry,) = judged(Side([source(record())]), Side(), levels=[Level.RECORD]).entries
    assert (entry.verdict, entry.reason) == ("verified", "its record is success; the replica was not checked")
    here = Side([source(record())], [vault(HERE, "server")])
    (entry,) = judged(here, Side([replica()]), levels=[Level.COVERAGE]).entries
    assert entry.verdict == "skipped"
    assert "not judged" in entry.reason


def test_by_records_alone_a_report_is_dated_by_the_sources_clock() -> None:
    assert judged(Side([source(record())], now=NOW), Side(now=None), levels=[Level.RECORD]).now == NOW
    assert judged(Side([source(record())], now=None), Side(now=NOW), levels=[Level.RECORD]).now is None, "the destination is not asked"


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

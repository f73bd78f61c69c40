"""The tables of ``docs/explanation/verification.md``: each fault is caught by the level that is named, and what is right is never red."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jsonschema
import pytest

from airflow_cbr.airflow_names import AirflowSkipException
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.world import DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrPermissionError, CbrVerificationError
from airflow_cbr.verification.document import report_schema
from airflow_cbr.verification.faults import Fault, level_of
from airflow_cbr.verification.levels import COPY_LEVELS, Level, Scope
from tests.support.emulator import EmulatorServer
from tests.support.replicated_nights import DAY, HERE, HOUR, MAX_AGE, RETENTION, THERE, TwoNights, two_nights_world
from tests.support.task_run import replicating, set_connection, verifying
from tests.support.wrong_copies import CASES, RIGHT_CASES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_cbr.verification.report import Finding

DOCS: Final = Path(__file__).resolve().parents[3] / "docs"
PAGE: Final = (DOCS / "explanation" / "verification.md").read_text()
RUNBOOK: Final = (DOCS / "runbook.md").read_text()
ACTIONS: Final = ("fail", "warn", "skip")


def cells(header: str, page: str = PAGE) -> list[list[str]]:
    """Return the rows of a page's table with that header."""
    (found,) = re.findall(rf"^{re.escape(header)}\n\|[-|]+\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found.splitlines()]


class Row(NamedTuple):
    """A row of the table of faults."""

    name: str
    level: Level
    also: frozenset[Level]
    verdict: str
    fault: Fault
    says: re.Pattern[str]

    @classmethod
    def read(cls, name: str, level: str, also: str, verdict: str, fault: str, says: str) -> Row:
        words = [] if also == "none" else also.split(", ")
        pattern = re.compile(".+?".join(re.escape(part.strip()) for part in says.split("…")))
        return cls(name, Level(level), frozenset(map(Level, words)), verdict, Fault(fault.strip("`")), pattern)

    def among(self, findings: Iterable[Finding]) -> bool:
        """Return whether one of the findings is what the row says."""
        return any(
            finding.level is self.level
            and self.fault in finding.faults
            and finding.verdict == self.verdict
            and self.says.search(finding.reason) is not None
            for finding in findings
        )


HEADER: Final = "| What is wrong | Level | Also found by | Verdict | Fault | The message says |"
ROWS: Final = [Row.read(*row) for row in cells(HEADER)]
RIGHT_ROWS: Final = [row[0] for row in cells("| What is so | Why it passes |")]


def asked_by_records(name: str) -> list[bool]:
    """Return how a row's question is put: by record ids, or by vault ids alone."""
    if "(record ids" in name:
        return [True]
    return [False] if "(vault ids alone)" in name else [False, True]


@pytest.fixture
def nights() -> Iterator[TwoNights]:
    with TwoNights() as two:
        yield two


# --- the tables -------------------------------------------------------------------------------------------------------------


def test_every_row_has_its_case_and_every_case_its_row() -> None:
    assert sorted(row.name for row in ROWS) == sorted(CASES)
    assert sorted(RIGHT_ROWS) == sorted(RIGHT_CASES)
    assert len(ROWS) >= 25


def test_every_fault_is_in_both_tables_at_its_level() -> None:
    assert {row.fault for row in ROWS} == set(Fault)
    assert [row.name for row in ROWS if row.level is not level_of(row.fault)] == []
    runbook = [
        (fault, row[0]) for row in cells("| Level | Fault | Look at | Do | Clear |", RUNBOOK) for fault in re.findall(r"`(\w+)`", row[1])
    ]
    assert sorted(runbook) == sorted((fault, level_of(fault)) for fault in Fault)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_fault_is_caught_by_its_level_and_found_by_no_other_than_the_page_says(row: Row, nights: TwoNights) -> None:
    CASES[row.name](nights)
    for by_records in asked_by_records(row.name):
        whole = nights.judge(by_records=by_records)
        assert row.among(whole.findings), [str(finding) for finding in whole.findings]
        assert whole.verdict == "failed"
        if row.level in COPY_LEVELS:
            assert whole.counts[row.verdict] > 0
        alone = {level: list(nights.judge([level], by_records=by_records).findings) for level in Level}
        assert {level for level in Level if alone[level]} == {row.level} | row.also
        assert row.among(alone[row.level])
        others = set(Level) - {row.level} - row.also
        assert nights.judge(others, by_records=by_records).verdict == "verified"


# --- what is right ----------------------------------------------------------------------------------------------------------


def assert_nothing_is_found(nights: TwoNights, **question: Any) -> None:
    """Check that all levels together, and each of them alone, find nothing."""
    for levels in (list(Level), *([level] for level in Level)):
        report = nights.judge(levels, **question)
        assert [str(finding) for finding in report.findings] == []
        assert report.verdict == "verified"


@pytest.mark.parametrize("name", RIGHT_ROWS)
def test_what_is_no_fault_is_not_found(name: str, nights: TwoNights) -> None:
    RIGHT_CASES[name](nights)
    for by_records in asked_by_records(name):
        assert_nothing_is_found(nights, by_records=by_records)
        assert nights.judge(by_records=by_records).counts["verified"] >= 3


def test_the_clean_world_of_two_nights_has_no_finding(nights: TwoNights) -> None:
    nights.copy()
    assert_nothing_is_found(nights, by_records=True)
    assert_nothing_is_found(nights)
    assert_nothing_is_found(nights, scope=Scope.ALL)
    assert nights.judge(scope=Scope.ALL).counts == {"verified": 6, "failed": 0, "missing": 0, "skipped": 0}


def test_a_clean_world_of_many_resources_and_nights_has_no_finding(nights: TwoNights) -> None:
    resources = [{"name": f"ecs-{number:02}", "size": 10 + number} for number in range(25)]
    nights.control.change_vault(DESTINATION_VAULT, size=1_000_000)
    vault = nights.control.add_vault(project_id=SOURCE_PROJECT, size=100_000, resources=resources)["id"]
    resource_ids = [one.id for one in nights.here.show_vault(vault).resources or ()]
    for night in range(8):
        checkpoint_id = f"c0ffee00-0000-4000-8000-{night:012}"
        for resource_id in resource_ids:
            nights.control.add_backup(
                vault, resource_id=resource_id, checkpoint_id=checkpoint_id, age_seconds=HOUR + night * DAY, expires_in_seconds=30 * DAY
            )
    nights.copy(vault_id=vault)
    for question in ({"by_records": True}, {}, {"scope": Scope.ALL}):
        assert_nothing_is_found(nights, vault_id=vault, **question)
    assert nights.judge(vault_id=vault).counts["verified"] == 25
    for question in ({"by_records": True}, {"scope": Scope.ALL}):
        assert nights.judge(vault_id=vault, **question).counts["verified"] == 25 * 8


@pytest.mark.parametrize("time_notation", ["naive", "offset", "zulu"])
def test_copies_that_somebody_elses_policy_made_have_no_finding(nights: TwoNights, time_notation: str) -> None:
    nights.control.switch(extra_info_as_text=True, time_notation=time_notation)
    policy = nights.client("policy", "a third password", "cn-north-4", SOURCE_PROJECT)
    nights.copy(client=policy, auto_trigger=True)
    nights.control.advance(DAY)
    nights.back_up()
    nights.copy(client=policy, auto_trigger=True)
    copies = nights.control.ledger(SOURCE_VAULT)["replications"]
    assert [copy["by"] for copy in copies[-6:]] == ["policy (token)"] * 6
    assert_nothing_is_found(nights)
    assert_nothing_is_found(nights, scope=Scope.ALL)
    assert nights.judge(scope=Scope.ALL).counts["verified"] == 9


# --- no verdict -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [HERE, THERE])
def test_where_backups_may_not_be_listed_there_is_no_verdict(user: str, nights: TwoNights) -> None:
    nights.copy()
    nights.control.change_user(user, denied_calls=["ListBackups"])
    with pytest.raises(CbrPermissionError, match=r"ListBackups.*APIG\.0302"):
        nights.judge()


# --- the operator -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, stop_soon: Callable[[EmulatorServer], None]) -> Iterator[TwoNights]:
    """Serve the two nights to operators, whose connections are those of the two users."""
    server = EmulatorServer(clock=Clock(speed=0)).__enter__()
    here, there = two_nights_world().users[:2]
    set_connection(monkeypatch, server.url, login=here.access_key, password=here.secret_key)
    set_connection(monkeypatch, server.url, conn_id="there", login=there.access_key, password=there.secret_key, region="cn-shenzhen-1")
    with TwoNights(server) as two:
        yield two
    stop_soon(server)


ONE_OF_EACH_LEVEL: Final = (
    "The copy failed",
    "The replica has another size",
    "A bound resource was never backed up",
    "Backups have stopped",
    "The destination vault is frozen",
)
QUESTION: Final[dict[str, Any]] = {
    "destination_conn_id": "there",
    "max_age": MAX_AGE,
    "retention": RETENTION,
    "require_locked": True,
}


@pytest.mark.parametrize("row", [row for row in ROWS if row.name in ONE_OF_EACH_LEVEL], ids=lambda row: row.level)
def test_the_operator_does_what_the_level_says(row: Row, served: TwoNights) -> None:
    CASES[row.name](served)
    for record_ids in (None, served.record_ids):
        for action in ACTIONS:
            # RPO and vault are judged whenever max_age and require_locked are given; what else is red only warns.
            levels = dict.fromkeys(map(str, Level), "warn") | {row.level: action}
            run = verifying(record_ids, levels=levels, **QUESTION)
            if action == "warn":
                assert run.attempt()["verdict"] == "verified"
            else:
                with pytest.raises(CbrVerificationError if action == "fail" else AirflowSkipException, match=row.says):
                    run.attempt()
            document = run.xcoms["verification"]
            jsonschema.validate(document, report_schema())
            assert document["outcome"] == {"fail": "failed", "warn": "warned", "skip": "skipped"}[action]
            assert document["levels"][row.level]["outcome"] == "violated"
            (first, *_) = document["findings"] if action != "warn" else [one for one in document["findings"] if one["level"] == row.level]
            assert (first["level"], first["action"], row.fault in first["faults"]) == (row.level, action, True)
            assert first["advice"]
            assert any(line.startswith("ERROR" if action == "fail" else "WARNING") and row.says.search(line) for line in run.lines)


# --- the runbook ------------------------------------------------------------------------------------------------------------


def replicate(nights: TwoNights, run: Any) -> list[str]:
    """Run an attempt of the replicate task while the clock moves."""
    nights.control.speed(60)
    try:
        return list(run.attempt())
    finally:
        nights.control.speed(0)


@pytest.mark.parametrize("broken", ["deleted", "in error"])
def test_a_backup_that_was_copied_again_and_a_cleared_replicate_task_make_it_green(broken: str, served: TwoNights) -> None:
    run = replicating()
    record_ids = replicate(served, run)
    if broken == "in error":
        served.change_replica(served.tonight[0], status="error")
        with pytest.raises(CbrVerificationError, match="its status is error"):
            verifying(record_ids, **QUESTION).attempt()
    served.control.remove_backup(served.replica(served.tonight[0]))
    served.copy_individually(served.tonight[0])
    run.cleared_after = 1
    now = replicate(served, run)
    assert len(now) == 3
    assert served.record(served.tonight[0])["id"] in now
    assert verifying(now, **QUESTION).attempt()["verified"] == 3
    assert verifying(None, **QUESTION).attempt()["verified"] == 3


def test_a_cleared_replicate_task_makes_a_failed_copy_green(served: TwoNights) -> None:
    served.control.fault("copy_fails", backup_id=served.tonight[0])
    served.copy()
    with pytest.raises(CbrVerificationError):
        verifying(None, **QUESTION).attempt()
    record_ids = replicate(served, replicating())
    assert verifying(None, **QUESTION).attempt()["verified"] == 3
    assert verifying([*served.record_ids, *record_ids], **QUESTION).attempt()["verified"] == 3

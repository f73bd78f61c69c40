"""The last line of a verification: how many, how much, which levels, and how old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.verification.closing import closing_line
from airflow_cbr.verification.levels import Action, Level, Scope
from tests.support.replication_rows import HERE, NOW, THERE, Side, copied, judged, record, replica, source, vault

if TYPE_CHECKING:
    from airflow_cbr.api.models import Backup
    from airflow_cbr.verification.report import Report


def night(good: int, *others: Backup, there: tuple[Backup, ...] = (), **fields: Any) -> Report:
    """Verify so many good copies, and others."""
    pairs = [copied(number, resource_size=10) for number in range(good)]
    replicas = [replica(id=one.id, resource_id=one.resource_id, checkpoint_id=one.checkpoint_id, resource_size=10) for _, one in pairs]
    return judged(Side([*(one for one, _ in pairs), *others], [vault(HERE)]), Side([*replicas, *there]), **fields)


def body(report: Report) -> str:
    """Return the last line from its counts to its levels."""
    _, line = closing_line(report)
    head = f"{report.verdict.upper()} {report.way}: "
    assert line.startswith(head)
    return line.removeprefix(head)


FAILED = source(record("rf", destination_backup_id="small"), id="bf", resource_id="f", checkpoint_id="f")
SMALL = replica(id="small", resource_id="f", resource_size=1)
MISSING = source(id="bm", resource_id="m", checkpoint_id="m")
SKIPPED = source(id="bs", resource_id="s", status="error", checkpoint_id="s")


@pytest.mark.parametrize(
    ("good", "others", "said"),
    [
        (1, (), "1 of 1 backup has a verified replica, 10 GB; passed: record, replica"),
        (2, (), "2 of 2 backups have a verified replica, 20 GB; passed: record, replica"),
        (1, (SKIPPED,), "1 of 1 backup has a verified replica, 10 GB; 1 not judged; passed: record, replica"),
        (1, (MISSING,), "1 of 2 backups has a verified replica, 10 GB; violated: record (1 time); passed: replica"),
        (
            0,
            (MISSING,),
            "0 of 1 backup has a verified replica, 0 GB; violated: record (1 time); not judged: replica (no record led to one)",
        ),
        (0, (FAILED,), "0 of 1 backup has a verified replica, 0 GB; violated: replica (1 time); passed: record"),
        (
            0,
            (SKIPPED,),
            "0 of 0 backups have a verified replica, 0 GB; 1 not judged; not judged: record, replica (there was no backup to judge)",
        ),
        (0, (FAILED, MISSING), "0 of 2 backups have a verified replica, 0 GB; violated: record (1 time), replica (1 time)"),
        (
            2,
            (FAILED, MISSING, SKIPPED),
            "2 of 4 backups have a verified replica, 20 GB; 1 not judged; violated: record (1 time), replica (1 time)",
        ),
    ],
)
def test_the_last_line_counts_what_is_good_among_all_that_is_judged(good: int, others: tuple[Backup, ...], said: str) -> None:
    levels = {Level.RECORD: Action.FAIL, Level.REPLICA: Action.FAIL}
    report = night(good, *others, there=(SMALL,), levels=levels, scope=Scope.ALL, allow_empty=True)
    report.resources = ()
    assert body(report) == said


def test_the_last_line_says_of_each_level_why_it_was_not_judged() -> None:
    levels = [Level.RECORD, Level.REPLICA, Level.COVERAGE, Level.RPO]
    assert body(night(0, levels=levels, max_age=86400.0, allow_empty=True)) == (
        "0 of 0 backups have a verified replica, 0 GB; not judged: record, replica (there was no backup to judge); "
        "not judged: coverage, rpo (no resource is bound to the source vault)"
    )


def test_by_records_alone_the_last_line_speaks_of_records_and_of_no_age() -> None:
    assert body(night(2, levels=[Level.RECORD])) == "2 of 2 backups have a successful record, 0 GB; passed: record"


def test_a_vault_to_which_nothing_is_bound_has_neither_coverage_nor_age() -> None:
    levels = dict.fromkeys((Level.REPLICA, Level.COVERAGE, Level.RPO), Action.FAIL)
    nobody = "not judged: coverage, rpo (no resource is bound to the source vault)"
    report = judged(Side([source(record())], [vault(HERE)]), Side([replica()]), levels=levels, max_age=86400.0)
    assert body(report) == f"1 of 1 backup has a verified replica, 40 GB; passed: replica; {nobody}"
    report = judged(Side([], [vault(HERE)]), Side([]), levels=levels, max_age=86400.0, allow_empty=True)
    assert body(report).endswith(f"; not judged: replica (there was no backup to judge); {nobody}")


@pytest.mark.parametrize("max_age", [None, 86400.0])
@pytest.mark.parametrize(
    ("backup", "bound", "said"),
    [
        (
            source(record(), resource_size=40),
            ("server",),
            "the worst resource is name of server: its newest verified replica is 1 d 12 h old",
        ),
        (source(record()), ("server", "web"), "name of web has no verified replica"),
        (source(record(), created_at=None), ("server",), "how old the newest verified replica of name of server is, is not known"),
    ],
)
def test_the_last_line_ends_with_the_age_of_the_worst_resource(
    backup: Backup, bound: tuple[str, ...], said: str, max_age: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", NOW.timestamp)
    outcome = judged(Side([backup], [vault(HERE, *bound)]), Side([replica()]), max_age=max_age)
    assert body(outcome).split("; ")[-1] == said + ("" if max_age is None else " (max_age 1 d)")


def test_a_line_names_the_vault_and_both_regions() -> None:
    named = judged(Side([source(record())], [vault(HERE, "server", name="nightly")]), Side([replica()]))
    assert named.way == f"nightly: here -> {THERE.region}"
    assert night(1).way == f"{HERE}: here -> {THERE.region}"

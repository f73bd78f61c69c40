"""When the demo may say VERIFIED, and what it shows."""

from __future__ import annotations

import dataclasses
import io
import re

import pytest
from rich.console import Console

from airflow_cbr.demo.copies import CopyRow
from airflow_cbr.demo.dag_run import DagRunAnswer
from airflow_cbr.demo.display import CopyProgress, copy_table
from airflow_cbr.demo.run import judge

COPY = CopyRow("backup-1", "nightly-web", 40, record_id="record-1", status="success", progress=100, replica_id="replica-1", arrived=True)
GOOD = DagRunAnswer("success", {"replicate": "success", "verify": "success"}, [["record-1"], {"verdict": "verified", "verified": 1}])


def test_nothing_speaks_against_a_run_that_has_verified_every_copy() -> None:
    assert judge(GOOD, [COPY], ["backup-1"]) == []


@pytest.mark.parametrize(
    ("outcome", "copies", "started", "problem"),
    [
        (
            dataclasses.replace(GOOD, state="failed", tasks={"verify": "failed"}),
            [COPY],
            ["backup-1"],
            r"the Dag run is failed \(verify: failed\)",
        ),
        (dataclasses.replace(GOOD, return_values=[["record-1"]]), [COPY], ["backup-1"], "no task of the run returned a verdict"),
        (dataclasses.replace(GOOD, return_values=[{"verdict": "failed"}]), [COPY], ["backup-1"], "own verdict is .*failed"),
        (GOOD, [], [], "there is no backup"),
        (GOOD, [COPY, dataclasses.replace(COPY, name="nightly-db", arrived=False)], [], "nightly-db is not at the destination"),
        (GOOD, [COPY], ["backup-1", "backup-1"], "backup-1 was copied 2 times"),
    ],
)
def test_one_doubt_is_enough(outcome: DagRunAnswer, copies: list[CopyRow], started: list[str], problem: str) -> None:
    (said,) = judge(outcome, copies, started)
    assert re.search(problem, said)


def _console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=170, highlight=False)


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_plain_lines_say_only_what_has_changed() -> None:
    console = _console(terminal=False)
    waiting = dataclasses.replace(COPY, status="replicating", progress=10.0)
    with CopyProgress(console) as progress:
        for step in (dataclasses.replace(COPY, record_id=None), waiting, dataclasses.replace(waiting, progress=24.9), COPY, COPY):
            progress.show([step])

    lines = _text(console).splitlines()
    assert [line.split(" s  ")[1] for line in lines] == ["nightly-web  replicating  10 %", "nightly-web  success  100 %"]


def test_a_terminal_gets_a_bar_for_each_record() -> None:
    console = _console(terminal=True)
    with CopyProgress(console) as progress:
        progress.show([COPY, dataclasses.replace(COPY, record_id="record-2", name="nightly-db", status="replicating", progress=40.0)])

    text = _text(console)
    assert "nightly-web" in text
    assert "nightly-db" in text
    assert " 40 %" in text


def test_the_table_has_a_row_for_each_backup_and_does_not_break_ids() -> None:
    console = _console(terminal=False)
    lost = dataclasses.replace(COPY, name="nightly-db", record_id="7a9f2c2e-6ad1-4f9b-8c5d-000000000002", replica_id=None, arrived=False)
    console.print(copy_table([COPY, lost], "cn-shenzhen-1"))

    text = _text(console)
    assert "Replica in cn-shenzhen-1" in text
    (row,) = [line for line in text.splitlines() if "nightly-db" in line]
    assert "7a9f2c2e-6ad1-4f9b-8c5d-000000000002" in row
    assert "NO" in row

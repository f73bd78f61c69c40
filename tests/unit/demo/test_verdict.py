"""When the demo may say VERIFIED, and what it shows."""

from __future__ import annotations

import dataclasses
import io
import re
import shlex
import subprocess

import pytest
from rich.console import Console

from airflow_cbr.demo.copies import CopyRow
from airflow_cbr.demo.dag_run import DagRunAnswer
from airflow_cbr.demo.display import CopyProgress, copy_blocks
from airflow_cbr.demo.run import judge, program

COPY = CopyRow(
    "backup-1", "nightly-web", 40, "ecs-web-01", record_id="record-1", status="success", progress=100, replica_id="replica-1", arrived=True
)
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


@pytest.mark.parametrize(("terminal", "width"), [(True, 30), (True, 200), (False, None)], ids=["narrow", "wide", "piped"])
def test_each_backup_has_a_block_in_which_every_id_is_whole_on_a_line_of_its_own(terminal: bool, width: int | None) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)
    good = dataclasses.replace(
        COPY,
        backup_id="7a9f2c2e-6ad1-4f9b-8c5d-000000000001",
        record_id="7a9f2c2e-6ad1-4f9b-8c5d-000000000002",
        replica_id="7a9f2c2e-6ad1-4f9b-8c5d-000000000003",
    )
    lost = dataclasses.replace(good, name="nightly-db", resource="ecs-db-01", replica_id=None, arrived=False)
    console.print(copy_blocks([good, lost], "cn-shenzhen-1"), soft_wrap=True, markup=False)
    lines = [line.rstrip() for line in _text(console).splitlines()]
    assert lines[0] == "  ecs-web-01: success, verified in cn-shenzhen-1"
    assert [line.split() for line in lines[1:5]] == [
        ["name", "nightly-web"],
        ["backup", good.backup_id],
        ["record", good.record_id],
        ["replica", good.replica_id],
    ]
    assert lines[5] == "  ecs-db-01: success, NOT VERIFIED in cn-shenzhen-1"
    assert lines[-1] == "    replica  none"


@pytest.mark.parametrize("width", [40, 60, 200])
def test_a_bar_is_shown_at_any_width(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    with CopyProgress(console) as progress:
        progress.show([dataclasses.replace(COPY, status="replicating", progress=40.0)])
    assert " 40 %" in _text(console)


def test_the_command_to_go_on_with_can_be_run_as_it_is_printed() -> None:
    done = subprocess.run([*shlex.split(program()), "--help"], capture_output=True, text=True, timeout=120, check=True)
    assert "emulator" in done.stdout

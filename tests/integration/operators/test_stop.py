"""A stop stops: a real process that gets SIGTERM at any of its steps, as Airflow sends it, starts nothing more.

Airflow calls ``on_kill`` in the handler and lets the process go on for seconds. What counts is the emulator's own book.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api.stopping import stoppable
from airflow_cbr.checkpoints.steps import CheckpointStep
from airflow_cbr.emulator.world import BACKUPS, SOURCE_VAULT
from airflow_cbr.exceptions import CbrStoppedError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.replication.steps import Step
from tests.support.python_process import run_python
from tests.support.stopped_task import OUTCOME, SCENARIOS
from tests.support.task_run import IDS

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from tests.support.emulator import EmulatorServer

SENDING = {
    "vault": Step.REPLICATE_VAULT,
    "what the vault's call leaves out": Step.REPLICATE_BACKUP,
    "a lost call": Step.LOOK_AT_LOG,
    "one backup": Step.REPLICATE_BACKUP,
    "checkpoint": CheckpointStep.CREATE,
    "a lost checkpoint": CheckpointStep.LOOK_AT_LOG,
}


def outcomes_of(emulator: EmulatorServer, what: str) -> list[dict[str, Any]]:
    # Airflow's own lines are on standard output too.
    lines = run_python("-m", "tests.support.stopped_task", emulator.url, what, limit=800).splitlines()
    return [json.loads(line.removeprefix(OUTCOME)) for line in lines if line.startswith(OUTCOME)]


# Some twenty processes, one after the other.
@pytest.mark.timeout(900)
@pytest.mark.parametrize("scenario", [pytest.param(each, marks=() if each == "checkpoint" else pytest.mark.full) for each in SCENARIOS])
def test_a_task_that_is_stopped_at_a_step_starts_nothing_more_and_names_what_runs(emulator: EmulatorServer, scenario: str) -> None:
    outcomes = outcomes_of(emulator, scenario)
    places = [one["place"] for one in outcomes]
    assert {f"before {SENDING[scenario]} 1", f"after {SENDING[scenario]} 1"} <= set(places), "the step that this is about"
    assert [one for one in outcomes if one["report"] != one["end"]] == [], "something was sent after the signal"
    assert [one["place"] for one in outcomes if "The task was stopped; it sends nothing more." not in one["log"]] == []
    for one in outcomes:
        if "conclude" in one["place"]:
            continue
        assert one["error"] == "CbrStoppedError", one
        started = one["end"]["copies"] + one["end"]["checkpoints"]
        assert [each for each in started if each not in one["text"] and each not in one["skipped"]] == [], one
        assert set(one["running"]) <= set(started)


def test_neither_a_pause_before_a_call_is_repeated_nor_a_long_wait_outlasts_a_stop(emulator: EmulatorServer) -> None:
    throttled, waiting = outcomes_of(emulator, "outside")
    for one in (throttled, waiting):
        assert one["error"] == "CbrStoppedError", one
        assert one["report"] == one["end"]
    assert throttled["end"]["copies"] == []
    assert "No copy of its own is running" in throttled["text"]
    assert sorted(waiting["running"]) == sorted(waiting["end"]["copies"])
    assert len(waiting["running"]) == 3


CHANGES: dict[str, Callable[[CbrClient], Any]] = {
    "CopyCheckpoint": lambda client: client.replicate_checkpoint(**IDS),
    "CopyBackup": lambda client: client.replicate_backup(BACKUPS[0], **{name: IDS[name] for name in IDS if name != "vault_id"}),
    "CreateCheckpoint": lambda client: client.create_checkpoint(vault_id=SOURCE_VAULT, name="by-hand"),
}


@pytest.mark.parametrize("call", CHANGES)
def test_a_stop_that_comes_while_the_connection_is_made_is_in_time(emulator: EmulatorServer, call: str) -> None:
    asked: list[bool] = []

    def is_stopped() -> bool:
        asked.append(True)
        return True

    with CbrHook().client as client, stoppable(is_stopped):
        assert next(client.list_vaults()).id == SOURCE_VAULT, "reading goes on"
        assert asked == []
        with pytest.raises(CbrStoppedError, match=f"{call} was not sent"):
            CHANGES[call](client)
    assert asked == [True]
    assert emulator.control.requests().get(call, 0) == 0
    # Not only was it not sent: the connection is as good as new.
    CHANGES[call](client)
    assert emulator.control.requests()[call] == 1

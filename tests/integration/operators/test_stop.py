"""A stop stops: a real process that gets SIGTERM at any of its steps, as Airflow sends it, starts nothing more.

Airflow calls ``on_kill`` in the handler and lets the process go on for seconds. What counts is the emulator's own book.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api.stopping import stoppable
from airflow_cbr.checkpoints.steps import CheckpointStep
from airflow_cbr.drills.steps import CleanupStep, DrillStep
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.world import BACKUPS, SOURCE_VAULT, default_world
from airflow_cbr.exceptions import CbrApiError, CbrStoppedError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.pruning.steps import PruneStep
from airflow_cbr.replication.steps import Step
from tests.support.drill_night import PLACEMENT
from tests.support.emulator import EmulatorServer
from tests.support.python_process import run_python
from tests.support.stopped_task import OUTCOME, SCENARIOS
from tests.support.task_run import IDS, set_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_cbr.api.client import CbrClient

IMAGE = "67f433d8-ed0e-4321-a8a2-a71838539e09"
LATER = "2030-01-01T00:00:00Z"

SENDING = {
    "vault": Step.REPLICATE_VAULT,
    "what the vault's call leaves out": Step.REPLICATE_BACKUP,
    "a lost call": Step.LOOK_AT_LOG,
    "one backup": Step.REPLICATE_BACKUP,
    "checkpoint": CheckpointStep.CREATE,
    "a lost checkpoint": CheckpointStep.LOOK_AT_LOG,
    "drill": DrillStep.CREATE_SERVER,
    "end of a drill": CleanupStep.DELETE_SERVER,
    "sweep": CleanupStep.DELETE_SERVER,
    "prune": PruneStep.DELETE,
}
MACHINES = ("drill", "end of a drill", "sweep", "prune")
#: What a stop at any of its steps must not leave half done, and what a short run plays of it: the calls that change something.
WHOLE = [
    *(
        pytest.param(name, "", id=name, marks=() if name == "checkpoint" else pytest.mark.full)
        for name in SCENARIOS
        if name not in MACHINES
    ),
    *(pytest.param(name, "", id=f"{name}, all steps", marks=pytest.mark.full) for name in MACHINES),
    *(pytest.param(name, str(SENDING[name]), id=name, marks=() if name == "prune" else pytest.mark.full) for name in MACHINES),
]


def outcomes_of(emulator: EmulatorServer, what: str, only: str = "") -> list[dict[str, Any]]:
    # Airflow's own lines are on standard output too.
    lines = run_python("-m", "tests.support.stopped_task", emulator.url, what, only, limit=800).splitlines()
    return [json.loads(line.removeprefix(OUTCOME)) for line in lines if line.startswith(OUTCOME)]


# Some twenty processes, one after the other.
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("scenario", "only"), WHOLE)
def test_a_task_that_is_stopped_at_a_step_starts_nothing_more_and_names_what_runs(
    request: pytest.FixtureRequest, scenario: str, only: str
) -> None:
    outcomes = outcomes_of(request.getfixturevalue("two_days_ago" if scenario == "sweep" else "emulator"), scenario, only)
    places = [one["place"] for one in outcomes]
    assert {f"before {SENDING[scenario]} 1", f"after {SENDING[scenario]} 1"} <= set(places), "the step that this is about"
    assert [one for one in outcomes if one["report"] != one["end"]] == [], "something was sent after the signal"
    assert [one["place"] for one in outcomes if "The task was stopped; it sends nothing more." not in one["log"]] == []
    for one in outcomes:
        if "conclude" in one["place"]:
            continue
        assert one["error"] == "CbrStoppedError", one
        assert one["left"] == [], one
        started = [*one["end"]["copies"], *one["end"]["checkpoints"]]
        assert [each for each in started if each not in one["text"] and each not in one["skipped"]] == [], one
        if scenario == "drill":
            made = [*one["end"]["images"], *one["end"]["servers"]]
            # What was made and not seen yet is known by its name alone.
            assert len(one["running"]) == len(made), one
            assert [each for each in made if each not in one["text"] and "cbr-drill-" not in one["text"]] == [], one
        elif scenario in ("end of a drill", "sweep"):
            assert set(one["running"]) <= {*one["end"]["images"], *one["end"]["servers"]}, one
        elif scenario == "prune":
            # The two source backups go first; before a replica goes, they were seen to be gone, and go on no longer.
            asked = one["end"]["deletions"]
            has_looked_back = "look back" in one["place"] or one["place"].endswith(("after delete a backup 2", "backup 3"))
            seen_gone = asked[:2] if has_looked_back else []
            assert set(asked) - set(seen_gone) <= set(one["running"]) <= set(asked), one
        else:
            assert set(one["running"]) <= set(started), one


def test_neither_a_pause_before_a_call_is_repeated_nor_a_long_wait_outlasts_a_stop(emulator: EmulatorServer) -> None:
    throttled, waiting = outcomes_of(emulator, "outside")
    for one in (throttled, waiting):
        assert one["error"] == "CbrStoppedError", one
        assert one["report"] == one["end"]
    assert throttled["end"]["copies"] == []
    assert "No copy of its own is running" in throttled["text"]
    assert sorted(waiting["running"]) == sorted(waiting["end"]["copies"])
    assert len(waiting["running"]) == 3


@pytest.fixture
def two_days_ago(monkeypatch: pytest.MonkeyPatch, stop_soon: Callable[[EmulatorServer], None]) -> Iterator[EmulatorServer]:
    """Serve a world whose clock is two days behind, so that what is made now is old for the sweep."""
    server = EmulatorServer(default_world(), Clock(start=time.time() - 2 * 86400)).__enter__()
    set_connection(monkeypatch, server.url)
    yield server
    stop_soon(server)


CHANGES: dict[str, Callable[[CbrClient], Any]] = {
    "CopyCheckpoint": lambda client: client.replicate_checkpoint(**IDS),
    "CopyBackup": lambda client: client.replicate_backup(BACKUPS[0], **{name: IDS[name] for name in IDS if name != "vault_id"}),
    "CreateCheckpoint": lambda client: client.create_checkpoint(vault_id=SOURCE_VAULT, name="by-hand"),
    "DeleteBackup": lambda client: client.delete_backup(BACKUPS[1]),
    "CreateWholeImage": lambda client: client.machines.create_whole_image(backup_id=BACKUPS[0], name="by-hand"),
    "CreatePostPaidServers": lambda client: client.machines.create_server(PLACEMENT.server(IMAGE, name="x", terminate_at=LATER, tags={})),
    "DeleteServers": lambda client: client.machines.delete_server(IMAGE),
    "GlanceDeleteImage": lambda client: client.machines.delete_image(IMAGE),
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
    with suppress(CbrApiError):
        CHANGES[call](client)
    assert emulator.control.requests()[call] == 1

"""Tasks in processes of their own that get SIGTERM, as from Airflow, at each of their steps; a program, run by ``test_stop.py``.

Each case is a fork of this process, so that Airflow is imported once. The program prints one line for each:
``OUTCOME`` and JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.demo.waiting import wait_until
from airflow_cbr.emulator.world import (
    BACKUPS,
    DESTINATION_PROJECT,
    DRILL_SECURITY_GROUP,
    DRILL_SUBNET,
    DRILL_VPC,
    SOURCE_PROJECT,
    SOURCE_VAULT,
)
from airflow_cbr.exceptions import CbrStoppedError
from airflow_cbr.operators.cbr import (
    CbrCreateCheckpointOperator,
    CbrEndRestoreDrillOperator,
    CbrPruneOperator,
    CbrReplicateBackupOperator,
    CbrReplicateCheckpointOperator,
    CbrStartRestoreDrillOperator,
    CbrSweepRestoreDrillsOperator,
)
from tests.support.emulator import ControlClient
from tests.support.task_run import IDS, TaskRun

if TYPE_CHECKING:
    from collections.abc import Callable

OUTCOME = "OUTCOME "
LIMIT = 120.0
"""Seconds after which a process that was stopped has not ended."""
QUICK: dict[str, Any] = {"poll_interval": 0.1, "max_poll_interval": 0.2, "settle_time": 0.3, "timeout": 60.0}
THERE = {name: value for name, value in IDS.items() if name != "vault_id"}


@dataclass(frozen=True)
class Scenario:
    """What a task does, and what goes wrong for it.

    :param operator: its class.
    :param arguments: its parameters.
    :param faults: faults in force.
    :param ends_with: the error with which the task ends when nobody stops it. Default: none.
    :param arrange: makes what the task needs at the service; returns further parameters.
    :param settle: called when the task has been stopped; returns what is still there that must not be.
    """

    operator: Any
    arguments: dict[str, Any]
    faults: list[dict[str, Any]] = field(default_factory=list)
    ends_with: str | None = None
    arrange: Callable[[ControlClient], dict[str, Any]] = lambda control: {}
    settle: Callable[[ControlClient], list[str]] = lambda control: []


def _vaults(control: ControlClient, *, backups: int) -> dict[str, Any]:
    """Make two vaults with backups of one resource, a day apart, and their replicas; return their ids as parameters."""
    destination = control.add_vault(project_id=DESTINATION_PROJECT, protect_type="replication", size=10_000)["id"]
    generate = {"count": backups, "resources": 1, "size": 25, "newest_age_seconds": 90_000, "every_seconds": 86400}
    source = control.add_vault(project_id=SOURCE_PROJECT, size=10_000, generate=generate | {"replicated_to": [destination]})["id"]
    return IDS | {"vault_id": source, "destination_vault_id": destination}


def _start_drill(control: ControlClient) -> dict[str, Any]:
    """Start a drill; the task takes none of its parameters."""
    TaskRun(CbrStartRestoreDrillOperator(task_id="start", **DRILL, **_vaults(control, backups=1))).attempt()
    return {}


def _end_drill(control: ControlClient) -> list[str]:
    """End the drill as its teardown does, although its start has told nothing; return what is left of it."""
    run = TaskRun(CbrEndRestoreDrillOperator(task_id="end", start_task_id="task", **DRILLED, check_task_ids=[]))
    # The verdict of a drill whose start was stopped.
    with suppress(AirflowFailException):
        run.attempt()
    return [one["name"] for kind in ("images", "servers") for one in control.ledger()[kind] if one["state"] not in ("deleted", "failed")]


QUICK_DRILL: dict[str, Any] = {"poll_interval": 0.05, "max_poll_interval": 0.1, "deferrable": False}
DRILL: dict[str, Any] = {
    "flavor": "s6.large.2",
    "vpc_id": DRILL_VPC,
    "subnet_id": DRILL_SUBNET,
    "security_group_ids": [DRILL_SECURITY_GROUP],
    # The service of a sweep is two days behind.
    "terminate_after": 4 * 86400,
    "settle_time": 0.5,
    **QUICK_DRILL,
}
DRILLED = {"destination_region": "cn-shenzhen-1", "destination_project_id": DESTINATION_PROJECT, "settle_time": 0.5, **QUICK_DRILL}
SWEPT = {"destination_region": "cn-shenzhen-1", "destination_project_id": DESTINATION_PROJECT, "plan_only": False, **QUICK_DRILL}
VAULT = {**IDS, **QUICK}
CHECKPOINT = {"vault_id": SOURCE_VAULT, **QUICK}
SCENARIOS = {
    "vault": Scenario(CbrReplicateCheckpointOperator, VAULT),
    "what the vault's call leaves out": Scenario(CbrReplicateCheckpointOperator, VAULT, [{"kind": "copy_skipped", "count": 3}]),
    "a lost call": Scenario(CbrReplicateCheckpointOperator, VAULT, [{"kind": "reset", "call": "CopyCheckpoint", "when": "before"}]),
    "one backup": Scenario(CbrReplicateBackupOperator, {"backup_id": BACKUPS[0], **THERE, **QUICK}),
    "checkpoint": Scenario(CbrCreateCheckpointOperator, CHECKPOINT),
    "a lost checkpoint": Scenario(
        CbrCreateCheckpointOperator, CHECKPOINT, [{"kind": "reset", "call": "CreateCheckpoint", "when": "before"}]
    ),
    "drill": Scenario(CbrStartRestoreDrillOperator, DRILL, arrange=lambda control: _vaults(control, backups=1), settle=_end_drill),
    "end of a drill": Scenario(
        CbrEndRestoreDrillOperator,
        {**DRILLED, "start_task_id": "start", "check_task_ids": []},
        # It finds the drill by its mark alone, and calls it failed.
        ends_with="AirflowFailException",
        arrange=_start_drill,
    ),
    "sweep": Scenario(CbrSweepRestoreDrillsOperator, SWEPT, arrange=_start_drill),
    "prune": Scenario(
        CbrPruneOperator,
        {"keep_last": 1, "plan_only": False, "poll_interval": 0.1},
        arrange=lambda control: _vaults(control, backups=3),
    ),
}
#: Stopped from outside, when a call has arrived.
THROTTLED = Scenario(CbrReplicateCheckpointOperator, VAULT, [{"kind": "throttle", "call": "CopyCheckpoint", "retry_after": 2.0}])
LONG_WAIT = Scenario(CbrReplicateCheckpointOperator, {**VAULT, "poll_interval": 3600, "max_poll_interval": 3600, "timeout": 86400})


def changes(control: ControlClient) -> dict[str, list[str]]:
    """Return the ids of all that the service has started, and of the calls that asked for it."""
    ledger = control.ledger()
    return {
        # A dry run changes nothing.
        "calls": [call["call"] for call in ledger["calls"] if not (call["request"] or {}).get("dry_run")],
        "copies": [entry["record_id"] for entry in ledger["replications"]],
        "checkpoints": [entry["checkpoint_id"] for entry in ledger["checkpoints"]],
        "images": [entry["image_id"] for entry in ledger["images"]],
        "servers": [entry["server_id"] for entry in ledger["servers"]],
        "deletions": [entry["backup_id"] for entry in ledger["deletions"]],
    }


class Stopper:
    """Runs scenarios against an emulator.

    :param url: its base URL.
    """

    def __init__(self, url: str) -> None:
        self.control = ControlClient(url)

    def prepare(self, scenario: Scenario) -> Scenario:
        """Begin the emulator's world anew; return the scenario with all of its parameters."""
        self.control.reset()
        self.control.clear_faults()
        self.control.switch(queue_seconds=0, copy_seconds=1.5, checkpoint_seconds=1.5)
        self.control.switch(image_seconds=0.2, server_seconds=0.2, image_delete_seconds=0.2, server_delete_seconds=0.2, delete_seconds=0.2)
        self.control.change_vault(SOURCE_VAULT, size=100_000)
        for fault in scenario.faults:
            self.control.fault(**fault)
        return replace(scenario, arguments=scenario.arguments | scenario.arrange(self.control))

    def steps_of(self, scenario: Scenario) -> list[str]:
        """Return where a task can be stopped: each step that it takes, and each call for one backup."""
        scenario = self.prepare(scenario)
        visits: Counter[str] = Counter()
        outcome = self.in_fork(scenario, lambda here: visits.update([here]), report=lambda: list(visits.items()))
        assert outcome["error"] == scenario.ends_with, outcome
        return [f"{here} {n}" for here, times in outcome["report"] for n in range(1, min(times, 3 if "a backup" in here else 1) + 1)]

    def stopped_at(self, scenario: Scenario, place: str) -> dict[str, Any]:
        """Return what came of a task that was stopped at a step."""
        scenario = self.prepare(scenario)
        visits: Counter[str] = Counter()
        seen: list[Any] = []

        def stop_here(here: str) -> None:
            visits[here] += 1
            if f"{here} {visits[here]}" == place:
                seen.append(changes(self.control))
                os.kill(os.getpid(), signal.SIGTERM)

        outcome = self.in_fork(scenario, stop_here, report=lambda: seen[0] if seen else None)
        # What the service has skipped has ended; the task asks for those backups again, and names them no more.
        skipped = [entry["record_id"] for entry in self.control.ledger()["replications"] if entry["outcome"] == "skip"]
        return {"place": place, **outcome, "end": changes(self.control), "skipped": skipped, "left": scenario.settle(self.control)}

    def stopped_when(self, scenario: Scenario, has_come: Callable[[], bool]) -> dict[str, Any]:
        """Return what came of a task that was stopped from outside."""
        scenario = self.prepare(scenario)
        seen: list[Any] = []

        def watch(pid: int) -> None:
            wait_until(has_come, limit=LIMIT, what="the moment to stop the task")
            seen.append(changes(self.control))
            os.kill(pid, signal.SIGTERM)

        outcome = self.in_fork(scenario, lambda here: None, report=lambda: None, watch=watch)
        return {"place": "outside", **outcome, "report": seen[0], "end": changes(self.control)}

    def in_fork(
        self,
        scenario: Scenario,
        at_step: Callable[[str], None],
        *,
        report: Callable[[], Any],
        watch: Callable[[int], None] = lambda pid: None,
    ) -> dict[str, Any]:
        """Run a task in a process of its own, with the signal handler that Airflow's task runner sets."""
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            result = _run(scenario, at_step)
            os.write(write, json.dumps({**result, "report": report()}).encode())
            os._exit(0)
        os.close(write)
        watch(pid)
        give_up_at = time.monotonic() + LIMIT
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > give_up_at:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                os.close(read)
                return {"error": "did not end", "text": "", "log": "", "running": [], "report": None}
            time.sleep(0.01)
        with os.fdopen(read) as pipe:
            outcome: dict[str, Any] = json.loads(pipe.read())
        return outcome


def _run(scenario: Scenario, at_step: Callable[[str], None]) -> dict[str, Any]:
    operator: Any = scenario.operator

    class Observed(operator):  # type: ignore[misc]
        def at_step(self, step: Any, moment: str) -> None:
            at_step(f"{moment} {step}")

    run = TaskRun(Observed(task_id="task", **scenario.arguments))
    task_pid = os.getpid()

    def on_term(signum: int, frame: Any) -> None:
        if os.getpid() == task_pid:
            run.task.on_kill()

    signal.signal(signal.SIGTERM, on_term)
    error: BaseException | None = None
    try:
        run.attempt()
    except Exception as raised:
        error = raised
    return {
        "error": None if error is None else type(error).__name__,
        "text": str(error or ""),
        "running": error.running if isinstance(error, CbrStoppedError) else [],
        "log": run.log,
    }


def main(url: str, what: str, only: str = "") -> None:
    """Print what came of each case of a scenario.

    :param url: the emulator.
    :param what: the scenario, or ``outside``.
    :param only: part of the places that are played. Default: all are.
    """
    stopper = Stopper(url)
    control = stopper.control
    if what == "outside":
        outcomes = [
            stopper.stopped_when(THROTTLED, lambda: control.requests().get("CopyCheckpoint", 0) > 0),
            stopper.stopped_when(LONG_WAIT, lambda: bool(changes(control)["copies"])),
        ]
    else:
        outcomes = [stopper.stopped_at(SCENARIOS[what], place) for place in stopper.steps_of(SCENARIOS[what]) if only in place]
    for outcome in outcomes:
        print(f"{OUTCOME}{json.dumps(outcome)}")


if __name__ == "__main__":
    main(*sys.argv[1:])

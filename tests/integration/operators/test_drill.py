"""The operators of restore drills against a served emulator: what they make, tell, and remove again."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.cli import main
from airflow_cbr.drills.marks import DrillMark
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.world import (
    DESTINATION_PROJECT,
    DESTINATION_VAULT,
    DRILL_SECURITY_GROUP,
    DRILL_SUBNET,
    DRILL_VPC,
    SOURCE_VAULT,
)
from airflow_cbr.evidence.file import evidence_schema
from airflow_cbr.exceptions import CbrDrillCleanupError, CbrDrillTimeoutError, CbrEvidenceError
from airflow_cbr.hooks import metrics
from airflow_cbr.operators.cbr import (
    CbrEndRestoreDrillOperator,
    CbrNameRestoreDrillOperator,
    CbrPlanRestoreDrillsOperator,
    CbrStartRestoreDrillOperator,
    CbrSweepRestoreDrillsOperator,
)
from tests.support.airflow_errors import TaskDeferred
from tests.support.drill_night import replicated_world
from tests.support.emulator import EmulatorServer
from tests.support.task_run import IDS, TaskRun, set_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RESOURCE = "94eba8b2-acc9-4d82-badc-127144cc5526"
SERVER: dict[str, Any] = {
    "flavor": "s6.large.2",
    "vpc_id": DRILL_VPC,
    "subnet_id": DRILL_SUBNET,
    "security_group_ids": [DRILL_SECURITY_GROUP],
}
QUICK: dict[str, Any] = {"poll_interval": 0.1, "max_poll_interval": 0.2, "settle_time": 1.0, "deferrable": False}
THERE = {"destination_region": "cn-shenzhen-1", "destination_project_id": DESTINATION_PROJECT}


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch, stop_soon: Callable[[EmulatorServer], None]) -> Iterator[EmulatorServer]:
    """Serve the default world with replicas, and quick images and servers."""
    world = replicated_world()
    for name in ("image_seconds", "server_seconds", "image_delete_seconds", "server_delete_seconds"):
        setattr(world.switches, name, 0.2)
    server = EmulatorServer(world).__enter__()
    set_connection(monkeypatch, server.url)
    yield server
    stop_soon(server)


def starting(**changes: Any) -> TaskRun:
    run = {name: changes.pop(name) for name in ("map_index", "store", "run_id", "states") if name in changes}
    return TaskRun(CbrStartRestoreDrillOperator(**{"task_id": "start", **IDS, **SERVER, **QUICK, "resource_id": RESOURCE} | changes), **run)


def ending(start: TaskRun | None, *, states: dict[str, str | None] | None = None, **changes: Any) -> TaskRun:
    task = CbrEndRestoreDrillOperator(
        **{"task_id": "end", "start_task_id": "start", **THERE, **QUICK, "check_task_ids": ["check"]} | changes
    )
    run = TaskRun(task, states={"check": "success"} if states is None else states)
    if start is not None:
        run.map_index = start.map_index
        run.others = {"start" if start.map_index < 0 else f"start_{start.map_index}": start}
    return run


def failing(end: TaskRun) -> dict[str, Any]:
    """Run an end that fails for good after it has cleaned up; return its verdict."""
    with pytest.raises(AirflowFailException, match="was cleaned up"):
        end.attempt()
    assert end.xcoms["drill"] == end.xcoms["return_value"]
    verdict: dict[str, Any] = end.xcoms["drill"]
    return verdict


def everything(emulator: EmulatorServer) -> dict[str, list[str]]:
    ledger = emulator.control.ledger()
    return {kind: [one["state"] for one in ledger[kind]] for kind in ("images", "servers", "disks")} | {"lost": ledger["lost_replicas"]}


GONE = {"images": ["deleted"], "servers": ["deleted"], "disks": ["deleted", "deleted"], "lost": []}


def test_a_drill_from_start_to_end(emulator: EmulatorServer) -> None:
    start = starting()
    started = start.attempt()
    (server,) = emulator.control.ledger()["servers"]
    (image,) = emulator.control.ledger()["images"]
    assert (started["server_id"], started["image_id"], started["replica_id"]) == (
        server["server_id"],
        image["image_id"],
        image["backup_id"],
    )
    assert started["private_ip"].startswith("192.168.")
    assert started["resource_id"] == RESOURCE
    mark = DrillMark.of("a_dag", "manual__1", "start", -1)
    assert server["name"] == image["name"] == mark.name
    assert server["tags"] == mark.tags
    assert server["auto_terminate_time"] != ""
    assert server["has_public_ip"] is False

    verdict = ending(start).attempt()
    assert everything(emulator) == GONE
    assert (verdict["kind"], verdict["verdict"], verdict["checks"]) == ("drill", "successful", {"check": "success"})
    seconds = verdict["durations"]
    assert all(seconds[name] >= 0 for name in ("image_seconds", "boot_seconds", "check_seconds"))
    assert seconds["rto_seconds"] == pytest.approx(sum(seconds[f"{name}_seconds"] for name in ("image", "boot", "check")), abs=0.5)
    assert json.dumps(verdict)
    (call,) = [one for one in emulator.control.ledger()["calls"] if one["call"] == "GlanceDeleteImage"]
    assert call["request"] == {"delete_backup": False}


@pytest.mark.parametrize(
    ("states", "said"), [({"check": "failed"}, "check is failed"), ({"check": "skipped"}, "check is skipped"), ({}, "check is not run")]
)
def test_a_check_that_did_not_succeed_makes_the_drill_failed_and_all_is_removed(
    emulator: EmulatorServer, states: dict[str, str | None], said: str
) -> None:
    start = starting()
    start.attempt()
    verdict = failing(ending(start, states=states))
    assert (verdict["verdict"], verdict["reason"]) == ("failed", said)
    assert everything(emulator) == GONE


def test_a_server_that_does_not_start_fails_the_task_for_good_and_the_end_removes_it(emulator: EmulatorServer) -> None:
    emulator.control.fault("server_fails")
    start = starting()
    with pytest.raises(AirflowFailException, match="No valid host"):
        start.attempt()
    assert start.xcoms["drill"]["state"] == "failed"
    verdict = failing(ending(start, states={"check": "upstream_failed"}))
    assert verdict["verdict"] == "failed"
    assert "No valid host" in verdict["reason"]
    assert everything(emulator) == GONE


def test_a_recovery_that_took_too_long_is_no_success(emulator: EmulatorServer) -> None:
    start = starting()
    start.attempt()
    end = ending(start, max_duration=0.01)
    with pytest.raises(AirflowFailException, match="took") as raised:
        end.attempt()
    assert isinstance(raised.value.__cause__, CbrDrillTimeoutError)
    assert end.xcoms["drill"]["verdict"] == "timed_out"
    assert everything(emulator) == GONE


def test_a_server_that_was_not_there_any_more_is_no_success(emulator: EmulatorServer) -> None:
    start = starting()
    start.attempt()
    emulator.emulator.service.timeline.run_until(emulator.emulator.clock.now() + 7 * 86400)
    end = ending(start)
    with pytest.raises(AirflowFailException, match="gone"):
        end.attempt()
    assert end.xcoms["drill"]["verdict"] == "timed_out"
    assert everything(emulator) == GONE


def test_an_end_without_a_start_says_failed_and_waits_for_what_may_come(emulator: EmulatorServer) -> None:
    verdict = failing(ending(None))
    assert verdict["verdict"] == "failed"
    assert everything(emulator) == {"images": [], "servers": [], "disks": [], "lost": []}


def test_a_seed_chooses_the_resource_whose_newest_replica_is_restored(emulator: EmulatorServer) -> None:
    chosen = [starting(resource_id=None, seed="a week", run_id=f"run_{number}").attempt() for number in range(2)]
    assert chosen[0]["resource_id"] == chosen[1]["resource_id"]
    assert chosen[0]["replica_id"] == chosen[1]["replica_id"]
    assert chosen[0]["server_id"] != chosen[1]["server_id"]


def test_each_map_index_has_its_own(emulator: EmulatorServer) -> None:
    starts = [starting(map_index=place) for place in range(2)]
    assert len({start.attempt()["server_id"] for start in starts}) == 2
    ending(starts[0], states={"check_0": "success", "check_1": "failed"}).attempt()
    states = [one["state"] for one in emulator.control.ledger()["servers"]]
    assert states == ["deleted", "alive"], "the other drill's server is left alone"
    verdict = failing(ending(starts[1], states={"check_0": "success", "check_1": "failed"}))
    assert verdict["verdict"] == "failed"


def test_a_drill_waits_for_its_turn_without_a_worker_slot(emulator: EmulatorServer) -> None:
    start = starting(map_index=2, at_once=2, end_task_id="end", states={"end_0": "running", "end_1": None})
    with pytest.raises(TaskDeferred) as deferred:
        start.attempt()
    for _ in range(2):
        event = {"wake": "resume", "memory": deferred.value.trigger.serialize()[1]["memory"]}
        with pytest.raises(TaskDeferred) as deferred:
            start.task.execute_complete(start.context(), event)
    assert emulator.control.ledger()["images"] == []
    start.states = {"end_0": None, "end_1": "failed"}
    event = {"wake": "resume", "memory": deferred.value.trigger.serialize()[1]["memory"]}
    assert start.task.execute_complete(start.context(), event)["server_id"]


def test_the_first_drills_do_not_wait(emulator: EmulatorServer) -> None:
    assert starting(map_index=1, at_once=2, end_task_id="end").attempt()["server_id"]


def test_a_deferred_drill_is_the_same_drill(emulator: EmulatorServer) -> None:
    start = starting(deferrable=True)
    legs = 0
    try:
        result = start.attempt()
    except TaskDeferred as first:
        deferred: Any = first
        while True:
            legs += 1
            time.sleep(0.1)
            event = {"wake": "resume", "memory": deferred.trigger.serialize()[1]["memory"]}
            try:
                result = start.task.execute_complete(start.context(), event)
                break
            except TaskDeferred as again:
                deferred = again
    assert legs > 1
    assert [one["server_id"] for one in emulator.control.ledger()["servers"]] == [result["server_id"]]


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"terminate_after": 60}, "terminate_after"),
        ({"security_group_ids": []}, "security_group_ids"),
        ({"vpc_id": "x/../y"}, "vpc_id"),
        ({"flavor": "s6 large"}, "flavor"),
        ({"replica_id": "None"}, "replica_id"),
        ({"seed": "1"}, "seed"),
        ({"data_volumes": "SSD"}, "data_volumes"),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_sent(emulator: EmulatorServer, changes: dict[str, Any], parameter: str) -> None:
    with pytest.raises(AirflowFailException, match=parameter):
        starting(**changes).attempt()
    assert emulator.control.requests() == {}


def test_the_source_alone_makes_no_replica_restorable(emulator: EmulatorServer) -> None:
    """The source says success, and the destination does not hold the replica of this resource."""
    gone = [one for one in emulator.emulator.service.store.in_vault(DESTINATION_VAULT) if one.resource_id == RESOURCE]
    emulator.control.remove_backup(gone[0].id)
    for named in ({"resource_id": RESOURCE}, {"resource_id": None, "replica_id": gone[0].id}):
        with pytest.raises(AirflowFailException, match="verified"):
            starting(**named).attempt()
    assert emulator.control.ledger()["images"] == []


def test_the_plan_chooses_by_its_seed_and_says_what_it_costs(emulator: EmulatorServer) -> None:
    def plan(**changes: Any) -> TaskRun:
        return TaskRun(CbrPlanRestoreDrillsOperator(**{"task_id": "plan", **IDS, **SERVER, "sample": 2} | changes))

    chosen = [plan(seed="a").attempt() for _ in range(2)]
    assert chosen[0] == chosen[1]
    assert len(set(chosen[0])) == 2
    assert len({tuple(plan(seed=str(number)).attempt()) for number in range(8)}) > 1
    run = plan(sample=None, at_once=2)
    assert len(run.attempt()) == 3
    costs = run.xcoms["plan"]["costs"]
    assert (costs["drills"], costs["gb"], costs["flavor"], costs["hours_at_most"], costs["vcpus"]) == (3, 200, "s6.large.2", 18.0, 2)
    assert (run.xcoms["plan"]["errors"], run.xcoms["plan"]["warnings"]) == ([], [])
    assert everything(emulator) == {"images": [], "servers": [], "disks": [], "lost": []}


@pytest.mark.parametrize(
    ("switches", "changes", "said"),
    [
        ({"image_quota": 1}, {}, "quota of private images"),
        ({"core_quota": 5}, {}, "quota of cores"),
        ({"server_quota": 2}, {}, "quota of servers"),
        ({"ram_quota": 4096}, {}, "quota of MB"),
        ({}, {"flavor": "s6.none.9"}, "flavor s6.none.9 does not exist"),
        ({}, {"subnet_id": DRILL_VPC, "dry_run_image_id": "67f433d8-ed0e-4321-a8a2-a71838539e09"}, "subnet does not exist"),
    ],
)
def test_the_plan_finds_what_would_fail(emulator: EmulatorServer, switches: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    emulator.control.switch(**switches)
    run = TaskRun(CbrPlanRestoreDrillsOperator(**{"task_id": "plan", **IDS, **SERVER} | changes))
    with pytest.raises(AirflowFailException, match=said):
        run.attempt()
    assert any(said in error for error in run.xcoms["plan"]["errors"])
    assert everything(emulator) == {"images": [], "servers": [], "disks": [], "lost": []}


def test_the_name_is_known_before_anything_is_made(emulator: EmulatorServer) -> None:
    assert (
        TaskRun(CbrNameRestoreDrillOperator(task_id="name", start_task_id="start")).attempt()
        == DrillMark.of("a_dag", "manual__1", "start", -1).name
    )


# --- metrics and evidence ---------------------------------------------------------------------------------------------------


TAGS = {
    "region": "cn-north-4",
    "vault_id": SOURCE_VAULT,
    "destination_region": "cn-shenzhen-1",
    "destination_vault_id": DESTINATION_VAULT,
}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, dict[str, str]]]:
    """Take what is sent to Airflow's metrics, apart from what the client sends by itself."""
    kept: list[tuple[str, Any, dict[str, str]]] = []

    class Stats:
        def incr(self, stat: str, count: int, *, tags: dict[str, str]) -> None:
            kept.append((stat, count, tags))

        def timing(self, stat: str, dt: Any, *, tags: dict[str, str]) -> None:
            kept.append((stat, dt.total_seconds(), tags))

    monkeypatch.setattr(metrics, "stats", Stats)
    return kept


def documents(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*/*.json"))]


def told(sent: list[tuple[str, Any, dict[str, str]]]) -> dict[str, Any]:
    assert len({name for name, _, _ in sent}) == len(sent), "each once"
    return {name.removeprefix("cbr.drill."): value for name, value, _ in sent}


def test_the_verdict_is_told_to_metrics_and_evidence_and_shown_by_the_report(
    emulator: EmulatorServer, sent: list[tuple[str, Any, dict[str, str]]], tmp_path: Path
) -> None:
    good, bad = starting(), starting(run_id="manual__2")
    good.attempt()
    end = ending(good, evidence_path=str(tmp_path / "evidence"))
    verdict = end.attempt()
    seconds = {name.replace("_", "."): value for name, value in verdict["durations"].items()}
    assert told(sent) == {"successful": 1, "failed": 0, "timed_out": 0} | seconds
    assert [tags for _, _, tags in sent] == [TAGS] * 7
    sent.clear()

    bad.attempt()
    failed = ending(bad, states={"check": "failed"}, evidence_path=str(tmp_path / "evidence"), retries=3)
    failed.run_id = "manual__2"
    assert failing(failed)["verdict"] == "failed"
    assert (told(sent)["successful"], told(sent)["failed"], told(sent)["timed_out"]) == (0, 1, 0)

    first, second = documents(tmp_path / "evidence")
    Draft202012Validator(evidence_schema()).validate(first)
    assert (first["kind"], first["run"]["task_id"], first["content"]["drill"]) == ("drill", "end", verdict)
    assert (first["source"]["vault_id"], first["destination"]["vault_id"]) == (SOURCE_VAULT, DESTINATION_VAULT)
    assert first["source"]["name"]
    assert first["destination"]["name"]
    assert second["content"]["reason"] == "check is failed"
    assert main(["evidence", "check", str(tmp_path / "evidence")]) == 0
    day = verdict["ended_at"][:10]
    report = ["evidence", "report", str(tmp_path / "evidence"), "--from", day, "--to", day, "--out"]
    assert main([*report, str(tmp_path / "report.json")]) == 0
    (vault,) = json.loads((tmp_path / "report.json").read_bytes())["vaults"]
    assert [(one["verdict"], one["passed"], one["seconds"]) for one in vault["drills"]] == [
        ("successful", True, verdict["durations"]["rto_seconds"]),
        ("failed", False, second["content"]["seconds"]),
    ]
    assert {one["resource_id"] for one in vault["drills"]} == {RESOURCE}
    assert main([*report, str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "check is failed" in page
    assert vault["drills"][0]["resource_name"] in page
    assert f"DRILL SUCCESSFUL {vault['drills'][0]['resource_name']}: the server booted, and 1 check succeeded; recovered in" in end.log


def test_an_attempt_that_is_retried_tells_neither_and_the_last_one_both(
    emulator: EmulatorServer, sent: list[tuple[str, Any, dict[str, str]]], tmp_path: Path
) -> None:
    start = starting()
    start.attempt()
    emulator.control.switch(server_delete_seconds=3600)
    end = ending(start, timeout=1, retries=1, evidence_path=str(tmp_path), evidence_conn_id=None)
    with pytest.raises(CbrDrillCleanupError):
        end.attempt()
    assert (end.xcoms["drill"]["verdict"], sent, documents(tmp_path)) == ("successful", [], [])
    with pytest.raises(CbrDrillCleanupError):
        end.attempt()
    (document,) = documents(tmp_path)
    assert told(sent)["successful"] == 1
    assert "something is left that is billed" in document["content"]["reason"]


def test_what_is_wrong_with_the_verdict_keeps_nothing_from_being_deleted(
    emulator: EmulatorServer, sent: list[tuple[str, Any, dict[str, str]]]
) -> None:
    cases: list[tuple[dict[str, str | None], dict[str, Any], type[Exception], str]] = [
        ({"check": "success"}, {"evidence_path": "/proc/evidence"}, CbrEvidenceError, "could not be written to /proc/evidence"),
        (
            {"check": "failed"},
            {"evidence_path": "/proc/evidence"},
            AirflowFailException,
            "check is failed.*could not be written to /proc",
        ),
        ({"check": "success"}, {"evidence_path": "/tmp/x", "evidence_conn_id": "nowhere"}, AirflowFailException, "connection nowhere"),
        ({"check": "success"}, {"max_duration": -1}, AirflowFailException, "max_duration"),
    ]
    for place, (states, changes, error, said) in enumerate(cases):
        start = starting(run_id=f"run_{place}")
        start.attempt()
        end = ending(start, states=states, **changes)
        end.run_id = start.run_id
        with pytest.raises(error, match=f"(?s){said}"):
            end.attempt()
    ledger = emulator.control.ledger()
    assert {one["state"] for kind in ("images", "servers", "disks") for one in ledger[kind]} == {"deleted"}


def test_a_drill_of_which_nothing_is_known_counts_and_leaves_no_evidence(
    emulator: EmulatorServer, sent: list[tuple[str, Any, dict[str, str]]], tmp_path: Path
) -> None:
    with pytest.raises(AirflowFailException, match=r"(?s)published nothing.*No evidence of the drill was written"):
        ending(None, evidence_path=str(tmp_path)).attempt()
    assert told(sent) == {"successful": 0, "failed": 1, "timed_out": 0}
    assert sent[0][2] == {"destination_region": "cn-shenzhen-1"}
    assert documents(tmp_path) == []


# --- sweeping -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_days_ago(monkeypatch: pytest.MonkeyPatch, stop_soon: Callable[[EmulatorServer], None]) -> Iterator[EmulatorServer]:
    """Serve a world whose clock is two days behind, so that what is made now is old for the sweep."""
    world = replicated_world()
    world.switches.image_seconds = world.switches.server_seconds = 0.2
    world.switches.server_delete_seconds = world.switches.image_delete_seconds = 0.2
    server = EmulatorServer(world, Clock(start=time.time() - 2 * 86400)).__enter__()
    set_connection(monkeypatch, server.url)
    yield server
    stop_soon(server)


def sweeping(**changes: Any) -> TaskRun:
    quick: dict[str, Any] = {"poll_interval": 0.1, "max_poll_interval": 0.2, "deferrable": False}
    return TaskRun(CbrSweepRestoreDrillsOperator(**{"task_id": "sweep", **THERE, **quick} | changes))


def test_a_sweep_plans_first_and_then_removes_what_this_dags_drills_left(two_days_ago: EmulatorServer) -> None:
    from datetime import UTC, datetime

    emulator = two_days_ago
    for place in range(2):
        run = starting(map_index=place, terminate_after=4 * 86400)
        run.run_after = datetime.now(UTC)
        run.attempt()
    foreign = starting(terminate_after=4 * 86400)
    foreign.dag_id = "another_dag"
    foreign.attempt()

    planned = sweeping().attempt()
    assert len(planned["found"]) == 4
    assert (planned["servers"], planned["images"]) == ([], [])
    assert [one["state"] for one in emulator.control.ledger()["servers"]] == ["alive"] * 3

    assert sweeping(min_age=3 * 86400, plan_only=False).attempt()["found"] == [], "what is young is left alone"
    swept = sweeping(plan_only=False).attempt()
    assert (len(swept["servers"]), len(swept["images"])) == (2, 2)
    ledger = emulator.control.ledger()
    assert [one["state"] for one in ledger["servers"]] == ["deleted", "deleted", "alive"]
    assert [one["state"] for one in ledger["images"]] == ["deleted", "deleted", "alive"]
    assert ledger["lost_replicas"] == []


def test_a_sweep_of_what_is_young_is_refused(emulator: EmulatorServer) -> None:
    with pytest.raises(AirflowFailException, match="min_age"):
        sweeping(min_age=10, plan_only=False).attempt()

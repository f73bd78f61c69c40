"""The least privileges of the documentation: every call has its action, and each task runs with its own policies and nothing else."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.api.actions import ACTION_OF_CALL
from airflow_cbr.emulator.app import ROUTES
from airflow_cbr.emulator.image_calls import IMAGE_ROUTES
from airflow_cbr.emulator.server_calls import SERVER_ROUTES
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, SOURCE_PROJECT
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.cbr import CbrPreflightOperator, CbrPruneOperator, CbrReplicateBackupOperator
from tests.support.task_run import IDS, TaskRun, checkpointing, replicating, set_connection, verifying, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import EmulatorServer

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "howto" / "permissions.md").read_text(encoding="utf-8")
ACTION_OF = dict(re.findall(r"^\| `(\w+)` \| `(cbr:\w+:\w+)` \|$", PAGE, re.MULTILINE))


@cache
def policies() -> dict[str, frozenset[str]]:
    """Return the actions of each policy of CBR, by its heading."""
    found = re.findall(r"^## (.+?)$.*?^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return {title: frozenset(json.loads(text)["Statement"][0]["Action"]) for title, text in found if '"cbr:' in text}


def calls_of_the_client() -> set[str]:
    """Return the calls of CBR that the client can make: the names that it hands to what sends them."""
    names = {name for name, _, _ in ROUTES if not name.startswith("Keystone")}
    return {node.value for module in CLIENT for node in ast.walk(module) if isinstance(node, ast.Constant) and node.value in names}


def test_every_call_of_the_client_has_its_action_and_no_other_is_there() -> None:
    assert set(ACTION_OF) == calls_of_the_client()
    assert len(ACTION_OF) == 13
    assert {call: action for call, action in ACTION_OF_CALL.items() if action.startswith("cbr:")} == ACTION_OF


def test_every_call_of_drills_has_its_action_and_no_other_is_there() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| `((?:ims|ecs):\w+:\w+)` \|$", PAGE, re.MULTILINE))
    names = {name for name, _, _ in (*IMAGE_ROUTES, *SERVER_ROUTES)}
    made = {node.value for module in CLIENT for node in ast.walk(module) if isinstance(node, ast.Constant) and node.value in names}
    assert set(told) == made
    assert {call: action for call, action in ACTION_OF_CALL.items() if not action.startswith("cbr:")} == told
    (policy,) = re.findall(r"^## Drilling$.*?^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    granted = set(json.loads(policy)["Statement"][0]["Action"])
    assert {action for action in granted if action.startswith(("ims:", "ecs:"))} == set(told.values())


def test_the_policies_together_are_the_actions_of_the_tasks() -> None:
    granted = set().union(*policies().values())
    assert granted <= set(ACTION_OF.values())
    assert set(ACTION_OF.values()) - granted == {ACTION_OF["ShowOpLog"]}, "which the hook alone calls"


#: The modules that bring the client's calls.
CLIENT = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted((REPOSITORY / "airflow_cbr" / "api" / "calls").glob("*.py"))]
#: The modules of each task, and its policies; those of its two sides together are what it calls.
TASK_MODULES = {
    "replicate": (("replication", "waiting", "sensors"), ["Replicating", "Replicating, at a destination without records"]),
    "preflight": (("preflight",), ["Looking before replicating", "Looking at the destination before replicating"]),
    "verify": (("verification",), ["Verifying at the source", "Verifying at the destination"]),
    "back up": (("checkpoints",), ["Backing up"]),
    "prune": (("pruning", "verification"), ["Pruning at the source", "Pruning at the destination"]),
}


@cache
def calls_of_methods() -> dict[str, set[str]]:
    """Return the calls that each method of the client makes."""
    kinds = (node for module in CLIENT for node in module.body if isinstance(node, ast.ClassDef))
    methods = (node for kind in kinds for node in kind.body if isinstance(node, ast.FunctionDef))
    named = {
        method.name: {str(node.value) for node in ast.walk(method) if isinstance(node, ast.Constant) and node.value in ACTION_OF}
        | {node.attr for node in ast.walk(method) if isinstance(node, ast.Attribute) and node.attr.startswith("_")}
        for method in methods
    }
    # What several methods do alike is in a method of its own.
    made = {name: {call for one in (name, *said) for call in named.get(one, ()) if call in ACTION_OF} for name, said in named.items()}
    # It lists the operation log in whichever way the service can.
    return {name: calls for name, calls in made.items() if calls} | {"list_replication_logs": {"ListOpLogs"}}


def names_in(tree: ast.AST) -> set[str]:
    """Return every name and attribute that stands in a piece of code."""
    return {
        node.attr if isinstance(node, ast.Attribute) else node.id for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)
    }


@cache
def calls_of_shared_functions() -> dict[str, set[str]]:
    """Return the calls that the functions of `inventory`, which the tasks share, make themselves or through each other."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (REPOSITORY / "airflow_cbr" / "inventory").rglob("*.py")]
    said = {node.name: names_in(node) for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}
    made = {name: {call for one in names for call in calls_of_methods().get(one, ())} for name, names in said.items()}
    for _ in said:
        made = {name: calls.union(*(made[one] for one in said[name] & set(said))) for name, calls in made.items()}
    return {name: calls for name, calls in made.items() if calls}


def calls_of_modules(*parts: str) -> set[str]:
    """Return the calls that modules make: by the names of the client's methods, and of shared functions, that stand in them."""
    calls = calls_of_methods() | calls_of_shared_functions()
    trees = (ast.parse(path.read_text(encoding="utf-8")) for part in parts for path in (REPOSITORY / "airflow_cbr" / part).rglob("*.py"))
    return {call for tree in trees for name in names_in(tree) for call in calls.get(name, ())}


@pytest.mark.parametrize("task", TASK_MODULES)
def test_the_policies_of_a_task_are_exactly_what_its_modules_call(task: str) -> None:
    parts, titles = TASK_MODULES[task]
    granted = set().union(*(policies()[title] for title in titles))
    assert granted == {ACTION_OF[call] for call in calls_of_modules(*parts)}


def allow(emulator: EmulatorServer, source: list[str], destination: list[str]) -> None:
    """Let two users do what policies say, one on each side."""
    for name, project, granted in (("source", SOURCE_PROJECT, source), ("destination", DESTINATION_PROJECT, destination)):
        actions = set().union(*(policies()[title] for title in granted)) if granted else set()
        denied = [call for call, action in ACTION_OF.items() if action not in actions]
        emulator.control.change_user(name, projects=[project, DESTINATION_PROJECT], denied_calls=denied)


@pytest.fixture(autouse=True)
def two_users(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    world = emulator.emulator.service.world.model_dump(mode="json")
    user = world["users"][0]
    world["users"] = [user | {"name": name, "access_key": f"AK{name.upper()}"} for name in ("source", "destination")]
    emulator.control.world(world)
    set_connection(monkeypatch, emulator.url, login="AKSOURCE", project_id=SOURCE_PROJECT)
    set_connection(
        monkeypatch, emulator.url, conn_id="there", login="AKDESTINATION", project_id=DESTINATION_PROJECT, region="cn-shenzhen-1"
    )


THERE: dict[str, Any] = {"destination_conn_id": "there"}


def replicate(**more: Any) -> list[str]:
    run = replicating(**more)
    run.attempt()
    return list(run.xcoms["return_value"])


def replicate_with_troubles(emulator: EmulatorServer) -> None:
    """Make the task use all it may use: one backup is left out, and one record cannot be seen."""
    emulator.control.fault("records_hidden", call="ListBackups", nth=2, count=3)
    emulator.control.fault("empty_backups", call="CopyCheckpoint", when="before")
    waiting(replicate()).attempt()


def replicate_after_a_look(emulator: EmulatorServer) -> None:
    replicate(preflight=True, **THERE)


def replicate_one(emulator: EmulatorServer) -> None:
    """Copy a backup again whose replica was deleted."""
    emulator.control.change_user("source", denied_calls=[])
    replicate()
    allow(emulator, ["Replicating one backup"], ["Replicating one backup, at the destination"])
    records = CbrHook().show_backup(BACKUPS[0]).replication_records or []
    emulator.control.remove_backup(str(records[0].destination_backup_id))
    there: dict[str, Any] = {name: value for name, value in IDS.items() if name != "vault_id"}
    quick: dict[str, Any] = {"poll_interval": 0.1, "max_poll_interval": 0.2, "settle_time": 0.2}
    TaskRun(CbrReplicateBackupOperator(task_id="again", backup_id=BACKUPS[0], **there, **quick, destination_conn_id="there")).attempt()


def verify(emulator: EmulatorServer) -> None:
    emulator.control.change_user("source", denied_calls=[])
    records = replicate()
    allow(emulator, ["Verifying at the source"], ["Verifying at the destination"])
    for given in (records, []):
        assert verifying(given, **THERE).attempt()["verdict"] == "verified"


def preflight(emulator: EmulatorServer) -> None:
    TaskRun(CbrPreflightOperator(task_id="look", **IDS, **THERE)).attempt()


def prune(emulator: EmulatorServer) -> None:
    """Plan and delete, at both sides."""
    emulator.control.change_user("source", denied_calls=[])
    there = emulator.control.add_vault(project_id=DESTINATION_PROJECT, protect_type="replication")["id"]
    generate = {"count": 3, "resources": 1, "newest_age_seconds": 90_000, "every_seconds": 86400, "replicated_to": [there]}
    here = emulator.control.add_vault(project_id=SOURCE_PROJECT, generate=generate)["id"]
    allow(emulator, ["Pruning at the source"], ["Pruning at the destination"])
    emulator.control.change_user("source", projects=[SOURCE_PROJECT])
    vaults: dict[str, Any] = IDS | THERE | {"vault_id": here, "destination_vault_id": there}
    task = CbrPruneOperator(task_id="prune", **vaults, keep_last=1, plan_only=False)
    assert len(TaskRun(task).attempt()) == 4


def back_up(emulator: EmulatorServer) -> None:
    emulator.control.switch(checkpoint_seconds=0.2)
    checkpointing().attempt()


def ask_for_a_connection_test(emulator: EmulatorServer) -> None:
    works, said = CbrHook().test_connection()
    if not works:
        raise AirflowFailException(said)


TASKS: list[tuple[Callable[[EmulatorServer], None], list[str], list[str]]] = [
    (replicate_with_troubles, ["Replicating"], []),
    (
        replicate_after_a_look,
        ["Replicating", "Looking before replicating"],
        ["Looking at the destination before replicating"],
    ),
    (preflight, ["Looking before replicating"], ["Looking at the destination before replicating"]),
    (replicate_one, ["Replicating one backup"], ["Replicating one backup, at the destination"]),
    (verify, ["Verifying at the source"], ["Verifying at the destination"]),
    (back_up, ["Backing up"], []),
    (prune, ["Pruning at the source"], ["Pruning at the destination"]),
    (ask_for_a_connection_test, ["Testing a connection"], []),
]
NAMES = ["replicate", "replicate with a preflight", "preflight", "replicate one backup", "verify", "back up", "prune", "test a connection"]


@pytest.mark.parametrize(("task", "source", "destination"), TASKS, ids=NAMES)
def test_a_task_runs_with_its_policies_and_nothing_else(
    emulator: EmulatorServer, task: Callable[[EmulatorServer], None], source: list[str], destination: list[str]
) -> None:
    allow(emulator, source, destination)
    task(emulator)


@pytest.mark.parametrize(("task", "source", "destination"), [TASKS[0], TASKS[5], TASKS[7]], ids=[NAMES[0], NAMES[5], NAMES[7]])
def test_without_them_it_does_not(
    emulator: EmulatorServer, task: Callable[[EmulatorServer], None], source: list[str], destination: list[str]
) -> None:
    allow(emulator, [], destination)
    with pytest.raises(AirflowFailException):
        task(emulator)

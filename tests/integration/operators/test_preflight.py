"""The preflight and the plan as tasks, against a served emulator: what they say, what they push, and that nothing is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.emulator.key_parts import UserPart
from airflow_cbr.emulator.switches import Switches
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT, World, default_world
from airflow_cbr.exceptions import CbrNotFoundError, CbrParameterError, CbrPreflightError
from airflow_cbr.operators.cbr import CbrPreflightOperator, CbrReplicateCheckpointOperator
from airflow_cbr.replication.steps import Step
from tests.support.airflow_errors import TaskDeferred
from tests.support.task_run import (
    CONN_ID,
    IDS,
    PASSWORD,
    SECRET_KEY,
    TaskRun,
    checkpointing,
    replicating,
    set_connection,
    set_password_connection,
)

if TYPE_CHECKING:
    from tests.support.emulator import EmulatorServer

READY = {"verdict": "ready", "errors": 0, "warnings": 0, "unchecked": 0, "notes": 0, "backups": 3, "gb": 200, "gb_estimated": 200}
NAMES = {"vault_name": "vault-nightly", "destination_vault_name": "vault-replicas"}
AUDITOR_SECRET = "auditor-secret-key"


def looking(**changes: Any) -> TaskRun:
    """Return a run of the preflight operator in the default world."""
    return TaskRun(CbrPreflightOperator(**{"task_id": "preflight", **IDS, **changes}))


def fails(run: TaskRun, *needles: str, permanent: bool = True) -> CbrPreflightError:
    """Check that the next attempt fails on its preflight, and what it says."""
    with pytest.raises((AirflowFailException, CbrPreflightError)) as caught:
        run.attempt()
    assert isinstance(caught.value, AirflowFailException) is permanent
    error = caught.value.__cause__ if permanent else caught.value
    assert isinstance(error, CbrPreflightError)
    for needle in needles:
        assert needle in str(caught.value)
    return error


def nothing_sent(emulator: EmulatorServer) -> bool:
    """Return whether the service received no call that writes."""
    ledger = emulator.control.ledger()
    return not ledger["calls"] and not ledger["replications"]


# --- the operator -----------------------------------------------------------------------------------------------------


def test_a_clean_world_is_ready(emulator: EmulatorServer) -> None:
    run = looking()
    assert run.attempt() == READY
    assert run.xcoms["return_value"] == READY
    assert run.xcoms["preflight"] == {**READY, **NAMES, "findings": []}
    assert {one["id"] for one in run.xcoms["plan"]["to_copy"]} == set(BACKUPS)
    assert "3 backups would be copied" in run.log
    assert f"Would copy ecs-db-01, 100 GB: it has no copy there yet; backup nightly-ecs-db-01 ({BACKUPS[2]})" in run.log
    way = "vault-nightly: cn-north-4 -> cn-shenzhen-1"
    assert run.lines[-1] == f"INFO READY {way}: 3 backups would be copied, at most 200 GB; nothing found"
    assert run.task.pair == way
    assert not [line for line in run.lines if not line.startswith("INFO")]
    assert nothing_sent(emulator)


def test_all_that_is_wrong_is_logged_and_pushed_before_it_fails(emulator: EmulatorServer) -> None:
    emulator.control.change_vault(SOURCE_VAULT, status="frozen")
    emulator.control.change_vault(DESTINATION_VAULT, protect_type="backup", used=1000 * 1024)
    run = looking()
    error = fails(run, "failed with 3 findings. Nothing was sent.", "BackupService.6112", "BackupService.6119", "BackupService.6129")
    assert all(f"ERROR {problem}" in run.log for problem in error.problems)
    assert run.xcoms["return_value"] == {**READY, "verdict": "not ready", "errors": 3}
    assert [one["code"] for one in run.xcoms["preflight"]["findings"]] == [
        "BackupService.6112",
        "BackupService.6119",
        "BackupService.6129",
    ]
    assert nothing_sent(emulator)


def test_what_is_said_before_a_chain_is_what_is_copied_and_paid(emulator: EmulatorServer) -> None:
    run = looking(with_checkpoint=True)
    said = run.attempt()
    assert said == {**READY, "backups": 6, "gb": 400, "gb_estimated": 400}
    assert (run.xcoms["plan"]["backups"], run.xcoms["plan"]["coming"], run.xcoms["plan"]["calls"]) == (3, 3, 1)
    assert "6 backups would be copied" in run.log
    assert "3 of them are yet to be made by the checkpoint" in run.log
    assert "Would copy ecs-db-01, 100 GB: the checkpoint will add a backup of it" in run.log
    assert nothing_sent(emulator)
    emulator.control.switch(checkpoint_seconds=0.2)
    checkpointing().attempt()
    copy = replicating()
    copy.attempt()
    assert "About to replicate 6 of 6 eligible backups, at most 400 GB" in copy.log
    assert len(emulator.control.ledger()["replications"]) == said["backups"]
    assert copy.xcoms["replication"]["gb"] == said["gb"]


def test_room_is_judged_with_what_the_checkpoint_adds(emulator: EmulatorServer) -> None:
    emulator.control.change_vault(DESTINATION_VAULT, size=300)
    assert looking().attempt() == READY
    fails(looking(with_checkpoint=True), "vault-replicas (", "no room for at most 400 GB", "BackupService.6129")


def test_resources_that_are_not_known_make_the_number_unchecked(emulator: EmulatorServer) -> None:
    emulator.control.change_user("backup-bot", denied_calls=["ShowVault"])
    run = looking(with_checkpoint=True)
    fails(run, "ShowVault")
    assert "UNCHECKED backups: What the checkpoint will add is not known" in run.log


def test_warnings_are_logged_or_fail_as_asked(emulator: EmulatorServer) -> None:
    emulator.control.change_vault(SOURCE_VAULT, used=10 * 1024)
    emulator.control.change_vault(DESTINATION_VAULT, size=100)
    run = looking()
    assert run.attempt() == {**READY, "warnings": 1, "gb_estimated": 10}
    assert "WARNING WARNING room" in run.log
    fails(looking(warnings="fail"), "may have no room")


def test_what_passes_is_retried(emulator: EmulatorServer) -> None:
    emulator.control.switch(copy_seconds=3600)
    replicating(wait_for_completion=False).attempt()
    fails(looking(warnings="fail"), "BackupService.6130", permanent=False)
    assert looking().attempt()["warnings"] == 1


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"warnings": "yes"}, "warnings"),
        ({"vault_id": "evil/"}, "vault_id"),
        ({"destination_region": "a/b"}, "destination_region"),
        ({"destination_vault_id": SOURCE_VAULT}, "destination_vault_id"),
    ],
)
def test_a_wrong_parameter_is_named_and_nothing_is_asked(emulator: EmulatorServer, changes: dict[str, Any], parameter: str) -> None:
    with pytest.raises(AirflowFailException, match=parameter) as caught:
        looking(**changes).attempt()
    assert isinstance(caught.value.__cause__, CbrParameterError)
    assert emulator.control.requests() == {}


def test_ids_are_templates_and_may_be_in_capitals(emulator: EmulatorServer) -> None:
    run = looking(vault_id="{{ params.vault }}")
    run.params = {"vault": SOURCE_VAULT.upper()}
    assert run.attempt() == READY


# --- credentials ------------------------------------------------------------------------------------------------------


def two_users() -> World:
    """Return a world where each project is another user's."""
    world = default_world().model_copy(update={"switches": Switches(queue_seconds=0, copy_seconds=0.2)})
    world.users[0].projects = [SOURCE_PROJECT]
    there = UserPart(name="auditor", password="x", access_key="AUDITOR", secret_key=AUDITOR_SECRET, projects=[DESTINATION_PROJECT])
    world.users.append(there)
    return world


def test_a_destination_project_that_needs_other_credentials(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.control.world(two_users())
    set_connection(monkeypatch, emulator.url, conn_id="there", login="AUDITOR", password=AUDITOR_SECRET, region="cn-shenzhen-1")
    assert looking(destination_conn_id="there").attempt() == READY
    fails(looking(), f"Connection {CONN_ID} in region cn-shenzhen-1 (HTTP 403)", "APIG.0302")
    assert nothing_sent(emulator)

    fails(replicating(preflight=True), f"Connection {CONN_ID} in region cn-shenzhen-1 (HTTP 403)")
    assert nothing_sent(emulator)
    assert len(replicating(preflight=True, destination_conn_id="there").attempt()) == 3


def test_credentials_that_are_not_accepted_are_named_with_their_region(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, emulator.url, conn_id="there", login="NOBODY", password="not-a-secret-of-anybody", region="cn-shenzhen-1")
    run = looking(destination_conn_id="there")
    fails(run, "Connection there in region cn-shenzhen-1 (HTTP 401)", "APIG.0301")
    assert run.xcoms["return_value"]["backups"] == 3, "the source was looked at all the same"


def test_a_connection_that_is_not_defined_is_a_finding(emulator: EmulatorServer) -> None:
    run = looking(destination_conn_id="nobody_made_it")
    fails(run, "Connection nobody_made_it is not defined.")
    assert run.xcoms["return_value"]["backups"] == 3


@pytest.mark.parametrize("way", ["keys", "password"])
@pytest.mark.parametrize("trouble", ["none", "wrong login", "echo"])
def test_no_secret_is_in_any_finding(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, way: str, trouble: str) -> None:
    secret = SECRET_KEY if way == "keys" else PASSWORD
    if trouble == "wrong login":
        secret = f"{secret}-wrong"
    if way == "keys":
        set_connection(monkeypatch, emulator.url, password=secret)
    else:
        set_password_connection(monkeypatch, emulator.url, password=secret)
    if trouble == "echo":
        emulator.control.fault("code", call="ShowVault", code="6112", message=f"You sent {secret}.", count=None)
    run = looking()
    try:
        run.attempt()
    except AirflowFailException as error:
        run.lines.append(str(error))
        assert trouble != "none"
    assert secret not in run.log
    assert secret not in json.dumps(run.pushes)


# --- preflight=True ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_replicate_task_with_something_in_the_way_sends_nothing(emulator: EmulatorServer, deferrable: bool) -> None:
    emulator.control.change_vault(DESTINATION_VAULT, size=10)
    run = replicating(preflight=True, deferrable=deferrable)
    fails(run, "no room for at most 200 GB", "BackupService.6129")
    assert run.xcoms["preflight"]["errors"] == 1
    assert run.xcoms["plan"]["gb"] == 200
    assert nothing_sent(emulator)


def test_a_replicate_task_with_nothing_in_the_way_replicates(emulator: EmulatorServer) -> None:
    run = replicating(preflight=True)
    assert len(run.attempt()) == 3
    assert run.xcoms["preflight"]["verdict"] == "ready"


def test_without_it_the_destination_is_not_looked_at(emulator: EmulatorServer) -> None:
    replicating().attempt()
    assert emulator.control.requests()["ShowVault"] == 1, "at the source, for the vault's name"


def test_a_preflight_that_fails_is_made_again_by_the_next_attempt(emulator: EmulatorServer) -> None:
    emulator.control.change_user("backup-bot", denied_calls=["ShowVault"])
    run = replicating(preflight=True)
    fails(run, "ShowVault")
    run.store, kept = None, run.store
    fails(run, "ShowVault")
    run.store = kept
    emulator.control.change_user("backup-bot", denied_calls=[])
    assert len(run.attempt()) == 3


class Killed(BaseException):
    """The worker is gone."""


class Dying(CbrReplicateCheckpointOperator):
    """Dies right after its first replicate call was accepted."""

    def at_step(self, step: Step, moment: str) -> None:
        """Die."""
        if (step, moment) == (Step.REPLICATE_VAULT, "after"):
            raise Killed


@pytest.mark.parametrize("with_store", [True, False], ids=["Airflow 3.3", "before"])
def test_an_attempt_that_finds_its_copies_running_follows_them_whatever_stands_in_the_way(
    emulator: EmulatorServer, with_store: bool
) -> None:
    first = replicating(Dying, preflight=True, **({} if with_store else {"store": None}))
    with pytest.raises(Killed):
        first.attempt()
    emulator.control.change_vault(DESTINATION_VAULT, status="error")
    later = first.followed_by(replicating(preflight=True))
    assert len(later.attempt()) == 3
    assert [call["call"] for call in emulator.control.ledger()["calls"]] == ["CopyCheckpoint"]
    assert ("the preflight is left out" if with_store else "Copies of this Dag run have begun") in later.log


def test_a_leg_after_a_deferral_does_not_look_again(emulator: EmulatorServer) -> None:
    tonight = emulator.control.add_backup(SOURCE_VAULT, status="protecting")
    run = replicating(preflight=True, deferrable=True, wait_for_completion=False)
    with pytest.raises(TaskDeferred) as deferred:
        run.attempt()
    assert nothing_sent(emulator)
    looked = emulator.control.requests()["ShowVault"]
    emulator.control.change_backup(tonight["id"], status="available")
    state = deferred.value.trigger.serialize()[1]["memory"]
    assert len(run.task.execute_complete(run.context(), {"wake": "resume", "memory": state})) == 4
    assert emulator.control.requests()["ShowVault"] == looked


# --- plan_only=True ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"deferrable": True}, {"preflight": True}, {"durable": False}, {"wait_for_completion": False}])
def test_a_plan_sends_nothing(emulator: EmulatorServer, changes: dict[str, Any]) -> None:
    run = replicating(plan_only=True, **changes)
    assert run.attempt() == []
    assert run.xcoms["return_value"] == []
    plan = run.xcoms["plan"]
    assert (plan["backups"], plan["gb"], plan["calls"]) == (3, 200, 1)
    assert "plan_only=True: nothing was sent" in run.log
    assert nothing_sent(emulator)


def test_a_plan_names_what_is_covered_and_what_is_not_copied(emulator: EmulatorServer) -> None:
    replicating().attempt()
    emulator.control.add_backup(SOURCE_VAULT, name="fresh", resource_size=7)
    emulator.control.add_backup(SOURCE_VAULT, name="broken", status="error")
    before = emulator.control.ledger()["calls"]
    run = replicating(plan_only=True)
    assert run.attempt() == []
    plan = run.xcoms["plan"]
    assert (plan["backups"], plan["covered"], plan["skipped"], plan["gb"]) == (1, 3, 1, 7)
    assert [one["name"] for one in plan["to_copy"]] == ["fresh"]
    assert [(one["name"], one["reason"]) for one in plan["not_copied"]] == [("broken", "its status is error, not available")]
    assert emulator.control.ledger()["calls"] == before


def test_a_task_that_was_deferred_before_plan_only_was_set_sends_nothing_more(emulator: EmulatorServer) -> None:
    run = replicating(deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        run.attempt()
    emulator.control.advance(60)
    emulator.control.add_backup(SOURCE_VAULT, age_seconds=3600)
    run.task.plan_only = True
    state = deferred.value.trigger.serialize()[1]["memory"]
    assert run.task.execute_complete(run.context(), {"wake": "final", "memory": state}) == []
    assert [call["call"] for call in emulator.control.ledger()["calls"]] == ["CopyCheckpoint"]


@pytest.mark.parametrize("parameter", ["plan_only", "preflight"])
def test_text_is_no_truth(emulator: EmulatorServer, parameter: str) -> None:
    changes: dict[str, Any] = {parameter: "False"}
    with pytest.raises(AirflowFailException, match=parameter):
        replicating(**changes).attempt()
    assert nothing_sent(emulator)


def test_a_plan_of_a_vault_that_does_not_exist_fails(emulator: EmulatorServer) -> None:
    emulator.control.remove_vault(SOURCE_VAULT)
    with pytest.raises(AirflowFailException, match="6105") as caught:
        replicating(plan_only=True).attempt()
    assert isinstance(caught.value.__cause__, CbrNotFoundError)


def test_a_plan_with_a_preflight_fails_on_what_stands_in_the_way(emulator: EmulatorServer) -> None:
    emulator.control.change_vault(DESTINATION_VAULT, status="error")
    run = replicating(plan_only=True, preflight=True)
    fails(run, "BackupService.6112")
    assert run.xcoms["plan"]["backups"] == 3
    assert nothing_sent(emulator)

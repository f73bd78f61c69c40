"""The checkpoint operator as a worker and a triggerer run it: XComs, parameters, deferrals, what is told when it is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.checkpoints.steps import CheckpointStep
from airflow_cbr.emulator.world import SOURCE_PROJECT, SOURCE_VAULT, default_world
from airflow_cbr.exceptions import CbrCheckpointFailedError, CbrCheckpointIncompleteError, CbrCheckpointTimeoutError, CbrParameterError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.cbr import CbrCreateCheckpointOperator
from tests.support.task_run import PASSWORD, TaskRun, TaskState, checkpointing
from tests.support.triggerer import Stage

if TYPE_CHECKING:
    from tests.support.emulator import EmulatorServer

SERVERS = [resource.id for resource in default_world().vaults[0].resources]


@pytest.fixture
def service(emulator: EmulatorServer) -> EmulatorServer:
    """Return an emulator whose backups take no time to speak of, in a vault with room."""
    emulator.control.switch(checkpoint_seconds=0.2)
    emulator.control.change_vault(SOURCE_VAULT, size=100_000)
    return emulator


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Return a stage in virtual time, on which a checkpoint takes an hour."""
    made = Stage(monkeypatch, switches={"checkpoint_seconds": 3600})
    made.control.change_vault(SOURCE_VAULT, size=100_000)
    return made


def made(control: Any) -> list[str]:
    return [entry["checkpoint_id"] for entry in control.ledger()["checkpoints"]]


def broken_vault(emulator: EmulatorServer) -> str:
    """Add a vault one of whose servers cannot be backed up."""
    resources = [{"name": "good", "size": 1}, {"name": "broken", "size": 1, "protect_status": "error"}]
    return str(emulator.control.add_vault(project_id=SOURCE_PROJECT, resources=resources)["id"])


# --- on a worker ----------------------------------------------------------------------------------------------------------


def test_a_vault_is_backed_up_and_the_xcoms_say_so(service: EmulatorServer) -> None:
    run = checkpointing(checkpoint_name="before-{{ params.what }}", description="by {{ run_id }}", params={"what": "upgrade"})
    checkpoint_id = run.attempt()
    assert made(service.control) == [checkpoint_id]
    assert run.pushes[1] == ("return_value", checkpoint_id), "pushed as soon as it is known, right after the console's address"
    assert run.xcoms["return_value"] == checkpoint_id
    said = run.xcoms["checkpoint"]
    assert said.pop("name").startswith("before-upgrade_")
    assert said == {
        "vault": {"region": "cn-north-4", "project_id": SOURCE_PROJECT, "vault_id": SOURCE_VAULT, "vault_name": "vault-nightly"},
        "status": "available",
        "backups": 3,
        "available": 3,
        "skipped": 0,
        "skipped_resources": [],
        "adopted": False,
    }
    assert run.xcoms["cbr_console"] == "https://console.huaweicloud.com/cbr/?region=cn-north-4"
    assert service.control.ledger()["calls"][0]["request"]["checkpoint"]["parameters"]["description"] == "by manual__1"
    assert {backup.status for backup in CbrHook().list_backups(checkpoint_id=checkpoint_id)} == {"available"}


def test_a_clear_sends_nothing_and_another_run_makes_another(service: EmulatorServer) -> None:
    run = checkpointing()
    first = run.attempt()
    run.cleared_after = 1
    assert run.attempt() == first
    assert run.xcoms["checkpoint"]["adopted"] is True
    assert "Adopted a checkpoint, recognised by this task's note, created at " in run.log
    assert f"(checkpoint {first})" in run.log
    second = checkpointing(run_id="manual__2").attempt()
    third = checkpointing(run_id="manual__2", map_index=4).attempt()
    assert made(service.control) == [first, second, third]


def test_an_attempt_whose_answer_was_lost_is_followed_by_one_that_adopts(service: EmulatorServer) -> None:
    class Killed(BaseException):
        pass

    class Mortal(CbrCreateCheckpointOperator):
        def at_step(self, step: CheckpointStep, moment: str) -> None:
            if (step, moment) == (CheckpointStep.CREATE, "after"):
                raise Killed

    dying = checkpointing(Mortal, retries=1)
    with pytest.raises(Killed):
        dying.attempt()
    run = dying.followed_by(checkpointing(retries=1))
    assert [run.attempt()] == made(service.control)
    assert "by its name, created at" in run.log


def test_before_airflow_3_3_there_is_no_store_and_no_second_checkpoint_either(service: EmulatorServer) -> None:
    run = checkpointing(store=None)
    first = run.attempt()
    run.cleared_after = 1
    assert run.attempt() == first
    assert made(service.control) == [first]


def test_its_note_is_not_the_one_of_a_replication(service: EmulatorServer) -> None:
    store = TaskState()
    store.set("cbr_replication_intent", {"destination": ["a", "b", "c"]})
    checkpointing(store=store).attempt()
    assert sorted(store.kept) == ["cbr_checkpoint_intent", "cbr_replication_intent"]
    assert len(store.kept["cbr_checkpoint_intent"]) < 4096


def test_skipped_resources_are_red_by_default_and_named(service: EmulatorServer) -> None:
    run = checkpointing(vault_id=broken_vault(service))
    with pytest.raises(AirflowFailException) as caught:
        run.attempt()
    assert isinstance(caught.value.__cause__, CbrCheckpointIncompleteError)
    assert "broken (" in str(caught.value)
    assert "The resource is in status error." in str(caught.value)
    assert "WARNING Not backed up: broken (" in run.log
    assert run.xcoms["checkpoint"]["skipped_resources"][0]["name"] == "broken"
    assert [run.xcoms["return_value"]] == made(service.control)


def test_skipped_resources_are_a_warning_when_the_dag_author_says_so(service: EmulatorServer) -> None:
    run = checkpointing(vault_id=broken_vault(service), on_skipped="warn")
    assert [run.attempt()] == made(service.control)
    assert "WARNING Not backed up: broken (" in run.log
    assert run.xcoms["checkpoint"]["skipped"] == 1


def test_a_failed_backup_is_red_and_can_be_retried(service: EmulatorServer) -> None:
    service.control.fault("backup_fails", resource_id=SERVERS[0], checkpoint_status="available")
    run = checkpointing(retries=1)
    with pytest.raises(CbrCheckpointFailedError, match="ecs-web-01"):
        run.attempt()
    assert run.attempt() == made(service.control)[1]


def test_one_resource_given_as_text(service: EmulatorServer) -> None:
    run = checkpointing(resource_ids="{{ params.server }}", params={"server": SERVERS[1]})
    run.attempt()
    assert run.xcoms["checkpoint"]["backups"] == 1


def test_when_it_is_stopped_the_log_names_the_checkpoint(service: EmulatorServer) -> None:
    class Stopped(BaseException):
        pass

    class Stopping(CbrCreateCheckpointOperator):
        looks = 0

        def at_step(self, step: CheckpointStep, moment: str) -> None:
            self.looks += (step, moment) == (CheckpointStep.LOOK, "before")
            if self.looks == 3:
                raise Stopped

    service.control.switch(checkpoint_seconds=1000)
    run = checkpointing(Stopping)
    with pytest.raises(Stopped):
        run.attempt()
    run.task.on_kill()
    assert f"CBR cannot cancel a checkpoint; checkpoint {made(service.control)[0]} continues" in run.log


# --- deferred -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferrable", "sync"])
def test_both_ways_of_waiting_end_alike(stage: Stage, deferrable: bool) -> None:
    run = checkpointing(deferrable=deferrable, poll_interval=30, max_poll_interval=600, settle_time=120, timeout=86400)
    began = stage.time()
    assert [stage.play(run)] == made(stage.control)
    assert run.xcoms["checkpoint"]["available"] == 3
    assert 3600 <= stage.time() - began <= 3600 * 1.3
    assert (stage.deferrals > 0) is deferrable


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferrable", "sync"])
def test_a_lost_answer_is_survived_in_both(stage: Stage, deferrable: bool) -> None:
    stage.control.switch(careless=True, checkpoint_delay=100)
    stage.control.fault("reset", call="CreateCheckpoint", when="after")
    run = checkpointing(deferrable=deferrable, poll_interval=30, max_poll_interval=600, settle_time=120, timeout=86400)
    assert [stage.play(run)] == made(stage.control)
    assert run.xcoms["checkpoint"]["adopted"] is True


def test_a_deferred_task_is_not_longer_than_its_timeout(stage: Stage) -> None:
    stage.control.switch(checkpoint_seconds=100_000)
    run = checkpointing(deferrable=True, poll_interval=30, max_poll_interval=600, settle_time=120, timeout=7200)
    began = stage.time()
    with pytest.raises(AirflowFailException) as caught:
        stage.play(run)
    assert isinstance(caught.value.__cause__, CbrCheckpointTimeoutError)
    assert stage.time() - began <= 7200 + 30
    assert f"Its checkpoint continues in CBR even if the task is stopped (checkpoint {made(stage.control)[0]})" in run.log


@pytest.mark.parametrize("event", [None, {}, {"wake": "resume"}, {"wake": "resume", "memory": {"sent": 1}}, {"wake": "success"}], ids=str)
def test_an_event_that_cannot_be_read_is_an_error_and_no_success(service: EmulatorServer, event: Any) -> None:
    run = checkpointing()
    with pytest.raises(Exception, match="The trigger's event"):
        run.task.execute_complete(run.context(), event)
    assert made(service.control) == []


# --- parameters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        *(("vault_id", value) for value in ("evil/", "", None, 7, [SOURCE_VAULT])),
        *(("resource_ids", value) for value in ([], "", "['a']", ["evil/"], 7, {"a": 1}, [None])),
        *(("checkpoint_name", value) for value in ("", "a b", "a/b", "x" * 48, None, 7)),
        *(("description", value) for value in ("<b>", "x" * 256, 7)),
        *(("incremental", value) for value in ("false", 0)),
        *(("auto_trigger", value) for value in ("false", None)),
        *(("wait_for_completion", value) for value in ("false", None)),
        *(("on_skipped", value) for value in ("ignore", None, True)),
        *(("region", value) for value in ("evil/", "x@evil/")),
        *(("project_id", value) for value in ("evil/", "..")),
        *((name, value) for name in ("poll_interval", "max_poll_interval", "timeout", "settle_time") for value in (0, "30", None)),
    ],
    ids=repr,
)
def test_what_cannot_be_right_is_refused_by_name_and_nothing_is_sent(emulator: EmulatorServer, parameter: str, value: Any) -> None:
    run = checkpointing(**{parameter: value})
    with pytest.raises(AirflowFailException) as caught:
        run.attempt()
    assert isinstance(caught.value.__cause__, CbrParameterError)
    assert str(caught.value).startswith(f"{parameter}: ")
    assert emulator.control.requests() == {}


def test_no_secret_is_told(stage: Stage) -> None:
    run = checkpointing(deferrable=True, poll_interval=30, max_poll_interval=600, settle_time=120, timeout=86400)
    told: list[str] = []
    fire = stage.fire

    def noting(trigger: Any) -> dict[str, Any]:
        told.append(str(trigger.serialize()))
        return fire(trigger)

    stage.fire = noting  # type: ignore[method-assign]
    stage.play(run)
    assert run.store is not None
    written = [run.log, str(run.pushes), str(run.store.kept), *told]
    assert len(told) > 3
    assert not [text for text in written if PASSWORD in text]


def test_it_can_be_mapped(service: EmulatorServer) -> None:
    runs: list[TaskRun] = [checkpointing(resource_ids=[server], map_index=index) for index, server in enumerate(SERVERS)]
    assert [run.attempt() for run in runs] == made(service.control)

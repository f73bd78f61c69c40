"""The sensor in its three modes: the same end, the same words, whichever way it waits."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from airflow_cbr.airflow_names import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
from airflow_cbr.api.client import CbrClient
from airflow_cbr.emulator.world import BACKUPS, SOURCE_PROJECT, SOURCE_VAULT
from airflow_cbr.exceptions import (
    CbrAuthenticationError,
    CbrConfigurationError,
    CbrParameterError,
    CbrPermissionError,
    CbrProtocolError,
    CbrUnlistedRecordError,
)
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.sensors.cbr import CbrReplicationSensor
from tests.support.airflow_errors import TaskDeferred
from tests.support.python_process import run_python
from tests.support.task_run import IDS, TaskRun, TaskState, set_connection, waiting
from tests.support.thinned import thinned
from tests.support.triggerer import AirflowRescheduleException, Stage, requests_end_in

if TYPE_CHECKING:
    from collections.abc import Callable

MODES: dict[str, dict[str, Any]] = {
    "poke": {"deferrable": False},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
    "deferrable": {"deferrable": True},
}


def started(stage: Stage) -> list[str]:
    """Replicate the default vault, as something else would; return the record ids."""
    with requests_end_in(stage.adapter):
        return [pair.replication_record_id for pair in CbrHook().replicate_checkpoint(**IDS).references]


def sensing(records: Any, mode: str, **more: Any) -> TaskRun:
    return waiting(records, **{"poke_interval": 120.0, "timeout": 7200.0, **MODES[mode], **more})


def outcome_of(stage: Stage, run: TaskRun, **more: Any) -> tuple[str, str]:
    """Return how a run ended, in the words that Airflow shows."""
    begins = stage.time()
    run.first_reschedule = None
    try:
        stage.play(run, **more)
    except (AirflowFailException, AirflowSensorTimeout, AirflowSkipException) as error:
        return type(error).__name__, str(error)
    finally:
        assert stage.time() >= begins
    return "success", ""


def anonymous(text: str, records: list[str]) -> str:
    for number, record in enumerate(records):
        text = text.replace(record, f"record-{number}")
    return re.sub(r"operation log \S+", "operation log", text)


def copies_end_well(stage: Stage) -> None:
    stage.control.switch(copy_seconds=1800.0)


def a_copy_fails(stage: Stage) -> None:
    stage.control.switch(copy_seconds=1800.0)
    stage.control.fault("copy_fails", vault_id=SOURCE_VAULT, backup_id=BACKUPS[1], fail_code="1006", fail_reason="no room")


def a_copy_is_skipped(stage: Stage) -> None:
    stage.control.switch(copy_seconds=1800.0)
    stage.control.fault("copy_skipped", vault_id=SOURCE_VAULT, backup_id=BACKUPS[1])


def copies_take_too_long(stage: Stage) -> None:
    stage.control.switch(copy_seconds=36_000.0)


def a_record_vanishes(stage: Stage) -> None:
    stage.control.switch(copy_seconds=1800.0)
    stage.control.fault("record_vanishes", vault_id=SOURCE_VAULT, backup_id=BACKUPS[1])


def a_source_backup_is_deleted(stage: Stage) -> None:
    stage.control.switch(copy_seconds=1800.0)
    stage.control.fault("source_deleted", vault_id=SOURCE_VAULT, backup_id=BACKUPS[1])


def a_bad_hour(stage: Stage) -> None:
    stage.control.switch(copy_seconds=5000.0)
    stage.control.fault("status", call="ListBackups", status=503, nth=2, count=6)


SCENES = [
    copies_end_well,
    a_copy_fails,
    a_copy_is_skipped,
    copies_take_too_long,
    a_record_vanishes,
    a_source_backup_is_deleted,
    a_bad_hour,
]
EXPECTED = {
    "copies_end_well": "success",
    "a_copy_fails": "AirflowFailException",
    "a_copy_is_skipped": "AirflowFailException",
    "copies_take_too_long": "AirflowSensorTimeout",
    "a_record_vanishes": "success",
    "a_source_backup_is_deleted": "AirflowFailException",
    "a_bad_hour": "success",
}


@pytest.mark.parametrize("soft_fail", thinned([False, True], every=2))
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.campaign
def test_it_ends_alike_in_all_modes(scene: Callable[[Stage], None], soft_fail: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = {}
    for mode in MODES:
        with monkeypatch.context() as patch:
            stage = Stage(patch)
            scene(stage)
            records = started(stage)
            run = sensing(records, mode, soft_fail=soft_fail)
            kind, text = outcome_of(stage, run)
            ends[mode] = kind, anonymous(text, records)
            assert run.xcoms.keys() <= {"cbr_console"}, "a sensor has nothing to say but that it is over, and where to look"
            assert (stage.deferrals > 0) is (mode == "deferrable")
            if scene is copies_take_too_long:
                assert 7199.9 <= stage.passed < 7200 + 130
    expected = EXPECTED[scene.__name__]
    assert set(ends.values()) == {ends["poke"]}
    assert ends["poke"][0] == ("AirflowSkipException" if soft_fail and expected != "success" else expected)
    if expected == "AirflowSensorTimeout" and not soft_fail:
        running = ", ".join(rf"ecs-\w+-01 \(record-{number}\)" for number in range(3))
        assert re.search(f"3 copies are still running: {running}", ends["poke"][1])
        assert "Clear this task" in ends["poke"][1]


@pytest.mark.parametrize("mode", MODES)
def test_never_fail_turns_every_failure_into_a_skip(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for scene in (a_copy_fails, copies_take_too_long):
        with monkeypatch.context() as patch:
            stage = Stage(patch)
            scene(stage)
            end = outcome_of(stage, sensing(started(stage), mode, never_fail=True))
            assert end == ("AirflowSkipException", "Skipping due to never_fail is set to True.")


@pytest.mark.parametrize("mode", MODES)
def test_a_failure_that_is_there_at_the_first_look_is_skipped_softly_too(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    a_copy_fails(stage)
    records = started(stage)
    stage.sleep(3600)
    assert outcome_of(stage, sensing(records, mode, soft_fail=True)) == (
        "AirflowSkipException",
        "Skipping due to soft_fail is set to True.",
    )
    assert stage.deferrals == 0


def change_the_password(stage: Stage) -> None:
    stage.control.change_user("backup-bot", password="changed")
    stage.control.end_tokens()


def wrong_key(stage: Stage) -> dict[str, Any]:
    change_the_password(stage)
    return {}


def missing_permission(stage: Stage) -> dict[str, Any]:
    stage.control.change_user("backup-bot", denied_calls=["ListBackups"])
    return {}


def malformed_vault(_: Stage) -> dict[str, Any]:
    return {"vault_id": "no-vault"}


def rendered_to_none(_: Stage) -> dict[str, Any]:
    return {"region": "None"}


def no_records_given(_: Stage) -> dict[str, Any]:
    return {"replication_record_ids": None}


def foreign_connection(stage: Stage) -> dict[str, Any]:
    stage.patch.setenv("AIRFLOW_CONN_FOREIGN", '{"conn_type": "aws", "login": "a", "password": "b", "extra": {"region": "cn-north-4"}}')
    return {"cbr_conn_id": "foreign"}


def unreadable_connection(stage: Stage) -> dict[str, Any]:
    set_connection(stage.patch, "", conn_id="unreadable", verify="off")
    return {"cbr_conn_id": "unreadable"}


def unknown_project(_: Stage) -> dict[str, Any]:
    return {"project_id": "f" * 32}


NEVER_SOFT = {
    wrong_key: CbrAuthenticationError,
    missing_permission: CbrPermissionError,
    malformed_vault: CbrParameterError,
    rendered_to_none: CbrParameterError,
    no_records_given: CbrParameterError,
    foreign_connection: CbrConfigurationError,
    unreadable_connection: CbrConfigurationError,
    unknown_project: Exception,
}


@pytest.mark.parametrize("soft_fail", [True, False])
@pytest.mark.parametrize("trouble", NEVER_SOFT)
@pytest.mark.parametrize("mode", MODES)
def test_what_nobody_would_look_for_in_a_skipped_task_fails_it(
    mode: str, trouble: Callable[[Stage], dict[str, Any]], soft_fail: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch)
    copies_end_well(stage)
    records = started(stage)
    changes = trouble(stage)
    run = sensing(changes.pop("replication_record_ids", records), mode, soft_fail=soft_fail, **changes)
    with pytest.raises(AirflowFailException) as caught:
        stage.play(run)
    assert isinstance(caught.value.__cause__, NEVER_SOFT[trouble])
    assert stage.deferrals == 0


def test_a_key_that_is_refused_in_the_middle_of_a_deferred_wait_is_no_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    copies_end_well(stage)
    run = sensing(started(stage), "deferrable", soft_fail=True)
    with pytest.raises(AirflowFailException) as caught:
        stage.play(run, between=lambda: change_the_password(stage))
    assert isinstance(caught.value.__cause__, CbrAuthenticationError)
    assert stage.deferrals == 1


@pytest.mark.parametrize("mode", MODES)
def test_soft_fail_is_airflows_own_again_after_each_leg(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = sensing([], mode, soft_fail=True)
    Stage(monkeypatch).play(run)
    assert run.task.soft_fail is True


UNKNOWN = "a1b2c3d4-0000-4000-8000-000000000001"


@pytest.mark.parametrize("soft_fail", [True, False])
@pytest.mark.parametrize("among_others", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_a_record_that_was_never_listed_is_named_and_fails_after_a_stated_time(
    mode: str, among_others: bool, soft_fail: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch)
    copies_take_too_long(stage)
    records = started(stage) if among_others else []
    run = sensing([*records, UNKNOWN], mode, soft_fail=soft_fail)
    with pytest.raises(AirflowFailException) as caught:
        stage.play(run)
    error = caught.value.__cause__
    assert isinstance(error, CbrUnlistedRecordError)
    assert error.problems == [f"never listed (record {UNKNOWN})"]
    assert "vault_id" in str(error)
    assert CbrReplicationSensor.LISTED_WITHIN <= stage.passed < CbrReplicationSensor.LISTED_WITHIN + 125
    (named, *_) = [line for line in run.lines if "has listed these replication records so far" in line]
    assert UNKNOWN in named
    assert not any(record in named for record in records)


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.campaign
def test_a_record_that_shows_late_keeps_the_timeout_of_the_whole_wait(mode: str, store: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, {"record_delay": 600.0})
    copies_take_too_long(stage)
    run = sensing(started(stage), mode)
    run.store = run.store if store else None
    assert outcome_of(stage, run)[0] == "AirflowSensorTimeout"
    assert 7199.9 <= stage.passed < 7330


@pytest.mark.parametrize("mode", MODES)
def test_the_timeout_names_what_was_never_listed(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    kind, text = outcome_of(stage, sensing([UNKNOWN], mode, timeout=600.0))
    assert kind == "AirflowSensorTimeout"
    assert f"No backup of the vault has ever listed {UNKNOWN}" in text


@pytest.mark.parametrize("mode", MODES)
def test_a_cloud_that_lists_no_records_is_told_in_one_sentence(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    copies_end_well(stage)
    records = started(stage)
    list_backups = CbrClient.list_backups

    def without_records(self: CbrClient, **filters: Any) -> Any:
        return (structs.replace(backup, replication_records=None) for backup in list_backups(self, **filters))

    monkeypatch.setattr(CbrClient, "list_backups", without_records)
    run = sensing(records, mode)
    kind, text = outcome_of(stage, run)
    assert kind == "AirflowFailException"
    assert "This cloud lists no replication records." in text
    assert any("This cloud does not list replication records" in line for line in run.lines[:3]), "at the first look"


@pytest.mark.parametrize("parameter", ["poke_interval", "timeout", "max_wait"])
@pytest.mark.parametrize(
    "value",
    [True, -1, float("nan"), float("inf"), 10**400, 10**5000, 1e15, 1e12, "30", [60]],
    ids=lambda value: repr(value)[:9] if not isinstance(value, int) or value < 10 else "huge",
)
def test_what_cannot_be_waited_for_is_refused_by_name_when_the_dag_is_read(parameter: str, value: Any) -> None:
    with pytest.raises(CbrParameterError, match=f"^{parameter}: must be a number of seconds"):
        waiting([], **{parameter: value})


def test_a_timedelta_is_taken_as_airflows_sensors_take_it() -> None:
    task = waiting([], poke_interval=timedelta(minutes=2), timeout=timedelta(hours=2), max_wait=timedelta(minutes=5)).task
    assert (task.poke_interval, task.timeout, task.max_wait) == (120.0, 7200.0, timedelta(minutes=5))


@pytest.mark.parametrize("mode", MODES)
def test_silent_fail_goes_on_after_an_error_that_is_none_of_the_copies(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    copies_end_well(stage)
    records = started(stage)
    look, failures = CbrHook.client.func, iter([RuntimeError("a hiccup of Airflow's own")])  # type: ignore[attr-defined]

    def flaky(self: CbrHook) -> Any:
        for failure in failures:
            raise failure
        return look(self)

    monkeypatch.setattr(CbrHook, "client", property(flaky))
    if mode == "deferrable":
        # The arguments of the deferral need no client.
        monkeypatch.setattr(CbrHook, "region", "cn-north-4")
        monkeypatch.setattr(CbrHook, "project_id", SOURCE_PROJECT)
    assert outcome_of(stage, sensing(records, mode, silent_fail=True)) == ("success", "")


@pytest.mark.parametrize("mode", MODES)
def test_an_error_of_the_connection_is_no_failure_to_be_skipped_softly(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    records = started(stage)
    run = sensing(records, mode, cbr_conn_id="nowhere", soft_fail=True)
    with pytest.raises(Exception, match="nowhere") as caught:
        stage.play(run)
    assert not isinstance(caught.value, AirflowSkipException | CbrConfigurationError)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_to_wait_for_is_done_at_once(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    assert outcome_of(stage, sensing([], mode)) == ("success", "")
    assert (stage.deferrals, stage.control.requests()) == (0, {})


def test_records_that_have_ended_are_not_deferred_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    copies_end_well(stage)
    records = started(stage)
    stage.sleep(2000)
    assert outcome_of(stage, sensing(records, "deferrable")) == ("success", "")
    assert stage.deferrals == 0


def test_it_says_before_it_defers_what_runs_whatever_becomes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    copies_end_well(stage)
    records = started(stage)
    run = sensing(records, "deferrable")
    logged: list[str] = []
    outcome_of(stage, run, between=lambda: logged.append(run.lines[-1]))
    assert all(record in logged[0] for record in records)
    assert "even if the task is stopped" in logged[0]


def test_a_wait_of_hours_wakes_the_worker_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    copies_end_well(stage)
    outcome_of(stage, sensing(started(stage), "deferrable"))
    assert stage.deferrals == 1


def test_a_record_that_has_vanished_is_followed_in_the_operation_log_and_wakes_the_worker_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    a_record_vanishes(stage)
    stage.control.switch(copy_seconds=6000.0)
    assert outcome_of(stage, sensing(started(stage), "deferrable")) == ("success", "")
    assert 2 <= stage.deferrals <= 8


def test_a_refused_login_is_told_by_the_trigger_and_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    copies_end_well(stage)
    run = sensing(started(stage), "deferrable")
    before: list[int] = []

    def change_the_password() -> None:
        stage.control.change_user("backup-bot", password="changed")
        stage.control.end_tokens()
        before.append(stage.control.requests()["KeystoneCreateUserTokenByPassword"])

    kind, text = outcome_of(stage, run, between=change_the_password)
    assert kind == "AirflowFailException"
    assert "password" in text
    assert stage.control.requests()["KeystoneCreateUserTokenByPassword"] - before[0] == 3


@pytest.mark.parametrize("mode", MODES)
def test_the_timeout_counts_from_the_first_attempt_after_the_last_clear(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    copies_take_too_long(stage)
    records = started(stage)
    store = TaskState()

    def attempt(number: int, cleared_after: int = 0) -> TaskRun:
        run = sensing(records, mode, retries=3)
        run.store, run.try_number, run.cleared_after = store, number, cleared_after
        return run

    with monkeypatch.context() as patch, requests_end_in(stage.adapter):
        patch.setattr("airflow.sdk.bases.sensor.time.sleep", _killed)
        with pytest.raises((TaskDeferred, AirflowRescheduleException, KeyboardInterrupt)):
            attempt(1).attempt()
    stage.sleep(5000)
    assert outcome_of(stage, attempt(2))[0] == "AirflowSensorTimeout"
    assert 7199.9 <= stage.passed < 7330
    assert outcome_of(stage, attempt(3, cleared_after=2))[0] == "AirflowSensorTimeout"
    assert 14399.9 <= stage.passed < 14660


def _killed(_: float) -> None:
    raise KeyboardInterrupt


def test_before_airflow_3_3_it_counts_from_each_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    copies_take_too_long(stage)
    records = started(stage)
    stage.sleep(1000)
    run = sensing(records, "deferrable")
    run.store = None
    assert outcome_of(stage, run)[0] == "AirflowSensorTimeout"
    assert 8199.9 <= stage.passed < 8330


@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        {"wake": "success", "records": [], "deadline": 1.0, "backups": {}},
        {"wake": "final", "records": [], "deadline": 1.0, "backups": {}},
        {"wake": "final", "deadline": 1.0, "backups": {}},
        {"wake": "final", "records": list(BACKUPS), "backups": {}},
    ],
)
def test_an_event_that_is_not_understood_is_an_error_and_no_look_is_taken(event: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    run = sensing(list(BACKUPS), "deferrable", soft_fail=True)
    with pytest.raises(CbrProtocolError):
        run.task.resume_execution("execute_complete", {"event": event}, run.context())
    assert stage.control.requests() == {}


def test_airflows_own_backstop_is_a_timeout_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    Stage(monkeypatch)
    fail = {"error": "Trigger timeout"}
    for soft_fail, expected in ((False, AirflowSensorTimeout), (True, AirflowSkipException)):
        run = sensing(list(BACKUPS), "deferrable", soft_fail=soft_fail)
        with pytest.raises(expected):
            run.task.resume_execution("__fail__", fail, run.context())


#: Each default in a fork, since Airflow itself takes seconds to import, and the default is read when the package is.
DEFAULTS = """
import os
import airflow.sdk.bases.sensor
for default in ("True", "False"):
    if os.fork():
        os.wait()
        continue
    os.environ["AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE"] = default
    from airflow_cbr.sensors.cbr import CbrReplicationSensor as Sensor
    from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator as Operator
    ids = dict.fromkeys(("vault_id", "destination_region", "destination_project_id", "destination_vault_id"), "x")
    sensor, operator = Sensor(task_id="s", vault_id="x", replication_record_ids=[]), Operator(task_id="o", **ids)
    print("SHOWN", default, sensor.deferrable, operator.deferrable, flush=True)
    os._exit(0)
"""


@pytest.mark.campaign
def test_the_default_is_airflows_own() -> None:
    shown = [line.split()[1:] for line in run_python("-c", DEFAULTS).splitlines() if line.startswith("SHOWN")]
    assert shown == [["True", "True", "True"], ["False", "False", "False"]]

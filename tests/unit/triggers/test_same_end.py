"""The replicate operator ends alike, whether it waits on a worker or in the triggerer: XComs, link, failure and cost."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.emulator.world import BACKUPS, SOURCE_VAULT
from airflow_cbr.exceptions import CbrAuthenticationError
from airflow_cbr.links.cbr import CbrVaultLink
from tests.support.task_run import IDS, replicating
from tests.support.triggerer import Stage

if TYPE_CHECKING:
    from collections.abc import Callable


def all_is_well(stage: Stage) -> dict[str, Any]:
    return {}


def null_progress(stage: Stage) -> dict[str, Any]:
    stage.control.switch(progress="null")
    return {}


def one_fails(stage: Stage) -> dict[str, Any]:
    stage.control.fault("copy_fails", vault_id=SOURCE_VAULT, backup_id=BACKUPS[0], fail_code="1006", fail_reason="no room", count=None)
    return {}


def one_is_left_out(stage: Stage) -> dict[str, Any]:
    stage.control.change_backup(BACKUPS[2], contain_system_disk=False)
    return {}


def the_answer_is_lost(stage: Stage) -> dict[str, Any]:
    stage.control.fault("reset", call="CopyCheckpoint", when="after")
    return {}


def a_record_vanishes(stage: Stage) -> dict[str, Any]:
    stage.control.fault("record_vanishes", vault_id=SOURCE_VAULT, backup_id=BACKUPS[1])
    return {}


def the_copies_take_too_long(stage: Stage) -> dict[str, Any]:
    return {"timeout": 1200.0}


def nobody_waits(stage: Stage) -> dict[str, Any]:
    return {"wait_for_completion": False}


def the_permission_goes(stage: Stage) -> dict[str, Any]:
    stage.control.fault("code", call="ListBackups", code="6105", when="before", nth=4, count=None)
    return {}


def a_bad_hour(stage: Stage) -> dict[str, Any]:
    stage.control.fault("status", call="ListBackups", status=502, nth=5, count=20)
    return {}


def a_backup_is_still_being_made(stage: Stage) -> dict[str, Any]:
    stage.control.fault("throttle", call="CopyCheckpoint", retry_after=20)
    return {}


SCENES: list[Callable[[Stage], dict[str, Any]]] = [
    all_is_well,
    null_progress,
    one_fails,
    one_is_left_out,
    the_answer_is_lost,
    a_record_vanishes,
    the_copies_take_too_long,
    nobody_waits,
    the_permission_goes,
    a_bad_hour,
    a_backup_is_still_being_made,
]


@dataclasses.dataclass
class End:
    """What there is to see of a run."""

    xcoms: dict[str, Any]
    failure: tuple[str, str]
    link: str
    calls: list[tuple[str, str]]
    copies: int


def play(scene: Callable[[Stage], dict[str, Any]], patch: pytest.MonkeyPatch, *, deferrable: bool) -> tuple[End, Stage]:
    stage = Stage(patch, {"copy_seconds": 3600.0})
    parameters = {"poll_interval": 30.0, "max_poll_interval": 600.0, "settle_time": 120.0, "timeout": 86400.0} | scene(stage)
    run = replicating(**parameters, deferrable=deferrable)
    failure = ("", "")
    try:
        stage.play(run)
    except Exception as error:
        failure = type(error).__name__, str(error)
    ledger = stage.control.ledger()
    records = {entry["record_id"]: f"record of {entry['backup_id']}" for entry in ledger["replications"]}
    xcoms = {key: anonymous(value, records) for key, value in run.xcoms.items()}
    if "replication" in xcoms:
        # When the end of a copy is seen depends on who looks, and how often.
        xcoms["replication"] = {name: value for name, value in xcoms["replication"].items() if name != "seconds"}
    patch.setattr("airflow_cbr.links.cbr.XCom.get_value", lambda key, ti_key: run.xcoms.get(key), raising=False)
    link = CbrVaultLink().get_link(run.task, ti_key=None)  # type: ignore[arg-type]
    calls = [(call["call"], call["outcome"]) for call in ledger["calls"]]
    return End(xcoms, (failure[0], anonymous(failure[1], records)), link, calls, len(records)), stage


def anonymous(value: Any, records: dict[str, str]) -> Any:
    if isinstance(value, list):
        return sorted(anonymous(one, records) for one in value)
    if isinstance(value, str):
        value = "".join(part for part in value.split("request id ")[:1])
        for record, name in records.items():
            value = value.replace(record, name)
    return value


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.campaign
def test_it_ends_alike_on_a_worker_and_in_the_triggerer(scene: Callable[[Stage], dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        on_a_worker, stage = play(scene, patch, deferrable=False)
        assert stage.deferrals == 0
    with monkeypatch.context() as patch:
        deferred, stage = play(scene, patch, deferrable=True)
        assert (stage.deferrals > 0) is (scene is not nobody_waits)
    assert deferred == on_a_worker
    assert on_a_worker.link.startswith("https://")
    assert set(on_a_worker.xcoms) >= {"return_value", "replication"} or scene is the_permission_goes
    fails = scene in (one_fails, the_copies_take_too_long, the_permission_goes)
    assert bool(on_a_worker.failure[0]) is fails, on_a_worker.failure


def test_the_timeouts_message_lists_what_runs_and_how_to_pick_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    end, _ = play(the_copies_take_too_long, monkeypatch, deferrable=True)
    kind, text = end.failure
    assert kind == "AirflowFailException", "it is not retried"
    assert "3 copies are still running" in text
    assert all(f"record of {backup}" in text for backup in BACKUPS)
    assert "Clear this task" in text


@pytest.mark.parametrize("scene", [all_is_well, null_progress])
def test_one_wait_alone_makes_no_more_requests_on_a_worker_than_deferred(
    scene: Callable[[Stage], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    for deferrable in (False, True):
        with monkeypatch.context() as patch:
            monkeypatch.setattr("airflow_cbr.waiting.schedule._JITTER", 0.0)
            _, stage = play(scene, patch, deferrable=deferrable)
            looks.append(sum(stage.control.requests().values()))
    assert looks[0] <= looks[1]


def test_a_record_that_has_vanished_wakes_the_worker_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    _, stage = play(a_record_vanishes, monkeypatch, deferrable=True)
    assert 2 <= stage.deferrals <= 4, "its record is gone for half an hour"


def test_a_refused_login_is_told_and_not_tried_by_every_task(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, {"copy_seconds": 3600.0})
    run = replicating(deferrable=True, poll_interval=30.0, max_poll_interval=600.0, settle_time=120.0, timeout=86400.0)
    calls = "KeystoneCreateUserTokenByPassword"
    before = 0

    def change_the_password() -> None:
        nonlocal before
        stage.control.change_user("backup-bot", password="changed")
        stage.control.end_tokens()
        before = stage.control.requests()[calls]

    with pytest.raises(AirflowFailException) as caught:
        stage.play(run, between=change_the_password)
    assert isinstance(caught.value.__cause__, CbrAuthenticationError)
    assert caught.value.__cause__.http_status == 401
    assert "password" in str(caught.value)
    assert stage.control.requests()[calls] - before == 3, "all of them by the trigger"


def test_an_event_without_memory_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    run = replicating(deferrable=True)
    for event in (None, {"wake": "final"}, {"wake": "done", "memory": {"deadline": 1.0}}):
        with pytest.raises(Exception, match="The trigger's event"):
            run.task.resume_execution("execute_complete", {"event": event}, run.context())
    assert stage.control.requests() == {}


def test_the_record_ids_are_logged_and_pushed_before_it_defers(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, {"copy_seconds": 3600.0})
    run = replicating(deferrable=True, poll_interval=30.0, max_poll_interval=600.0, settle_time=120.0, timeout=86400.0)
    seen: list[tuple[list[str], str]] = []
    stage.play(run, between=lambda: seen.append((run.xcoms["return_value"], run.lines[-1])))
    records, line = seen[0]
    assert len(records) == 3
    assert all(record in line for record in records)
    assert IDS["vault_id"] == SOURCE_VAULT

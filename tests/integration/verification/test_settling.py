"""Replicas that settle: how long the verify operator waits, for what, on a worker and in the triggerer, in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_VAULT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrProtocolError, CbrVerificationError
from tests.support.task_run import TaskRun, replicating, verifying
from tests.support.triggerer import Stage

GOOD = {"verdict": "verified", "verified": 3, "failed": 0, "missing": 0, "skipped": 0}
BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["on a worker", "deferred"])


def stage_with(monkeypatch: pytest.MonkeyPatch, settle_seconds: float) -> tuple[Stage, list[str]]:
    stage = Stage(monkeypatch, {"replica_settle_seconds": settle_seconds})
    return stage, list(stage.play(replicating(deferrable=False)))


def looks(stage: Stage) -> int:
    """Return how often the destination was looked at."""
    return stage.control.requests(DESTINATION_VAULT).get("ListBackups", 0)


def replica_of(stage: Stage, backup_id: str) -> str:
    (backup,) = [one for one in stage.control.state(SOURCE_VAULT)["backups"] if one["id"] == backup_id]
    return str(backup["records"][-1]["destination_backup_id"])


def seconds_until_it_fails(stage: Stage, run: TaskRun) -> float:
    began = stage.time()
    with pytest.raises(CbrVerificationError):
        stage.play(run)
    return stage.time() - began


@BOTH
def test_it_waits_for_a_replica_that_is_not_available_yet(monkeypatch: pytest.MonkeyPatch, deferrable: bool) -> None:
    stage, record_ids = stage_with(monkeypatch, 300)
    began = stage.time()
    run = verifying(record_ids, deferrable=deferrable, settle_timeout=600)
    assert stage.play(run) == GOOD
    assert 270 <= stage.time() - began <= 340
    assert (stage.deferrals > 0) is deferrable
    assert run.xcoms["verification"]["outcome"] == "passed"


@BOTH
def test_its_patience_ends(monkeypatch: pytest.MonkeyPatch, deferrable: bool) -> None:
    stage, record_ids = stage_with(monkeypatch, 86400)
    took = seconds_until_it_fails(stage, verifying(record_ids, deferrable=deferrable, settle_timeout=100, poll_interval=30))
    assert 100 <= took <= 110
    assert looks(stage) == 5, "at 0, 30, 60, 90 and 100 seconds"


def test_by_default_it_is_patient_only_where_that_costs_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, record_ids = stage_with(monkeypatch, 86400)
    assert seconds_until_it_fails(stage, verifying(record_ids, deferrable=False)) == 0
    assert 600 <= seconds_until_it_fails(stage, verifying(record_ids, deferrable=True)) <= 610
    assert seconds_until_it_fails(stage, verifying(record_ids, deferrable=True, settle_timeout=0)) == 0


def test_a_retry_is_patient_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, record_ids = stage_with(monkeypatch, 150)
    first = verifying(record_ids, deferrable=True, settle_timeout=100)
    assert 100 <= seconds_until_it_fails(stage, first) <= 110
    assert stage.play(first.followed_by(verifying(record_ids, deferrable=True, settle_timeout=100))) == GOOD


def test_a_replica_that_does_not_show_yet_may_appear(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, record_ids = stage_with(monkeypatch, 0)
    hidden = stage.adapter.emulator.service.store.backups[replica_of(stage, BACKUPS[0])]
    stage.control.remove_backup(hidden.id)
    run = verifying(record_ids, deferrable=True)

    def appear() -> None:
        if hidden.id not in stage.adapter.emulator.service.store.backups:
            stage.adapter.emulator.service.store.add_backup(hidden)

    assert stage.play(run, between=appear) == GOOD
    assert stage.deferrals == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "error"},
        {"status": "deleting"},
        {"status": "protecting", "resource_size": 1},
        {"resource_size": 1},
        {"image_type": "backup"},
    ],
    ids=str,
)
def test_it_does_not_wait_for_what_cannot_settle(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    stage, record_ids = stage_with(monkeypatch, 0)
    stage.control.change_backup(replica_of(stage, BACKUPS[0]), **changes)
    assert seconds_until_it_fails(stage, verifying(record_ids, deferrable=True)) == 0
    assert stage.deferrals == 0


def test_it_does_not_wait_for_a_replica_that_was_deleted_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, record_ids = stage_with(monkeypatch, 0)
    stage.control.remove_backup(replica_of(stage, BACKUPS[0]))
    stage.sleep(2 * 86400)
    assert seconds_until_it_fails(stage, verifying(record_ids, deferrable=True)) == 0


def test_it_does_not_wait_for_a_checkpoint_of_which_another_replica_was_deleted_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, record_ids = stage_with(monkeypatch, 0)
    gone = replica_of(stage, BACKUPS[0])
    backups = {one["id"]: one for one in stage.control.state(SOURCE_VAULT)["backups"]}
    others = [one for one in record_ids if one != backups[BACKUPS[0]]["records"][-1]["id"]]
    stage.control.remove_backup(gone)
    assert seconds_until_it_fails(stage, verifying(others, deferrable=True, settle_timeout=100)) >= 100, "today it may still appear"
    stage.sleep(2 * 86400)
    assert seconds_until_it_fails(stage, verifying(others, deferrable=True, settle_timeout=100)) == 0


def test_what_stays_wrong_with_a_checkpoint_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, record_ids = stage_with(monkeypatch, 86400)
    for backup_id, status in zip(BACKUPS, ("available", "error", "protecting"), strict=True):
        stage.control.change_backup(replica_of(stage, backup_id), status=status)
    backups = {one["id"]: one for one in stage.control.state(SOURCE_VAULT)["backups"]}
    alone = backups[BACKUPS[0]]["records"][-1]["id"]
    assert alone in record_ids
    assert seconds_until_it_fails(stage, verifying([alone], deferrable=True)) == 0


def test_it_waits_for_another_row_of_the_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, record_ids = stage_with(monkeypatch, 300)
    stage.control.change_backup(replica_of(stage, BACKUPS[0]), status="available")
    (alone,) = [
        record["id"]
        for backup in stage.control.state(SOURCE_VAULT)["backups"]
        if backup["id"] == BACKUPS[0]
        for record in backup["records"]
    ]
    assert alone in record_ids
    assert stage.play(verifying([alone], deferrable=True)) == GOOD | {"verified": 1}
    assert stage.deferrals > 1


@pytest.mark.parametrize("event", [None, {}, {"wake": "resume"}, {"wake": "resume", "memory": {"settle_until": "soon"}}], ids=str)
def test_an_event_that_cannot_be_read_is_no_success(monkeypatch: pytest.MonkeyPatch, event: Any) -> None:
    stage, record_ids = stage_with(monkeypatch, 0)
    run = verifying(record_ids)
    with pytest.raises((AirflowFailException, CbrProtocolError), match="The trigger's event"):
        run.task.execute_complete(run.context(), event)
    assert "return_value" not in run.xcoms
    assert looks(stage) == 0

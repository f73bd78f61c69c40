"""The operator for one backup, against an emulator over HTTP: what it sends, defers with, publishes and refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_VAULT, SOURCE_VAULT
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.cbr import CbrReplicateBackupOperator
from airflow_cbr.triggers.cbr import CbrReplicationTrigger
from tests.support.airflow_errors import TaskDeferred
from tests.support.task_run import IDS, TaskRun, replicating

if TYPE_CHECKING:
    from tests.support.emulator import EmulatorServer

BACKUP = BACKUPS[1]


def replicating_one(backup_id: Any = BACKUP, **changes: Any) -> TaskRun:
    """Return a run of the operator in the default world, with intervals that suit short copies."""
    there = {name: value for name, value in IDS.items() if name != "vault_id"}
    quick = {"poll_interval": 0.1, "max_poll_interval": 0.2, "settle_time": 0.5, "timeout": 60.0}
    return TaskRun(CbrReplicateBackupOperator(**{"task_id": "replicate_one", "backup_id": backup_id, **there, **quick, **changes}))


def asked_for(emulator: EmulatorServer) -> list[str]:
    return [call["call"] for call in emulator.control.ledger()["calls"]]


def lose_replica(emulator: EmulatorServer) -> None:
    """Let the vault be replicated, and somebody delete the replica of the backup."""
    replicating().attempt()
    records = CbrHook().show_backup(BACKUP).replication_records or []
    emulator.control.remove_backup(str(records[0].destination_backup_id))


def test_a_lost_replica_is_replaced_by_one_call_for_its_backup(emulator: EmulatorServer) -> None:
    lose_replica(emulator)
    run = replicating_one()
    record_ids = run.attempt()

    assert asked_for(emulator) == ["CopyCheckpoint", "CopyBackup"]
    assert len(record_ids) == 1
    assert run.xcoms["return_value"] == record_ids
    assert run.xcoms["replication"]["source"]["vault_id"] == SOURCE_VAULT
    assert run.xcoms["replication"]["destination"]["vault_id"] == DESTINATION_VAULT
    assert run.xcoms["replication"]["succeeded"] == 1
    assert "does not exist in cn-shenzhen-1" in run.log

    assert replicating_one().attempt() == [], "it is there now"
    assert asked_for(emulator) == ["CopyCheckpoint", "CopyBackup"]


def test_the_deferred_wait_follows_the_record_in_the_vault_of_the_backup(emulator: EmulatorServer) -> None:
    emulator.control.switch(copy_seconds=60)
    run = replicating_one(deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        run.attempt()

    trigger = deferred.value.trigger
    assert isinstance(trigger, CbrReplicationTrigger)
    _, arguments = trigger.serialize()
    assert arguments["vault_id"] == SOURCE_VAULT
    assert arguments["replication_record_ids"] == run.xcoms["return_value"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"backup_id": "evil/"}, "backup_id"),
        ({"backup_id": None}, "backup_id"),
        ({"destination_vault_id": "{{ params.nothing }}"}, "destination_vault_id"),
        ({"timeout": -1}, "timeout"),
        ({"destination_vault_id": SOURCE_VAULT}, "is the source vault itself"),
    ],
    ids=["no id", "none", "an empty template", "a negative timeout", "its own vault"],
)
def test_bad_input_is_refused_before_anything_is_sent(changes: dict[str, Any], text: str, emulator: EmulatorServer) -> None:
    run = replicating_one(**{"backup_id": BACKUP, **changes})
    run.params["nothing"] = ""
    with pytest.raises(AirflowFailException, match=text):
        run.attempt()

    assert asked_for(emulator) == []


def test_a_backup_that_does_not_exist_fails_for_good(emulator: EmulatorServer) -> None:
    with pytest.raises(AirflowFailException, match="ShowBackup"):
        replicating_one("00000000-0000-4000-8000-000000000000").attempt()

    assert asked_for(emulator) == []


def test_a_replica_in_error_fails_for_good_and_is_named(emulator: EmulatorServer) -> None:
    replicating().attempt()
    replicas = emulator.control.state(DESTINATION_VAULT)["backups"]
    for replica in replicas:
        emulator.control.change_backup(replica["id"], status="error")
    with pytest.raises(AirflowFailException, match=r"its status is error\b(?s:.*)Delete replica"):
        replicating_one().attempt()

    assert asked_for(emulator) == ["CopyCheckpoint"]

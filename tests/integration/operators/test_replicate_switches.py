"""The replicate operator under every setting of what is not documented about the service."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.emulator.switches import Switches
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrReplicationFailedError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator
from airflow_cbr.replication.steps import Step
from tests.support.task_run import IDS, replicating, verifying

if TYPE_CHECKING:
    from tests.support.emulator import EmulatorServer


def copies(emulator: EmulatorServer) -> Counter[str]:
    return Counter(entry["backup_id"] for entry in emulator.control.ledger()["replications"])


def calls(emulator: EmulatorServer) -> list[tuple[str, str]]:
    return [(call["call"], call["outcome"]) for call in emulator.control.ledger()["calls"]]


#: Every setting that must make no difference to what is copied and told. In some of them the vault holds a backup that the service leaves
#: out, so that each night asks for something; that takes the time within which a lost call could still show up.
WITH_A_BACKUP_THAT_IS_LEFT_OUT: list[dict[str, Any]] = [
    {"when_all_copied": "0001"},
    {"when_all_copied": "empty"},
    {"when_all_copied": "skip"},
    {"single_while_replicating": "6130"},
    {"code_status": {"1009": 500, "1004": 500, "6130": 500}},
]
WITHOUT_ONE: list[dict[str, Any]] = [
    {"when_none_qualifies": "0001"},
    {"when_none_qualifies": "empty"},
    {"failed_taken_again": False},
    {"deleted_taken_again": True},
    {"careless": True},
    {"show_backup_records": "empty"},
    {"show_backup_records": "absent"},
    {"record_delay": 0.4},
    {"record_delay": 3.0},
    {"operation_log_delay": 2.0},
    {"operation_log_vault_id": True},
    {"extra_info_as_text": True},
    {"time_notation": "offset"},
    {"time_notation": "zulu"},
    {"refuse_acceleration": True},
    {"queue_seconds": 0.3},
    {"copy_seconds": 0.0},
    {"copies_at_once": 1},
    {"copies_at_once": None},
    {"progress": "bursty"},
    {"progress": "stuck"},
    {"progress": "null"},
    {"record_lacks": ["created_at", "vault_id", "source_region", "source_project_id", "source_backup_id", "source_checkpoint_id"]},
    {"backup_lacks": ["updated_at", "description", "children"]},
    {"operation_log_lacks": ["created_at", "started_at"]},
    {"replica_created_at": "source"},
    {"replica_protected_at": "source"},
    {"replica_name": "own"},
    {"replica_checkpoint": "source"},
    {"operation_log_replication_filter": False},
]


def name_of(switches: Any) -> str | None:
    return "-".join(f"{key}={value}" for key, value in switches.items()) if isinstance(switches, dict) else None


@pytest.mark.parametrize(
    ("switches", "left_out"), [*((one, 1) for one in WITH_A_BACKUP_THAT_IS_LEFT_OUT), *((one, 0) for one in WITHOUT_ONE)], ids=name_of
)
def test_two_nights_end_the_same(emulator: EmulatorServer, switches: dict[str, Any], left_out: int) -> None:
    emulator.control.switch(**switches)
    if left_out:
        emulator.control.add_backup(SOURCE_VAULT, contain_system_disk=False)
    first = replicating()
    record_ids = first.attempt()
    assert sorted(record_ids) == sorted(entry["record_id"] for entry in emulator.control.ledger()["replications"])
    assert first.xcoms["replication"] | counted(accepted=3, succeeded=3, skipped=left_out) == first.xcoms["replication"]
    emulator.control.advance(24 * 3600)
    assert verifying(record_ids).attempt() == {"verdict": "verified", "verified": 3, "failed": 0, "missing": 0, "skipped": 0}
    second = replicating()
    assert second.attempt() == []
    assert second.xcoms["replication"] | counted(already=3, skipped=left_out) == second.xcoms["replication"]
    assert copies(emulator) == dict.fromkeys(BACKUPS, 1)


def counted(**counts: int) -> dict[str, int]:
    return dict.fromkeys(("accepted", "adopted", "already", "succeeded", "failed", "skipped", "missing"), 0) | counts


def test_every_switch_is_among_the_settings() -> None:
    # Left out is what these tests do not reach: checkpoints, tokens and keys, the clock of signatures, the length of copies, replicas that
    # settle, a cloud without records, images and servers, and deletions.
    elsewhere = {"replication_records"}
    elsewhere |= {"token_seconds", "key_seconds", "key_overlap_seconds", "signature_clock", "copy_seconds_per_gb", "replica_settle_seconds"}
    elsewhere |= {"checkpoint_seconds", "checkpoint_delay", "checkpoint_backup_names", "show_checkpoint_extra"}
    elsewhere |= {
        name for name in Switches.model_fields if name.startswith(("image_", "server_", "core_", "ram_", "data_", "auto_terminate_"))
    }
    elsewhere |= {"deleting_unfinished_image", "delete_seconds", "delete_while_deleting", "locked_vault_keeps", "expiry"}
    assert {name for switches in (*WITH_A_BACKUP_THAT_IS_LEFT_OUT, *WITHOUT_ONE) for name in switches} | elsewhere == set(
        Switches.model_fields
    )


# --- what is answered when all is copied ----------------------------------------------------------------------------------


class Raced(CbrReplicateCheckpointOperator):
    """Somebody else replicates the vault between this task's look and its call, and is done before the call."""

    def at_step(self, step: Step, moment: str) -> None:
        if (step, moment) == (Step.REPLICATE_VAULT, "before"):
            replicating().attempt()


@pytest.mark.parametrize("answer", ["1009", "0001", "empty", "skip"])
def test_whatever_the_service_says_when_all_is_copied_the_copies_of_the_other_are_adopted(emulator: EmulatorServer, answer: str) -> None:
    emulator.control.switch(when_all_copied=answer)
    run = replicating(Raced)
    record_ids = run.attempt()
    replications = emulator.control.ledger()["replications"]
    assert copies(emulator) == dict.fromkeys(BACKUPS, 1)
    told = {entry["record_id"] for entry in replications}
    assert told <= set(record_ids)
    assert run.xcoms["replication"]["missing"] == run.xcoms["replication"]["failed"] == 0
    assert verifying(record_ids).attempt()["verdict"] == "verified"


@pytest.mark.parametrize("answer", ["1009", "0001", "empty", "skip"])
def test_what_is_in_another_vault_is_red_whatever_the_service_answers(emulator: EmulatorServer, answer: str) -> None:
    emulator.control.switch(when_all_copied=answer)
    other = emulator.control.add_vault(project_id=DESTINATION_PROJECT, protect_type="replication")["id"]
    replicating(destination_vault_id=other).attempt()
    # One more that can be copied makes the task send its call.
    emulator.control.advance(3600)
    emulator.control.add_backup(SOURCE_VAULT)
    with pytest.raises(AirflowFailException, match=other):
        replicating().attempt()
    assert set(copies(emulator).values()) == {1}


@pytest.mark.parametrize("answer", ["reason", "0001", "empty"])
def test_what_cannot_be_copied_is_skipped_whatever_the_service_answers_for_the_vault(emulator: EmulatorServer, answer: str) -> None:
    emulator.control.switch(when_none_qualifies=answer)
    for backup_id in BACKUPS:
        emulator.control.change_backup(backup_id, contain_system_disk=False)
    run = replicating(allow_empty=True)
    assert run.attempt() == []
    assert run.xcoms["replication"]["skipped"] == 3
    assert run.log.count("BackupService.1004") >= 3


def test_an_empty_answer_to_a_call_that_had_an_effect_is_waited_out(emulator: EmulatorServer) -> None:
    emulator.control.switch(careless=True, record_delay=0.6)
    emulator.control.fault("empty_backups", call="CopyCheckpoint")
    assert len(replicating(settle_time=2.0).attempt()) == 3
    assert copies(emulator) == dict.fromkeys(BACKUPS, 1)


# --- failed copies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken_again", [True, False])
@pytest.mark.parametrize("by", ["retry", "next night"])
def test_a_failed_copy_is_made_again_whether_or_not_the_vaults_call_takes_it(emulator: EmulatorServer, taken_again: bool, by: str) -> None:
    emulator.control.switch(failed_taken_again=taken_again)
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0])
    run = replicating(retries=1)
    with pytest.raises(CbrReplicationFailedError):
        run.attempt()
    if by == "next night":
        emulator.control.advance(24 * 3600)
        emulator.control.add_backup(SOURCE_VAULT, id="00000000-0000-4000-8000-000000000001")
        run = replicating()
    run.attempt()
    new = {} if by == "retry" else {"00000000-0000-4000-8000-000000000001": 1}
    assert copies(emulator) == dict.fromkeys(BACKUPS, 1) | {BACKUPS[0]: 2} | new
    assert emulator.control.ledger()["duplicates"] == []


# --- skip records -----------------------------------------------------------------------------------------------------------


def test_a_record_that_ends_in_skip_covers_nothing(emulator: EmulatorServer) -> None:
    emulator.control.fault("copy_skipped", backup_id=BACKUPS[0], count=None)
    run = replicating()
    with pytest.raises(CbrReplicationFailedError, match=r"ecs-web-01: not replicated .*; backup nightly-ecs-web-01 "):
        run.attempt()
    assert (run.xcoms["replication"]["succeeded"], run.xcoms["replication"]["missing"]) == (2, 1)


def test_a_record_that_ends_in_skip_beside_a_success_is_covered(emulator: EmulatorServer) -> None:
    replicating().attempt()
    emulator.control.advance(24 * 3600)
    emulator.control.switch(when_all_copied="skip")
    assert len(CbrHook().replicate_checkpoint(**IDS).references) == 3
    assert replicating().attempt() == []


# --- a gated account --------------------------------------------------------------------------------------------------------


def test_acceleration_that_the_account_is_not_allowed_is_explained(emulator: EmulatorServer) -> None:
    emulator.control.switch(refuse_acceleration=True)
    with pytest.raises(AirflowFailException, match="9900") as caught:
        replicating(enable_acceleration=True).attempt()
    assert "enable_acceleration" in str(caught.value)
    assert copies(emulator) == {}


# --- somebody else replicates -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 500])
def test_a_vault_that_somebody_else_replicates_is_waited_for_and_adopted(emulator: EmulatorServer, status: int) -> None:
    # The copies run until the task has adopted them: what it adopts only once they have ended would never end.
    emulator.control.switch(copy_seconds=7200, code_status={"6130": status})

    class Overtaken(CbrReplicateCheckpointOperator):
        def at_step(self, step: Step, moment: str) -> None:
            if (step, moment) == (Step.REPLICATE_VAULT, "before") and not copies(emulator):
                replicating(wait_for_completion=False).attempt()
            if (step, moment) == (Step.PUBLISH, "after") and run.xcoms["replication"]["adopted"] == 3:
                emulator.control.advance(7200)

    run = replicating(Overtaken)
    record_ids = run.attempt()
    assert copies(emulator) == dict.fromkeys(BACKUPS, 1)
    assert sorted(record_ids) == sorted(entry["record_id"] for entry in emulator.control.ledger()["replications"])
    assert (run.xcoms["replication"]["adopted"], run.xcoms["replication"]["succeeded"]) == (3, 3)
    assert ("CopyCheckpoint", "BackupService.6130") in calls(emulator)

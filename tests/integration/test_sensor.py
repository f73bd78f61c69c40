"""The sensor against the emulator: it waits for what something else started, on the worker or by rescheduling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
from airflow_cbr.emulator.world import BACKUPS
from airflow_cbr.exceptions import CbrAuthenticationError, CbrPermissionError, CbrReplicationFailedError
from airflow_cbr.hooks.cbr import CbrHook
from tests.support.airflow_errors import AirflowRescheduleException
from tests.support.task_run import IDS, replicating, set_connection, waiting

if TYPE_CHECKING:
    from tests.support.emulator import EmulatorServer

UNKNOWN = "a1b2c3d4-0000-4000-8000-000000000001"


def start(emulator: EmulatorServer, **switches: Any) -> dict[str, str]:
    """Start the copies, as another system does; return record id by backup id."""
    emulator.control.switch(**switches)
    return {pair.backup_id: pair.replication_record_id for pair in CbrHook().replicate_checkpoint(**IDS).references}


def outcomes(emulator: EmulatorServer) -> list[str]:
    return [entry["outcome"] for entry in emulator.control.ledger()["replications"]]


def failure(caught: pytest.ExceptionInfo[BaseException]) -> CbrReplicationFailedError:
    """Return why it failed, whether or not Airflow is told not to try again."""
    error = caught.value.__cause__ if isinstance(caught.value, AirflowFailException) else caught.value
    assert isinstance(error, CbrReplicationFailedError)
    return error


# --- waiting ----------------------------------------------------------------------------------------------------------------


def test_it_waits_until_all_records_have_ended_in_a_copy(emulator: EmulatorServer) -> None:
    records = start(emulator, copy_seconds=0.4)
    run = waiting(list(records.values()))
    run.attempt()
    assert outcomes(emulator) == ["success"] * 3
    assert any("0/3 replicated, 3 replicating" in line for line in run.lines)
    assert any("3/3 replicated" in line for line in run.lines)


def test_one_look_asks_for_all_records_at_once(emulator: EmulatorServer) -> None:
    records = start(emulator, copy_seconds=3600)
    before = emulator.control.requests().get("ListBackups", 0)
    run = waiting(list(records.values()))
    assert run.task.poke(run.context()) is False
    assert emulator.control.requests()["ListBackups"] - before == 1
    assert "ShowBackup" not in emulator.control.requests()


def test_one_id_may_be_given_without_a_list(emulator: EmulatorServer) -> None:
    records = start(emulator)
    emulator.control.fault("copy_waits", backup_id=BACKUPS[2])
    waiting(records[BACKUPS[0]]).attempt()
    assert emulator.control.ledger()["replications"][0]["outcome"] == "success"


def test_no_records_are_waited_for_without_a_request(emulator: EmulatorServer) -> None:
    waiting([]).attempt()
    assert emulator.control.requests() == {}


def test_only_the_given_records_count(emulator: EmulatorServer) -> None:
    emulator.control.fault("copy_fails", backup_id=BACKUPS[1])
    records = start(emulator)
    waiting([records[BACKUPS[0]], records[BACKUPS[2]]]).attempt()


def test_a_record_that_shows_late_is_waited_for(emulator: EmulatorServer) -> None:
    records = start(emulator, record_delay=0.8)
    waiting(list(records.values())).attempt()
    assert outcomes(emulator) == ["success"] * 3


def test_rescheduling_gives_the_slot_back_between_two_looks(emulator: EmulatorServer) -> None:
    records = start(emulator, copy_seconds=3600)
    run = waiting(list(records.values()), mode="reschedule", poke_interval=60)
    with pytest.raises(AirflowRescheduleException):
        run.attempt()
    emulator.control.advance(7200)
    run.first_reschedule = datetime.now(UTC)
    run.attempt()


# --- giving up --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_the_timeout_is_the_sensors_own(emulator: EmulatorServer, mode: str) -> None:
    records = start(emulator, copy_seconds=3600)
    run = waiting(list(records.values()), mode=mode, timeout=0.3)
    run.first_reschedule = datetime.now(UTC) - timedelta(seconds=1)
    with pytest.raises(AirflowSensorTimeout, match=r"timeout of 0\.3 s .* 3 copies are still running: .*Clear this task to keep waiting"):
        run.attempt()
    assert outcomes(emulator) == ["in_flight"] * 3


def test_an_unknown_record_is_not_taken_for_done(emulator: EmulatorServer) -> None:
    with pytest.raises(AirflowSensorTimeout):
        waiting([UNKNOWN], timeout=0.3).attempt()


def test_soft_fail_turns_the_timeout_and_a_failed_copy_into_a_skip(emulator: EmulatorServer) -> None:
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0])
    records = start(emulator)
    with pytest.raises(AirflowSkipException):
        waiting(list(records.values()), soft_fail=True).attempt()
    with pytest.raises(AirflowSkipException):
        waiting([UNKNOWN], timeout=0.2, soft_fail=True).attempt()


# --- records that do not end well -------------------------------------------------------------------------------------------


def test_a_failed_copy_fails_it_with_code_reason_and_name_after_all_others_have_ended(emulator: EmulatorServer) -> None:
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0], fail_code="BackupService.1006", fail_reason="No room in the lift.")
    emulator.control.fault("copy_waits", backup_id=BACKUPS[2], seconds=1.0)
    records = start(emulator)
    with pytest.raises(Exception, match="1 of 3") as caught:
        waiting(list(records.values())).attempt()
    (problem,) = failure(caught).problems
    assert problem == (
        f"ecs-web-01: BackupService.1006: No room in the lift.; backup nightly-ecs-web-01 ({BACKUPS[0]}), record {records[BACKUPS[0]]}"
    )
    assert sorted(outcomes(emulator)) == ["fail", "success", "success"]


def test_a_skipped_record_fails_it_when_nothing_was_copied_before(emulator: EmulatorServer) -> None:
    emulator.control.fault("copy_skipped", backup_id=BACKUPS[0])
    records = start(emulator)
    with pytest.raises(Exception, match="the service skipped the copy") as caught:
        waiting(list(records.values())).attempt()
    assert len(failure(caught).problems) == 1


def test_a_skipped_record_is_fine_when_the_copy_was_there_before(emulator: EmulatorServer) -> None:
    replicating().attempt()
    emulator.control.advance(3600)
    records = start(emulator, when_all_copied="skip")
    waiting(list(records.values())).attempt()


def test_an_unknown_status_word_is_waited_for(emulator: EmulatorServer) -> None:
    emulator.control.fault("unknown_status", backup_id=BACKUPS[0])
    records = start(emulator, copy_seconds=0.4)
    run = waiting(list(records.values()))
    run.attempt()
    assert outcomes(emulator) == ["success"] * 3


def test_a_record_that_vanishes_is_told_by_the_operation_log(emulator: EmulatorServer) -> None:
    emulator.control.fault("record_vanishes", backup_id=BACKUPS[0])
    records = start(emulator, copy_seconds=0.6)
    waiting(list(records.values())).attempt()
    assert outcomes(emulator) == ["success"] * 3
    assert emulator.control.requests()["ListOpLogs"] >= 1


# --- looks that fail --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [{"kind": "status", "status": 503}, {"kind": "code", "code": "2010"}, {"kind": "not_json", "count": 3}],
    ids=lambda trouble: str(trouble["kind"]),
)
def test_a_look_that_fails_for_a_passing_reason_is_tried_again(emulator: EmulatorServer, trouble: dict[str, Any]) -> None:
    records = start(emulator)
    emulator.control.fault(**({"call": "ListBackups"} | trouble))
    waiting(list(records.values())).attempt()
    assert outcomes(emulator) == ["success"] * 3


def test_a_vault_of_many_pages_is_read_to_the_end(emulator: EmulatorServer) -> None:
    emulator.control.add_vault(
        id="00000000-0000-4000-8000-0000000000aa", project_id=CbrHook().project_id, size=10_000_000, generate={"count": 2100, "size": 1}
    )
    emulator.control.change_vault(IDS["destination_vault_id"], size=10_000_000)
    emulator.control.switch(copies_at_once=None, copy_seconds=0.0)
    ids = IDS | {"vault_id": "00000000-0000-4000-8000-0000000000aa"}
    record_ids = [pair.replication_record_id for pair in CbrHook().replicate_checkpoint(**ids).references]
    assert len(record_ids) == 2100
    waiting(record_ids, vault_id=ids["vault_id"]).attempt()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"secret_key": "rotated"}, CbrAuthenticationError),
        ({"denied_calls": ["ListBackups"]}, CbrPermissionError),
    ],
    ids=["key", "permission"],
)
def test_a_look_that_fails_for_good_ends_the_wait(emulator: EmulatorServer, change: dict[str, Any], error: type[Exception]) -> None:
    records = start(emulator)
    emulator.control.change_user("backup-bot", **change)
    with pytest.raises(AirflowFailException) as caught:
        waiting(list(records.values())).attempt()
    assert isinstance(caught.value.__cause__, error)


def test_the_connections_region_can_be_replaced(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    records = start(emulator)
    set_connection(monkeypatch, emulator.url, region="cn-shenzhen-1")
    with pytest.raises(AirflowSensorTimeout):
        waiting(list(records.values()), timeout=0.3).attempt()
    waiting(list(records.values()), region="cn-north-4").attempt()

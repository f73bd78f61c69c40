"""What the replicate operator tells: record ids and counts in XCom, the log, the reasons of a failure, limits, timeout, and a kill."""

from __future__ import annotations

import os
import re
import signal
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.emulator.world import BACKUPS, SOURCE_PROJECT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrLimitError, CbrReplicationFailedError, CbrReplicationTimeoutError, CbrStoppedError
from airflow_cbr.links.cbr import (
    CONSOLE_XCOM_KEY,
    DESTINATION_XCOM_KEY,
    REPORT_XCOM_KEY,
    CbrDestinationLink,
    CbrReportLink,
    CbrVaultLink,
)
from airflow_cbr.operators.cbr import CbrPreflightOperator, CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator
from airflow_cbr.replication.steps import Step
from tests.support.task_run import IDS, TaskRun, checkpointing, replicating, set_connection, verifying, waiting

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from tests.support.emulator import EmulatorServer


def calls(emulator: EmulatorServer) -> list[str]:
    return [call["call"] for call in emulator.control.ledger()["calls"]]


def record_ids_by_backup(emulator: EmulatorServer) -> dict[str, str]:
    return {entry["backup_id"]: entry["record_id"] for entry in emulator.control.ledger()["replications"]}


class StoppedError(Exception):
    """The task is stopped half-way."""


class StoppedAfterPublishing(CbrReplicateCheckpointOperator):
    """Fails as soon as the record ids are pushed."""

    def at_step(self, step: Step, moment: str) -> None:
        if (step, moment) == (Step.PUBLISH, "after"):
            raise StoppedError


# --- XCom -----------------------------------------------------------------------------------------------------------------


def test_the_record_ids_are_pushed_at_once_and_are_there_when_the_task_fails_later(emulator: EmulatorServer) -> None:
    emulator.control.switch(copy_seconds=3600)
    run = replicating(StoppedAfterPublishing)
    with pytest.raises(StoppedError):
        run.attempt()
    assert sorted(run.xcoms["return_value"]) == sorted(record_ids_by_backup(emulator).values())
    assert run.xcoms["replication"] | {"accepted": 3, "adopted": 0} == run.xcoms["replication"]
    assert emulator.control.requests()["ListBackups"] == 1, "pushed before the next look"


def test_the_next_attempt_pushes_them_again_since_airflow_has_cleared_them(emulator: EmulatorServer) -> None:
    run = replicating(StoppedAfterPublishing, retries=3)
    with pytest.raises(StoppedError):
        run.attempt()
    again = run.followed_by(replicating(retries=3))
    assert sorted(again.attempt()) == sorted(record_ids_by_backup(emulator).values())
    counts = again.xcoms["replication"]
    assert (counts["accepted"], counts["adopted"], counts["succeeded"]) == (0, 3, 3)
    assert calls(emulator) == ["CopyCheckpoint"]


def test_the_xcoms_are_the_contracts_and_nothing_else(emulator: EmulatorServer) -> None:
    emulator.control.add_backup(SOURCE_VAULT, status="error")
    run = replicating()
    record_ids = run.attempt()
    seconds = run.xcoms["replication"].pop("seconds")
    assert 0 < seconds < 60
    assert run.xcoms == {
        "return_value": record_ids,
        "replication": {
            "source": {"region": "cn-north-4", "project_id": SOURCE_PROJECT, "vault_id": SOURCE_VAULT, "vault_name": "vault-nightly"},
            "destination": {
                "region": IDS["destination_region"],
                "project_id": IDS["destination_project_id"],
                "vault_id": IDS["destination_vault_id"],
                "vault_name": "vault-replicas",
            },
            "accepted": 3,
            "adopted": 0,
            "already": 0,
            "succeeded": 3,
            "failed": 0,
            "skipped": 1,
            "missing": 0,
            "eligible": 3,
            "gb": 200,
            "gb_already": 0,
        },
        CONSOLE_XCOM_KEY: "https://console.huaweicloud.com/cbr/?region=cn-north-4",
        DESTINATION_XCOM_KEY: "https://console.huaweicloud.com/cbr/?region=cn-shenzhen-1",
    }


def test_the_returned_ids_leave_out_a_failed_record_that_a_newer_one_has_replaced(emulator: EmulatorServer) -> None:
    emulator.control.fault("copy_fails", backup_id=BACKUPS[1])
    run = replicating(retries=1)
    with pytest.raises(CbrReplicationFailedError):
        run.attempt()
    first = record_ids_by_backup(emulator)
    assert sorted(run.xcoms["return_value"]) == sorted(first.values())
    again = run.attempt()
    now = record_ids_by_backup(emulator)
    assert sorted(again) == sorted(now.values())
    assert first[BACKUPS[1]] not in again
    assert run.xcoms["replication"]["succeeded"] == 3


# --- the log ----------------------------------------------------------------------------------------------------------------


def test_before_the_call_the_log_says_what_will_be_copied(emulator: EmulatorServer) -> None:
    lines_before_the_call: list[str] = []

    class Watched(CbrReplicateCheckpointOperator):
        def at_step(self, step: Step, moment: str) -> None:
            if (step, moment) == (Step.REPLICATE_VAULT, "before"):
                lines_before_the_call.extend(run.lines)

    replicating().attempt()
    emulator.control.advance(24 * 3600)
    emulator.control.add_backup(SOURCE_VAULT, resource_size=123)
    run = replicating(Watched)
    run.attempt()
    assert any("About to replicate 1 of 4 eligible backups, at most 123 GB" in line for line in lines_before_the_call)


def test_each_record_is_named_with_its_backup_when_it_is_accepted(emulator: EmulatorServer) -> None:
    run = replicating()
    run.attempt()
    for backup_id, record_id in record_ids_by_backup(emulator).items():
        assert any(backup_id in line and record_id in line and "accepted" in line for line in run.lines)


def test_the_last_line_says_how_many_are_where_how_much_and_how_fast(emulator: EmulatorServer) -> None:
    emulator.control.switch(copy_seconds=1.2)
    run = replicating()
    run.attempt()
    first = r"INFO vault-nightly: cn-north-4 -> cn-shenzhen-1: 3 of 3 eligible backups are there: "
    assert re.fullmatch(first + r"3 copied now \(at most 200 GB in \d+ s, [\d.]+ MB/s\), 0 before", run.lines[-1])
    emulator.control.advance(24 * 3600)
    emulator.control.add_backup(SOURCE_VAULT, resource_size=123)
    emulator.control.add_backup(SOURCE_VAULT, status="error")
    run = replicating()
    run.attempt()
    second = r"INFO vault-nightly: cn-north-4 -> cn-shenzhen-1: 4 of 4 eligible backups are there: "
    assert re.fullmatch(second + r"1 copied now \(at most 123 GB in \d+ s, [\d.]+ MB/s\), 3 before, 1 not eligible", run.lines[-1])
    assert run.xcoms["replication"] | {"eligible": 4, "gb": 123, "gb_already": 200} == run.xcoms["replication"]
    # Nothing is running and nothing was sent: how long the copies took is not known to this attempt.
    run = replicating()
    run.attempt()
    assert run.xcoms["replication"]["seconds"] is None
    assert run.lines[-1].endswith("4 of 4 eligible backups are there: 0 copied now, 4 before, 1 not eligible")


def test_a_task_that_does_not_wait_says_what_is_still_running(emulator: EmulatorServer) -> None:
    emulator.control.switch(copy_seconds=3600)
    run = replicating(wait_for_completion=False)
    run.attempt()
    assert run.lines[-1].endswith("0 of 3 eligible backups are there: 0 copied now, 0 before, 3 still running")


def test_the_label_of_a_mapped_task_has_the_vaults_name_once_the_task_has_read_it(emulator: EmulatorServer) -> None:
    run = replicating()
    assert run.task.pair == f"{SOURCE_VAULT}: -> cn-shenzhen-1"
    run.attempt()
    assert run.task.pair == "vault-nightly: cn-north-4 -> cn-shenzhen-1"


def test_without_the_right_to_read_vaults_it_names_them_by_id(emulator: EmulatorServer) -> None:
    emulator.control.change_user("backup-bot", denied_calls=["ShowVault", "ListExternalVault"])
    run = replicating()
    assert len(run.attempt()) == 3
    assert run.lines[-1].startswith(f"INFO {SOURCE_VAULT}: cn-north-4 -> cn-shenzhen-1: 3 of 3 eligible backups are there")
    assert run.xcoms["replication"]["source"]["vault_name"] is None
    assert run.xcoms["replication"]["destination"]["vault_name"] is None


def test_every_line_of_a_night_names_the_server_before_any_id(emulator: EmulatorServer) -> None:
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0])
    run = replicating(retries=1)
    with pytest.raises(CbrReplicationFailedError) as caught:
        run.attempt()
    run.attempt()
    lines = [line for line in [*run.lines, *caught.value.problems] if any(backup_id in line for backup_id in BACKUPS)]
    assert len(lines) >= 8
    for line in lines:
        (name,) = (one for one in ("ecs-web-01", "ecs-app-01", "ecs-db-01") if one in line)
        assert line.index(name) < min(line.index(one) for one in BACKUPS if one in line), line
    assert f"Vault vault-nightly ({SOURCE_VAULT}) is not fully replicated to vault vault-replicas in cn-shenzhen-1" in str(caught.value)


# --- copies that do not end well --------------------------------------------------------------------------------------------


def test_a_failed_copy_fails_the_task_with_code_reason_and_name_after_all_others_have_ended(emulator: EmulatorServer) -> None:
    emulator.control.switch(copy_seconds=0.5)
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0], fail_code="BackupService.1006", fail_reason="No room in the lift.")
    # The failed one ends first.
    emulator.control.fault("copy_waits", backup_id=BACKUPS[2], seconds=1.0)
    run = replicating()
    with pytest.raises(CbrReplicationFailedError) as caught:
        run.attempt()
    text = str(caught.value)
    assert "nightly-ecs-web-01" in text
    assert record_ids_by_backup(emulator)[BACKUPS[0]] in text
    assert "BackupService.1006: No room in the lift." in text
    assert "nightly-ecs-app-01" not in text
    outcomes = {entry["backup_id"]: entry["outcome"] for entry in emulator.control.ledger()["replications"]}
    assert outcomes == {BACKUPS[0]: "fail", BACKUPS[1]: "success", BACKUPS[2]: "success"}
    counts = run.xcoms["replication"]
    assert (counts["succeeded"], counts["failed"]) == (2, 1)
    assert sorted(run.xcoms["return_value"]) == sorted(record_ids_by_backup(emulator).values())


def test_a_retry_asks_for_the_failed_backup_alone(emulator: EmulatorServer) -> None:
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0])
    run = replicating(retries=2)
    with pytest.raises(CbrReplicationFailedError):
        run.attempt()
    run.attempt()
    replications = [entry["backup_id"] for entry in emulator.control.ledger()["replications"]]
    assert sorted(replications) == sorted([*BACKUPS, BACKUPS[0]])
    assert emulator.control.ledger()["duplicates"] == []


def test_an_extra_info_in_text_is_read_as_well(emulator: EmulatorServer) -> None:
    emulator.control.switch(extra_info_as_text=True)
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0], fail_code="BackupService.1006", fail_reason="No room in the lift.")
    with pytest.raises(CbrReplicationFailedError, match=r"BackupService\.1006: No room in the lift\."):
        replicating().attempt()


# --- limits -----------------------------------------------------------------------------------------------------------------


def test_max_backups_refuses_more_before_anything_is_sent(emulator: EmulatorServer) -> None:
    with pytest.raises(AirflowFailException, match=r"3 backups would be replicated, more than max_backups=2. Nothing was sent.") as caught:
        replicating(max_backups=2).attempt()
    assert isinstance(caught.value.__cause__, CbrLimitError)
    assert calls(emulator) == []
    assert len(replicating(max_backups=3).attempt()) == 3


def test_max_backups_counts_what_would_be_copied_and_not_what_there_is(emulator: EmulatorServer) -> None:
    replicating().attempt()
    emulator.control.advance(24 * 3600)
    emulator.control.add_backup(SOURCE_VAULT)
    assert len(replicating(max_backups=1).attempt()) == 1


@pytest.fixture
def dag() -> DAG:
    from airflow.sdk import DAG

    return DAG("night", schedule=None)


@pytest.mark.parametrize("mapped", [True, False])
def test_more_ids_than_can_be_mapped_over_are_refused_before_anything_is_sent(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, dag: DAG, mapped: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "2")
    run = replicating(dag=dag)
    if mapped:
        CbrVerifyReplicationOperator.partial(task_id="verify", dag=dag, **IDS).expand(replication_record_ids=run.task.output)
        with pytest.raises(AirflowFailException, match=r"3 record ids .* \[core\] max_map_length=2. Nothing was sent"):
            run.attempt()
        assert calls(emulator) == []
    else:
        CbrVerifyReplicationOperator(task_id="verify", dag=dag, replication_record_ids=run.task.output, **IDS)
        assert len(run.attempt()) == 3


# --- the timeout ------------------------------------------------------------------------------------------------------------


def test_when_the_timeout_passes_the_task_is_not_retried_the_copies_go_on_and_the_message_says_what_to_do(
    emulator: EmulatorServer,
) -> None:
    emulator.control.fault("copy_waits", backup_id=BACKUPS[0])
    run = replicating(timeout=0.9, retries=3)
    with pytest.raises(AirflowFailException) as caught:
        run.attempt()
    cause = caught.value.__cause__
    assert isinstance(cause, CbrReplicationTimeoutError)
    waiting = record_ids_by_backup(emulator)[BACKUPS[0]]
    assert cause.running == [waiting]
    assert "The timeout of 0.9 s" in str(caught.value)
    assert f"1 copy is still running: ecs-web-01 ({waiting})" in str(caught.value)
    assert "Clear this task to keep waiting" in str(caught.value)
    counts = run.xcoms["replication"]
    assert (counts["accepted"], counts["succeeded"]) == (3, 2)
    assert {entry["outcome"] for entry in emulator.control.ledger()["replications"]} == {"in_flight", "success"}


def test_the_timeout_counts_from_the_first_attempt(emulator: EmulatorServer) -> None:
    emulator.control.fault("copy_waits", backup_id=BACKUPS[0])
    run = replicating(StoppedAfterPublishing, timeout=1.5, retries=3)
    with pytest.raises(StoppedError):
        run.attempt()
    over = time.time() + 1.6  # the first attempt began before now, so its deadline lies before this
    again = run.followed_by(replicating(timeout=1.5, retries=3))
    while time.time() < over:
        time.sleep(0.05)
    looks = emulator.control.requests()["ListBackups"]
    with pytest.raises(AirflowFailException, match=r"timeout of (1.5|2) s"):
        again.attempt()
    assert emulator.control.requests()["ListBackups"] - looks == 1, "one look, and no wait"
    assert calls(emulator) == ["CopyCheckpoint"]
    results = [key for key, _ in again.pushes if not key.startswith("cbr_")]
    assert results[-2:] == ["return_value", "replication"], "what is known is pushed before it fails"


def test_a_clear_gives_the_timeout_anew(emulator: EmulatorServer) -> None:
    emulator.control.switch(copy_seconds=2)
    run = replicating(timeout=0.5, retries=1)
    with pytest.raises(AirflowFailException, match="timeout"):
        run.attempt()
    # Airflow adds the task's retries to the number of the attempt that was cleared.
    cleared = run.followed_by(replicating(timeout=30, retries=1))
    cleared.cleared_after = 1
    assert len(cleared.attempt()) == 3
    assert calls(emulator) == ["CopyCheckpoint"]


# --- a kill -------------------------------------------------------------------------------------------------------------------


def test_a_killed_task_says_which_copies_go_on(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.control.switch(copy_seconds=1.0)
    run = replicating()
    waits: list[float] = []
    sleep = time.sleep

    def killed_while_waiting(seconds: float) -> None:
        if not waits:
            os.kill(os.getpid(), signal.SIGTERM)
        waits.append(seconds)
        sleep(seconds)

    # A worker calls on_kill in the handler of SIGTERM, whatever runs at that moment.
    before = signal.signal(signal.SIGTERM, lambda *_: run.task.on_kill())
    try:
        with monkeypatch.context() as patch:
            patch.setattr("airflow_cbr.operators.base.time.sleep", killed_while_waiting)
            with pytest.raises(CbrStoppedError) as caught:
                run.attempt()
    finally:
        signal.signal(signal.SIGTERM, before)
    (warning,) = [line for line in run.lines if line.startswith("WARNING")]
    assert "cannot cancel copies; these replication records keep running" in warning
    assert all(record_id in warning for record_id in record_ids_by_backup(emulator).values())
    assert sorted(caught.value.running) == sorted(record_ids_by_backup(emulator).values())


def test_a_task_that_is_stopped_before_it_began_sends_nothing_and_says_so(emulator: EmulatorServer) -> None:
    run = replicating()
    run.task.on_kill()
    with pytest.raises(CbrStoppedError, match="No copy of its own is running"):
        run.attempt()
    (warning,) = [line for line in run.lines if line.startswith("WARNING")]
    assert "sends nothing more. No copy of its own is running" in warning
    assert emulator.control.ledger()["replications"] == []


def test_a_finished_task_claims_no_copies_when_it_is_stopped(emulator: EmulatorServer) -> None:
    run = replicating()
    run.attempt()
    run.task.on_kill()
    assert run.lines[-1].endswith("sends nothing more. No copy of its own is running")


# --- the link -----------------------------------------------------------------------------------------------------------------


def test_the_link_leads_to_the_console_of_the_source_region(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, emulator.url, cloud="myhuaweicloud.eu")
    run = replicating()
    link, there, *_ = run.task.operator_extra_links
    assert isinstance(link, CbrVaultLink)
    assert isinstance(there, CbrDestinationLink)
    monkeypatch.setattr("airflow_cbr.links.cbr.XCom.get_value", lambda *, key, ti_key: run.xcoms.get(key))
    key: Any = None
    assert link.get_link(run.task, ti_key=key) == ""
    run.attempt()
    assert link.get_link(run.task, ti_key=key) == "https://console.huaweicloud.eu/cbr/?region=cn-north-4"
    assert there.get_link(run.task, ti_key=key) == "https://console.huaweicloud.eu/cbr/?region=cn-shenzhen-1"


@pytest.mark.parametrize("kind", ["replicate", "verify", "preflight", "checkpoint", "sensor"])
def test_every_task_links_to_the_console_that_the_connection_names(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    set_connection(monkeypatch, emulator.url, console="console-intl.huaweicloud.com")
    emulator.control.switch(checkpoint_seconds=0.1)
    records = replicating().attempt()
    preflight = TaskRun(CbrPreflightOperator(task_id="look", **IDS))
    runs = {"verify": verifying(records), "preflight": preflight, "checkpoint": checkpointing(), "sensor": waiting(records)}
    run = runs.get(kind) or replicating()
    run.attempt()
    assert run.xcoms[CONSOLE_XCOM_KEY] == "https://console-intl.huaweicloud.com/cbr/?region=cn-north-4"
    has_destination = kind not in ("checkpoint", "sensor")
    assert (run.xcoms.get(DESTINATION_XCOM_KEY) == "https://console-intl.huaweicloud.com/cbr/?region=cn-shenzhen-1") is has_destination
    assert any(isinstance(link, CbrDestinationLink) for link in run.task.operator_extra_links) is has_destination
    assert any(isinstance(link, CbrReportLink) for link in run.task.operator_extra_links) is (kind == "verify")


@pytest.mark.parametrize(
    ("pushed", "map_index", "address"),
    [
        (None, -1, ""),
        ("", -1, "/dags/night/runs/scheduled__2026-11-27T03%3A00%3A00%2B00%3A00/tasks/verify/xcom"),
        ("/var/reports/a.json", 3, "/dags/night/runs/scheduled__2026-11-27T03%3A00%3A00%2B00%3A00/tasks/verify/mapped/3/xcom"),
        ("https://reports.example.com/a.json", -1, "https://reports.example.com/a.json"),
    ],
)
def test_the_link_to_the_report_leads_to_its_address_or_to_the_tasks_xcoms(
    monkeypatch: pytest.MonkeyPatch, pushed: str | None, map_index: int, address: str
) -> None:
    monkeypatch.setattr("airflow_cbr.links.cbr.XCom.get_value", lambda *, key, ti_key: pushed if key == REPORT_XCOM_KEY else None)
    monkeypatch.delenv("AIRFLOW__API__BASE_URL", raising=False)
    key: Any = SimpleNamespace(dag_id="night", run_id="scheduled__2026-11-27T03:00:00+00:00", task_id="verify", map_index=map_index)
    operator: Any = None
    assert CbrReportLink().get_link(operator, ti_key=key) == address
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/a/")
    expected = f"https://airflow.example.com/a{address}" if address.startswith("/") else address
    assert CbrReportLink().get_link(operator, ti_key=key) == expected


# --- default_args -------------------------------------------------------------------------------------------------------------


def test_default_args_fill_the_parameters(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import DAG

    set_connection(monkeypatch, emulator.url, conn_id="from_default_args")
    monkeypatch.delenv("AIRFLOW_CONN_HUAWEICLOUD_CBR_DEFAULT")
    shared = {**IDS, "cbr_conn_id": "from_default_args", "destination_conn_id": "from_default_args", "retry_delay": timedelta(seconds=1)}
    with DAG("night", schedule=None, default_args=shared):
        replicate = CbrReplicateCheckpointOperator(task_id="replicate", poll_interval=0.1, max_poll_interval=0.2)  # type: ignore[call-arg]
        verify = CbrVerifyReplicationOperator(task_id="verify", replication_record_ids=[])  # type: ignore[call-arg]
    assert replicate.vault_id == verify.vault_id == SOURCE_VAULT
    assert replicate.cbr_conn_id == verify.destination_conn_id == "from_default_args"
    assert len(TaskRun(replicate).attempt()) == 3
    assert TaskRun(verify).attempt()["verified"] == 3

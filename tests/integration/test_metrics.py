"""What the tasks send to Airflow's metrics: against the emulator, and from real task processes to a StatsD server and a collector."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrReplicationFailedError, CbrVerificationError
from airflow_cbr.hooks import metrics
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.cbr import CbrReplicateBackupOperator
from tests.support.airflow_errors import AirflowRescheduleException, TaskDeferred
from tests.support.metric_backends import Collector, Received, Sample, StatsdServer
from tests.support.task_process import run_task
from tests.support.task_run import IDS, TaskRun, replicating, verifying, waiting

if TYPE_CHECKING:
    from airflow_cbr.api.models import Backup
    from tests.support.emulator import EmulatorServer

TAGS = {
    "region": "cn-north-4",
    "vault_id": SOURCE_VAULT,
    "destination_region": "cn-shenzhen-1",
    "destination_vault_id": DESTINATION_VAULT,
}
KEYS = ("accepted", "adopted", "succeeded", "failed", "skipped", "missing")
UNKNOWN = "a1b2c3d4-0000-4000-8000-000000000001"


class Stats:
    """Airflow's ``Stats``, which keeps what it is given."""

    def __init__(self) -> None:
        self.received = Received()

    def incr(self, stat: str, count: int, *, tags: dict[str, str]) -> None:
        self.received.append(Sample(stat, "counter", count, tags))

    def gauge(self, stat: str, value: float, *, tags: dict[str, str]) -> None:
        self.received.append(Sample(stat, "gauge", value, tags))

    def timing(self, stat: str, dt: Any, *, tags: dict[str, str]) -> None:
        self.received.append(Sample(stat, "timing", dt.total_seconds() * 1000, tags))


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Received:
    stats = Stats()
    monkeypatch.setattr(metrics, "stats", lambda: stats)
    return stats.received


def counters(received: Received) -> dict[str, float]:
    """Return the counters of copies that are not 0."""
    return {name.removeprefix("cbr.replication."): total for name, total in received.totals().items() if total and "replication" in name}


def backups() -> list[Backup]:
    """Return the source vault's backups: each of another resource."""
    return list(CbrHook().list_backups(vault_id=SOURCE_VAULT, show_replication=True))


def verified_at() -> int:
    """Return when the oldest backup was made, in whole seconds of Unix time."""
    return int(min(backup.created.timestamp() for backup in backups() if backup.created is not None))


def copy_all() -> list[str]:
    return list(replicating().attempt())


# --- replicate ----------------------------------------------------------------------------------------------------------------


def test_a_night_sends_the_counts_of_its_xcom(emulator: EmulatorServer, received: Received) -> None:
    run = replicating()
    run.attempt()

    assert received.totals() == {f"cbr.replication.{key}": run.xcoms["replication"][key] for key in KEYS}
    assert counters(received) == {"accepted": 3, "succeeded": 3}
    assert Counter(one.name for one in received) == {
        name: 1 for name in metrics.Metric if name.startswith(("cbr.replication.", "cbr.wait."))
    }
    assert [one.tags for one in received] == [TAGS] * len(received)
    assert received.values("cbr.replication.gb") == [sum(backup.resource_size or 0 for backup in backups())]
    (waited,) = received.values("cbr.wait.seconds")
    assert 200 <= waited < 60_000


def test_a_night_with_nothing_to_do_copies_nothing(emulator: EmulatorServer, received: Received) -> None:
    copy_all()
    emulator.control.advance(24 * 3600)
    received.clear()
    replicating().attempt()

    assert counters(received) == {}
    assert received.values("cbr.replication.gb") == [0]


def test_an_attempt_that_is_retried_sends_nothing_and_the_last_one_all(emulator: EmulatorServer, received: Received) -> None:
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0])
    run = replicating(retries=1)
    with pytest.raises(CbrReplicationFailedError):
        run.attempt()
    assert received == []
    run.attempt()

    # The records of the first attempt are adopted by the second, as its XCom has it; each backup counts once.
    assert received.totals() == {f"cbr.replication.{key}": run.xcoms["replication"][key] for key in KEYS}
    assert counters(received) == {"accepted": 1, "adopted": 2, "succeeded": 3}


@pytest.mark.parametrize("fail_code", [None, "BackupService.1006"])
def test_a_failure_that_is_not_retried_counts(emulator: EmulatorServer, received: Received, fail_code: str | None) -> None:
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0], **({} if fail_code is None else {"fail_code": fail_code}))
    with pytest.raises((CbrReplicationFailedError, AirflowFailException)):
        replicating().attempt()

    assert counters(received) == {"accepted": 3, "succeeded": 2, "failed": 1}
    assert len(received.values("cbr.wait.seconds")) == 1


def test_a_copy_that_does_not_move_shows_as_accepted_and_not_succeeded(emulator: EmulatorServer, received: Received) -> None:
    emulator.control.fault("copy_waits", backup_id=BACKUPS[0])
    with pytest.raises(AirflowFailException):
        replicating(timeout=2.0, retries=3).attempt()

    assert counters(received) == {"accepted": 3, "succeeded": 2}


def test_a_deferred_night_counts_when_it_ends(emulator: EmulatorServer, received: Received) -> None:
    run = replicating(deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        run.attempt()
    trigger = deferred.value.trigger
    assert received == []
    emulator.control.advance(60)
    event = {"wake": "final", "records": run.xcoms["return_value"], "memory": trigger.memory}
    run.task.execute_complete(run.context(), event)

    assert counters(received) == {"accepted": 3, "succeeded": 3}
    assert len(received.values("cbr.wait.seconds")) == 1


def test_a_deferred_night_whose_credentials_are_refused_counts_what_it_has_started(emulator: EmulatorServer, received: Received) -> None:
    run = replicating(deferrable=True, retries=3)
    with pytest.raises(TaskDeferred) as deferred:
        run.attempt()
    refusal = {"message": "The access key is not known.", "advice": None, "error_code": "APIGW.0301", "request_id": "r", "http_status": 401}
    event = {"wake": "refused", "memory": deferred.value.trigger.memory, "refusal": refusal}
    run.try_number = 1
    with pytest.raises(AirflowFailException):
        run.task.execute_complete(run.context(), event)

    assert counters(received) == {"accepted": 3}
    assert received.values("cbr.replication.gb") == []


def test_what_fails_before_anything_is_sent_sends_nothing(emulator: EmulatorServer, received: Received) -> None:
    with pytest.raises(AirflowFailException):
        replicating(vault_id="x@evil/").attempt()
    replicating(plan_only=True).attempt()

    assert received == []


def test_a_second_attempt_of_the_same_operator_does_not_send_the_first_ones_counts(emulator: EmulatorServer, received: Received) -> None:
    run = replicating()
    run.attempt()
    received.clear()
    run.task.poll_interval = -1.0
    with pytest.raises(AirflowFailException):
        run.attempt()

    assert received == []


def test_one_backup_sends_the_same(emulator: EmulatorServer, received: Received) -> None:
    given = {name: value for name, value in IDS.items() if name != "vault_id"} | {"poll_interval": 0.1, "settle_time": 1.0}
    TaskRun(CbrReplicateBackupOperator(task_id="again", backup_id=BACKUPS[0], max_poll_interval=0.2, **given)).attempt()

    assert counters(received) == {"accepted": 1, "succeeded": 1}
    assert {tuple(one.tags.items()) for one in received} == {tuple(TAGS.items())}


# --- the sensor ---------------------------------------------------------------------------------------------------------------


def test_who_waits_counts_what_succeeds(emulator: EmulatorServer, received: Received) -> None:
    emulator.control.switch(copy_seconds=0.5)
    start = replicating(wait_for_completion=False)
    records = start.attempt()
    assert counters(received) == {"accepted": 3}
    assert "cbr.replication.succeeded" not in {one.name for one in received}
    assert received.values("cbr.wait.seconds") == received.values("cbr.replication.gb") == []
    waiting(records).attempt()

    assert counters(received) == {"accepted": 3, "succeeded": 3}
    assert {tuple(one.tags.items()) for one in received} == {tuple(TAGS.items())}, "one series"
    assert len(received.values("cbr.wait.seconds")) == 1


def test_a_sensor_counts_how_its_records_ended(emulator: EmulatorServer, received: Received) -> None:
    emulator.control.fault("copy_fails", backup_id=BACKUPS[0])
    records = [pair.replication_record_id for pair in CbrHook().replicate_checkpoint(**IDS).references]
    with pytest.raises(AirflowFailException):
        waiting(records, retries=3).attempt()

    assert counters(received) == {"succeeded": 2, "failed": 1}
    assert "cbr.replication.accepted" not in {one.name for one in received}


def test_a_sensor_that_is_rescheduled_counts_when_it_ends(emulator: EmulatorServer, received: Received) -> None:
    emulator.control.switch(copy_seconds=3600)
    records = [pair.replication_record_id for pair in CbrHook().replicate_checkpoint(**IDS).references]
    run = waiting(records, mode="reschedule")
    with pytest.raises(AirflowRescheduleException):
        run.attempt()
    assert received == []
    emulator.control.advance(3600)
    run.try_number = 1
    run.attempt()

    assert counters(received) == {"succeeded": 3}


def test_a_deferred_sensor_counts_when_it_ends(emulator: EmulatorServer, received: Received) -> None:
    emulator.control.switch(copy_seconds=3600)
    records = [pair.replication_record_id for pair in CbrHook().replicate_checkpoint(**IDS).references]
    run = waiting(records, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        run.attempt()
    trigger = deferred.value.trigger
    assert received == []
    emulator.control.advance(3600)
    kept = {name: getattr(trigger, name) for name in ("backups", "deadline", "memory")}
    event = {"wake": "final", "records": records, **kept}
    run.task.resume_execution("execute_complete", {"event": event}, run.context())

    assert counters(received) == {"succeeded": 3}


def test_a_record_that_vanished_counts_as_the_operation_log_has_it(emulator: EmulatorServer, received: Received) -> None:
    emulator.control.switch(copy_seconds=0.5)
    records = [pair.replication_record_id for pair in CbrHook().replicate_checkpoint(**IDS).references]
    run = waiting(records)
    assert run.task.poke(run.context()) is False
    emulator.control.advance(60)
    emulator.control.remove_record(records[0])
    backups = dict(run.task._backups)
    run.store.set("cbr_replication_wait", {"generation": 0, "deadline": 4e9, "backups": backups})  # type: ignore[union-attr]
    run.attempt()

    assert counters(received) == {"succeeded": 3}


@pytest.mark.parametrize("soft_fail", [False, True])
def test_a_record_that_was_never_listed_is_missing(emulator: EmulatorServer, received: Received, soft_fail: bool) -> None:
    copy_all()
    received.clear()
    with pytest.raises(AirflowSkipException if soft_fail else AirflowSensorTimeout):
        waiting([UNKNOWN], timeout=0.5, soft_fail=soft_fail).attempt()

    assert counters(received) == {"missing": 1}
    assert {tuple(one.tags) for one in received} == {("region", "vault_id")}, "nothing says where it leads"


# --- verify -------------------------------------------------------------------------------------------------------------------


def test_a_verification_sends_when_the_worst_resource_was_protected(emulator: EmulatorServer, received: Received) -> None:
    copy_all()
    emulator.control.advance(3600)
    received.clear()
    verifying(None).attempt()

    made, age, used = received
    assert made == Sample("cbr.replica.verified_at", "gauge", verified_at(), TAGS)
    assert (age.name, age.tags) == ("cbr.replica.age_seconds", TAGS)
    assert 3600 <= age.value < 4 * 24 * 3600
    there = CbrHook(region="cn-shenzhen-1", project_id=DESTINATION_PROJECT).show_vault(DESTINATION_VAULT).billing
    assert there is not None
    assert used == Sample("cbr.vault.used_ratio", "gauge", round(there.used / 1024 / there.size, 4), TAGS)  # type: ignore[operator]
    assert used.value > 0


def test_an_older_replica_counts_although_the_verification_fails(emulator: EmulatorServer, received: Received) -> None:
    copy_all()
    before = verified_at()
    emulator.control.advance(48 * 3600)
    emulator.control.add_backup(SOURCE_VAULT, resource_id=backups()[0].resource_id)
    received.clear()
    with pytest.raises((CbrVerificationError, AirflowFailException)):
        verifying(None, retries=2).attempt()

    assert received.values("cbr.replica.verified_at") == [before]
    (age,) = received.values("cbr.replica.age_seconds")
    assert age >= 48 * 3600


@pytest.mark.parametrize("levels", [None, {"record": "fail"}], ids=["a resource without a replica", "the word of the source"])
def test_without_proof_for_every_resource_no_time_is_sent(
    emulator: EmulatorServer, received: Received, levels: dict[str, str] | None
) -> None:
    copy_all()
    if levels is None:
        (record,) = backups()[0].replication_records or []
        emulator.control.remove_backup(str(record.destination_backup_id))
    received.clear()
    if levels is None:
        with pytest.raises((CbrVerificationError, AirflowFailException)):
            verifying(None).attempt()
    else:
        verifying(None, levels=levels).attempt()

    # How full the destination is does not depend on any replica; the word of the source says nothing of that either.
    assert [one.name for one in received] == (["cbr.vault.used_ratio"] if levels is None else [])


# --- the client ---------------------------------------------------------------------------------------------------------------


def test_each_answer_that_says_too_many_requests_counts(emulator: EmulatorServer, received: Received) -> None:
    emulator.control.fault("throttle", call="ListBackups", retry_after=0, count=2)
    list(CbrHook().list_backups(vault_id=SOURCE_VAULT))

    assert received == [Sample("cbr.api.throttled", "counter", 1, {"region": "cn-north-4"})] * 2


# --- nothing that goes wrong --------------------------------------------------------------------------------------------------


def test_a_whole_night_is_the_same_with_a_stats_that_raises(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def stats() -> Any:
        raise RuntimeError("no backend, and no manners")

    monkeypatch.setattr(metrics, "stats", stats)
    emulator.control.fault("throttle", call="ListBackups", retry_after=0)
    records = copy_all()
    waiting(records).attempt()

    assert verifying(records).attempt()["verdict"] == "verified"


# --- real processes -----------------------------------------------------------------------------------------------------------


def nights(environment: dict[str, str]) -> None:
    """Let a night's tasks each run in a process of its own."""
    run_task("measured.py", "measured", "replicate", environment=environment)
    run_task("measured.py", "measured", "verify", environment=environment)


def check_a_night(received: Received) -> None:
    assert counters(received) == {"accepted": 3, "succeeded": 3}
    assert received.values("cbr.replica.verified_at") == [verified_at()]
    of_others = {one for one in metrics.Metric if one is metrics.Metric.THROTTLED or one.startswith("cbr.drill.")}
    assert {one.name for one in received} == set(metrics.Metric) - of_others
    assert {tuple(sorted(one.tags.items())) for one in received} == {tuple(sorted(TAGS.items()))}
    (waited,) = received.values("cbr.wait.seconds")
    assert 100 <= waited < 280_000, "milliseconds"


@pytest.mark.parametrize("backend", [pytest.param(StatsdServer, marks=pytest.mark.full), Collector])
def test_a_task_process_sends_to_the_backend_that_airflow_is_told_of(backend: Any, emulator: EmulatorServer) -> None:
    with backend() as server:
        nights({**os.environ, **server.settings})

        check_a_night(server.take().of_package())


@pytest.mark.full
@pytest.mark.parametrize(
    "settings",
    [
        {"AIRFLOW__METRICS__STATSD_ON": "True", "AIRFLOW__METRICS__STATSD_HOST": "no-such-host.invalid"},
        {"AIRFLOW__METRICS__STATSD_ON": "True", "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "scheduler"},
    ],
    ids=["a bad host", "an allow list without them"],
)
def test_a_task_process_does_its_work_whatever_its_metrics_do(settings: dict[str, str], emulator: EmulatorServer) -> None:
    log = run_task("measured.py", "measured", "replicate", environment={**os.environ, **settings})

    assert "3 of 3 eligible backups are there" in log
    assert [entry["outcome"] for entry in emulator.control.ledger()["replications"]] == ["success"] * 3

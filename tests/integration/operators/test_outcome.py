"""What a task lists with itself: the rendered field ``outcome``, as Airflow writes it when the task ends or is deferred."""

from __future__ import annotations

import importlib
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowSkipException
from airflow_cbr.api.texts import LONGEST_NAME
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrVerificationError
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator
from airflow_cbr.operators.outcome import LARGEST, MOST_FINDINGS
from tests.support.airflow_errors import TaskDeferred
from tests.support.task_run import TaskRun, replicating, verifying

if TYPE_CHECKING:
    from tests.support.emulator import EmulatorServer

SOURCE = {"region": "cn-north-4", "project_id": SOURCE_PROJECT, "vault_id": SOURCE_VAULT}
DESTINATION = {"region": "cn-shenzhen-1", "project_id": DESTINATION_PROJECT, "vault_id": DESTINATION_VAULT}


def listed(run: TaskRun) -> dict[str, Any]:
    """Return the rendered fields as Airflow's own code makes them of a task that has ended."""
    runner = importlib.import_module("airflow.sdk.execution_time.task_runner")
    assert run.task.overwrite_rtif_after_execution is True, "otherwise Airflow keeps what was rendered at the start"
    fields: dict[str, Any] = json.loads(json.dumps(runner._serialize_rendered_fields(run.task)))
    return fields


def test_a_verification_lists_its_verdict_and_the_age_of_the_worst_replica(emulator: EmulatorServer) -> None:
    replicating().attempt()
    run = verifying(None, max_age=86400)
    run.attempt()
    fields = listed(run)
    report, outcome = run.xcoms["verification"], fields["outcome"]

    assert (outcome["kind"], outcome["verdict"], outcome["max_age"]) == ("verification", "verified", 86400)
    assert outcome["verified_at"].replace("+00:00", "Z") == report["verified_at"].replace("+00:00", "Z")
    assert (outcome["counts"], outcome["size_gb"], outcome["at"]) == (report["counts"], report["size_gb"], report["at"])
    assert outcome["source"] == SOURCE | {"vault_name": "vault-nightly"}
    assert outcome["destination"] == DESTINATION | {"vault_name": "vault-replicas"}
    assert outcome["resources"] == {"total": len(report["resources"]), "unprotected": 0}
    assert outcome["consoles"]["destination"] == "https://console.huaweicloud.com/cbr/?region=cn-shenzhen-1"
    assert fields["vault_id"] == SOURCE_VAULT, "beside what was rendered"


def test_a_verification_that_fails_lists_the_reasons_and_what_to_do(emulator: EmulatorServer) -> None:
    run = verifying(None)
    with pytest.raises(CbrVerificationError):
        run.attempt()
    outcome, findings = listed(run)["outcome"], run.xcoms["verification"]["findings"]

    assert (outcome["verdict"], outcome["verified_at"], outcome["findings_total"]) == ("failed", None, len(findings))
    assert outcome["resources"]["unprotected"] == outcome["resources"]["total"] == len(run.xcoms["verification"]["resources"]) > 0
    assert [one["reason"] for one in outcome["findings"]] == [one["reason"] for one in findings[:MOST_FINDINGS]]
    assert all(one["advice"] for one in outcome["findings"])
    assert "error" not in outcome, "its findings say it better"


def test_hostile_names_do_not_make_the_outcome_longer_than_airflow_takes(emulator: EmulatorServer) -> None:
    for backup_id in BACKUPS:
        emulator.control.change_backup(backup_id, name="<img src=x onerror=alert(1)>\"'\\" * 300)
    emulator.control.change_vault(SOURCE_VAULT, name="<img src=x onerror=alert(1)>\n\"'\\" * 300)
    run = verifying(None)
    with pytest.raises(CbrVerificationError):
        run.attempt()
    outcome = listed(run)["outcome"]

    assert isinstance(outcome, dict), "Airflow would cut it off"
    assert len(str(outcome)) <= LARGEST
    assert len(outcome["source"]["vault_name"]) <= LONGEST_NAME
    assert outcome["source"]["vault_name"].isprintable()
    assert 0 < len(outcome["findings"]) < outcome["findings_total"]


@pytest.mark.parametrize(
    ("is_replicated", "changes", "is_proven"),
    [
        (True, {}, True),
        (True, {"levels": {"record": "fail"}}, False),
        (True, {"levels": {"replica": "fail", "coverage": "warn"}}, True),
        (False, {"levels": {"record": "warn", "replica": "warn", "coverage": "warn"}}, False),
        (False, {"levels": {"record": "skip", "replica": "skip"}}, False),
    ],
)
def test_what_succeeds_without_a_good_replica_of_all_that_was_judged_is_not_proven(
    emulator: EmulatorServer, is_replicated: bool, changes: dict[str, Any], is_proven: bool
) -> None:
    if is_replicated:
        replicating().attempt()
    run = verifying(None, max_age=86400, **changes)
    with suppress(CbrVerificationError, AirflowSkipException):
        run.attempt()

    assert (listed(run)["outcome"]["verdict"] == "verified") is is_proven


def test_an_empty_vault_is_not_proven(emulator: EmulatorServer) -> None:
    empty = emulator.control.add_vault(project_id=SOURCE_PROJECT)["id"]
    run = verifying(None, vault_id=empty, allow_empty=True, max_age=86400)
    run.attempt()
    outcome = listed(run)["outcome"]

    assert (outcome["verdict"], outcome["verified_at"]) == ("unproven", None)


def test_a_deferred_replication_lists_what_was_accepted_and_where(emulator: EmulatorServer) -> None:
    run = replicating(deferrable=True)
    with pytest.raises(TaskDeferred):
        run.attempt()
    outcome = listed(run)["outcome"]

    assert (outcome["kind"], outcome["source"], outcome["destination"]) == (
        "replication",
        SOURCE | {"vault_name": "vault-nightly"},
        DESTINATION | {"vault_name": "vault-replicas"},
    )
    assert (outcome["counts"]["accepted"], outcome["counts"]["succeeded"]) == (3, 0)


def test_a_replication_that_fails_lists_why_and_what_to_do(emulator: EmulatorServer) -> None:
    run = replicating(destination_vault_id=SOURCE_PROJECT)
    with pytest.raises(Exception) as raised:  # noqa: PT011
        run.attempt()
    outcome = listed(run)["outcome"]

    assert str(raised.value) == f"{outcome['error']} What to do: {outcome['advice']}"


def test_nobody_gives_the_field_and_the_next_task_of_the_class_has_none() -> None:
    for cls in (CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator):
        assert "outcome" not in cls.template_fields
        assert cls.outcome is None
        assert cls.overwrite_rtif_after_execution is False


def test_copies_that_fail_are_listed_with_their_records(emulator: EmulatorServer) -> None:
    for backup_id in BACKUPS:
        emulator.control.change_backup(backup_id, name="<img src=x onerror=alert(1)>\"'\\" * 300)
    emulator.control.fault("copy_fails", vault_id=SOURCE_VAULT, count=None)
    run = replicating()
    with pytest.raises(Exception, match="not covered"):
        run.attempt()
    outcome = listed(run)["outcome"]

    assert isinstance(outcome, dict), "Airflow would cut it off"
    assert len(str(outcome)) <= LARGEST
    assert outcome["problems_total"] == len(BACKUPS)
    assert ": failed (BackupService.1006: " in outcome["problems"][0]
    assert re.search(r", record [0-9a-f-]{36}$", outcome["problems"][0])

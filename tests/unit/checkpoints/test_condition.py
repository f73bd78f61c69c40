"""How a checkpoint is, from its row and its backups' rows alone."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cbr.api.models import Backup, Checkpoint, CheckpointVault, VaultResource
from airflow_cbr.checkpoints.condition import CheckpointFinding, Condition, failure, judge, summarise
from airflow_cbr.checkpoints.spec import CheckpointSpec
from airflow_cbr.checkpoints.state import CheckpointState

RESOURCES = [VaultResource(id=f"r{number}", name=f"server-{number}") for number in (1, 2)]


def backup(number: int, status: str = "available") -> Backup:
    return Backup(id=f"b{number}", name=f"backup-{number}", resource_id=f"r{number}", status=status)


def found(
    *backups: Backup, status: str | None = "available", after: float = 3600, resources: Any = RESOURCES, **spec: Any
) -> CheckpointFinding:
    checkpoint = Checkpoint(id="c", status=status, created_at="2023-11-14T22:13:20", vault=CheckpointVault(resources=resources))
    return judge(checkpoint, backups, CheckpointSpec(vault_id="v", mark="m", **spec), CheckpointState(deadline=0), after)


def test_all_backups_there() -> None:
    assert found(backup(1), backup(2)).condition is Condition.WHOLE


def test_a_backup_that_is_not_listed_yet_is_waited_for_as_long_as_it_may_take_to_show() -> None:
    assert found(backup(1), after=100).condition is Condition.BEING_MADE
    late = found(backup(1), after=130)
    assert late.condition is Condition.FAILED
    assert late.problems == ["server-2 (r2): no backup of it is listed"]


@pytest.mark.parametrize("resources", [None, []])
def test_a_checkpoint_without_anything_is_no_success(resources: Any) -> None:
    assert found(resources=resources, after=100).condition is Condition.BEING_MADE
    assert found(resources=resources).problems == ["the checkpoint holds no backup"]


@pytest.mark.parametrize("status", ["protecting", "waiting_protect", "archiving", None])
def test_a_backup_that_has_not_ended_is_waited_for(status: Any) -> None:
    assert found(backup(1), backup(2, status)).condition is Condition.BEING_MADE


@pytest.mark.parametrize("status", ["restoring", "waiting_restore"])
def test_a_backup_that_is_being_used_is_there(status: str) -> None:
    assert found(backup(1), backup(2, status)).condition is Condition.WHOLE


@pytest.mark.parametrize("status", ["error", "deleting", "waiting_delete"])
def test_a_backup_that_is_bad_or_going_is_not(status: str) -> None:
    finding = found(backup(1), backup(2, status))
    assert finding.condition is Condition.FAILED
    assert f"is {status}" in finding.problems[0]


def test_an_error_of_the_checkpoint_alone_is_enough() -> None:
    assert found(backup(1), backup(2), status="error").problems == ["the checkpoint is in error"]


@pytest.mark.parametrize("status", ["protecting", "archiving", None])
def test_a_checkpoint_that_does_not_say_that_it_is_available_is_waited_for(status: Any) -> None:
    assert found(backup(1), backup(2), status=status).condition is Condition.BEING_MADE


def test_the_xcom_stays_small_however_much_was_skipped() -> None:
    skipped = [VaultResource(id=f"s{number}", name="n" * 64, reason="r" * 200) for number in range(256)]
    checkpoint = Checkpoint(
        id="c", status="available", created_at="2023-11-14T22:13:20", vault=CheckpointVault(resources=RESOURCES, skipped_resources=skipped)
    )
    spec, state = CheckpointSpec(vault_id="v", mark="m"), CheckpointState(deadline=0)
    finding = judge(checkpoint, [backup(1), backup(2)], spec, state, 3600.0)
    assert finding.condition is Condition.INCOMPLETE
    summary = summarise(finding, spec, state)
    assert summary["skipped"] == 256
    assert len(str(summary)) < 10_000
    error = failure("c", finding, spec, "v")
    assert error is not None
    assert len(error.problems) == 256

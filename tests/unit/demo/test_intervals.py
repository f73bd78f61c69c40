"""The pace of the demo's tasks."""

from __future__ import annotations

import runpy
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, BaseOperator

from airflow_cbr.demo.intervals import install_intervals, set_intervals
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator

if TYPE_CHECKING:
    from pathlib import Path

REGION = "cn-shenzhen-1"
PROJECT = "68589cac08274b82b4e254268a3862d8"
VAULT = "0ca3eb86-8800-46da-9c37-9d657a825274"


def _replicate() -> CbrReplicateCheckpointOperator:
    return CbrReplicateCheckpointOperator(
        task_id="replicate", vault_id="v", destination_region=REGION, destination_project_id=PROJECT, destination_vault_id=VAULT
    )


def test_a_waiting_task_gets_the_pace_and_another_task_only_its_retries() -> None:
    replicate = _replicate()
    other = BaseOperator(task_id="other")
    before = set(vars(other))

    set_intervals(replicate, 2.0)
    set_intervals(other, 2.0)

    assert (replicate.poll_interval, replicate.max_poll_interval) == (2.0, 2.0)
    assert set(vars(other)) == before
    assert replicate.retry_delay == other.retry_delay == timedelta(seconds=2)


def test_a_mapped_task_gets_the_pace_for_all_its_instances() -> None:
    with DAG("many_vaults", schedule=None):
        mapped = CbrReplicateCheckpointOperator.partial(
            task_id="replicate", destination_region=REGION, destination_project_id=PROJECT, destination_vault_id=VAULT
        ).expand(vault_id=["a", "b"])
        other = BaseOperator.partial(task_id="other").expand_kwargs([{}])

    set_intervals(mapped, 2.0)
    set_intervals(other, 2.0)

    assert (mapped.partial_kwargs["poll_interval"], mapped.partial_kwargs["max_poll_interval"]) == (2.0, 2.0)
    assert "poll_interval" not in other.partial_kwargs
    assert mapped.partial_kwargs["retry_delay"] == other.partial_kwargs["retry_delay"] == timedelta(seconds=2)


def test_airflow_finds_the_policy_in_its_folder(tmp_path: Path) -> None:
    install_intervals(tmp_path, 2.0)
    replicate = _replicate()

    runpy.run_path(str(tmp_path / "config" / "airflow_local_settings.py"))["task_policy"](replicate)

    assert replicate.max_poll_interval == 2.0

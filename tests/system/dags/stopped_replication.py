"""A Dag of the system tests whose replicate task waits at a step until Airflow has told it to stop, and then goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param

from airflow_cbr.demo.waiting import wait_until
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_cbr.replication.steps import Step

IDS = ("vault_id", "destination_region", "destination_project_id", "destination_vault_id", "cbr_conn_id")


class StoppedOperator(CbrReplicateCheckpointOperator):
    """Waits at a step, once, until it was stopped.

    :param waits_at: ``"<moment> <step>"``. (templated)
    :param mark: file that says that it has come there; it outlives the process. (templated)
    """

    template_fields: Sequence[str] = (*CbrReplicateCheckpointOperator.template_fields, "waits_at", "mark")

    def __init__(self, *, waits_at: str, mark: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.waits_at = waits_at
        self.mark = mark

    def at_step(self, step: Step, moment: str) -> None:
        """Wait here for the stop, the first time."""
        mark = Path(self.mark)
        if f"{moment} {step}" == self.waits_at and not mark.exists():
            mark.touch()
            wait_until(lambda: self._is_stopped, limit=120, what="the task is stopped")


with DAG(
    dag_id="stopped_replication",
    schedule=None,
    params={name: Param("", type="string") for name in (*IDS, "waits_at", "mark")},
):
    StoppedOperator(
        task_id="replicate",
        retries=0,
        settle_time=5,
        waits_at="{{ params.waits_at }}",
        mark="{{ params.mark }}",
        **{name: f"{{{{ params.{name} }}}}" for name in IDS},
    )

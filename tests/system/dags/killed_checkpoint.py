"""Dags of the system tests whose checkpoint operator dies at a step, as the params of the run say."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param

from airflow_cbr.operators.cbr import CbrCreateCheckpointOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_cbr.checkpoints.steps import CheckpointStep


class KilledCheckpointOperator(CbrCreateCheckpointOperator):
    """Kills its own process, once.

    :param kill: ``"<moment> <step>"``. (templated)
    :param scar: file that says that it has happened; it outlives the process. (templated)
    """

    template_fields: Sequence[str] = (*CbrCreateCheckpointOperator.template_fields, "kill", "scar")

    def __init__(self, *, kill: str, scar: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kill = kill
        self.scar = scar

    def at_step(self, step: CheckpointStep, moment: str) -> None:
        """Die here if the run says so."""
        scar = Path(self.scar)
        if f"{moment} {step}" == self.kill and not scar.exists():
            scar.write_text(self.kill)
            os.kill(os.getpid(), signal.SIGKILL)


for deferrable in (False, True):
    with DAG(
        dag_id="killed_checkpoint_deferrable" if deferrable else "killed_checkpoint",
        schedule=None,
        params={name: Param("", type="string") for name in ("vault_id", "cbr_conn_id", "kill", "scar")},
        default_args={"retries": 2, "retry_delay": timedelta(seconds=1)},
    ):
        KilledCheckpointOperator(
            task_id="checkpoint",
            deferrable=deferrable,
            vault_id="{{ params.vault_id }}",
            cbr_conn_id="{{ params.cbr_conn_id }}",
            kill="{{ params.kill }}",
            scar="{{ params.scar }}",
            poll_interval=2,
            max_poll_interval=5,
            settle_time=30,
        )

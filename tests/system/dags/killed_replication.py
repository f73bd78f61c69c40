"""Dags of the system tests whose replicate operator dies, meets another one or forgets, as the params of the run say."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param

from airflow_cbr.demo.waiting import wait_until
from airflow_cbr.exceptions import CbrError
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator
from airflow_cbr.replication.steps import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from tests.system.dags.dying import Dying
else:
    # Airflow has this folder on its path.
    from dying import Dying

IDS = ("vault_id", "destination_region", "destination_project_id", "destination_vault_id", "cbr_conn_id")
SETTLE_TIME = 30.0


class KilledOperator(Dying, CbrReplicateCheckpointOperator):
    """Kills its own process, once for each line of a plan.

    :param kills: as of :class:`Dying`. (templated)
    :param scars: as of :class:`Dying`. (templated)
    :param writes_beside: whether somebody else replicates the vault just before this task does, once; a truth word. (templated)
    """

    template_fields: Sequence[str] = (*CbrReplicateCheckpointOperator.template_fields, "kills", "scars", "writes_beside")

    def __init__(self, *, kills: str, scars: str, writes_beside: str = "false", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kills = kills
        self.scars = scars
        self.writes_beside = writes_beside

    def at_step(self, step: Step, moment: str) -> None:
        """Die here if the plan says so."""
        if (
            f"{moment} {step}" == f"before {Step.REPLICATE_VAULT}"
            and self.writes_beside == "true"
            and not Path(f"{self.scars}.beside").exists()
        ):
            self._write_beside()
        super().at_step(step, moment)

    def _write_beside(self) -> None:
        Path(f"{self.scars}.beside").touch()
        try:
            self.hook.client.replicate_checkpoint(
                vault_id=self.vault_id,
                destination_region=self.destination_region,
                destination_project_id=self.destination_project_id,
                destination_vault_id=self.destination_vault_id,
            )
        except CbrError:
            self.log.info("The other writer has failed")


class MeetingOperator(CbrReplicateCheckpointOperator):
    """Waits before its replicate call until another task stands before its own.

    :param meeting: folder in which the tasks leave a file each. (templated)
    """

    template_fields: Sequence[str] = (*CbrReplicateCheckpointOperator.template_fields, "meeting")

    def __init__(self, *, meeting: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.meeting = meeting
        self._name = ""

    def execute(self, context: Context) -> list[str]:
        """Replicate, together with another task."""
        self._name = str(context["ti"].id)
        return super().execute(context)

    def at_step(self, step: Step, moment: str) -> None:
        """Wait for the other one."""
        if self._name and (step, moment) == (Step.REPLICATE_VAULT, "before"):
            folder = Path(self.meeting)
            (folder / self._name).touch()
            wait_until(lambda: len(list(folder.iterdir())) >= 2, limit=90, what="another task stands before its replicate call")


ARGUMENTS: dict[str, Any] = {
    **{name: f"{{{{ params.{name} }}}}" for name in IDS},
    "settle_time": SETTLE_TIME,
}
PARAMS = {name: Param("", type="string") for name in IDS}
DEFAULTS = {"retries": 2, "retry_delay": timedelta(seconds=1)}

for (prefix, durable), deferrable in itertools.product((("killed", True), ("forgetful", False)), (False, True)):
    with DAG(
        dag_id=f"{prefix}_replication_deferrable" if deferrable else f"{prefix}_replication",
        schedule=None,
        params={
            **PARAMS,
            "kills": Param([], type="array"),
            "scars": Param("", type="string"),
            "writes_beside": Param(False, type="boolean"),
        },
        default_args=DEFAULTS,
    ):
        KilledOperator(
            task_id="replicate",
            # A random night kills and refuses more often than anybody's patience; the single cases say how many attempts there were.
            retries=10,
            deferrable=deferrable,
            durable=durable,
            kills="{{ params.kills | tojson }}",
            scars="{{ params.scars }}",
            writes_beside="{{ params.writes_beside | tojson }}",
            **ARGUMENTS,
        )

with DAG(dag_id="meeting_replication", schedule=None, params={**PARAMS, "meeting": Param("", type="string")}, default_args=DEFAULTS):
    MeetingOperator(task_id="replicate", meeting="{{ params.meeting }}", **ARGUMENTS)

with DAG(dag_id="mapped_replication", schedule=None, params={**PARAMS, "meeting": Param("", type="string")}, default_args=DEFAULTS):
    MeetingOperator.partial(
        task_id="replicate", meeting="{{ params.meeting }}", **{name: value for name, value in ARGUMENTS.items() if name != "vault_id"}
    ).expand(vault_id=["{{ params.vault_id }}"] * 2)

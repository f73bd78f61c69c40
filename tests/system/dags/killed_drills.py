"""A Dag of the system tests: a restore drill and two prunings of the same vaults, whose tasks die as the params of the run say."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param, task

from airflow_cbr.operators.cbr import (
    CbrEndRestoreDrillOperator,
    CbrNameRestoreDrillOperator,
    CbrPruneOperator,
    CbrStartRestoreDrillOperator,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.system.dags.dying import Dying
else:
    # Airflow has this folder on its path.
    from dying import Dying


class DyingStart(Dying, CbrStartRestoreDrillOperator):
    """A start that dies."""

    template_fields: Sequence[str] = (*CbrStartRestoreDrillOperator.template_fields, "kills", "scars")

    def __init__(self, *, kills: str, scars: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kills = kills
        self.scars = scars


class DyingEnd(Dying, CbrEndRestoreDrillOperator):
    """An end that dies."""

    template_fields: Sequence[str] = (*CbrEndRestoreDrillOperator.template_fields, "kills", "scars")

    def __init__(self, *, kills: str, scars: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kills = kills
        self.scars = scars


class DyingPrune(Dying, CbrPruneOperator):
    """A pruning that dies."""

    template_fields: Sequence[str] = (*CbrPruneOperator.template_fields, "kills", "scars")

    def __init__(self, *, kills: str, scars: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kills = kills
        self.scars = scars


IDS = ("vault_id", "destination_region", "destination_project_id", "destination_vault_id", "cbr_conn_id")
SERVER = ("flavor", "vpc_id", "subnet_id", "security_group_ids", "replica_id")
THERE = ("destination_region", "destination_project_id", "cbr_conn_id")
QUICK: dict[str, Any] = {"poll_interval": 1, "max_poll_interval": 3, "settle_time": 20}


def given(*names: str) -> dict[str, str]:
    """Return parameters that the params of the run fill."""
    return {name: f"{{{{ params.{name} }}}}" for name in names}


def death(of: str) -> dict[str, str]:
    """Return where a task dies."""
    return {"kills": f"{{{{ params.kills['{of}'] | tojson }}}}", "scars": f"{{{{ params.scars }}}}.{of}"}


for deferrable in (False, True):
    with DAG(
        dag_id="killed_drill_deferrable" if deferrable else "killed_drill",
        schedule=None,
        params={name: Param("", type="string") for name in (*IDS, *SERVER, "scars")}
        | {"kills": Param({"start": [], "end": [], "prune": [], "prune_again": []}, type="object"), "fails": Param(False, type="boolean")},
        # Faults and kills are more than anybody's patience.
        default_args={"retries": 10, "retry_delay": timedelta(seconds=1), "cbr_conn_id": "{{ params.cbr_conn_id }}"},
    ):

        @task(retries=0)
        def check(drill: Any, fails: Any) -> str:
            """Look at the server."""
            if str(fails) == "True":
                raise ValueError("The restored server is not what it was.")
            return str(drill["private_ip"])

        start = DyingStart(task_id="start", deferrable=deferrable, **QUICK, **given(*IDS, *SERVER), **death("start"))
        end = DyingEnd(task_id="end", start_task_id="start", deferrable=deferrable, **QUICK, **given(*THERE), **death("end"))
        name = CbrNameRestoreDrillOperator(task_id="name", start_task_id="start")
        name >> start >> check(start.output, "{{ params.fails }}") >> end
        end.as_teardown(setups=[name, start], on_failure_fail_dagrun=True)

        pruning: dict[str, Any] = {"plan_only": False, "keep_last": 1, "min_age": 60, "poll_interval": 1, **given(*IDS)}
        prune = DyingPrune(task_id="prune", **pruning, **death("prune"))
        prune_again = DyingPrune(task_id="prune_again", trigger_rule="all_done", **pruning, **death("prune_again"))
        [prune, end] >> prune_again

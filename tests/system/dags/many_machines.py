"""A Dag of the system tests whose mapped tasks sign in as if each of them ran on a machine of its own."""

from __future__ import annotations

import os
import tempfile

from airflow.sdk import DAG, Param, get_current_context, task

from airflow_cbr.hooks.cbr import CbrHook

with DAG(
    dag_id="many_machines",
    schedule=None,
    params={"machines": Param(1, type="integer"), "cbr_conn_id": Param("", type="string")},
):

    @task(retries=0)
    def machines() -> list[int]:
        """Return their numbers."""
        return list(range(get_current_context()["params"]["machines"]))

    @task(retries=0)
    def sign_in(number: int) -> int:
        """Return how many vaults there are."""
        os.environ["CBR_REFUSALS_DIRECTORY"] = tempfile.mkdtemp(prefix=f"machine-{number}-")
        return len(list(CbrHook(get_current_context()["params"]["cbr_conn_id"]).client.list_vaults()))

    sign_in.expand(number=machines())

"""Dags of the system tests: the replicate operator alone, at a test's pace, with both connections of the tests."""

from __future__ import annotations

import itertools
from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator

for auth, deferrable in itertools.product(("aksk", "password"), (False, True)):
    with DAG(
        dag_id=f"replicate_{auth}_deferrable" if deferrable else f"replicate_{auth}",
        schedule=None,
        params={
            name: Param("", type="string") for name in ("vault_id", "destination_region", "destination_project_id", "destination_vault_id")
        },
        default_args={"retries": 2, "retry_delay": timedelta(seconds=1)},
    ):
        CbrReplicateCheckpointOperator(
            task_id="replicate",
            deferrable=deferrable,
            cbr_conn_id=f"cbr_{auth}",
            vault_id="{{ params.vault_id }}",
            destination_region="{{ params.destination_region }}",
            destination_project_id="{{ params.destination_project_id }}",
            destination_vault_id="{{ params.destination_vault_id }}",
        )

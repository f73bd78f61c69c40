"""Dags of the system tests: the replicate operator alone, at a test's pace, with both connections of the tests."""

from __future__ import annotations

import itertools
from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator

DAGS = [
    (f"replicate_{auth}_deferrable" if deferrable else f"replicate_{auth}", auth, deferrable, timedelta(seconds=1))
    for auth, deferrable in itertools.product(("aksk", "password"), (False, True))
]
# A retry that begins while the api-server is away cannot begin, and uses its try up. Airflow's own delay is five minutes.
DAGS.append(("replicate_with_pauses", "aksk", False, timedelta(seconds=90)))

for dag_id, auth, deferrable, retry_delay in DAGS:
    with DAG(
        dag_id=dag_id,
        schedule=None,
        params={
            name: Param("", type="string") for name in ("vault_id", "destination_region", "destination_project_id", "destination_vault_id")
        },
        default_args={"retries": 2, "retry_delay": retry_delay},
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

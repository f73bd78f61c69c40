"""A Dag of the system tests: two sensors that wait in the triggerer, each for one record of the same vault."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_cbr.sensors.cbr import CbrReplicationSensor

with DAG(
    dag_id="shared_wait",
    schedule=None,
    params={**{name: Param("", type="string") for name in ("vault_id", "cbr_conn_id")}, "records": Param([], type="array")},
):
    for number, name in enumerate(("first", "second")):
        CbrReplicationSensor(
            task_id=name,
            deferrable=True,
            poke_interval=1,
            max_wait=timedelta(seconds=1),
            vault_id="{{ params.vault_id }}",
            cbr_conn_id="{{ params.cbr_conn_id }}",
            replication_record_ids=f"{{{{ params.records[{number}] }}}}",
        )

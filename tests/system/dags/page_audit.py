"""The audit that the page is looked at with: without retries, so that a red vault stays red."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, get_current_context, task

from airflow_cbr.operators.cbr import CbrVerifyReplicationOperator

with DAG(dag_id="page_audit", schedule=None) as dag:

    @task
    def vaults() -> list[dict[str, Any]]:
        given: list[dict[str, Any]] = get_current_context()["dag_run"].conf["vaults"]  # type: ignore[index]
        return given

    CbrVerifyReplicationOperator.partial(task_id="audit", max_age=36 * 3600, cbr_conn_id="cbr_aksk", retries=0).expand_kwargs(vaults())

"""Running a task in a process of its own, as a worker does: Airflow's supervisor forks Airflow's task runner, which reads the Dag file.

Only the api-server is played, by a mock; the process sets up, uses and flushes its metrics as Airflow has it. Run it as a program, with
what the task needs in the environment: ``python -m tests.support.task_process FILE DAG_ID TASK_ID [TRY_NUMBER [RETRIES]]``.
"""

from __future__ import annotations

import subprocess
import sys
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

if TYPE_CHECKING:
    from collections.abc import Mapping

BUNDLE = "integration"
"""The Dag bundle with the files of ``tests/integration/dags``."""


def run_task(file: str, dag_id: str, task_id: str, *, environment: Mapping[str, str], try_number: int = 1, retries: int = 0) -> str:
    """Run a task in a process of its own and return what it logged.

    :param file: the Dag file's name in the bundle.
    :param dag_id: the Dag.
    :param task_id: the task.
    :param environment: the whole environment of the process.
    :param try_number: which attempt it is. Default: the first.
    :param retries: how many attempts may follow the first. Default: none.
    """
    command = [sys.executable, "-m", "tests.support.task_process", file, dag_id, task_id, str(try_number), str(retries)]
    run = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=280)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    return run.stdout


def _api(*, dag_id: str, try_number: int, retries: int) -> Any:
    """Return what the supervisor asks instead of an api-server."""
    from airflow.sdk.api.datamodels import _generated as api
    from airflow.sdk.execution_time.comms import ErrorResponse

    now = datetime.now(UTC)
    said = {
        "dag_id": dag_id,
        "run_id": "manual__1",
        "logical_date": now,
        "data_interval_start": now,
        "data_interval_end": now,
        "run_after": now,
        "start_date": now,
        "run_type": "manual",
        "state": "running",
        "consumed_asset_events": [],
    }
    # What the other versions of Airflow know besides may be null.
    dag_run = api.DagRun.model_validate({name: None for name, one in api.DagRun.model_fields.items() if one.is_required()} | said)
    client = MagicMock()
    client.task_instances.start.return_value = api.TIRunContext(dag_run=dag_run, max_tries=retries, should_retry=0 < retries >= try_number)
    # A task's links ask for an XCom as it ends.
    client.xcoms.get.return_value = api.XComResponse(key="none", value=None)
    # What Airflow has of the brake on logins that are refused: nothing.
    client.variables.get.return_value = ErrorResponse.model_validate({"error": "VARIABLE_NOT_FOUND"})
    if hasattr(api, "TaskStateStoreResponse"):
        client.task_state_store.get.return_value = ErrorResponse.model_validate({"error": "TASK_STORE_NOT_FOUND"})
    return client


def _main(file: str, dag_id: str, task_id: str, try_number: str, retries: str) -> int:
    from airflow.executors.workloads import BundleInfo
    from airflow.sdk.api.datamodels._generated import TaskInstance
    from airflow.sdk.execution_time import supervisor

    supervise: Any = getattr(supervisor, "supervise_task", None) or supervisor.supervise
    ti = TaskInstance(
        id=uuid.uuid4(),
        dag_id=dag_id,
        task_id=task_id,
        run_id="manual__1",
        try_number=int(try_number),
        dag_version_id=uuid.uuid4(),
        map_index=-1,
    )
    code: int = supervise(
        ti=ti,
        bundle_info=BundleInfo(name=BUNDLE),
        dag_rel_path=file,
        token="",
        client=_api(dag_id=dag_id, try_number=int(try_number), retries=int(retries)),
        subprocess_logs_to_stdout=True,
    )
    return code


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:6]))

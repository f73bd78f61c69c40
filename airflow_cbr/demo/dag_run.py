"""One Dag run in a process of its own, without a scheduler: ``dag.test()``, which runs every task as a worker would.

``python -m airflow_cbr.demo.dag_run REQUEST ANSWER`` reads what to run from one JSON file and writes what became of it to another.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import DAG

__all__ = ["DagRunAnswer", "DagRunRequest", "run_dag"]


@dataclass(frozen=True)
class DagRunRequest:
    """What to run: a Dag of a file, with params."""

    file: str
    dag_id: str
    params: dict[str, Any]


@dataclass(frozen=True)
class DagRunAnswer:
    """What became of it: the state of the run and of each task, and the tasks' return values."""

    state: str
    tasks: dict[str, str | None]
    return_values: list[Any]

    def verdicts(self) -> list[dict[str, Any]]:
        """Return what the verifying tasks of the run have returned."""
        return [value for value in self.return_values if isinstance(value, dict) and "verdict" in value]


def run_dag(request: DagRunRequest) -> DagRunAnswer:
    """Run the Dag to its end, in this process.

    :param request: what to run.
    :raises LookupError: the file defines no such Dag.
    """
    dag = _load(request)
    run = dag.test(run_conf=request.params)
    instances = run.get_task_instances()
    values = [instance.xcom_pull(task_ids=instance.task_id, map_indexes=instance.map_index) for instance in instances]
    return DagRunAnswer(
        state=str(run.state),
        tasks={_name(instance): instance.state and str(instance.state) for instance in instances},
        return_values=[value for value in values if value is not None],
    )


def _load(request: DagRunRequest) -> DAG:
    # The Dag bag has moved from one module to the other after Airflow 3.1.
    module = "airflow.dag_processing.dagbag" if find_spec("airflow.dag_processing.dagbag") else "airflow.models.dagbag"
    bag = import_module(module).DagBag(request.file)
    for file, error in bag.import_errors.items():
        raise LookupError(f"{file} cannot be imported: {error}")
    dag: DAG | None = bag.dags.get(request.dag_id)
    if dag is None:
        raise LookupError(f"{request.file} defines no Dag {request.dag_id}")
    return dag


def _name(instance: Any) -> str:
    return str(instance.task_id) if instance.map_index < 0 else f"{instance.task_id}[{instance.map_index}]"


if __name__ == "__main__":
    answer = run_dag(DagRunRequest(**json.loads(Path(sys.argv[1]).read_text())))
    Path(sys.argv[2]).write_text(json.dumps(asdict(answer)))

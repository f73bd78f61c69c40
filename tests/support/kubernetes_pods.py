"""The pods that Airflow's Kubernetes executor asks a cluster for, rendered by its own code and validated without a cluster.

Needs the packages of the extra ``kubernetes``: see `make test-kubernetes`.
"""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from airflow.executors.workloads.base import BundleInfo
from airflow.executors.workloads.task import ExecuteTask, TaskInstanceDTO
from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import create_unique_id
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator, workload_to_command_args
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from kubernetes.client import ApiClient
from kubernetes_validate import ValidationError, latest_version, validate
from kubernetes_validate.utils import all_versions

__all__ = ["NAMESPACE", "VERSIONS", "complaints", "dags_of", "render", "tasks_of"]

NAMESPACE: Final = "airflow"
#: Of Kubernetes: the oldest whose schemas are at hand, and the newest.
VERSIONS: Final = (all_versions()[0], latest_version())

_QUANTITY: Final = re.compile(r"\d+(\.\d+)?(m|[kMGTPE]|[KMGTPE]i)?")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL: Final = re.compile(r"([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?")


def dags_of(file: Path) -> list[DAG]:
    """Return the Dags that a file binds to names, in the order of their ids."""
    found = {value.dag_id: value for value in runpy.run_path(str(file)).values() if isinstance(value, DAG)}
    return [found[dag_id] for dag_id in sorted(found)]


def tasks_of(dag: DAG) -> list[Any]:
    """Return a Dag's tasks as the scheduler reads them from its database."""
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    return list(stored.task_dict.values())


def render(task: Any, template: Path, image: str | None = None) -> dict[str, Any]:
    """Return the pod that the executor asks for when a task is to run.

    :param task: the task, as from :func:`tasks_of`.
    :param template: the executor's ``pod_template_file``.
    :param image: the image of the executor's configuration, which has precedence over the template's. Default: none is configured.
    """
    run_id = "scheduled__2026-10-21T03:00:00+00:00"
    # The first of a mapped task.
    map_index = 0 if task.is_mapped else -1
    instance = TaskInstanceDTO(
        id=uuid4(),
        dag_version_id=uuid4(),
        dag_id=task.dag_id,
        task_id=task.task_id,
        run_id=run_id,
        try_number=1,
        map_index=map_index,
        queue="default",
        pool_slots=1,
        priority_weight=1,
    )
    workload = ExecuteTask(
        ti=instance,
        dag_rel_path=Path(f"{task.dag_id}.py"),
        token="a token for this task alone",
        log_path="attempt=1.log",
        bundle_info=BundleInfo(name="dags-folder"),
    )
    config = task.partial_kwargs.get("executor_config") if task.is_mapped else task.executor_config
    pod = PodGenerator.construct_pod(
        dag_id=task.dag_id,
        task_id=task.task_id,
        pod_id=create_unique_id(task.dag_id, task.task_id),
        try_number=1,
        kube_image=image,
        date=None,
        args=workload_to_command_args(workload),
        pod_override_object=PodGenerator.from_obj(config),
        base_worker_pod=PodGenerator.deserialize_model_file(str(template)),
        namespace=NAMESPACE,
        scheduler_job_id="1",
        run_id=run_id,
        map_index=map_index,
        with_mutation_hook=True,
    )
    rendered: dict[str, Any] = ApiClient().sanitize_for_serialization(pod)
    return rendered


def complaints(manifest: dict[str, Any], version: str = VERSIONS[-1]) -> list[str]:
    """Return what a cluster would refuse a manifest for, in words; an empty list, where it would take it.

    The schema of a version, strictly: a field that it does not have is refused too. And for a pod, what the API server of Kubernetes
    checks beyond the schema.

    :param manifest: one object.
    :param version: the version of Kubernetes. Default: the newest whose schemas are at hand.
    """
    try:
        validate(manifest, version, strict=True)
    except ValidationError as error:
        return [f"{'/'.join(map(str, error.path))}: {error.message}"]
    named = manifest["metadata"]["name"]
    found = [] if _NAME.fullmatch(named) else [f"metadata/name: {named!r} cannot be a name"]
    for label, value in manifest["metadata"].get("labels", {}).items():
        found += [] if _LABEL.fullmatch(value) else [f"metadata/labels/{label}: {value!r} cannot be a label"]
    return found + (_complaints_of_pod(manifest["spec"]) if manifest["kind"] == "Pod" else [])


def _complaints_of_pod(spec: dict[str, Any]) -> list[str]:
    found = []
    volumes = [volume["name"] for volume in spec.get("volumes", [])]
    if len(set(volumes)) < len(volumes):
        found.append(f"spec/volumes: a name stands there twice: {volumes}")
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        where = f"container {container['name']}"
        if not container.get("image"):
            found.append(f"{where}: no image")
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                found.append(f"{where}: mounts {mount['name']!r}, which is no volume of the pod")
        names = [one["name"] for one in container.get("env", [])]
        if len(set(names)) < len(names):
            found.append(f"{where}: a variable stands there twice: {names}")
        for kind, amounts in container.get("resources", {}).items():
            for resource, amount in amounts.items():
                if not _QUANTITY.fullmatch(str(amount)):
                    found.append(f"{where}: {kind} of {resource}: {amount!r} is no quantity")
    return found

"""The pod that the Kubernetes executor starts for each task: a cluster takes it, and it has the identity and volumes that the docs say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from airflow_cbr.hooks.cbr import CbrHook
from tests.support.kubernetes_pods import VERSIONS, complaints, dags_of, render, tasks_of

if TYPE_CHECKING:
    from tests.system.kubernetes.conftest import Template

pytestmark = pytest.mark.full

REPOSITORY = Path(__file__).resolve().parents[3]
DEPLOYMENT = REPOSITORY / "docs" / "deployment"
OVERRIDE = REPOSITORY / "docs" / "examples" / "pod_override.py"
CONNECTION = "AIRFLOW_CONN_HUAWEICLOUD_CBR_DEFAULT"
FILES = [*sorted(REPOSITORY.glob("dags/*.py")), OVERRIDE]


def snippets() -> list[str]:
    """Return the values that the page on CCE shows."""
    text = (REPOSITORY / "docs" / "howto" / "cce.md").read_text()
    return [dedent(block) for block in re.findall(r"^ *```yaml\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)]


def base(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the container that runs the task."""
    (container,) = (one for one in pod["spec"]["containers"] if one["name"] == "base")
    found: dict[str, Any] = container
    return found


def variables(container: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def claims(pod: dict[str, Any]) -> dict[str, str]:
    """Return which claim is mounted at which path."""
    of_volume = {one["name"]: one["persistentVolumeClaim"]["claimName"] for one in pod["spec"]["volumes"] if "persistentVolumeClaim" in one}
    return {one["mountPath"]: of_volume[one["name"]] for one in base(pod)["volumeMounts"] if one["name"] in of_volume}


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_cluster_takes_the_pod_of_every_task(file: Path, template: Template) -> None:
    tasks = [task for dag in dags_of(file) for task in tasks_of(dag)]
    assert tasks
    for task in tasks:
        pod = render(task, *template)
        assert [complaints(pod, version) for version in VERSIONS] == [[], []], task.task_id
        *command, workload = base(pod)["args"]
        assert command == ["python", "-m", "airflow.sdk.execution_time.execute_workload", "--json-string"]
        assert json.loads(workload)["ti"]["task_id"] == task.task_id


def test_the_pod_has_the_identity_the_volumes_and_the_time_of_the_docs(
    template: Template, values: dict[str, Any], volumes: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (dag,) = dags_of(OVERRIDE)
    pod = render(next(task for task in tasks_of(dag) if task.task_id == "replicate"), *template)
    spec, worker, image = pod["spec"], values["workers"]["kubernetes"], values["images"]["airflow"]

    assert spec["serviceAccountName"] == worker["serviceAccount"]["name"]
    assert spec["terminationGracePeriodSeconds"] == worker["terminationGracePeriodSeconds"]
    assert spec["restartPolicy"] == "Never", "Airflow tries again; Kubernetes must not"
    assert base(pod)["image"] == f"{image['repository']}:{image['tag']}"
    assert base(pod)["resources"] == worker["resources"]
    mounted = {"/opt/airflow/reports": "airflow-cbr-reports", "/opt/airflow/logs": values["logs"]["persistence"]["existingClaim"]}
    assert claims(pod) == mounted
    assert {one["metadata"]["name"] for one in volumes} == set(mounted.values())
    assert all(one["spec"]["accessModes"] == ["ReadWriteMany"] for one in volumes)
    (extra,) = worker["extraVolumes"]
    assert extra in spec["volumes"]
    monkeypatch.setenv(CONNECTION, variables(base(pod))[CONNECTION])
    assert CbrHook().fields.auth_type == "pod_identity"


def test_an_override_changes_the_identity_of_one_task_and_nothing_else(template: Template) -> None:
    (dag,) = dags_of(OVERRIDE)
    replicate, verify = (render(task, *template) for task in sorted(tasks_of(dag), key=lambda task: str(task.task_id)))

    assert verify["spec"].pop("serviceAccountName") == "airflow-reader"
    assert replicate["spec"].pop("serviceAccountName") == "airflow-worker"
    del base(replicate)["args"], base(verify)["args"]
    assert replicate["spec"] == verify["spec"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cluster_takes_the_files_of_the_docs(version: str, volumes: list[dict[str, Any]]) -> None:
    # As they are written: Airflow drops a field that it does not know.
    pod = yaml.safe_load((DEPLOYMENT / "worker-pod.yaml").read_text())
    assert [complaints(one, version) for one in (pod, *volumes)] == [[]] * 3


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("snippet", snippets(), ids=["pod-identity", "oidc"])
def test_a_cluster_takes_what_the_page_on_cce_puts_into_pods(snippet: str, version: str, values: dict[str, Any]) -> None:
    shown = yaml.safe_load(snippet)
    container = {"name": "base", "image": "airflow", "env": shown["env"], "volumeMounts": shown.get("volumeMounts", [])}
    account = shown["workers"]["kubernetes"]["serviceAccount"]
    assert account == values["workers"]["kubernetes"]["serviceAccount"]
    spec = {"serviceAccountName": account["name"], "containers": [container], "volumes": shown.get("volumes", [])}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shown"}, "spec": spec}
    assert complaints(pod, version) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("volumeMounts:", "volumeMount:"),
        ("serviceAccountName:", "serviceAccountname:"),
        ("terminationGracePeriodSeconds: 60", "terminationGracePeriodSeconds: 60s"),
        ("runAsUser: 50000", 'runAsUser: "50000"'),
        ("mountPath: /opt/airflow/reports", "path: /opt/airflow/reports"),
        ("- name: reports\n          mountPath", "- name: report\n          mountPath"),
        ("memory: 1Gi", "memory: 1GB"),
        ("value: http:", "values: http:"),
        ("claimName: airflow-logs", "claim: airflow-logs"),
        ("restartPolicy: Never", "restartPolicy:\n    - Never"),
        ("- name: base\n      image: swr.cn-north-4.myhuaweicloud.com/backup/airflow-cbr:0.1.0", "- name: base"),
        ("name: airflow-worker\nspec", "name: airflow_worker\nspec"),
    ],
)
def test_a_cluster_would_refuse_a_file_with_a_slip(right: str, wrong: str) -> None:
    text = (DEPLOYMENT / "worker-pod.yaml").read_text()
    assert text.count(right) == 1
    assert complaints(yaml.safe_load(text.replace(right, wrong))) != []

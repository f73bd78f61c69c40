"""The files that a site starts: they parse, name what exists, and agree with one another and with the package."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_cbr.api.endpoints import SERVICES, Endpoints
from airflow_cbr.cli import _parser
from airflow_cbr.hooks.cbr import CbrHook
from tests.support.celery_stack import CeleryStack
from tests.support.makefile import make_plan

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "docs" / "deployment"
CONNECTION = "AIRFLOW_CONN_HUAWEICLOUD_CBR_DEFAULT"
PARTS = {"postgres", "redis", "emulator", "migration", "api-server", "scheduler", "dag-processor", "triggerer", "worker-1", "worker-2"}
#: What the specification of Compose knows of a service, as far as it is used here; a misspelt word would be an error, or be ignored.
WORDS = {
    "image",
    "build",
    "restart",
    "depends_on",
    "environment",
    "volumes",
    "healthcheck",
    "entrypoint",
    "command",
    "ports",
    "stop_grace_period",
}
#: The same of the chart's values.
VALUES = {
    "executor",
    "airflowVersion",
    "images",
    "env",
    "postgresql",
    "data",
    "jwtSecretName",
    "apiSecretKeySecretName",
    "createUserJob",
    "config",
    "logs",
    "workers",
    "triggerer",
    "apiServer",
    "dagProcessor",
}


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture
def values() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "kubernetes-values.yaml").read_text())
    return loaded


def test_every_part_of_airflow_is_there_and_knows_what_it_depends_on(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == PARTS
    for name, service in services.items():
        assert set(service) <= WORDS, name
        for other, how in service.get("depends_on", {}).items():
            assert (how["condition"] != "service_healthy") or "healthcheck" in services[other], name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (FOLDER / source).is_dir(), volume
    assert {service["command"] for name, service in services.items() if name.startswith("worker")} == {"celery worker"}


def test_the_stack_that_the_tests_start_has_the_same_parts(compose: dict[str, Any], tmp_path: Path) -> None:
    stack = CeleryStack([tmp_path])
    parts = {"api-server", "scheduler", "dag-processor", "triggerer", *(f"worker-{number + 1}" for number in range(stack.workers))}
    assert parts | {"postgres", "redis", "emulator", "migration"} == set(compose["services"])
    assert compose["services"]["scheduler"]["environment"]["AIRFLOW__CELERY__WORKER_CONCURRENCY"] == str(stack.slots)


def test_all_parts_share_one_image_one_environment_and_one_key(compose: dict[str, Any]) -> None:
    parts = {name: compose["services"][name] for name in PARTS - {"postgres", "redis"}}
    for name, one in parts.items():
        # Or the tasks of a worker would be stopped with it, which waits for them.
        alone = {"DUMB_INIT_SETSID": "0"} if name.startswith("worker") else {}
        assert one["environment"] == parts["scheduler"]["environment"] | alone
        assert one["build"] == {"context": "../..", "dockerfile": "docs/deployment/Dockerfile"}
    environment = parts["scheduler"]["environment"]
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://api-server:8080/execution/"
    for name in ("postgres", "redis"):
        assert any(f"{name}:" in value for value in environment.values())
    # Only this machine reaches the web page, which asks for no password.
    assert compose["services"]["api-server"]["ports"] == ["127.0.0.1:8080:8080"]


def test_every_part_that_goes_on_running_says_whether_it_works(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"migration"}
    port = _parser().parse_args(services["emulator"]["entrypoint"][1:]).port
    assert f"http://localhost:{port}/_emulator/ledger" in services["emulator"]["healthcheck"]["test"]
    assert services["scheduler"]["environment"]["AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK"] == "true"


def test_the_fernet_key_is_one(compose: dict[str, Any]) -> None:
    from cryptography.fernet import Fernet

    value = compose["services"]["scheduler"]["environment"]["AIRFLOW__CORE__FERNET_KEY"]
    match = re.fullmatch(r"\$\{FERNET_KEY:-(.+)\}", value)
    assert match is not None
    Fernet(match[1])


def test_the_connection_of_the_compose_file_leads_to_its_emulator(compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = compose["services"]["emulator"]
    command, *arguments = emulator["entrypoint"]
    assert command == "airflow-cbr"
    parsed = _parser().parse_args(arguments)
    monkeypatch.setenv(CONNECTION, emulator["environment"][CONNECTION])
    fields = CbrHook().fields
    assert fields.auth_type == "aksk"
    assert fields.endpoints.cbr == fields.endpoints.iam == f"http://emulator:{parsed.port}"
    assert parsed.allow_host == ["emulator"]


def test_the_values_give_every_part_that_sends_an_identity(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(values) == VALUES
    (connection,) = [one for one in values["env"] if one["name"] == CONNECTION]
    monkeypatch.setenv(CONNECTION, connection["value"])
    assert CbrHook().fields.auth_type == "pod_identity"
    assert json.loads(connection["value"]).keys() == {"conn_type", "extra"}, "no permanent key"
    worker = values["workers"]["kubernetes"]
    names = {part["serviceAccount"]["name"] for part in (worker, values["triggerer"], values["apiServer"])}
    assert names == {"airflow-worker", "airflow-triggerer", "airflow-api-server"}
    assert names <= set(re.findall(r"airflow-[a-z-]+", (REPOSITORY / "docs" / "howto" / "cce.md").read_text()))


def test_the_values_the_pod_template_and_the_volumes_say_the_same(values: dict[str, Any]) -> None:
    template = yaml.safe_load((FOLDER / "worker-pod.yaml").read_text())["spec"]
    (container,) = template["containers"]
    worker, image = values["workers"]["kubernetes"], values["images"]["airflow"]
    claims = {one["metadata"]["name"] for one in yaml.safe_load_all((FOLDER / "kubernetes-volumes.yaml").read_text())}

    assert container["image"] == f"{image['repository']}:{image['tag']}"
    assert container["resources"] == worker["resources"]
    assert template["serviceAccountName"] == worker["serviceAccount"]["name"]
    assert template["terminationGracePeriodSeconds"] == worker["terminationGracePeriodSeconds"]
    assert values["env"][0] in container["env"]
    assert worker["extraVolumes"][0] in template["volumes"]
    assert worker["extraVolumeMounts"][0] in container["volumeMounts"]
    assert claims == {one["persistentVolumeClaim"]["claimName"] for one in template["volumes"]}
    assert values["logs"]["persistence"]["existingClaim"] in claims


def test_the_page_names_every_host_that_is_asked_and_no_other() -> None:
    _, _, egress = (FOLDER / "index.md").read_text().partition("**Egress.**")
    named = set(re.findall(r"`([a-z]+\.<region>\.[a-z.]+)`", egress.partition("**Triggerers.**")[0]))
    asked = {Endpoints().url_of(service, "here-1", home_region="here-1") for service in SERVICES}
    assert {f"https://{host.replace('<region>', 'here-1')}" for host in named} == asked


def test_the_page_makes_each_secret_that_the_values_name(values: dict[str, Any]) -> None:
    made = re.findall(r"^\$ kubectl --namespace airflow create secret generic (\S+)", (FOLDER / "index.md").read_text(), re.MULTILINE)
    assert sorted(made) == sorted([values["data"]["metadataSecretName"], values["jwtSecretName"], values["apiSecretKeySecretName"]])


def test_the_image_is_an_airflow_that_is_supported(values: dict[str, Any]) -> None:
    match = re.search(r"^FROM apache/airflow:(\d+)\.(\d+)\.(\d+)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    assert match is not None
    assert tuple(int(part) for part in match.groups()) >= (3, 1, 2)
    assert values["airflowVersion"] == ".".join(match.groups()), "the chart renders for this one"


def test_make_renders_and_validates_them_in_a_virtual_environment_of_its_own() -> None:
    command = ".venv-kubernetes/bin/python -m pytest tests/system/kubernetes"
    assert f"{command} --chart airflow.tgz" in make_plan("test-kubernetes", "CHART=airflow.tgz")
    for plan in (make_plan("--always-make", "test-kubernetes"), make_plan("--always-make", "test-full")):
        assert command in plan
        assert "--chart" not in plan
        assert "make-venv.sh .venv-kubernetes test,celery,kubernetes -c constraints.txt" in plan

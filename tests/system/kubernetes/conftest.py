"""What a deployment in Kubernetes is rendered from, without a cluster: see `make test-kubernetes`.

``--chart`` names the official Helm chart, which no package index has; with it, the chart is rendered too, by the helm on PATH.
"""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from tests.support.helm import Chart

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent
DEPLOYMENT = HERE.parents[2] / "docs" / "deployment"


class Template(NamedTuple):
    """What the executor renders pods from: its pod template file, and the image of its configuration."""

    file: Path
    image: str | None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if collection_path == HERE / "test_chart.py" and config.getoption("chart") is None else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "template" in metafunc.fixturenames:
        whose = ["docs"] if metafunc.config.getoption("chart") is None else ["docs", "chart"]
        metafunc.parametrize("template", whose, indirect=True)


@pytest.fixture(scope="session")
def values() -> dict[str, Any]:
    """Return the values for the chart that the docs show."""
    loaded: dict[str, Any] = yaml.safe_load((DEPLOYMENT / "kubernetes-values.yaml").read_text())
    return loaded


@pytest.fixture(scope="session")
def volumes() -> list[dict[str, Any]]:
    """Return the volumes that the docs show."""
    return list(yaml.safe_load_all((DEPLOYMENT / "kubernetes-volumes.yaml").read_text()))


@pytest.fixture(scope="session")
def chart(pytestconfig: pytest.Config) -> Chart:
    """Return the official chart of ``--chart``."""
    return Chart(pytestconfig.getoption("chart"))


@pytest.fixture(scope="session")
def rendered(chart: Chart, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the chart makes of the docs' values."""
    return chart.render(values)


@pytest.fixture(scope="session")
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Return the pod template of the docs, or that of the chart with the docs' values."""
    if request.param == "docs":
        return Template(DEPLOYMENT / "worker-pod.yaml", None)
    files = config_files(request.getfixturevalue("rendered"))
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(files["airflow.cfg"])
    executor = config["kubernetes_executor"]
    file = tmp_path_factory.mktemp("chart") / "pod_template_file.yaml"
    file.write_text(files["pod_template_file.yaml"])
    return Template(file, f"{executor['worker_container_repository']}:{executor['worker_container_tag']}")


def config_files(objects: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return the files that the chart gives Airflow."""
    (found,) = (one for one in objects if one["kind"] == "ConfigMap" and "airflow.cfg" in one["data"])
    files: dict[str, str] = found["data"]
    return files

"""The official Helm chart takes the values of the docs, and makes of them what a cluster takes. Only with ``--chart``."""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from airflow_cbr.airflow_names import conf
from tests.support.kubernetes_pods import VERSIONS, complaints
from tests.system.kubernetes.conftest import config_files
from tests.system.kubernetes.test_worker_pods import snippets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.helm import Chart

pytestmark = pytest.mark.full


def with_celery(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values after the docs' words on the Celery executor."""
    workers = {"celery": values["workers"]["kubernetes"] | {"replicas": 2, "terminationGracePeriodSeconds": 600}}
    return {**values, "executor": "CeleryExecutor", "workers": workers}


def paths(values: dict[str, Any], above: str = "") -> Iterator[str]:
    """Yield the name of each value, and of each that holds others, as the chart writes them: ``workers.kubernetes``."""
    for name, value in values.items():
        yield above + name
        if isinstance(value, dict):
            yield from paths(value, f"{above}{name}.")


def pods_of(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what describes the pods of each part."""
    return {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in objects if "template" in one.get("spec", {})}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("executor", ["kubernetes", "celery"])
def test_a_cluster_takes_what_the_chart_makes_of_the_values(executor: str, version: str, chart: Chart, values: dict[str, Any]) -> None:
    objects = chart.render(values if executor == "kubernetes" else with_celery(values))
    accounts = {one["metadata"]["name"] for one in objects if one["kind"] == "ServiceAccount"}

    assert {f"{one['kind']} {one['metadata']['name']}": found for one in objects if (found := complaints(one, version))} == {}
    assert {"airflow-worker", "airflow-triggerer", "airflow-api-server"} <= accounts
    pods = pods_of(objects)
    assert pods["airflow-triggerer"]["serviceAccountName"] == "airflow-triggerer"
    assert pods["airflow-api-server"]["serviceAccountName"] == "airflow-api-server"
    if executor == "celery":
        assert pods["airflow-worker"]["serviceAccountName"] == "airflow-worker"
        assert {one["mountPath"] for one in pods["airflow-worker"]["containers"][0]["volumeMounts"]} >= {
            "/opt/airflow/reports",
            "/opt/airflow/logs",
        }


@pytest.mark.parametrize("executor", ["kubernetes", "celery"])
def test_no_value_is_one_that_the_chart_will_not_take_for_much_longer(executor: str, chart: Chart, values: dict[str, Any]) -> None:
    taken = values if executor == "kubernetes" else with_celery(values)
    notes = chart.notes(taken)
    assert "Thank you for installing" in notes
    assert set(re.findall(r"`([\w.]+)`", notes)) & set(paths(taken)) == set()
    assert "static API secret key" not in notes


def test_the_configuration_of_the_values_reaches_airflow_which_knows_it(rendered: list[dict[str, Any]], values: dict[str, Any]) -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(config_files(rendered)["airflow.cfg"])
    for section, options in values["config"].items():
        for option, value in options.items():
            assert config[section][option] == str(value)
            assert conf.has_option(section, option)


@pytest.mark.parametrize("snippet", snippets(), ids=["pod-identity", "oidc"])
def test_the_chart_takes_the_values_of_the_page_on_cce(snippet: str, chart: Chart, values: dict[str, Any]) -> None:
    shown = yaml.safe_load(snippet)
    files = config_files(chart.render({"executor": values["executor"], **shown}))
    pod = yaml.safe_load(files["pod_template_file.yaml"])["spec"]
    (container,) = pod["containers"]

    assert {one["name"] for one in shown["env"]} <= {one["name"] for one in container["env"]}
    assert [one for one in shown.get("volumes", []) if one not in pod["volumes"]] == []
    assert [one for one in shown.get("volumeMounts", []) if one not in container["volumeMounts"]] == []
    assert pod["serviceAccountName"] == "airflow-worker"

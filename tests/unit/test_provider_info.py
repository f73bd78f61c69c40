"""The provider as Airflow sees it: the traps that stop every Airflow command, the commands that list it, and the connection form."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.resources
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from airflow_cbr.get_provider_info import get_provider_info
from tests.support.python_process import run_python

INFO = get_provider_info()
CONNECTION_TYPE = INFO["connection-types"][0]
PACKAGE = Path(__file__).resolve().parents[2] / "airflow_cbr"

#: The fields of the connection's extra, as promised to users.
EXTRA_FIELDS = {
    "auth_type",
    "domain_name",
    "region",
    "project_id",
    "security_token",
    "cloud",
    "console",
    "cbr_endpoint",
    "iam_endpoint",
    "agency_urn",
    "agency_name",
    "agency_domain_name",
    "agency_duration",
    "sts_endpoint",
    "ims_endpoint",
    "ecs_endpoint",
    "metadata_endpoint",
    "verify",
}


def test_the_name_is_the_canonical_name_of_the_distribution() -> None:
    distribution = importlib.metadata.distribution("airflow-cbr")

    assert INFO["package-name"] == canonicalize_name(distribution.metadata["Name"])


def test_the_entry_point_leads_to_the_function() -> None:
    (entry_point,) = (
        point
        for point in importlib.metadata.entry_points(group="apache_airflow_provider")
        if point.dist and point.dist.name == "airflow-cbr"
    )

    assert entry_point.load() is get_provider_info


@pytest.mark.campaign
def test_airflow_accepts_it() -> None:
    from airflow.providers_manager import _create_provider_info_schema_validator

    _create_provider_info_schema_validator().validate(INFO)


def test_it_is_one_literal() -> None:
    tree = ast.parse((PACKAGE / "get_provider_info.py").read_text())
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    (answer,) = (node for node in function.body if isinstance(node, ast.Return))

    assert answer.value is not None
    assert ast.literal_eval(answer.value) == INFO
    assert get_provider_info() is not INFO, "a caller that changes its copy must not change everybody's"


def test_each_call_gives_a_copy_of_its_own() -> None:
    get_provider_info()["connection-types"][0].clear()

    assert get_provider_info() == INFO


def listed_modules(kind: str) -> set[str]:
    return {module for entry in INFO.get(kind, []) for module in entry["python-modules"]}


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_every_public_class_can_be_had_from_a_listed_module(kind: str) -> None:
    defined = {
        node.name
        for path in (PACKAGE / kind).glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name.startswith("Cbr")
    }
    offered = {name for module in listed_modules(kind) for name in importlib.import_module(module).__all__ if name.startswith("Cbr")}

    assert offered == defined


@pytest.mark.campaign
def test_every_listed_module_and_class_can_be_imported() -> None:
    modules = sorted(set().union(*(listed_modules(kind) for kind in ("hooks", "operators", "sensors", "triggers"))))
    classes = [*INFO["extra-links"], *(entry["hook-class-name"] for entry in INFO["connection-types"])]

    run_python("-c", f"import pkgutil\nfor name in {[*modules, *classes]!r}: pkgutil.resolve_name(name)")


def test_the_hook_and_the_provider_say_the_same() -> None:
    from airflow_cbr.hooks.cbr import CbrHook

    assert CbrHook.conn_type == CONNECTION_TYPE["connection-type"] == "huaweicloud_cbr"
    assert CbrHook.hook_name == CONNECTION_TYPE["hook-name"]
    assert CbrHook.conn_name_attr == "cbr_conn_id"
    assert CbrHook.default_conn_name == "huaweicloud_cbr_default"
    assert f"{CbrHook.__module__}.{CbrHook.__qualname__}" == CONNECTION_TYPE["hook-class-name"]


def test_the_links_of_the_operators_are_listed() -> None:
    from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator
    from airflow_cbr.sensors.cbr import CbrReplicationSensor

    operators = (CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator, CbrReplicationSensor)
    links = {f"{type(link).__module__}.{type(link).__qualname__}" for one in operators for link in one.operator_extra_links}

    assert links == set(INFO["extra-links"])


@pytest.mark.campaign
def test_importing_airflow_imports_nothing_of_the_package_but_this() -> None:
    loaded = run_python(
        "-c", "import sys, airflow.sdk, airflow.configuration; print(*(m for m in sys.modules if m.split('.')[0] == 'airflow_cbr'))"
    )

    assert set(loaded.split()) <= {"airflow_cbr", "airflow_cbr.get_provider_info"}


def airflow_providers(*arguments: str) -> Any:
    return json.loads(run_python("-m", "airflow", "providers", *arguments, "--output", "json"))


@pytest.mark.campaign
def test_airflow_providers_get_shows_it() -> None:
    (shown,) = airflow_providers("get", "airflow-cbr", "--full")

    assert shown["package-name"] == "airflow-cbr"
    assert shown["name"] == "Huawei Cloud CBR"
    (connection_type,) = shown["connection-types"]
    assert connection_type["hook-class-name"] == "airflow_cbr.hooks.cbr.CbrHook"
    assert set(connection_type["conn-fields"]) == EXTRA_FIELDS


@pytest.mark.full
@pytest.mark.campaign
def test_airflow_providers_hooks_shows_the_hook() -> None:
    (shown,) = (hook for hook in airflow_providers("hooks") if hook["connection_type"] == "huaweicloud_cbr")

    assert shown == {
        "connection_type": "huaweicloud_cbr",
        "class": "airflow_cbr.hooks.cbr.CbrHook",
        "conn_id_attribute_name": "cbr_conn_id",
        "package_name": "airflow-cbr",
        "hook_name": "Huawei Cloud CBR",
    }


@pytest.mark.full
@pytest.mark.campaign
def test_airflow_providers_links_shows_the_link() -> None:
    assert {"extra_link_class_name": "airflow_cbr.links.cbr.CbrVaultLink"} in airflow_providers("links")


@pytest.fixture(scope="module")
def form() -> dict[str, Any]:
    """Return the connection form as the API server hands it to the browser."""
    # In a process of its own: on Airflow 3.1 the service puts mocks of form libraries into sys.modules.
    code = (
        "from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService\n"
        "(form,) = (f for f in HookMetaService.hook_meta_data() if f.connection_type == 'huaweicloud_cbr')\n"
        "print('FORM', form.model_dump_json())"
    )
    (line,) = (line for line in run_python("-c", code).splitlines() if line.startswith("FORM "))
    return dict(json.loads(line.removeprefix("FORM ")))


def test_the_form_has_every_field_with_label_and_help(form: dict[str, Any]) -> None:
    assert set(form["extra_fields"]) == EXTRA_FIELDS
    for name, field in form["extra_fields"].items():
        assert field["schema"]["title"] == CONNECTION_TYPE["conn-fields"][name]["label"]
        assert field["description"] == CONNECTION_TYPE["conn-fields"][name]["description"]


def test_the_form_asks_for_what_is_required_first_and_for_what_is_rare_last(form: dict[str, Any]) -> None:
    asked = list(CONNECTION_TYPE["conn-fields"])
    assert asked[:4] == ["auth_type", "region", "project_id", "domain_name"]
    rare = asked.index("cloud")
    assert set(asked[rare:]) == {name for name in asked if name.endswith("_endpoint")} | {"cloud", "console", "verify"}
    assert asked[-1] == "verify"
    assert list(form["extra_fields"]) == asked, "and the page shows them in this order"


def test_labels_and_help_speak_the_same_words() -> None:
    fields = CONNECTION_TYPE["conn-fields"].values()
    said = " ".join(field["description"] for field in fields).lower()
    labels = {field["label"] for field in fields}
    words = {word for label in labels for word in re.findall(r"[a-z]{3,}", label.lower())} - {"seconds", "session"}
    assert sorted(word for word in words if word not in said) == []


def test_the_form_shows_what_the_connection_uses_and_hides_the_rest(form: dict[str, Any]) -> None:
    standard = form["standard_fields"]

    assert [name for name, field in standard.items() if field and field["hidden"]] == ["url_schema", "host"]
    assert standard["port"]["title"] == "Port (not used; write 0)"
    assert standard["login"]["title"] == "Access key (AK) or IAM user name"
    assert standard["password"]["title"] == "Secret key (SK) or IAM password"
    assert standard["login"]["placeholder"]
    assert standard["password"]["placeholder"]


def test_the_form_hides_secrets(form: dict[str, Any]) -> None:
    from airflow.sdk import log

    secret = {name for name, field in form["extra_fields"].items() if field["schema"].get("format") == "password"}

    assert secret == {"security_token"}
    shown: Any = log.redact(dict.fromkeys(EXTRA_FIELDS, "a value"))  # type: ignore[attr-defined]  # from another module of theirs
    assert {name for name in EXTRA_FIELDS if shown[name] != "a value"} == secret, "Airflow masks extras by name, wherever it shows them"


def test_the_form_offers_the_defaults(form: dict[str, Any]) -> None:
    defaults = {name: field["value"] for name, field in form["extra_fields"].items() if field["value"] is not None}

    assert defaults == {"auth_type": "aksk", "cloud": "myhuaweicloud.com", "verify": "true"}
    assert form["extra_fields"]["auth_type"]["schema"]["enum"] == ["aksk", "password", "ecs_agency", "pod_identity", "oidc"]


def test_the_form_has_a_placeholder_for_every_empty_field() -> None:
    fields = CONNECTION_TYPE["conn-fields"]
    placeholders = CONNECTION_TYPE["ui-field-behaviour"]["placeholders"]

    assert {name for name in fields if "default" not in fields[name]["schema"]} <= set(placeholders)


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("region", ["cn-north-4", "eu-west-101", "region1"], ["cn-north-4/evil", "x@evil", "a#b", "..", "-x", "", "a.b"]),
        (
            "project_id",
            ["4229d7a45436489f8c3dc2b1d35d4987", "4229d7a4-5436-489f-8c3d-c2b1d35d4987"],
            ["4229d7a4", "../../v3", "4229d7a45436489f8c3dc2b1d35d498/", "4229d7a45436489f8c3dc2b1d35d4987/x"],
        ),
        ("cloud", ["myhuaweicloud.com", "otc.t-systems.com"], ["evil.com/", "x@evil.com", "https://evil.com", "a..b", "a b"]),
    ],
)
def test_the_form_and_the_client_refuse_the_same(field: str, good: list[str], bad: list[str]) -> None:
    from jsonschema import Draft7Validator

    from airflow_cbr.api.endpoints import check_cloud
    from airflow_cbr.api.ids import check_id, check_region
    from airflow_cbr.exceptions import CbrParameterError

    check = {"region": check_region, "project_id": lambda value: check_id(value, "project_id"), "cloud": check_cloud}[field]
    validator = Draft7Validator(CONNECTION_TYPE["conn-fields"][field]["schema"])

    def client_accepts(value: str) -> bool:
        try:
            check(value)
        except CbrParameterError:
            return False
        return True

    assert [(value, validator.is_valid(value), client_accepts(value)) for value in good] == [(value, True, True) for value in good]
    assert [(value, validator.is_valid(value), client_accepts(value)) for value in bad] == [(value, False, False) for value in bad]


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("cbr_endpoint", ["https://cbr.{region}.example.com", "http://127.0.0.1:18090", None], ["cbr.example.com", "ftp://x"]),
        ("iam_endpoint", ["https://iam.example.com", None], ["iam.example.com"]),
        ("auth_type", ["aksk", "password"], ["AKSK", "token", None]),
        ("security_token", ["MII...", None], [5]),
    ],
)
def test_the_form_refuses_what_cannot_be_right(field: str, good: list[Any], bad: list[Any]) -> None:
    from jsonschema import Draft7Validator

    validator = Draft7Validator(CONNECTION_TYPE["conn-fields"][field]["schema"])

    assert [value for value in good if not validator.is_valid(value)] == []
    assert [value for value in bad if validator.is_valid(value)] == []


def test_the_package_is_typed() -> None:
    assert importlib.resources.files("airflow_cbr").joinpath("py.typed").is_file()


def test_no_address_of_the_metadata_leads_nowhere() -> None:
    """There is neither a site nor an index yet, and the front page says what works instead."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    assert "urls" not in project
    readme = (PACKAGE.parent / "README.md").read_text()
    assert "not on an index yet" in readme
    assert "pip install ." in readme
    assert not re.search(r"pip install ['\"]?airflow-cbr", readme)

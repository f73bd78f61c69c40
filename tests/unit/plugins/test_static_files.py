"""The application that serves the page's files: those, to everybody, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import importlib
import importlib.metadata
import importlib.resources
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from airflow_cbr.get_provider_info import get_provider_info
from airflow_cbr.plugins.replication_page import PREFIX, CbrReplicationPagePlugin
from airflow_cbr.plugins.static_files import FILES, STYLE, StaticFiles, headers
from tests.support.python_process import run_python

REPOSITORY = Path(__file__).resolve().parents[3]
FOLDER = importlib.resources.files("airflow_cbr.plugins").joinpath("static")


def client(root_path: str = "", url: str = "http://testserver") -> TestClient:
    app = FastAPI(root_path=root_path)
    app.mount(PREFIX, StaticFiles(PREFIX))
    return TestClient(app, base_url=url)


def test_every_file_of_the_folder_is_served_and_no_other_is() -> None:
    assert {STYLE, *(name for name, _ in FILES.values())} == {path.name for path in FOLDER.iterdir()}
    served = client()
    for path, (name, kind) in FILES.items():
        answer = served.get(f"{PREFIX}/{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert name == "index.html" or answer.content == FOLDER.joinpath(name).read_bytes()
    for path in (
        "/page.css",
        "/index.html",
        "/page.js/",
        "/../static_files.py",
        "/%2e%2e/static_files.py",
        "/static/page.js",
        "//",
        "/page.js%00",
    ):
        assert served.get(f"{PREFIX}{path}").status_code == 404, path


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_it_can_only_be_read(method: str) -> None:
    assert client().request(method, f"{PREFIX}/").status_code == 405


@pytest.mark.parametrize("prefix_is_kept", [True, False], ids=["the proxy keeps the path", "the proxy takes the path away"])
def test_the_path_of_the_base_url_changes_nothing(prefix_is_kept: bool) -> None:
    served = client(root_path="/data/airflow")

    assert served.get(f"{'/data/airflow' if prefix_is_kept else ''}{PREFIX}/page.js").status_code == 200


@pytest.mark.parametrize("path", [*FILES, "nothing"])
def test_every_answer_has_the_policy(path: str) -> None:
    given = client().get(f"{PREFIX}/{path}").headers

    assert {name: given[name] for name in headers()} == headers()
    policy = given["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"unsafe|\*|https?:|data:|blob:", policy)


def test_the_page_comes_with_its_style_which_is_the_only_one_that_the_policy_lets_in() -> None:
    answer = client().get(f"{PREFIX}/")
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert style == FOLDER.joinpath(STYLE).read_text()
    assert STYLE not in answer.text
    assert f"; style-src 'sha256-{digest}'; " in answer.headers["content-security-policy"]


def test_what_has_not_changed_is_not_sent_again() -> None:
    served = client()
    first = served.get(f"{PREFIX}/page.js")
    again = served.get(f"{PREFIX}/page.js", headers={"If-None-Match": first.headers["etag"]})
    other = served.get(f"{PREFIX}/rows.js", headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content, other.status_code) == (304, b"", 200)
    head = served.head(f"{PREFIX}/page.js")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(first.content)))


def test_the_page_has_neither_scripts_nor_styles_nor_addresses_of_its_own() -> None:
    page = FOLDER.joinpath("index.html").read_text()

    assert re.findall(r"<script(?![^>]*\bsrc=)|\bstyle=|<style|\bon\w+=", page) == []
    everything = "".join(path.read_text() for path in FOLDER.iterdir() if path.suffix != ".svg")  # type: ignore[attr-defined]
    assert re.findall(r"https?://[^\"' ]+|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", everything) == []


def test_airflow_finds_it_by_the_entry_point_and_by_the_provider() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    name = f"{CbrReplicationPagePlugin.__module__}:{CbrReplicationPagePlugin.__qualname__}"

    assert project["entry-points"]["airflow.plugins"] == {"airflow_cbr": name}
    assert importlib.metadata.EntryPoint("airflow_cbr", name, "airflow.plugins").load() is CbrReplicationPagePlugin
    assert get_provider_info()["plugins"] == [{"name": CbrReplicationPagePlugin.name, "plugin-class": name.replace(":", ".")}]


def test_airflow_takes_the_plugin() -> None:
    from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse

    (view,) = CbrReplicationPagePlugin.external_views
    shown: Any = ExternalViewResponse.model_validate(view)

    assert importlib.import_module("airflow.plugins_manager").is_valid_plugin(CbrReplicationPagePlugin)
    assert (shown.name, shown.destination, shown.url_route) == ("CBR replication", "nav", "cbr-replication")
    assert not shown.href.startswith(("/", "http")), "Airflow's page knows the path of the base URL"


@pytest.mark.campaign
def test_a_process_of_airflow_that_serves_no_page_loads_nothing_for_it() -> None:
    loaded = run_python(
        "-c",
        "import sys\nimport airflow.plugins_manager\nbefore = set(sys.modules)\nimport airflow_cbr.plugins.replication_page\n"
        "print(*sorted(sys.modules.keys() - before - set(sys.stdlib_module_names)))",
    )

    assert [name for name in loaded.split() if not name.startswith("airflow_cbr.plugins")] == []

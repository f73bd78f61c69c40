"""The pages keep their word: their examples work, their links lead somewhere, their commands exist."""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [path.relative_to(REPOSITORY).as_posix() for path in [*sorted(REPOSITORY.glob("*.md")), *sorted(REPOSITORY.glob("docs/**/*.md"))]]
CONNECTION_PREFIX = "AIRFLOW_CONN_"


class Block(NamedTuple):
    page: str
    line: int
    language: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    text = (REPOSITORY / page).read_text()
    return [
        Block(page, text[: match.start()].count("\n") + 1, match["language"], match["text"])
        for match in re.finditer(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def blocks_of(*languages: str) -> list[Any]:
    return [pytest.param(block, id=block.id) for page in PAGES for block in blocks(page) if block.language in languages]


def is_dag_file(block: Block) -> bool:
    names = {node.id for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.Name)}
    return bool(names & {"DAG", "dag"})


def exported_connections(block: Block) -> dict[str, str]:
    """Let a shell read the block, as the reader would, and return the connections it exports."""
    if f"export {CONNECTION_PREFIX}" not in block.text:
        return {}
    exports = "\n".join(re.findall(rf"^export {CONNECTION_PREFIX}\w+='.*?'$", block.text, re.MULTILINE | re.DOTALL))
    run = subprocess.run(["sh", "-euc", f"{exports}\nenv -0"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True)
    variables = dict(entry.split("=", 1) for entry in run.stdout.split("\0") if "=" in entry)
    return {name: value for name, value in variables.items() if name.startswith(CONNECTION_PREFIX)}


EXPORTED = [
    (block.id, name, value)
    for page in PAGES
    for block in blocks(page)
    if block.language == "bash"
    for name, value in exported_connections(block).items()
]


def fields_of(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    from airflow_cbr.hooks.cbr import CbrHook

    monkeypatch.setenv(name, value)
    return CbrHook(name.removeprefix(CONNECTION_PREFIX).lower()).fields


def test_there_is_something_to_check() -> None:
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/connection.md"} <= set(PAGES)
    assert len(EXPORTED) >= 5


@pytest.mark.parametrize(("where", "name", "value"), EXPORTED, ids=[f"{where}-{name}" for where, name, _ in EXPORTED])
def test_an_exported_connection_can_be_used(where: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fields_of(name, value, monkeypatch).region == "cn-north-4", where


@pytest.mark.parametrize("name", ["AIRFLOW_CONN_HUAWEICLOUD_CBR_DEFAULT", "AIRFLOW_CONN_CBR_USER"])
def test_the_forms_of_a_connection_say_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_json, as_uri = (value for where, exported, value in EXPORTED if exported == name and where.startswith("docs/connection.md"))

    assert in_json.startswith("{")
    assert as_uri.startswith("huaweicloud-cbr://")
    assert fields_of(name, in_json, monkeypatch) == fields_of(name, as_uri, monkeypatch)


def test_every_field_of_the_connection_is_explained() -> None:
    from airflow_cbr.get_provider_info import get_provider_info

    (connection_type,) = get_provider_info()["connection-types"]
    rows = dict(re.findall(r"^\| extra ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", (REPOSITORY / "docs/connection.md").read_text(), re.MULTILINE))

    assert rows == {f"`{name}`": field["label"] for name, field in connection_type["conn-fields"].items()}


@pytest.mark.parametrize("block", blocks_of("python"))
def test_a_python_example_runs(block: Block, tmp_path: Path) -> None:
    from airflow.sdk import DAG

    if not is_dag_file(block):
        exec(compile(block.text, block.id, "exec"), {"__name__": "example"})
        return
    file = tmp_path / "example.py"
    file.write_text(block.text)
    dags = [value for value in runpy.run_path(str(file)).values() if isinstance(value, DAG)]

    assert dags, "the example defines a Dag, and binds it to a name"
    for dag in dags:
        assert dag.task_ids
        dag.check_cycle()


@pytest.mark.parametrize("page", PAGES)
def test_json_examples_can_be_read(page: str) -> None:
    for block in blocks(page):
        if block.language == "json":
            json.loads(block.text)


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    commands = [block.text for block in blocks(page) if block.language in {"bash", "console", "sh"}]
    commands += re.findall(r"`([^`\n]+)`", (REPOSITORY / page).read_text())

    assert {target for command in commands for target in re.findall(r"^\$? ?make ([a-z][\w-]*)", command, re.MULTILINE)} <= targets


def heading_anchors(path: Path) -> set[str]:
    prose = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = REPOSITORY / page
    prose = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose)):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        if not linked.exists() or (anchor and linked.suffix == ".md" and anchor not in heading_anchors(linked)):
            broken.append(target)

    assert broken == []

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import airflow_cbr.emulator

MODULES = sorted(Path(airflow_cbr.emulator.__file__).parent.rglob("*.py"))
FRAMEWORK = {"fastapi", "starlette", "uvicorn"}
WEB_MODULES = {"app.py", "control_routes.py", "delivery.py", "server.py"}


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_the_ring_reads_the_documentation_on_its_own(path: Path) -> None:
    names = imported(path)
    assert not {name for name in names if name.startswith("airflow_cbr.") and not name.startswith("airflow_cbr.emulator")}
    assert not {name for name in names if name.split(".")[0] == "airflow"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_the_rules_know_no_web_framework(path: Path) -> None:
    uses = {name.split(".")[0] for name in imported(path)} & FRAMEWORK
    assert not uses or path.name in WEB_MODULES

from __future__ import annotations

import ast
from pathlib import Path

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


def test_the_ring_reads_the_documentation_on_its_own() -> None:
    outward = [
        f"{path.name} imports {name}"
        for path in MODULES
        for name in imported(path)
        if name.split(".")[0] == "airflow" or (name.startswith("airflow_cbr.") and not name.startswith("airflow_cbr.emulator"))
    ]
    assert outward == []


def test_the_rules_know_no_web_framework() -> None:
    rules = [path for path in MODULES if path.name not in WEB_MODULES]
    assert [f"{path.name} imports {name}" for path in rules for name in imported(path) if name.split(".")[0] in FRAMEWORK] == []

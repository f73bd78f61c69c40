"""A ring imports only what lies inside it, nothing heavy is loaded with a Dag file, and the tree holds nothing of one machine."""

from __future__ import annotations

import ast
import importlib.metadata
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from tests.support.python_process import run_python

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "airflow_cbr"
ADAPTERS = {"hooks", "operators", "sensors", "triggers", "links"}
CORE = {
    "languages",
    "exceptions",
    "api",
    "once",
    "inventory",
    "waiting",
    "replication",
    "preflight",
    "verification",
    "checkpoints",
    "drills",
    "pruning",
    "evidence",
}

#: Part of the package: the other parts it may import. All may import ``airflow_cbr`` itself, which holds the version only.
RINGS: dict[str, set[str]] = {
    "__init__": set(),
    "languages": set(),
    "exceptions": {"languages"},
    "get_provider_info": set(),
    "airflow_names": set(),
    "assets": {"languages", "exceptions", "api"},
    "lineage": {"languages", "exceptions", "api", "assets"},
    "api": {"languages", "exceptions"},
    "notifications": {"exceptions", "api"},
    "once": {"languages", "exceptions", "api"},
    "inventory": {"languages", "exceptions", "api"},
    "waiting": {"languages", "exceptions", "api", "once", "inventory"},
    "replication": {"languages", "exceptions", "api", "once", "inventory", "waiting"},
    "preflight": {"languages", "exceptions", "api", "once", "inventory", "replication"},
    "verification": {"languages", "exceptions", "api", "once", "inventory"},
    "pruning": {"languages", "exceptions", "api", "once", "inventory", "verification"},
    "checkpoints": {"languages", "exceptions", "api", "once"},
    "evidence": {"languages", "exceptions", "api"},
    **{adapter: CORE | ADAPTERS | {"airflow_names", "assets", "get_provider_info", "lineage"} for adapter in ADAPTERS},
    "drills": {"languages", "exceptions", "api", "once", "inventory", "verification"},
    "plugins": set(),
    "emulator": set(),
    "demo": CORE | ADAPTERS | {"emulator"},
    # Object storage is Airflow's; nothing else of a command knows Airflow.
    "commands": {"api", "evidence", "operators"},
    "cli": {"languages", "commands", "demo", "emulator"},
}
WITHOUT_AIRFLOW = CORE | {"__init__", "get_provider_info", "notifications", "emulator", "commands", "cli"}
#: What moved between the supported versions of Airflow, or comes with a provider that Airflow's constraints pin.
MOVING = (
    "airflow.configuration",
    "airflow.exceptions",
    "airflow.sdk.configuration",
    "airflow.sdk.exceptions",
    "airflow.providers",
)
LARGEST_MODULE = 400  # lines

MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    """Return every dotted name that a module imports: at its top, inside functions, and for type checking."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports relatively"
            names += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(names)


def modules_of(*parts: str) -> list[str]:
    names = [f"airflow_cbr.{part}" for part in parts]
    folders = {f"airflow_cbr.{part}.": str(PACKAGE / part) for part in parts if (PACKAGE / part).is_dir()}
    return names + [module.name for prefix, folder in folders.items() for module in pkgutil.iter_modules([folder], prefix)]


def test_imports_point_inward() -> None:
    assert {part_of(path) for path in MODULES} <= set(RINGS), "a part has no place in the rings yet"
    outward = []
    for path in MODULES:
        part = part_of(path)
        allowed = RINGS[part] | {part, "__version__"}
        own = [name.split(".") for name in imports_of(path) if name.startswith("airflow_cbr.")]
        outward += [f"{name_of(path)} imports {'.'.join(name)}" for name in own if name[1] not in allowed]

    assert outward == []


def test_no_two_modules_import_each_other() -> None:
    """Neither directly nor over others, nor for type checking alone: who reads one of a circle has to read all of it."""
    modules = {".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES}

    def module_of(name: str) -> str:
        while name not in modules:
            name = name.rpartition(".")[0]
        return name

    imported = {
        module: {module_of(name) for name in imports_of(path) if name.startswith("airflow_cbr.")} - {module}
        for module, path in modules.items()
    }

    def reached_from(module: str) -> set[str]:
        reached, new = set[str](), {module}
        while new:
            reached |= new
            new = set[str]().union(*(imported[one] for one in new)) - reached
        return reached

    reached = {module: reached_from(module) for module in modules}

    assert len(modules) > 200
    assert [f"{module} imports {one}" for module in modules for one in sorted(imported[module]) if module in reached[one]] == []


def test_a_name_of_a_class_means_one_thing() -> None:
    """The emulator is a second reading of the service and has a Vault of its own; within each reading a name is given once."""
    places = defaultdict[tuple[str, bool], list[str]](list)
    for path in MODULES:
        classes = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef))
        for node in classes:
            places[node.name, part_of(path) == "emulator"].append(name_of(path))

    assert {name: paths for (name, _), paths in places.items() if len(paths) > 1} == {}


def test_the_inner_rings_and_the_emulator_do_not_import_airflow() -> None:
    inner = [path for path in MODULES if part_of(path) in WITHOUT_AIRFLOW]

    assert [f"{name_of(path)} imports {name}" for path in inner for name in imports_of(path) if name.split(".")[0] == "airflow"] == []


def test_what_moves_in_airflow_is_taken_from_airflow_names() -> None:
    # Only where the OpenLineage provider asks is the lineage imported, so that provider is there.
    others = [path for path in MODULES if part_of(path) not in {"airflow_names", "lineage"}]

    assert [f"{name_of(path)} imports {name}" for path in others for name in imports_of(path) if name.startswith(MOVING)] == []


def test_airflow_names_has_its_names_from_airflow_itself() -> None:
    imported = imports_of(PACKAGE / "airflow_names.py")

    assert "airflow.sdk.BaseOperator" in imported
    assert [name for name in imported if name.startswith("airflow.providers")] == []


@pytest.mark.campaign
def test_importing_every_module_warns_of_nothing() -> None:
    run_python(
        "-c",
        # Airflow's own modules come first: what they warn of while they load is not this package's.
        "import importlib, warnings\nimport airflow.sdk.execution_time.xcom, airflow.triggers.base\nwarnings.simplefilter('error')\n"
        f"for name in {[*modules_of(*sorted(RINGS.keys() - {'__init__'}))]!r}: importlib.import_module(name)",
    )


@pytest.mark.parametrize(
    ("parts", "without"),
    [
        (["exceptions", "api", "replication"], ["airflow", "airflow_cbr.emulator", "fastapi", "uvicorn"]),
        (["emulator"], ["airflow", "airflow_cbr.api", "airflow_cbr.replication", "airflow_cbr.exceptions", "requests"]),
        (["evidence"], ["airflow", "requests", "fastapi", "uvicorn", "cryptography"]),
        (["commands", "cli"], ["airflow", "requests", "fastapi", "uvicorn", "rich"]),
    ],
    ids=["the client", "the emulator", "the evidence", "the command"],
)
@pytest.mark.campaign
def test_it_can_be_imported_without(parts: list[str], without: list[str]) -> None:
    run_python(
        "-c",
        f"import importlib, sys\nsys.modules.update(dict.fromkeys({without!r}))\n"
        f"for name in {modules_of(*parts)!r}: importlib.import_module(name)",
    )


@pytest.mark.campaign
def test_a_dag_file_loads_neither_requests_nor_a_web_framework() -> None:
    heavy = run_python(
        "-c",
        "import importlib, sys\nheavy = {'requests', 'fastapi', 'starlette', 'uvicorn', 'aiohttp'}\n"
        f"for name in {modules_of(*sorted(ADAPTERS))!r}:\n"
        "    before = set(sys.modules)\n    importlib.import_module(name)\n"
        "    for loaded in sorted((sys.modules.keys() - before) & heavy): print(name, 'loads', loaded)",
    )

    assert heavy.splitlines() == []


@pytest.mark.campaign
def test_a_dag_file_loads_no_other_provider() -> None:
    """Airflow's decorators bring the standard provider and models with them: 75 modules that each parse of a Dag file would pay for."""
    loaded = run_python(
        "-c",
        "import sys\nfrom airflow.sdk import BaseOperator\nbefore = set(sys.modules)\n"
        "from airflow_cbr.operators.cbr import *\nimport airflow_cbr.sensors.cbr\n"
        "print(*sorted(name for name in sys.modules.keys() - before if name.startswith(('airflow.providers.', 'airflow.models.'))))",
    )

    assert loaded.split() == []


def test_a_module_is_small_enough_to_be_one_concept() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}

    assert {name: length for name, length in lengths.items() if length > LARGEST_MODULE} == {}


def test_every_room_has_its_tests_under_its_name() -> None:
    tests = REPOSITORY / "tests"
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    folders = {path.parent.name for path in tests.glob("unit/*/test_*.py")}
    # What needs a served emulator is among the integration tests.
    served = {path.stem.removeprefix("test_") for path in tests.glob("integration/test_*.py")}

    assert rooms - folders - served == set()
    assert folders - rooms == set()


def test_what_is_imported_is_declared() -> None:
    distributions = importlib.metadata.packages_distributions()
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=!~\[; ]", requirement)[0] for requirement in project["dependencies"]}
    # Only used where an old Airflow, or the OpenLineage provider, brings them; airflow.providers.* belongs to several distributions.
    optional = {"flask_appbuilder", "wtforms", "attr", "openlineage"}

    imported = (
        {name.split(".")[0] for path in MODULES for name in imports_of(path)} - set(sys.stdlib_module_names) - {"airflow_cbr", "airflow"}
    )
    missing = {name for name in imported - optional if not declared & {found.lower() for found in distributions.get(name, [])}}

    assert missing == set()
    assert "apache-airflow" in declared
    assert [name for name in declared if "providers" in name] == [], "Airflow's constraints pin providers to the day of its release"


def test_run_time_dependencies_have_lower_bounds_only() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

    assert [requirement for requirement in project["dependencies"] if not re.fullmatch(r"[a-z0-9-]+>=[\d.]+", requirement)] == []


def test_the_constraints_are_pins_and_name_no_index() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()

    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[\w.!+]+( ; [^/:]+)?", line)] == []


def tracked_files() -> list[Path]:
    git = subprocess.run(["git", "-C", str(REPOSITORY), "ls-files", "-z"], capture_output=True, text=True)
    if git.returncode == 0:
        return [REPOSITORY / name for name in git.stdout.split("\0") if name]
    # An unpacked source distribution holds nothing else than what was tracked, apart from what has been made since.
    made = {".venv", "build", "dist", "__pycache__"}
    return [path for path in REPOSITORY.rglob("*") if path.is_file() and not made & set(path.relative_to(REPOSITORY).parts)]


def test_no_tracked_file_names_an_index_or_a_folder_of_one_machine() -> None:
    # Each pattern is written so that it does not find itself.
    patterns = [
        r"py[p]i\.(org|python)",
        r"files\.python[h]osted",
        r"--(extra-)?index-ur[l]",
        r"(?<![\w.])/(root|work|Users)[/]\w",
        r"/home/(?!airflow)\w+[/]",
    ]
    pattern = re.compile("|".join(patterns))
    found = []
    for path in tracked_files():
        try:
            text = path.read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        found += [f"{name_of(path)}: {match[0]}" for match in pattern.finditer(text)]

    assert found == []

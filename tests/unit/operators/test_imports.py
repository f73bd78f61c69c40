"""A Dag file pays for the operators that it names, each time it is parsed: for little code, and for nothing that takes long to be built."""

from __future__ import annotations

import ast
import inspect
import json
from typing import Any

import pytest

from airflow_cbr.operators import cbr
from tests.support.python_process import run_python

# One process looks at all of it, for all of its cases.
pytestmark = pytest.mark.campaign

OPERATORS = "from airflow_cbr.operators.cbr import"
#: A statement of a Dag file: the modules that it may load over ``airflow.sdk`` with the bases of operators, hooks and links. Each costs a
#: third of a millisecond, so whoever raises a number says why.
MOST_MODULES = {
    "from airflow_cbr.exceptions import CbrError": 1,
    "from airflow_cbr.assets import vault_asset": 4,
    "import airflow_cbr.operators.cbr": 2,
    f"{OPERATORS} CbrReplicateCheckpointOperator": 21,
    f"{OPERATORS} CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator": 22,
    f"{OPERATORS} CbrCreateCheckpointOperator": 18,
    f"{OPERATORS} CbrPruneOperator": 18,
    f"{OPERATORS} restore_drills": 23,
    f"{OPERATORS} *": 33,
    "from airflow_cbr.sensors.cbr import CbrReplicationSensor": 19,
    "from airflow_cbr.triggers.cbr import CbrReplicationEndedTrigger": 8,
    "from airflow_cbr.hooks.cbr import CbrHook": 6,
}
#: Each statement is run in a fork of one process, since Airflow itself takes seconds to import.
PROGRAM = """
import json, os, re, sys
from enum import Enum
import airflow.triggers.base
from airflow.sdk import BaseHook, BaseOperator, BaseOperatorLink

def is_slow(value):
    if not isinstance(value, type):
        return isinstance(value, re.Pattern)
    # Airflow's base of operators is a dataclass itself.
    return issubclass(value, Enum) or bool(vars(value).keys() & {"__dataclass_fields__", "__struct_fields__"})

before = set(sys.modules)
for statement in json.loads(sys.argv[1]):
    if os.fork():
        os.wait()
        continue
    exec(statement, {})
    loaded = sorted(name for name in sys.modules.keys() - before)
    slow = []
    for name in loaded:
        for key, value in vars(sys.modules[name]).items() if name.startswith("airflow_cbr") else ():
            # A pattern knows no module; it is made where a name of a module is given to it.
            if is_slow(value) and getattr(value, "__module__", name) == name:
                slow.append(f"{name}.{key}")
    print(json.dumps([statement, loaded, slow]), flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, tuple[list[str], list[str]]]:
    """Return by statement the modules that it loads, and what of them takes long to be built."""
    rows: list[Any] = [json.loads(line) for line in run_python("-c", PROGRAM, json.dumps([*MOST_MODULES])).splitlines()]
    return {statement: (loaded, slow) for statement, loaded, slow in rows}


@pytest.mark.parametrize("statement", MOST_MODULES)
def test_a_dag_file_loads_few_modules(statement: str, imported: dict[str, tuple[list[str], list[str]]]) -> None:
    loaded, _ = imported[statement]

    assert len(loaded) <= MOST_MODULES[statement], "\n".join(loaded)


def test_what_a_dag_file_loads_is_this_package_alone(imported: dict[str, tuple[list[str], list[str]]]) -> None:
    others = {name for loaded, _ in imported.values() for name in loaded if name.partition(".")[0] != "airflow_cbr"}

    # Airflow's own base of sensors, which only the sensor needs.
    assert others == {"airflow.sdk.bases.sensor"}
    assert [one for one, (loaded, _) in imported.items() if others & {*loaded}] == [
        "from airflow_cbr.sensors.cbr import CbrReplicationSensor"
    ]


def test_nothing_that_takes_long_is_built_for_a_dag_file(imported: dict[str, tuple[list[str], list[str]]]) -> None:
    """A dataclass, an enumeration or a pattern takes one to three milliseconds of the ten that an import may take."""
    slow = {name for _, built in imported.values() for name in built}

    # The wake words of a wait, which a deferred task needs in any case.
    assert slow == {"airflow_cbr.triggers.events.Wake"}


# --- the operators under the name that Dags import them by -----------------------------------------------------------------


def test_each_operator_is_imported_from_the_module_that_type_checkers_see() -> None:
    tree = ast.parse(inspect.getsource(cbr))
    seen = {
        alias.name: node.module.rpartition(".")[2]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("airflow_cbr.operators.")
        for alias in node.names
    }

    assert seen == cbr._MODULES  # type: ignore[attr-defined]
    assert sorted(seen) == sorted(cbr.__all__)


@pytest.mark.parametrize("name", cbr.__all__)
def test_an_operator_is_there_by_its_name(name: str) -> None:
    operator = getattr(cbr, name)

    assert operator.__name__ == name
    assert operator is vars(cbr)[name], "it is looked for once"
    assert name in dir(cbr)


def test_a_name_that_does_not_exist_is_refused_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match=r"module 'airflow_cbr\.operators\.cbr' has no attribute 'CbrNothing'"):
        cbr.CbrNothing  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="CbrNothing"):
        from airflow_cbr.operators.cbr import CbrNothing  # type: ignore[attr-defined]  # noqa: F401

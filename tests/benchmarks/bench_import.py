"""What importing the operator module costs, over an interpreter that has ``airflow.sdk`` with its BaseOperator: ``python -m
tests.benchmarks.bench_import``.

Every measurement is a fresh process. The Dag processor pays this price for each Dag file, in a process of its own.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from tests.benchmarks.targets import Target, report, spread

ROUNDS = 9
MODULES = {
    "airflow_cbr.operators.cbr": ["airflow_cbr.operators.cbr"],
    "all of airflow_cbr that Dags name": [
        "airflow_cbr.operators.cbr",
        "airflow_cbr.sensors.cbr",
        "airflow_cbr.assets",
        "airflow_cbr.notifications",
        "airflow_cbr.exceptions",
    ],
    "the HTTP client (for comparison)": ["airflow_cbr.api.client"],
    "requests (for comparison)": ["requests"],
}
PROGRAM = """
import importlib, json, resource, sys, time
from airflow.sdk import BaseOperator

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

loaded_before = set(sys.modules)
before, began = resident(), time.perf_counter()
for name in sys.argv[1:]:
    importlib.import_module(name)
seconds = time.perf_counter() - began
loaded = sys.modules.keys() - loaded_before
print(json.dumps({
    "seconds": seconds,
    "bytes": resident() - before,
    "modules": len(loaded),
    "heavy": sorted({name.partition(".")[0] for name in loaded} & {
        "requests", "fastapi", "uvicorn", "cryptography", "openlineage", "statsd", "datadog", "opentelemetry",
    }),
}))
"""


def measure(modules: list[str], environment: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *modules], env=environment, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        # An installed package has its byte code; a checkout may not be allowed to write it.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = f"{home}/bytecode"
        for modules in MODULES.values():
            measure(modules, environment)
        results: dict[str, list[dict[str, Any]]] = {name: [] for name in MODULES}
        for _ in range(ROUNDS):
            for name, modules in MODULES.items():
                results[name].append(measure(modules, environment))

    print(f"Imports over airflow.sdk.BaseOperator, {ROUNDS} fresh processes each (median [range]):")
    for name, rows in results.items():
        print(
            f"  {name:36}{spread([row['seconds'] for row in rows]):28} ms   "
            f"{spread([row['bytes'] for row in rows], 1 / 2**20):24} MiB   {rows[0]['modules']} modules"
        )
    operators = results["airflow_cbr.operators.cbr"]
    heavy = sorted({module for row in operators for module in row["heavy"]})
    print(f"  heavy packages that it loads: {', '.join(heavy) or 'none'}")
    report(
        [
            Target("import of airflow_cbr.operators.cbr, time", statistics.median(row["seconds"] for row in operators) * 1000, 20, "ms"),
            Target("import of airflow_cbr.operators.cbr, memory", statistics.median(row["bytes"] for row in operators) / 2**20, 2, "MiB"),
            Target("HTTP, web, lineage, metrics and signing packages loaded by it", len(heavy), 0, "packages"),
        ]
    )


if __name__ == "__main__":
    main()

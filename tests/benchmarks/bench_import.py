"""What importing costs a Dag file: ``python -m tests.benchmarks.bench_import``.

Every measurement is a fresh process, which has ``airflow.sdk`` with what the operator of any provider needs: the bases of operators, hooks
and links. The Dag processor pays this price for each Dag file, in a process of its own. Measured is time on a processor, which other work
on the machine disturbs least.
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
NIGHTLY = "replicate and verify"
DRILLS = "restore drills"
ALL = "all operators"
IMPORTS = {
    NIGHTLY: "from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator",
    DRILLS: "from airflow_cbr.operators.cbr import restore_drills",
    ALL: "from airflow_cbr.operators.cbr import *",
    "the sensor": "from airflow_cbr.sensors.cbr import CbrReplicationSensor",
    "all that Dags name": "from airflow_cbr.operators.cbr import *\n"
    "import airflow_cbr.sensors.cbr, airflow_cbr.triggers.cbr, airflow_cbr.assets, airflow_cbr.notifications, airflow_cbr.exceptions",
    "the HTTP client (for comparison)": "import airflow_cbr.api.client",
    "requests (for comparison)": "import requests",
}
PROGRAM = """
import json, resource, sys, time
from airflow.sdk import BaseOperator

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

began = time.process_time()
from airflow.sdk import BaseHook, BaseOperatorLink
floor = time.process_time() - began
statement = compile(sys.argv[1], "dag", "exec")
loaded_before = set(sys.modules)
before, began = resident(), time.process_time()
exec(statement)
seconds = time.process_time() - began
loaded = sys.modules.keys() - loaded_before
print(json.dumps({
    "floor": floor,
    "seconds": seconds,
    "bytes": resident() - before,
    "modules": len(loaded),
    "heavy": sorted({name.partition(".")[0] for name in loaded} & {
        "requests", "fastapi", "uvicorn", "cryptography", "openlineage", "statsd", "datadog", "opentelemetry", "msgspec",
    }),
}))
"""


def measure(statement: str, environment: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, statement], env=environment, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        # An installed package has its byte code; a checkout may not be allowed to write it.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = f"{home}/bytecode"
        for statement in IMPORTS.values():
            measure(statement, environment)
        results: dict[str, list[dict[str, Any]]] = {name: [] for name in IMPORTS}
        for _ in range(ROUNDS):
            for name, statement in IMPORTS.items():
                results[name].append(measure(statement, environment))

    print(f"Imports over airflow.sdk with BaseOperator, BaseHook and BaseOperatorLink, {ROUNDS} fresh processes each (median [range]):")
    for name, rows in results.items():
        print(
            f"  {name:33}{spread([row['seconds'] for row in rows]):27} ms   "
            f"{spread([row['bytes'] for row in rows], 1 / 2**20):21} MiB   {rows[0]['modules']} modules"
        )
    print(f"  BaseHook and BaseOperatorLink, over BaseOperator: {spread([row['floor'] for rows in results.values() for row in rows])} ms")
    heavy = sorted({module for name in (NIGHTLY, DRILLS, ALL) for row in results[name] for module in row["heavy"]})
    print(f"  heavy packages that operators load: {', '.join(heavy) or 'none'}")
    report(
        [
            *(
                Target(f"import, time: {name}", statistics.median(row["seconds"] for row in results[name]) * 1000, 10, "ms", known=15)
                for name in (NIGHTLY, DRILLS)
            ),
            Target(f"import, memory: {ALL}", statistics.median(row["bytes"] for row in results[ALL]) / 2**20, 2, "MiB"),
            Target("HTTP, web, lineage, metrics and signing packages loaded by operators", len(heavy), 0, "packages"),
        ]
    )


if __name__ == "__main__":
    main()

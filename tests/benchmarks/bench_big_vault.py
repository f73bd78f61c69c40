"""What a vault of very many backups costs: memory for each backup, and time. ``python -m tests.benchmarks.bench_big_vault``.

A night on a vault whose backups are covered, but for fifty new ones: the look of a replicate task, up to its call for the vault, and the
verification of every backup with its report in a file. Each is done in a process of its own, whose peak of resident memory and whose time
on a processor count. What a backup costs is the difference between a small and a large vault, divided by the difference in backups.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

from tests.benchmarks.lean_server import DESTINATION, VAULT, serving, use_processor
from tests.benchmarks.targets import Target, report

SMALL, LARGE = 10_000, 50_000
NEW = 50
LIMITS: dict[str, dict[str, float]] = {"replicate": {"limit": 512}, "verify": {"limit": 512, "known": 560}}
"""Bytes for each backup; docs/explanation/benchmarks.md says what a verification keeps, and why it comes near to its limit."""


def replicate(url: str) -> None:
    """Look at the vault, and send what a replicate task sends."""
    from airflow_cbr.inventory.destination import Destination
    from airflow_cbr.once.attempt import Attempt
    from airflow_cbr.replication.spec import ReplicationSpec
    from airflow_cbr.replication.submission import Submission
    from tests.benchmarks.bench_client import make_client

    spec = ReplicationSpec(vault_id=VAULT, destination=Destination(*DESTINATION.values()))
    task = Submission(make_client(url), spec, attempt=Attempt(), intents=None, publish=lambda _ids, _counts: None)
    task.advance()
    assert task.state.accepted
    assert len(task.state.wanted or ()) == NEW


def walk(url: str) -> None:
    """Read the same list, and keep nothing."""
    from tests.benchmarks.bench_client import make_client

    assert sum(1 for _ in make_client(url).list_backups(vault_id=VAULT, show_replication=True)) >= SMALL


def verify(url: str) -> None:
    """Verify every backup, and write the report."""
    from tests.benchmarks.bench_verification import Sides

    Sides(url).verify_all_and_write()


WORK: dict[str, Callable[[str], None]] = {"replicate": replicate, "walk": walk, "verify": verify}


def measured(name: str, rows: int) -> tuple[float, float]:
    """Return peak memory in bytes and processor time in seconds of a process that does it."""
    with serving(rows, 0 if name == "verify" else NEW) as url:
        command = [sys.executable, "-m", "tests.benchmarks.bench_big_vault", name, url]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    memory, seconds = json.loads(said.splitlines()[-1])
    return memory, seconds


def main() -> None:
    os.environ["NO_PROXY"] = "127.0.0.1"
    results = {name: (measured(name, SMALL), measured(name, LARGE)) for name in WORK}
    targets = []
    for name, (small, large) in results.items():
        each = (large[0] - small[0]) / (LARGE - SMALL)
        print(f"  {name:10} {large[1] / LARGE * 1e6:6.1f} us and {each:6.0f} B for each backup, {large[0] / 2**20:.0f} MiB for {LARGE:,}")
        if name in LIMITS:
            targets.append(Target(f"{name}: peak memory for each backup", each, unit="B", **LIMITS[name]))
    targets.append(Target("replicate / walking the list, processor time", results["replicate"][1][1] / results["walk"][1][1], 1.5))
    report(targets)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        use_processor(0)
        began = time.process_time()
        WORK[sys.argv[1]](sys.argv[2])
        print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, time.process_time() - began]))
    else:
        main()

"""What it costs a verify task to tell what it has found. ``python -m tests.benchmarks.bench_verify_task``.

The contestants are processes in which the operator runs, since Airflow settles once in a process whether there are metrics: one tells
nobody, one has StatsD and an outlet, and one leaves evidence too. They verify the same vault, take turns in every round, and the ratio is
the median of the rounds' ratios, of processor time: other work on the machine hits all alike. Logging is switched off, which would be the
same for all, and hides what is measured.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from tests.benchmarks.lean_server import DESTINATION, VAULT, serving, use_processor
from tests.benchmarks.targets import Target, ratio, report, spread

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS: Final = 1000
"""The largest report that goes into XCom as a whole."""
FEW: Final = 20
"""One backup of each resource of a small vault."""
ROUNDS: Final = 25
KEYS: Final = ("EXAMPLEACCESSKEY0001", "ExampleSecretKeyForBenchmarksOnly00000001")
PLAIN, TOLD, EVIDENCE = "nobody is told", "StatsD and an outlet", "the same, and evidence"


# --- a contestant ---------------------------------------------------------------------------------------------------------------


def attempts(told: bool, evidence: bool) -> None:
    """Run one attempt of the verify task for each line of standard input, and print its seconds: on a processor, and by the clock."""
    import logging

    from airflow_cbr.assets import vault_asset
    from tests.support.task_run import TaskRun

    # As in a worker: the operator's module comes with the Dag file.
    from airflow_cbr.operators.cbr import CbrVerifyReplicationOperator  # isort: skip

    logging.disable(logging.CRITICAL)
    region, project_id, vault_id = DESTINATION.values()
    more: dict[str, Any] = {"outlets": [vault_asset(region, project_id, vault_id)]} if told else {}
    for _ in sys.stdin:
        folder = tempfile.mkdtemp() if evidence else None
        run = TaskRun(
            CbrVerifyReplicationOperator(
                task_id="verify", vault_id=VAULT, **DESTINATION, scope="all", max_age=100 * 365 * 86400, evidence_path=folder, **more
            )
        )
        context = run.context()
        began, on_processor = time.perf_counter(), time.process_time()
        run.task.execute(context)
        print(json.dumps([time.process_time() - on_processor, time.perf_counter() - began]), flush=True)
        assert run.xcoms["return_value"]["verdict"] == "verified"
        assert [run.outlet_events[outlet].extra["kind"] for outlet in run.task.outlets] == (["verified"] if told else [])
        if folder is not None:
            shutil.rmtree(folder)


class Contestant:
    """A process that runs the task when it is asked.

    :param url: of the service.
    :param statsd: port of StatsD. Default: there are no metrics.
    :param evidence: whether it leaves evidence.
    """

    def __init__(self, url: str, home: str, *, statsd: int | None = None, evidence: bool = False) -> None:
        extra = {"region": "cn-north-4", "project_id": "4229d7a45436489f8c3dc2b1d35d4987", "cbr_endpoint": url, "iam_endpoint": url}
        connection = {"conn_type": "huaweicloud_cbr", "login": KEYS[0], "password": KEYS[1], "extra": extra}
        environment = {
            **os.environ,
            "AIRFLOW_HOME": home,
            "AIRFLOW_CONN_HUAWEICLOUD_CBR_DEFAULT": json.dumps(connection),
            "AIRFLOW__METRICS__STATSD_ON": str(statsd is not None),
            "AIRFLOW__METRICS__STATSD_PORT": str(statsd or 8125),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }
        flags = [flag for flag, given in (("--told", statsd is not None), ("--evidence", evidence)) if given]
        command = [sys.executable, "-m", "tests.benchmarks.bench_verify_task", "--contestant", *flags]
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Contestant:
        """Run once: everything is imported by then."""
        self.attempt()
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._process.communicate()

    def attempt(self) -> tuple[float, float]:
        """Run the task; return its seconds on a processor and by the clock."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        on_processor, clock = json.loads(self._process.stdout.readline())
        return on_processor, clock


# --- the benchmark --------------------------------------------------------------------------------------------------------------


@contextmanager
def statsd() -> Iterator[socket.socket]:
    """Listen as StatsD does; nobody reads, and what does not fit is dropped."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        yield listener


def measured(rows: int) -> dict[str, list[tuple[float, float]]]:
    """Let the contestants verify a vault of so many backups in turns; return the seconds of each by round."""
    with ExitStack() as stack:
        url = stack.enter_context(serving(rows))
        home = stack.enter_context(tempfile.TemporaryDirectory())
        listener = stack.enter_context(statsd())
        port = listener.getsockname()[1]
        contestants = {
            PLAIN: stack.enter_context(Contestant(url, home)),
            TOLD: stack.enter_context(Contestant(url, home, statsd=port)),
            EVIDENCE: stack.enter_context(Contestant(url, home, statsd=port, evidence=True)),
        }
        while b"cbr.replica.verified_at" not in listener.recv(65535):
            """It is StatsD that is told, among other things; where it is not, this times out."""
        results: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
        for number in range(ROUNDS):
            turns = list(contestants.items())
            for name, contestant in turns if number % 2 else reversed(turns):
                results[name].append(contestant.attempt())
    return results


def main() -> None:
    use_processor(0)
    # Requests past a proxy would measure the proxy.
    os.environ["NO_PROXY"] = "127.0.0.1"
    targets = []
    for rows in (ROWS, FEW):
        results = measured(rows)
        print(f"A verify task of {rows} backups, {ROUNDS} rounds, ms on a processor, and by the clock (median [range]):")
        for name, values in results.items():
            print(f"  {name:26}{spread([one for one, _ in values]):32}{spread([one for _, one in values])}")
        plain, told, evidence = ([on_processor for on_processor, _ in values] for values in results.values())
        print(f"With evidence / without: {ratio(evidence, plain):.2f} x")
        targets.append(Target(f"verify task of {rows} backups with metrics and an outlet / without", ratio(told, plain), 1.1))
    report(targets)


if __name__ == "__main__":
    if "--contestant" in sys.argv:
        attempts("--told" in sys.argv, "--evidence" in sys.argv)
    else:
        main()

"""What the client costs: a replicate call, and a long list. ``python -m tests.benchmarks.bench_client``.

Client and server are two processes on two processors, and the server sends prepared answers, so that what is measured is the client.
Contestants take turns in every round, and the ratio is the median of the rounds' ratios: other work on the machine hits all alike.
"""

from __future__ import annotations

import json
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import requests
from huaweicloudsdkcbr.v1 import CbrClient as SdkClient
from huaweicloudsdkcbr.v1 import CheckpointReplicateParam, CheckpointReplicateReq, CopyCheckpointRequest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.http.http_config import HttpConfig

from airflow_cbr.api.auth import AkSkCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from tests.benchmarks.lean_server import DESTINATION, PROJECT, VAULT, serving, use_processor
from tests.benchmarks.targets import Target, ratio, report, spread

ROUNDS = 15
CALL_ROUNDS = 100
CALLS = 20
ROWS = 10_000
KEYS = ("EXAMPLEACCESSKEY0001", "ExampleSecretKeyForBenchmarksOnly00000001")


def seconds(work: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times


def rounds(contestants: dict[str, Callable[[], object]], times: int, count: int) -> dict[str, list[float]]:
    """Let the contestants take turns; return seconds per call by round."""
    for work in contestants.values():
        work()
    measured: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(count):
        spec = list(contestants.items())
        for name, work in spec if number % 2 else reversed(spec):
            measured[name].append(seconds(work, times))
    return measured


def make_client(url: str) -> CbrClient:
    return CbrClient(AkSkCredentials(*KEYS), region="cn-north-4", project_id=PROJECT, endpoints=Endpoints(cbr=url))


def replicate(url: str) -> list[Target]:
    client = make_client(url)
    session = requests.Session()
    sdk = (
        SdkClient.new_builder()
        .with_http_config(HttpConfig(timeout=(10, 60)))
        .with_credentials(BasicCredentials(*KEYS, PROJECT))
        .with_endpoint(url)
        .build()
    )
    target = f"{url}/v3/{PROJECT}/checkpoints/replicate"
    body = {"replicate": {"vault_id": VAULT, **DESTINATION}}

    def bare() -> Any:
        answer = session.post(target, json=body, timeout=(10, 60))
        answer.raise_for_status()
        return answer.json()

    measured = rounds(
        {
            "airflow-cbr, signed": lambda: client.replicate_checkpoint(vault_id=VAULT, **DESTINATION),
            "requests.Session, unsigned": bare,
            "official SDK, signed": lambda: sdk.copy_checkpoint(
                CopyCheckpointRequest(
                    body=CheckpointReplicateReq(replicate=CheckpointReplicateParam(vault_id=VAULT, auto_trigger=False, **DESTINATION))
                )
            ),
        },
        CALLS,
        CALL_ROUNDS,
    )
    print(f"One replicate call, {CALL_ROUNDS} rounds of {CALLS} calls, ms per call (median [range]):")
    for name, values in measured.items():
        print(f"  {name:28}{spread(values)}")
    ours, theirs, official = measured.values()
    return [
        Target("replicate call / requests.Session", ratio(ours, theirs), 1.05),
        Target("replicate call / official SDK", ratio(ours, official), 1.0),
    ]


def listing(url: str) -> list[Target]:
    client = make_client(url)
    session = requests.Session()
    pages = [f"{url}/v3/{PROJECT}/backups?show_replication=true&limit=1000&offset={offset}" for offset in range(0, ROWS, 999)]

    def ours() -> None:
        count = sum(len(backup.replication_records or ()) for backup in client.list_backups(show_replication=True))
        assert count == ROWS

    def bare() -> None:
        for page in pages:
            json.loads(session.get(page, timeout=(10, 60)).content)

    measured = rounds({"airflow-cbr, signed, typed": ours, "requests.Session, json.loads": bare}, 1, ROUNDS)
    print(f"Listing {ROWS} backups with their records, {ROUNDS} rounds, ms (median [range]):")
    for name, values in measured.items():
        print(f"  {name:28}{spread(values)}")
    return [Target("listing 10,000 backups / the same pages with json.loads", ratio(*measured.values()), 0.3, known=0.65)]


def peak_memory(rows: int) -> float:
    """Return the peak of state in MiB while a list of so many rows is walked."""
    with serving(rows) as url:
        client = make_client(url)
        next(client.list_backups(show_replication=True))
        peaks = []
        for _ in range(3):
            tracemalloc.start()
            for _ in client.list_backups(show_replication=True):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
            tracemalloc.stop()
        client.close()
    return statistics.median(peaks)


def main() -> None:
    use_processor(0)
    # Requests past a proxy would measure the proxy.
    os.environ["NO_PROXY"] = "127.0.0.1"
    with serving(ROWS) as url:
        targets = [*replicate(url), *listing(url)]
    few, many = peak_memory(10 * 999), peak_memory(50 * 999)
    print(f"Peak memory of walking a list: {few:.1f} MiB for 10 pages, {many:.1f} MiB for 50 pages")
    targets.append(Target("peak memory of 50 pages / of 10 pages", many / few, 1.1))
    report(targets)


if __name__ == "__main__":
    main()

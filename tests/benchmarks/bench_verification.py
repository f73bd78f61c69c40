"""What verifying a large vault costs. ``python -m tests.benchmarks.bench_verification``.

Every level is judged for every backup. The other side walks the same two lists with the same client and keeps nothing. What the whole
report costs on top, as a file, is measured for itself. Client and server are two processes on two processors, and the server sends prepared
answers. Contestants take turns in every round, and the ratio is the median of the rounds' ratios: other work on the machine hits all alike.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_cbr.api.auth import AkSkCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.api.transport import Transport
from airflow_cbr.inventory.destination import Destination
from airflow_cbr.verification.document import write
from airflow_cbr.verification.levels import Action, Level, Scope, VerificationSpec
from airflow_cbr.verification.verify import verify
from tests.benchmarks.bench_client import KEYS, rounds
from tests.benchmarks.lean_server import DESTINATION, PROJECT, VAULT, serving, use_processor
from tests.benchmarks.targets import Target, ratio, report, spread

if TYPE_CHECKING:
    from airflow_cbr.verification.report import Report

ROWS = 10_000
ROUNDS = 15
THERE = Destination(*DESTINATION.values())
ASSIGNMENT = VerificationSpec(
    VAULT, THERE, dict.fromkeys(Level, Action.FAIL), scope=Scope.ALL, max_age=100 * 365 * 86400, retention=86400, require_locked=False
)


class Nowhere:
    """A file that only counts."""

    size = 0

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self.size += len(data)


class Sides:
    """A client for each side, and how many requests they have made."""

    def __init__(self, url: str) -> None:
        self.requests = 0
        self.here, self.there = (
            CbrClient(AkSkCredentials(*KEYS), region=region, project_id=project_id, endpoints=Endpoints(cbr=url))
            for region, project_id in (("cn-north-4", PROJECT), (THERE.region, THERE.project_id))
        )
        send = Transport.send

        def counted(transport: Transport, *args: Any, **options: Any) -> Any:
            self.requests += 1
            return send(transport, *args, **options)

        Transport.send = counted  # type: ignore[method-assign, assignment]

    def verify(self) -> Report:
        """Verify."""
        found = verify(self.here, self.there, ASSIGNMENT)
        assert found.counts["verified"] == ROWS
        assert found.outcome == "passed"
        return found

    def verify_and_write(self) -> None:
        """Verify, and write the report."""
        file = Nowhere()
        write(self.verify(), file, None)
        assert file.size > 300 * ROWS

    def verify_all_and_write(self) -> None:
        """Verify a vault of any size, and write the report."""
        found = verify(self.here, self.there, ASSIGNMENT)
        assert found.outcome == "passed"
        write(found, Nowhere(), None)

    def walk(self) -> None:
        """Read and parse the same pages."""
        read = sum(1 for _ in self.here.list_backups(vault_id=VAULT, show_replication=True))
        read += sum(1 for _ in self.there.list_backups(vault_id=THERE.vault_id))
        assert read == 2 * ROWS


def peak(work: Callable[[], object]) -> int:
    """Return the peak of traced state in bytes."""
    work()
    tracemalloc.start()
    work()
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return highest


def processor_time(work: Callable[[], object]) -> float:
    """Return the seconds that this process had a processor."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    use_processor(0)
    # Requests past a proxy would measure the proxy.
    os.environ["NO_PROXY"] = "127.0.0.1"
    with serving(ROWS) as url:
        sides = Sides(url)
        sides.verify()
        requests = sides.requests
        contestants: dict[str, Callable[[], object]] = {
            "verify": sides.verify,
            "walk the same lists": sides.walk,
            "verify, and write the report": sides.verify_and_write,
        }
        measured = rounds(contestants, 1, ROUNDS)
        processor = [(processor_time(sides.verify), processor_time(sides.walk)) for _ in range(ROUNDS)]
        state = (peak(sides.verify_and_write) - peak(sides.walk)) / ROWS
    print(f"Verifying {ROWS} backups in both regions, {ROUNDS} rounds, ms (median [range]):")
    for name, values in measured.items():
        print(f"  {name:30}{spread(values)}")
    ours, theirs, written = measured.values()
    print(f"With its report on top, verify / reading and parsing: {ratio(written, theirs):.2f} x")
    report(
        [
            Target("requests for 10,000 backups in both regions", requests, 30, "requests"),
            Target("verify / reading and parsing the same pages", ratio(ours, theirs), 1.2, known=1.4),
            Target("the same, processor time", ratio(*zip(*processor, strict=True)), 1.2, known=1.4),
            Target("peak memory beyond that of reading, with its report, for each backup", state, 512, "B"),
        ]
    )


if __name__ == "__main__":
    main()

"""Nights of many vaults on a whole Airflow with Celery, in which parts of it are lost.

No copy ends before the test moves the emulator's clock, so whatever is green before that is green without reason.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import requests

from airflow_cbr.demo.waiting import DemoError, wait_until
from tests.support.airflow_processes import restart_what_died, running, triggerers
from tests.support.airflow_rest import FINAL, trigger
from tests.support.emulated_vaults import make_vaults

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.airflow_rest import DagRun
    from tests.support.celery_stack import CeleryStack
    from tests.support.emulated_vaults import VaultPair
    from tests.support.emulator import ControlClient

__all__ = ["BACKUPS", "HELD", "Night", "lose_triggerers", "lose_worker", "restart_postgresql", "restart_redis"]

Answer = TypeVar("Answer")
HELD: Final = 4 * 3600.0
"""Seconds of the emulator's time for which no copy begins."""
BACKUPS: Final = 2
"""In each vault."""


def lose_worker(stack: CeleryStack) -> None:
    """Kill the oldest worker with all that it runs, as when its machine is lost, and start another."""
    running(stack, "worker-")[0].kill()
    stack.start_worker()


def lose_triggerers(stack: CeleryStack) -> None:
    """Kill every triggerer, and start another."""
    for triggerer in triggerers(stack):
        triggerer.kill()
    stack.start_triggerer()


def restart_redis(stack: CeleryStack) -> None:
    """Kill the broker, with every message in it, and start it empty."""
    stack.redis.kill()
    stack.redis.start()


def restart_postgresql(stack: CeleryStack) -> None:
    """Restart the database: every connection is cut off, nothing is lost."""
    stack.postgresql.stop()
    stack.postgresql.start()


def _end_runs_of_others(stack: CeleryStack) -> None:
    """End what a test that failed has left: the Dag for many vaults has one run at a time."""
    left = stack.api.request("GET", "dags/~/dagRuns", params={"state": ["running", "queued"], "limit": 100})["dag_runs"]
    for run in left:
        path = f"dags/{run['dag_id']}/dagRuns/{quote(run['dag_run_id'], safe='')}"
        stack.api.request("PATCH", path, json={"state": "failed"})


@dataclass
class Night:
    """Vaults, and the Dag runs that replicate them.

    :param stack: Airflow.
    :param control: the emulator.
    :param pairs: the vaults.
    :param runs: what replicates them.
    """

    stack: CeleryStack
    control: ControlClient
    pairs: list[VaultPair]
    runs: list[DagRun] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def prepare(cls, stack: CeleryStack, control: ControlClient, vaults: int) -> Night:
        """Start the emulator's world anew, with vaults whose copies do not begin."""
        _end_runs_of_others(stack)
        control.reset()
        control.switch(queue_seconds=HELD)
        return cls(stack, control, [make_vaults(control, backups=BACKUPS) for _ in range(vaults)])

    def begin_mapped(self, dag_id: str = "cbr_many_vaults") -> None:
        """Replicate all vaults in one run of a mapped Dag."""
        self.runs = [trigger(self.stack.api, dag_id, {"vaults": [pair.params() for pair in self.pairs]}, limit=300)]
        self.started = time.monotonic()

    def begin_runs(self, dag_id: str) -> None:
        """Replicate each vault in a run of its own."""
        self.runs = [trigger(self.stack.api, dag_id, pair.params(), limit=300) for pair in self.pairs]
        self.started = time.monotonic()

    def until(self, condition: Callable[[], Answer | None], what: str, *, limit: float) -> Answer:
        """Wait for a condition while parts of Airflow may be away, or die of that and be started again as a service manager does.

        :param condition: a false answer, or no answer from Airflow, means "not yet".
        :param what: what is waited for.
        :param limit: seconds.
        """

        def asked() -> Answer | None:
            try:
                return condition()
            except (DemoError, requests.RequestException):
                return None

        try:
            return wait_until(asked, limit=limit, what=what, check=lambda: restart_what_died(self.stack), every=1.0)
        except DemoError as error:
            raise AssertionError(f"{error}; tasks: {self.states()}; processes: {self.processes()}") from error

    def count(self, *states: str) -> int:
        """Return how many task instances are in one of the states."""
        return sum(run.count(*states) for run in self.runs)

    def states(self) -> dict[str, int]:
        """Return how many task instances are in which state, and not in their first try."""
        rows = self.rows()
        return Counter([f"{row['task_id']} {row['state']}" for row in rows] + ["later try" for row in rows if row["try_number"] > 1])

    def processes(self) -> dict[str, int | None]:
        """Return the exit codes of Airflow's processes; None for one that runs."""
        return {name: component.exit_code for name, component in self.stack.components.items()}

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of all task instances."""
        return [row for run in self.runs for row in run.tasks()]

    def copies_started(self) -> int:
        """Return how many copies the service has started."""
        return len(self.control.ledger()["replications"])

    def until_submitted(self, share: float, *, limit: float) -> None:
        """Wait until the service has started that share of all copies."""
        wanted = int(share * len(self.pairs) * BACKUPS)
        self.until(lambda: self.copies_started() >= wanted, f"{wanted} copies are started", limit=limit)

    def until_all_wait(self, share: float = 1.0, *, limit: float) -> float:
        """Wait until that share of the vaults wait, deferred, at the same time; return the seconds since the beginning."""
        wanted = int(share * len(self.pairs))
        self.until(lambda: self.count("deferred") >= wanted, f"{wanted} vaults wait at once", limit=limit)
        self.check_no_false_green()
        return time.monotonic() - self.started

    def check_no_false_green(self) -> None:
        """Check that no task that replicates or verifies is green: no copy has begun."""
        green = [row["task_id"] for row in self.rows() if row["state"] == "success" and row["task_id"] != "check_vaults"]
        assert not green, green

    def let_the_copies_end(self, *, limit: float) -> float:
        """Let all copies end; every run is green, and every backup was copied once. Return the seconds that Airflow took."""
        # A task that was lost while it sent waits, deferred too, until it can see what has arrived, and sends the rest then.
        self.until_submitted(1.0, limit=limit)
        self.check_no_false_green()
        self.control.advance(HELD + 3600)
        began = time.monotonic()
        self.until(lambda: all(run.state in FINAL for run in self.runs), "every run ends", limit=limit)
        seconds = time.monotonic() - began
        self.check()
        return seconds

    def check(self) -> None:
        """Check that nothing is lost, nothing was copied twice, and what is green is true."""
        assert [run.state for run in self.runs] == ["success"] * len(self.runs), self.states()
        assert {row["state"] for row in self.rows()} == {"success"}, self.states()
        ledger = self.control.ledger()
        assert ledger["duplicates"] == []
        started = Counter(one["backup_id"] for one in ledger["replications"])
        assert started == Counter(backup for pair in self.pairs for backup in pair.backups), "each backup was copied, and once"
        arrived = {vault["id"]: vault["backups"] for vault in self.control.state()["vaults"]}
        assert [arrived[pair.destination] for pair in self.pairs] == [BACKUPS] * len(self.pairs)

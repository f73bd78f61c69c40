"""Runs that wait in a triggerer for copies which end when the test says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_cbr.demo.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.demo.stack import AirflowStack
    from tests.support.airflow_rest import DagRun
    from tests.support.emulated_vaults import VaultPair

#: How long a copy takes by the service's clock, in seconds: longer than any test.
COPY = 3600.0


@dataclass
class DeferredRun:
    """A run whose task ``replicate`` waits for all backups of a vault.

    :param pair: the vaults; on a service whose copies take :data:`COPY`.
    :param run: the run.
    :param stack: Airflow.
    """

    pair: VaultPair
    run: DagRun
    stack: AirflowStack

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for a condition, and return what it is."""
        return wait_until(condition, limit=90, what=what, check=self.stack.check, every=0.3)

    def until_a_triggerer_looks(self, task_id: str = "replicate", *, tries: int = 1) -> None:
        """Wait until a task is deferred, and then for one more look at its vault."""
        self.run.wait_for_task(task_id, "deferred", tries=tries)
        before = self.looks()
        self.until(lambda: self.looks() > before, "a triggerer looks")

    def looks(self) -> int:
        """Return the number of requests that list the vault's backups, so far."""
        return self.pair.control.requests(self.pair.source).get("ListBackups", 0)

    def until_logged(self, text: str, task_id: str = "replicate", *, tries: int = 1) -> str:
        """Return the line of a task's log that says something, as soon as there is one."""

        def line() -> str | None:
            return next((line for line in self.run.log(task_id, tries=tries).splitlines() if text in line), None)

        return str(self.until(line, f"{task_id} logs {text!r}"))

    def triggerer(self) -> int | None:
        """Return the id of the triggerer's job that has the task's trigger."""
        job = self.run.task("replicate")["triggerer_job"]
        return None if job is None else int(job["id"])

    def records(self) -> list[str]:
        """Return the records of all copies that the service has started, sorted."""
        return sorted(entry["record_id"] for entry in self.pair.ledger()["replications"])

    def let_the_copies_end(self, *, tries: int = 1) -> None:
        """End the copies: the task is green in the given try, and all was asked for, and copied, once."""
        self.pair.control.advance(COPY)
        assert self.run.wait() == "success", self.run.log("replicate")
        self.check_copied_once(tries=tries)

    def check_copied_once(self, *, tries: int = 1) -> None:
        """Check a run that has ended."""
        assert self.run.state == "success"
        assert self.run.task("replicate")["try_number"] == tries
        assert self.pair.posts() == 1
        assert self.pair.copied() == self.pair.backups
        assert sorted(self.run.xcom("replicate")) == self.records()

"""Verifying again while replicas may still settle: they do not show yet, or are not ``available`` yet."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_cbr.once.state import DeferredState
from airflow_cbr.once.steps import Pause
from airflow_cbr.verification.verify import verify

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.verification.levels import Assignment
    from airflow_cbr.verification.report import Report

__all__ = ["Settling", "SettlingMemory"]


class SettlingMemory(DeferredState):
    """What goes through a deferral.

    :param settle_until: Unix time at which the patience of this attempt ends.
    """

    settle_until: float


class Settling:
    """One verification, in as many looks as its patience allows.

    :param source: a client of the source region and project.
    :param destination: a client of the destination region and project.
    :param assignment: what is asked.
    :param memory: until when replicas may settle.
    :param poll_interval: seconds between two looks.
    :param log: takes the lines.
    """

    def __init__(
        self, source: CbrClient, destination: CbrClient, assignment: Assignment, memory: SettlingMemory, *, poll_interval: float, log: Any
    ) -> None:
        self._clients = source, destination
        self._assignment = assignment
        self._poll_interval = poll_interval
        self._log = log
        self.memory = memory

    def advance(self) -> Pause | Report:
        """Verify, and return the report; or, where it may be better in a while, a pause."""
        report = verify(*self._clients, self._assignment)
        waiting, left = report.settling, self.memory.settle_until - time.time()
        if not waiting or left <= 0:
            return report
        self._log.info("%s replicas may still settle, for example of %s: %s", len(waiting), waiting[0].subject, waiting[0].reason)
        return Pause("replicas may still settle", min(self._poll_interval, left))

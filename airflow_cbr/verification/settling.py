"""Verifying again while replicas may still become available: they are not listed yet, or not ``available`` yet."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_cbr.api.texts import counted
from airflow_cbr.once.state import DeferredState
from airflow_cbr.once.steps import Pause
from airflow_cbr.verification.verify import verify

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.verification.levels import VerificationSpec
    from airflow_cbr.verification.report import Report

__all__ = ["Settling", "SettlingState"]


class SettlingState(DeferredState):
    """What goes through a deferral.

    :param settle_until: Unix time until which this attempt waits.
    """

    settle_until: float


class Settling:
    """One verification, repeated as long as ``settle_timeout`` allows.

    :param source: a client of the source region and project.
    :param destination: a client of the destination region and project.
    :param spec: what is verified.
    :param state: until when the attempt waits for replicas.
    :param poll_interval: seconds between two looks.
    :param log: takes the lines.
    """

    def __init__(
        self, source: CbrClient, destination: CbrClient, spec: VerificationSpec, state: SettlingState, *, poll_interval: float, log: Any
    ) -> None:
        self._clients = source, destination
        self._spec = spec
        self._poll_interval = poll_interval
        self._log = log
        self.state = state

    def advance(self) -> Pause | Report:
        """Verify, and return the report; or a pause, where it may become better by itself."""
        report = verify(*self._clients, self._spec)
        waiting, left = report.settling, self.state.settle_until - time.time()
        if not waiting or left <= 0:
            return report
        self._log.info(
            "Waiting: %s may still become available, for example that of %s: %s",
            counted(len(waiting), "replica"),
            waiting[0].subject,
            waiting[0].reason,
        )
        return Pause("replicas may still become available", min(self._poll_interval, left))

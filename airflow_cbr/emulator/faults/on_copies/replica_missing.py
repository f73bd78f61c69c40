"""A copy of which nothing is there."""

from collections.abc import Callable
from typing import Literal

from airflow_cbr.emulator.faults.base import Copy, CopyFault
from airflow_cbr.emulator.store import Backup


class ReplicaMissingFault(CopyFault):
    """The record says `success`, and there is no replica."""

    kind: Literal["replica_missing"]

    def on_replica(self, copy: Copy, make: Callable[[], Backup]) -> None:
        """Make no replica."""

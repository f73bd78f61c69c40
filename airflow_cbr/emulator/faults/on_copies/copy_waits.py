"""A copy that does not begin."""

from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.bounds import Seconds
from airflow_cbr.emulator.faults.base import CopyFault


class CopyWaitsFault(CopyFault):
    """The record stays in `waiting_replicate`."""

    kind: Literal["copy_waits"]
    seconds: Seconds | None = Field(default=None, description="How long; null: for ever.")

    def on_queue(self, seconds: float) -> float | None:
        """Let the copy wait."""
        return self.seconds

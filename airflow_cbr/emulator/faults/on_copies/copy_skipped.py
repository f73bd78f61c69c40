"""A copy that is skipped."""

from typing import Literal

from airflow_cbr.emulator.faults.base import Copy, CopyFault, Ending


class CopySkippedFault(CopyFault):
    """The record ends in `skip`."""

    kind: Literal["copy_skipped"]

    def on_end(self, copy: Copy) -> Ending:
        """Skip the copy."""
        return Ending("skip")

"""A copy that fails."""

from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.faults.base import Copy, CopyFault, Ending


class CopyFailsFault(CopyFault):
    """The record ends in `fail`."""

    kind: Literal["copy_fails"]
    fail_code: str = Field(default="BackupService.1006", description="`extra_info.fail_code`.")
    fail_reason: str = Field(default="Failed to import the replica.", description="`extra_info.fail_reason`.")

    def on_end(self, copy: Copy) -> Ending:
        """Let the copy fail."""
        return Ending("fail", self.fail_code, self.fail_reason)

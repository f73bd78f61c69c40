"""A record in a status that nobody knows."""

from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.faults.base import Copy, CopyFault


class UnknownStatusFault(CopyFault):
    """The record shows a status that no documentation lists."""

    kind: Literal["unknown_status"]
    status: str = Field(default="archiving", description="The word.")
    at_end: bool = Field(default=False, description="Whether it is also the last word; otherwise the copy ends as usual.")

    def on_start(self, copy: Copy) -> None:
        """Show the word."""
        copy.record.shown_status = self.status

    def on_end(self, copy: Copy) -> None:
        """Take the word back, unless it is to stay."""
        if not self.at_end:
            copy.record.shown_status = None

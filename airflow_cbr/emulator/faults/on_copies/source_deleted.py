"""A backup that is deleted while it is copied."""

from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.faults.base import Copy, CopyFault, Ending


class SourceDeletedFault(CopyFault):
    """The source backup is deleted in the middle of its copy."""

    kind: Literal["source_deleted"]
    copy_ends: Literal["success", "fail"] = Field(default="fail", description="What becomes of the copy.")

    def on_start(self, copy: Copy) -> None:
        """Plan the backup's end."""
        copy.timeline.at(copy.middle, lambda _moment: copy.store.remove_backup(copy.source))

    def on_end(self, copy: Copy) -> Ending | None:
        """Let the copy fail, unless it is to succeed all the same."""
        return Ending("fail", "BackupService.6200", "The backup does not exist.") if self.copy_ends == "fail" else None

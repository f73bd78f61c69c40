"""A record that vanishes."""

from typing import Literal

from airflow_cbr.emulator.faults.base import Copy, CopyFault


class RecordVanishesFault(CopyFault):
    """The record disappears in the middle of its copy; the copy itself goes on."""

    kind: Literal["record_vanishes"]

    def on_start(self, copy: Copy) -> None:
        """Plan the record's end."""
        copy.timeline.at(copy.middle, lambda _moment: copy.store.remove_record(copy.record))

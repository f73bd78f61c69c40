"""Replication records that are out of order, or not there."""

from typing import Any, Literal

from airflow_cbr.emulator.faults.disorder import DisorderFault


class RecordsFault(DisorderFault):
    """The replication records of each backup in the answer come in reverse order, once more, or not at all."""

    kind: Literal["records_reversed", "records_repeated", "records_hidden"]

    def disturb(self, content: dict[str, Any]) -> None:
        """Change the records of every backup."""
        for row in [content["backup"]] if "backup" in content else content.get("backups", ()):
            if isinstance(row.get("replication_records"), list):
                row["replication_records"] = self.disordered(row["replication_records"])

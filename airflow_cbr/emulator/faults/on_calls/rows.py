"""A list whose rows are out of order."""

from typing import Any, Literal

from airflow_cbr.emulator.faults.disorder import DisorderFault


class RowsFault(DisorderFault):
    """The rows of a list come in reverse order, or all of them once more at its end."""

    kind: Literal["rows_reversed", "rows_repeated"]

    def disturb(self, content: dict[str, Any]) -> None:
        """Change every list."""
        content |= {key: self.disordered(rows) for key, rows in content.items() if isinstance(rows, list)}

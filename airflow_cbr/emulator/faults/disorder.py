"""What rows that come in another order, or twice, have in common."""

from typing import Any, Literal

import msgspec
from pydantic import Field

from airflow_cbr.emulator.exchange import Answer
from airflow_cbr.emulator.faults.base import Arrival, CallFault


class DisorderFault(CallFault):
    """Changes the lists of the service's own answer."""

    when: Literal["after"] = Field(default="after", description="It is the service's own answer that is changed.")
    status: str | None = Field(default=None, description="Status that the repetition says; null: the same.")

    def on_call(self, arrival: Arrival) -> Answer:
        """Let the service answer, and change what it says."""
        answer = super().on_call(arrival)
        if answer.status == 200:
            content = msgspec.json.decode(answer.body)
            self.disturb(content)
            answer.body = msgspec.json.encode(content)
        return answer

    def disturb(self, content: dict[str, Any]) -> None:
        """Change the lists of an answer.

        :param content: the answer, decoded.
        """
        raise NotImplementedError

    def disordered(self, rows: list[Any]) -> list[Any]:
        """Return a list as the fault leaves it.

        :param rows: the list.
        """
        if self.kind.endswith("_hidden"):
            return []
        if self.kind.endswith("_reversed"):
            return rows[::-1]
        changed = {} if self.status is None else {"status": self.status}
        return [*rows, *(row | changed if isinstance(row, dict) else row for row in rows)]

"""A refusal of CBR."""

from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.bounds import ErrorStatus
from airflow_cbr.emulator.error_responses import cbr
from airflow_cbr.emulator.exchange import Answer
from airflow_cbr.emulator.faults.base import Arrival, CallFault


class CodeFault(CallFault):
    """Any code of CBR, such as 6130, 1009, 0001 or 1007."""

    kind: Literal["code"]
    code: str = Field(pattern=r"^\d{4}$", description="Four digits.")
    status: ErrorStatus | None = Field(default=None, description="HTTP status; null: the code's own.")
    message: str | None = Field(default=None, description="Text; null: the code's own.")

    def on_call(self, arrival: Arrival) -> Answer:
        """Refuse the call."""
        super().on_call(arrival)
        raise cbr(self.code, self.message, self.status)

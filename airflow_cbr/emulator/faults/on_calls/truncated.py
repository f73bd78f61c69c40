"""An answer that is cut off."""

from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.exchange import Answer, Delivery
from airflow_cbr.emulator.faults.base import CallFault


class TruncatedFault(CallFault):
    """The body ends in the middle."""

    kind: Literal["truncated"]
    when: Literal["after"] = Field(default="after", description="It is the service's own answer that is cut.")

    def on_sending(self, answer: Answer, now: float) -> Delivery:
        """Send half of the body."""
        return Delivery("truncated")

"""A service that takes its time."""

from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.exchange import Answer, Delivery
from airflow_cbr.emulator.faults.base import CallFault


class SlowFault(CallFault):
    """The first byte comes late."""

    kind: Literal["slow"]
    when: Literal["after"] = Field(default="after", description="The service has done its work when it is slow to say so.")
    seconds: float = Field(default=5.0, ge=0, le=86400, description="Real seconds, or virtual ones in a test without sockets.")

    def on_sending(self, answer: Answer, now: float) -> Delivery:
        """Wait before the first byte."""
        return Delivery(pause=self.seconds)

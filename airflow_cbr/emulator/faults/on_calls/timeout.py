"""A service that says nothing."""

from typing import Literal

from airflow_cbr.emulator.exchange import Answer, Delivery
from airflow_cbr.emulator.faults.base import CallFault


class TimeoutFault(CallFault):
    """No answer comes until the client gives up."""

    kind: Literal["timeout"]

    def on_sending(self, answer: Answer, now: float) -> Delivery:
        """Keep the answer back."""
        return Delivery("silence")

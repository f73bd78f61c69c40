"""A connection that breaks."""

from typing import Literal

from airflow_cbr.emulator.exchange import Answer, Delivery
from airflow_cbr.emulator.faults.base import CallFault


class ResetFault(CallFault):
    """The connection is reset instead of an answer."""

    kind: Literal["reset"]

    def on_sending(self, answer: Answer, now: float) -> Delivery:
        """Break the connection."""
        return Delivery("reset")

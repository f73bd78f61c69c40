"""A call that is carried out after its answer was lost."""

from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.bounds import Seconds
from airflow_cbr.emulator.exchange import Answer, Delivery
from airflow_cbr.emulator.faults.base import Arrival, CallFault


class LateFault(CallFault):
    """The connection is reset, and the service carries the call out some time later."""

    kind: Literal["late"]
    when: Literal["before"] = Field(default="before", description="The answer is lost before the service has done anything.")
    seconds: Seconds = Field(default=30.0, gt=0, description="Simulated seconds until the service carries it out.")

    def on_call(self, arrival: Arrival) -> Answer:
        """Put the call off."""
        arrival.timeline.at(arrival.now + self.seconds, arrival.carry_out)
        return super().on_call(arrival)

    def on_sending(self, answer: Answer, now: float) -> Delivery:
        """Break the connection."""
        return Delivery("reset")

"""An error of the gateway."""

from typing import Final, Literal

from pydantic import Field

from airflow_cbr.emulator.bounds import ErrorStatus
from airflow_cbr.emulator.error_responses import gateway
from airflow_cbr.emulator.exchange import Answer
from airflow_cbr.emulator.faults.base import Arrival, CallFault

_GATEWAY: Final = {
    502: ("APIG.0201", "Backend unavailable."),
    503: ("APIG.0613", "IAM unavailable."),
    504: ("APIG.0203", "Backend timeout."),
}


class StatusFault(CallFault):
    """A bare status of the gateway, such as 500, 502, 503 or 504."""

    kind: Literal["status"]
    status: ErrorStatus = Field(default=500, description="HTTP status.")

    def on_call(self, arrival: Arrival) -> Answer:
        """Answer as the gateway does."""
        super().on_call(arrival)
        raise gateway(*_GATEWAY.get(self.status, ("APIG.0201", "Backend internal error.")), self.status)

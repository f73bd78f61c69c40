"""A refusal of the identity check behind the gateway."""

from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.error_responses import malformed_url
from airflow_cbr.emulator.exchange import Answer
from airflow_cbr.emulator.faults.base import Arrival, CallFault


class MalformedUrlFault(CallFault):
    """401 with `Malformed request url`, which is no failure to authenticate."""

    kind: Literal["malformed_url"]
    when: Literal["before"] = Field(default="before", description="The check stands before the service.")

    def on_call(self, arrival: Arrival) -> Answer:
        """Refuse the call."""
        raise malformed_url()

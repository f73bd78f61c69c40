"""An account that asks too fast."""

from email.utils import formatdate
from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.bounds import FARTHEST
from airflow_cbr.emulator.error_responses import gateway
from airflow_cbr.emulator.exchange import Answer
from airflow_cbr.emulator.faults.base import Arrival, CallFault


class ThrottleFault(CallFault):
    """429 with the gateway's text."""

    kind: Literal["throttle"]
    when: Literal["before"] = Field(default="before", description="A throttled call is never carried out.")
    retry_after: float | None = Field(default=None, ge=0, le=FARTHEST, description="Seconds for `Retry-After`; null: no such header.")
    as_date: bool = Field(default=False, description="Write `Retry-After` as an HTTP date.")

    def on_call(self, arrival: Arrival) -> Answer:
        """Ask the client to come again."""
        text = "The throttling threshold has been reached: policy user over ratelimit,limit:200,time:1 minute"
        answer = Answer.of(gateway("APIG.0308", text, 429).content, 429)
        if self.retry_after is not None:
            date = formatdate(arrival.now + self.retry_after, usegmt=True)
            answer.headers["Retry-After"] = date if self.as_date else f"{self.retry_after:.15g}"
        return answer

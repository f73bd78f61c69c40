"""A clock that is off."""

from email.utils import formatdate
from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.bounds import Distance
from airflow_cbr.emulator.exchange import WHOLE, Answer, Delivery
from airflow_cbr.emulator.faults.base import CallFault


class DateFault(CallFault):
    """The `Date` header is off, is not there, or says something else."""

    kind: Literal["date_shifted", "date_absent", "date_other"]
    when: Literal["after"] = Field(default="after", description="It is the service's own answer that is changed.")
    seconds: Distance = Field(default=600.0, description="Seconds by which a shifted one is ahead; negative: behind.")
    text: str = Field(
        default="Mon, 01 Jan 1900 00:00:00 GMT", pattern=r"^[!-~]([ -~]*[!-~])?$", max_length=200, description="What another one says."
    )

    def on_sending(self, answer: Answer, now: float) -> Delivery:
        """Change the header, or take it away."""
        if self.kind == "date_absent":
            del answer.headers["Date"]
        else:
            answer.headers["Date"] = self.text if self.kind == "date_other" else formatdate(now + self.seconds, usegmt=True)
        return WHOLE

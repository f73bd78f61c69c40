"""An answer that is not the service's."""

from typing import Final, Literal

from pydantic import Field, field_validator

from airflow_cbr.emulator.exchange import Answer
from airflow_cbr.emulator.faults.base import Arrival, CallFault

_HTML: Final = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1><p>proxy</p></body></html>"
_WITHOUT_BODY: Final = frozenset({204, 205, 304})


class ForeignBodyFault(CallFault):
    """200 with a body that is no JSON, or a proxy's HTML page."""

    kind: Literal["not_json", "html"]
    status: int = Field(default=200, ge=200, le=599, description="HTTP status.")

    @field_validator("status")
    @classmethod
    def _with_a_body(cls, status: int) -> int:
        if status in _WITHOUT_BODY:
            raise ValueError(f"an answer of status {status} has no body")
        return status

    def on_call(self, arrival: Arrival) -> Answer:
        """Answer as a proxy might."""
        super().on_call(arrival)
        if self.kind == "html":
            return Answer(self.status, _HTML, content_type="text/html")
        return Answer(self.status, b"upstream said something else")

"""A token that ends in the middle."""

from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.exchange import Answer, Call
from airflow_cbr.emulator.faults.base import Arrival, CallFault


class TokenFault(CallFault):
    """The token that the call brings expires, or is revoked, as the call arrives."""

    kind: Literal["token_expired", "token_revoked"]
    when: Literal["before"] = Field(default="before", description="The check stands before the service.")

    def meets(self, call: Call, vault_id: str | None) -> bool:
        """Return whether a call is one of those that the fault is about, and brings a token."""
        return "x-auth-token" in call.headers and super().meets(call, vault_id)

    def on_call(self, arrival: Arrival) -> Answer:
        """End the token; the service judges the call without it."""
        arrival.iam.end_tokens(value=arrival.call.headers["x-auth-token"], expire=self.kind == "token_expired")
        return arrival.carry_out(arrival.now)

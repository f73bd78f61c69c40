"""A key that ends in the middle."""

import re
from typing import Final, Literal

from pydantic import Field

from airflow_cbr.emulator.exchange import Answer, Call
from airflow_cbr.emulator.faults.base import Arrival, CallFault

_ACCESS: Final = re.compile(r"Access=([^,\s]+)")


class KeyFault(CallFault):
    """The key that ends, and that signs the call, has ended as the call arrives."""

    kind: Literal["key_expired"]
    when: Literal["before"] = Field(default="before", description="The check stands before the service.")

    def meets(self, call: Call, vault_id: str | None) -> bool:
        """Return whether a call is one of those that the fault is about, and is signed with a security token."""
        return "x-security-token" in call.headers and super().meets(call, vault_id)

    def on_call(self, arrival: Arrival) -> Answer:
        """End the key; the service judges the call without it."""
        found = _ACCESS.search(arrival.call.headers.get("authorization", ""))
        if found is not None:
            arrival.iam.agencies.end(found[1])
        return arrival.carry_out(arrival.now)

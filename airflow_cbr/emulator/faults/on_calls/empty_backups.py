"""A list that says nothing."""

from typing import Any, Literal

import msgspec

from airflow_cbr.emulator.exchange import Answer, Call
from airflow_cbr.emulator.faults.base import Arrival, CallFault


class EmptyBackupsFault(CallFault):
    """The list `backups` of the answer is empty. On a replicate call: `before` nothing was started, `after` all was."""

    kind: Literal["empty_backups"]

    def on_call(self, arrival: Arrival) -> Answer:
        """Empty the list, or make up an answer without any."""
        if self.when == "before":
            return Answer.of(_nothing_started(arrival.call))
        answer = super().on_call(arrival)
        content = msgspec.json.decode(answer.body) if answer.status == 200 else {}
        holder = content.get("replication", content)
        if "backups" not in holder:
            return answer
        holder["backups"] = []
        return Answer.of(content)


def _nothing_started(call: Call) -> dict[str, Any]:
    if call.method == "GET":
        return {"backups": [], "count": 0}
    asked = call.json.get("replicate") if isinstance(call.json, dict) else None
    asked = asked if isinstance(asked, dict) else {}
    return {
        "replication": {"backups": []} | {key: value for key, value in asked.items() if key not in ("auto_trigger", "enable_acceleration")}
    }

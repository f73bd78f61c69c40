"""A list that changes while it is read."""

from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.bounds import MOST_THINGS
from airflow_cbr.emulator.exchange import Answer
from airflow_cbr.emulator.faults.base import Arrival, CallFault


class MovingRowsFault(CallFault):
    """Backups appear or disappear at the head of the list just before a page is read, so that the page boundaries move."""

    kind: Literal["rows_inserted", "rows_deleted"]
    when: Literal["before"] = Field(default="before", description="The rows move before the page is read.")
    rows: int = Field(default=1, ge=1, le=MOST_THINGS, description="Number of backups.")

    def on_call(self, arrival: Arrival) -> Answer:
        """Let backups come or go in the vault that is asked for, or the project's first one."""
        vaults, asked = arrival.store.vaults, arrival.call.asked("vault_id")
        here = (vault for vault in vaults.values() if vault.project_id == arrival.call.path.get("project_id"))
        vault = vaults.get(asked) if asked is not None else next(here, None)
        if vault is not None and self.kind == "rows_deleted":
            arrival.populator.remove_backups(arrival.store.listing(vault.project_id, vault.id)[: self.rows])
        elif vault is not None:
            arrival.populator.add_new_backups(vault, self.rows, arrival.now)
        return arrival.carry_out(arrival.now)

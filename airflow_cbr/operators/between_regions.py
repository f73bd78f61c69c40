"""What the operators share that work from a source vault to a vault in another region."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.parameters import check_access, check_destination

if TYPE_CHECKING:
    from airflow_cbr.replication.coverage import Destination

__all__ = ["BetweenRegions"]


class BetweenRegions:
    """The two ends that an operator's parameters name."""

    vault_id: str
    destination_region: str
    destination_project_id: str
    destination_vault_id: str
    cbr_conn_id: str
    destination_conn_id: str | None
    region: str | None
    project_id: str | None

    @cached_property
    def hook(self) -> CbrHook:
        """Return the hook of the source region and project."""
        return CbrHook(self.cbr_conn_id, region=self.region, project_id=self.project_id)

    @cached_property
    def destination_hook(self) -> CbrHook:
        """Return the hook of the destination region and project."""
        return CbrHook(self.destination_conn_id or self.cbr_conn_id, region=self.destination_region, project_id=self.destination_project_id)

    def destination(self) -> Destination:
        """Return the destination, after checking everything that names who asks, from where, and to where.

        :raises CbrParameterError: when an id, a region or a connection's id cannot be right, or source and destination are the same vault.
        """
        check_access(
            cbr_conn_id=self.cbr_conn_id, region=self.region, project_id=self.project_id, destination_conn_id=self.destination_conn_id
        )
        return check_destination(
            vault_id=self.vault_id,
            region=self.destination_region,
            project_id=self.destination_project_id,
            destination_vault_id=self.destination_vault_id,
        )

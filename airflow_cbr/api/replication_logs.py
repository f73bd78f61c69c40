"""Listing the operation logs of replications, whatever the service can filter them by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_cbr.api.error_lookup import normalise_code
from airflow_cbr.exceptions import CbrApiError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import OperationLog

__all__ = ["list_replication_logs"]

_REPLICATION: Final = "replication"
_BAD_PARAMETER: Final = "BackupService.9900"


def list_replication_logs(client: CbrClient, vault_id: str | None = None, *, since: datetime | None = None) -> list[OperationLog]:
    """Return the operation logs of replications.

    :param client: a client of the source region and project.
    :param vault_id: the source vault. Whether the service fills it in for replications is not documented, so the logs of all vaults
        are asked for when this one has none. Default: all vaults.
    :param since: only logs created then or later, in the service's clock. Default: all that the service keeps.
    :raises CbrError: the logs cannot be listed.
    """
    rows = list(_rows(client, vault_id, since))
    return rows if rows or vault_id is None else list(_rows(client, None, since))


def _rows(client: CbrClient, vault_id: str | None, since: datetime | None) -> Iterator[OperationLog]:
    try:
        yield from client.list_operation_logs(operation_type=_REPLICATION, vault_id=vault_id, start_time=since)
    except CbrApiError as error:
        # Open Telekom Cloud's published API does not name the word among those that logs can be filtered by.
        if normalise_code(error.error_code or "") != _BAD_PARAMETER:
            raise
        rows = client.list_operation_logs(vault_id=vault_id, start_time=since)
        yield from (row for row in rows if row.operation_type == _REPLICATION)

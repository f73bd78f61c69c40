"""The calls about operation logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cbr.api import responses
from airflow_cbr.api.call_parameters import LARGEST_PAGE, Filter, optional_id, segment
from airflow_cbr.api.responses import decode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from airflow_cbr.api.caller import Caller
    from airflow_cbr.api.models import OperationLog
    from airflow_cbr.api.paging import Page
    from airflow_cbr.api.responses import ServiceResponse

__all__ = ["OperationLogCalls"]


class OperationLogCalls:
    """ListOpLogs and ShowOpLog."""

    _calls: Caller

    def list_operation_logs(
        self,
        *,
        page_size: int = LARGEST_PAGE,
        operation_type: str | None = None,
        status: str | None = None,
        vault_id: str | None = None,
        vault_name: str | None = None,
        resource_id: str | None = None,
        resource_name: str | None = None,
        provider_id: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        enterprise_project_id: str | None = None,
    ) -> Iterator[OperationLog]:
        """Yield operation logs, page by page (ListOpLogs). The service keeps about 30 days of them.

        :param page_size: rows per request, 1 to 1000. Default: 1000.
        :param operation_type: for example ``replication`` or ``backup``.
        :param status: ``success``, ``skipped``, ``failed``, ``running``, ``timeout`` or ``waiting``.
        :param vault_id: of this vault. The rows themselves may lack the vault's id.
        :param vault_name: of a vault of this name.
        :param resource_id: of this resource.
        :param resource_name: of a resource of this name.
        :param provider_id: of this kind of resource.
        :param start_time: begun at or after this time; must have a zone.
        :param end_time: the documentation leaves open which of the task's times this limits; must have a zone.
        :param enterprise_project_id: an id, ``0`` for the default one, or ``all_granted_eps``.
        """
        filters: dict[str, Filter] = {
            "operation_type": operation_type,
            "status": status,
            "vault_id": optional_id(vault_id, "vault_id"),
            "vault_name": vault_name,
            "resource_id": resource_id,
            "resource_name": resource_name,
            "provider_id": optional_id(provider_id, "provider_id"),
            "start_time": start_time,
            "end_time": end_time,
            "enterprise_project_id": enterprise_project_id,
        }

        def read(answer: ServiceResponse) -> Page[OperationLog]:
            page = decode(answer, responses.OperationLogsAnswer, call="ListOpLogs")
            return page.operation_logs or (), page.count

        return self._calls.list("ListOpLogs", "/operation-logs", filters, page_size, read)

    def show_operation_log(self, operation_log_id: str) -> OperationLog:
        """Return one operation log (ShowOpLog).

        :param operation_log_id: id of the log.
        :raises CbrNotFoundError: there is no such log in this project.
        """
        path = f"/operation-logs/{segment(operation_log_id, 'operation_log_id')}"
        return self._calls.get("ShowOpLog", path, responses.OperationLogAnswer).operation_log

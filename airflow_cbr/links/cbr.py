"""Links from a task: to CBR in the Huawei Cloud console, on both sides, to the report of a verification, and to what failed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_cbr.airflow_names import BaseOperatorLink, XCom, conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

__all__ = [
    "CONSOLE_XCOM_KEY",
    "DESTINATION_XCOM_KEY",
    "REPORT_XCOM_KEY",
    "CbrDestinationLink",
    "CbrFailureLink",
    "CbrReportLink",
    "CbrVaultLink",
    "console_url",
]

CONSOLE_XCOM_KEY = "cbr_console"
DESTINATION_XCOM_KEY = "cbr_console_destination"
REPORT_XCOM_KEY = "cbr_report"


def console_url(region: str, cloud: str, console: str | None = None) -> str:
    """Return the address of CBR in the console, in a region.

    The console's address of a single vault is not published, so the link leads to the service in the vault's region.

    :param region: region id.
    :param cloud: the connection's domain suffix, for example ``myhuaweicloud.com``, whose console is ``console.huaweicloud.com``.
    :param console: the connection's host of the console, for example ``console-intl.huaweicloud.com``. Default: the cloud's.
    """
    return f"https://{console or 'console.' + re.sub('^my', '', cloud)}/cbr/?region={region}"


class CbrVaultLink(BaseOperatorLink):
    """Link to CBR in the console, in the source vault's region. It appears once the task knows where that is."""

    name = "CBR console"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address that the task pushed, or an empty string before that.

        :param operator: the task's operator.
        :param ti_key: the task instance.
        """
        return XCom.get_value(key=CONSOLE_XCOM_KEY, ti_key=ti_key) or ""


class CbrDestinationLink(BaseOperatorLink):
    """Link to CBR in the console, in the destination's region."""

    name = "CBR console (destination)"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address that the task pushed, or an empty string before that.

        :param operator: the task's operator.
        :param ti_key: the task instance.
        """
        return XCom.get_value(key=DESTINATION_XCOM_KEY, ti_key=ti_key) or ""


class CbrReportLink(BaseOperatorLink):
    """Link to the report of a verification: its file where that has a web address, else the task's XComs, one of which it is."""

    name = "Verification report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address, or an empty string before there is a report.

        :param operator: the task's operator.
        :param ti_key: the task instance.
        """
        path = XCom.get_value(key=REPORT_XCOM_KEY, ti_key=ti_key)
        if not isinstance(path, str):
            return ""
        if path.startswith(("https://", "http://")):
            return path
        parts = [ti_key.dag_id, "runs", ti_key.run_id, "tasks", ti_key.task_id]
        if (map_index := getattr(ti_key, "map_index", None)) not in (None, -1):
            parts += ["mapped", str(map_index)]
        return f"{_airflow()}/dags/{'/'.join(quote(part, safe='') for part in parts)}/xcom"


class CbrFailureLink(BaseOperatorLink):
    """Link to what failed: the vault pair's row on the page "CBR replication", with the record, the reason and what to do.

    The console's address of a single record is not published.
    """

    name = "Failing record"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address, or an empty string where no copy and no replica has failed.

        :param operator: the task's operator.
        :param ti_key: the task instance.
        """
        # Airflow asks for it in the process that ran the task. An XCom that only a failure pushes would be looked for in vain at the end of
        # each good task, and Airflow logs that as an error.
        vault_id = getattr(operator, "failed_vault_id", None)
        return f"{_airflow()}/plugin/cbr-replication?search={quote(vault_id, safe='')}" if isinstance(vault_id, str) else ""


def _airflow() -> str:
    return str(conf.get("api", "base_url", fallback="")).rstrip("/")

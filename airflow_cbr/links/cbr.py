"""A link from a task to its vault in the Huawei Cloud console."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_cbr.airflow_names import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["CONSOLE_XCOM_KEY", "CbrVaultLink", "console_url"]

CONSOLE_XCOM_KEY = "cbr_console"


def console_url(region: str, cloud: str) -> str:
    """Return the address of CBR in the console, in a region.

    The console's address of a single vault is not published, so the link leads to the service in the vault's region.

    :param region: region id.
    :param cloud: the connection's domain suffix, for example ``myhuaweicloud.com``, whose console is ``console.huaweicloud.com``.
    """
    return f"https://console.{re.sub('^my', '', cloud)}/cbr/?region={region}"


class CbrVaultLink(BaseOperatorLink):
    """Link to CBR in the console, in the source vault's region. It appears once the task has read the vault."""

    name = "CBR console"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address that the task pushed, or an empty string before that.

        :param operator: the task's operator.
        :param ti_key: the task instance.
        """
        return XCom.get_value(key=CONSOLE_XCOM_KEY, ti_key=ti_key) or ""

"""The names of Airflow that this package builds on; the one place that knows which Airflow keeps them where.

Airflow 3.2 moved the exceptions and the configuration of tasks into the Task SDK, and warns about the old places since. Everything else is
where it is in all supported versions. The names come from Airflow itself and not from ``apache-airflow-providers-common-compat``: Airflow's
constraints pin that provider to the day of the Airflow release, so a site could not install what needs a newer one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow import __version__
from airflow.sdk import BaseHook, BaseOperator, BaseOperatorLink
from airflow.sdk.execution_time.xcom import XCom
from airflow.sdk.log import mask_secret

__all__ = [
    "AIRFLOW_VERSION",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowRescheduleException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "Connection",
    "XCom",
    "conf",
    "mask_secret",
    "stats",
]

if TYPE_CHECKING:
    from airflow.sdk import BaseSensorOperator, Connection
else:

    def __getattr__(name: str) -> Any:
        """Import what a Dag file without a sensor has no use for."""
        if name not in ("BaseSensorOperator", "Connection"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import airflow.sdk

        return getattr(airflow.sdk, name)


#: The installed Airflow, as three numbers; a pre-release counts as what it leads to.
AIRFLOW_VERSION = tuple(int(number) for number in re.findall(r"\d+", __version__)[:3])

if TYPE_CHECKING or AIRFLOW_VERSION >= (3, 2):
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
    )
else:
    from airflow.configuration import conf
    from airflow.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
    )


def stats() -> Any:
    """Return Airflow's ``Stats``. It is imported when it is asked for, since a Dag file sends no metrics.

    :return: what has ``incr``, ``gauge`` and ``timing``, all of which take ``tags``.
    """
    if AIRFLOW_VERSION < (3, 2):
        from airflow.stats import Stats as OldStats

        return OldStats
    if AIRFLOW_VERSION < (3, 3):
        # Gives the Task SDK's Stats its backend as it is imported; nothing else does so in the triggerer of Airflow 3.2.
        import airflow.sdk.serde  # noqa: F401
    from airflow.sdk.observability.stats import Stats

    return Stats

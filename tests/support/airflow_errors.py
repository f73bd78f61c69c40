"""What a task raises to be deferred or rescheduled; the package itself never names these."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from airflow_cbr.airflow_names import AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk.exceptions import AirflowException, AirflowRescheduleException, TaskDeferred
else:
    # They live where their sister does, which differs between the versions of Airflow.
    _home = sys.modules[AirflowFailException.__module__]
    AirflowException, AirflowRescheduleException, TaskDeferred = (
        getattr(_home, name) for name in ("AirflowException", "AirflowRescheduleException", "TaskDeferred")
    )

__all__ = ["AirflowException", "AirflowRescheduleException", "TaskDeferred"]

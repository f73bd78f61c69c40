"""Where the package's errors meet Airflow's idea of a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from airflow_cbr.airflow_names import AirflowFailException

if TYPE_CHECKING:
    from airflow_cbr.exceptions import CbrError

__all__ = ["raise_for_airflow"]


def raise_for_airflow(error: CbrError) -> NoReturn:
    """Raise an error so that Airflow does the right thing with it.

    A permanent error becomes ``AirflowFailException``, which is not retried; its cause is the error itself. Any other is raised as it is,
    so that the task's retries, and a ``retry_policy`` that names one of :mod:`airflow_cbr.exceptions`, see it.

    :param error: what the inner rings raised.
    :raises AirflowFailException: for a permanent error.
    :raises CbrError: the error itself otherwise.
    """
    if error.permanent:
        raise AirflowFailException(str(error)) from error
    raise error

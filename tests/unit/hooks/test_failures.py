"""Which errors Airflow retries."""

from __future__ import annotations

import pytest

from airflow_cbr import exceptions
from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.exceptions import CbrError, CbrUnavailableError
from airflow_cbr.hooks.failures import raise_for_airflow


def test_a_permanent_error_is_not_retried_and_stays_at_hand_as_the_cause() -> None:
    wrong = []
    for name in exceptions.__all__:
        kind = getattr(exceptions, name)
        error = kind("vault_id", "is wrong.") if issubclass(kind, exceptions.CbrParameterError) else kind("Something went wrong.")
        for permanent in (True, False):
            error.permanent = permanent
            with pytest.raises((AirflowFailException, CbrError)) as caught:
                raise_for_airflow(error)
            failed_for_good = isinstance(caught.value, AirflowFailException) and caught.value.__cause__ is error
            if failed_for_good is not permanent or (not permanent and caught.value is not error):
                wrong.append(f"{name}, permanent={permanent}: {caught.value!r}")
    assert not wrong


def test_what_airflow_shows_has_code_request_id_and_advice() -> None:
    error = CbrUnavailableError("Not now.", error_code="BackupService.9910", request_id="r1", advice="Wait a little.", permanent=True)
    with pytest.raises(AirflowFailException) as caught:
        raise_for_airflow(error)
    assert str(caught.value) == str(error)
    assert all(text in str(caught.value) for text in ("BackupService.9910", "r1", "Wait a little."))

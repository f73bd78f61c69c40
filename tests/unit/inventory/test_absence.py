"""A vault of which nothing is listed: that it exists must be known, or be said not to be."""

from __future__ import annotations

import logging

import pytest

from airflow_cbr.exceptions import CbrError, CbrNotFoundError, CbrPermissionError, CbrRefusedError, CbrTimeoutError
from airflow_cbr.inventory.absence import why_not_empty
from tests.support.replication_rows import HERE, Side, vault

GONE = CbrNotFoundError("ShowVault: gone", error_code="BackupService.6105", request_id="r-1", http_status=404)
FORBIDDEN = CbrPermissionError("ShowVault: no", error_code="APIG.0302", request_id="r-2", http_status=403)
NO_SUCH_CALL = CbrNotFoundError("ShowVault: unknown", error_code="APIG.0101", http_status=404)


def test_a_vault_that_is_there_costs_one_request_and_one_that_was_read_none(caplog: pytest.LogCaptureFixture) -> None:
    side = Side(vaults=[vault(HERE)])
    assert why_not_empty(side.client, HERE) is None
    assert why_not_empty(side.client, HERE, seen=vault(HERE)) is None
    assert side.calls == {"show_vault": 1}
    assert caplog.records == []


@pytest.mark.parametrize("is_seen", [False, True])
def test_a_vault_that_is_not_there_is_an_error_for_good_that_says_where_and_what_to_do(is_seen: bool) -> None:
    side = Side(vaults=[GONE])
    error = why_not_empty(side.client, HERE, seen=GONE if is_seen else None)
    assert isinstance(error, CbrNotFoundError)
    assert error.permanent
    assert f"Vault {HERE} does not exist in here (project {'d' * 32})" in str(error)
    assert (error.error_code, error.request_id, error.http_status) == ("BackupService.6105", "r-1", 404)
    assert error.advice
    assert "vault_id" in error.advice
    assert side.calls["show_vault"] == (0 if is_seen else 1)


@pytest.mark.parametrize("refusal", [FORBIDDEN, NO_SUCH_CALL], ids=["no permission", "no such call on this cloud"])
def test_what_nobody_may_look_at_warns(refusal: CbrError, caplog: pytest.LogCaptureFixture) -> None:
    assert why_not_empty(Side(vaults=[refusal]).client, HERE) is None
    (line,) = caplog.records
    assert line.levelno == logging.WARNING
    assert HERE in line.getMessage()
    assert "could not be checked" in line.getMessage()


@pytest.mark.parametrize("error", [CbrTimeoutError("no answer"), CbrRefusedError("no", http_status=400)])
def test_any_other_error_leaves_it_open_and_is_no_success(error: CbrError) -> None:
    assert why_not_empty(Side(vaults=[error]).client, HERE) is error

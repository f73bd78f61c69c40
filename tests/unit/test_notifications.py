"""What a callback says: what failed, the codes for a ticket, and what to do; whatever Airflow hands over, and without raising."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.exceptions import CbrConfigurationError, CbrReplicationFailedError, CbrUnavailableError
from airflow_cbr.hooks.failures import raise_for_airflow
from airflow_cbr.notifications import failure_payload, failure_text

FAILED = CbrReplicationFailedError(
    "Vault vault-nightly is not fully replicated.",
    problems=["ecs-web-01: failed (no room); backup nightly (b1)"],
    advice="Run the task again.",
    error_code="BackupService.6129",
    request_id="r-1",
    http_status=409,
    permanent=True,
)


def context(error: Any, **task_instance: Any) -> dict[str, Any]:
    ti = {
        "dag_id": "nightly",
        "run_id": "run 1",
        "task_id": "replicate",
        "map_index": -1,
        "try_number": 4,
        "log_url": "https://airflow/log",
    }
    task = SimpleNamespace(pair="vault-nightly: cn-north-4 -> cn-shenzhen-1")
    return {"ti": SimpleNamespace(**ti | task_instance), "task": task, "exception": error}


def as_airflow_raises(error: Any) -> BaseException:
    with pytest.raises(AirflowFailException) as caught:
        raise_for_airflow(error)
    return caught.value


@pytest.mark.parametrize("error", [FAILED, as_airflow_raises(FAILED)], ids=["as it is", "as Airflow has it"])
def test_it_says_what_failed_the_codes_and_what_to_do(error: BaseException) -> None:
    said = failure_payload(context(error))
    assert said == {
        "dag_id": "nightly",
        "run_id": "run 1",
        "task_id": "replicate",
        "map_index": -1,
        "try_number": 4,
        "label": "vault-nightly: cn-north-4 -> cn-shenzhen-1",
        "error": "CbrReplicationFailedError",
        "message": "Vault vault-nightly is not fully replicated. [BackupService.6129, HTTP 409, request id r-1]",
        "problems": ["ecs-web-01: failed (no room); backup nightly (b1)"],
        "error_code": "BackupService.6129",
        "request_id": "r-1",
        "http_status": 409,
        "is_retried": False,
        "what_to_do": "Run the task again.",
        "log_url": "https://airflow/log",
    }
    assert json.loads(json.dumps(said)) == said
    assert failure_text(context(error)).splitlines() == [
        "nightly.replicate (vault-nightly: cn-north-4 -> cn-shenzhen-1) failed in run run 1, attempt 4.",
        said["message"],
        "  - ecs-web-01: failed (no room); backup nightly (b1)",
        "What to do: Run the task again.",
        "Log: https://airflow/log",
    ]


def test_a_mapped_task_and_one_that_is_retried() -> None:
    assert failure_text(context(CbrUnavailableError("Not now."), map_index=0)).startswith("nightly.replicate[0] (")
    assert failure_payload(context(CbrUnavailableError("Not now.")))["is_retried"] is True


def test_an_error_of_others_is_one_short_line_without_a_password_in_an_address() -> None:
    said = failure_payload(context(ValueError("no\nway https://user:hidden@example.com " + "x" * 999)))
    assert said["message"].startswith("no way https://***@example.com x")
    assert len(said["message"]) <= 300
    assert (said["error"], said["is_retried"], said["what_to_do"]) == ("ValueError", None, "Look at the task's log.")


def test_a_killed_task_has_no_exception_and_no_label() -> None:
    class Broken:
        @property
        def pair(self) -> str:
            raise CbrConfigurationError("no connection")

    said = failure_payload({"exception": None, "reason": "killed externally", "task": Broken()})
    assert (said["message"], said["label"], said["dag_id"]) == ("killed externally", None, None)
    assert failure_text({})


@given(st.dictionaries(st.sampled_from(["ti", "task_instance", "task", "exception", "reason"]), st.none() | st.text() | st.integers()))
def test_it_never_raises(given_context: dict[str, Any]) -> None:
    assert failure_text(given_context)
    json.dumps(failure_payload(given_context))

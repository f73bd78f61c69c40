"""Names are for people: whatever goes wrong with asking for them, the copies are what counts."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cbr.exceptions import CbrPermissionError, CbrTimeoutError
from airflow_cbr.inventory.coverage import Destination
from airflow_cbr.replication.spec import ReplicationSpec
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.replication.vault_names import ask_for_names, destination_text, source_text

VAULT = "7c7a3f0e-5f3c-4d7e-9a0b-2f1d8f6f5a11"
THERE = Destination("cn-shenzhen-1", "68589cac08274b82b4e254268a3862d8", "0ca3eb86-8800-46da-9c37-9d657a825274")


class WithoutNames:
    """A client that answers each question for a name with an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, call: str) -> Any:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [CbrPermissionError("not allowed"), CbrTimeoutError("no answer"), AttributeError("a client without this call"), KeyError("name")],
    ids=repr,
)
def test_what_goes_wrong_with_a_name_is_no_matter(error: Exception) -> None:
    spec = ReplicationSpec(vault_id=VAULT, destination=THERE)
    state = ReplicationState(deadline=0.0, vault_name="old", destination_name="old")
    ask_for_names(WithoutNames(error), spec, state)  # type: ignore[arg-type]
    assert (state.vault_name, state.destination_name) == (None, None)
    assert VAULT in source_text(spec, state)
    assert THERE.vault_id in destination_text(spec, state)

"""The lines of a verification: the verdict, what it is about and why come first, and ids last."""

from __future__ import annotations

import pytest

from airflow_cbr.verification.faults import Fault, advice_on
from airflow_cbr.verification.levels import Level
from airflow_cbr.verification.lines import line_of


@pytest.mark.parametrize(("ids", "end"), [("backup b1", " (backup b1)"), ("", "")])
def test_a_line_ends_with_the_ids_if_there_are_any(ids: str, end: str) -> None:
    assert line_of("verified", "db", "there", None, (), ids) == f"VERIFIED db: there{end}"
    faults = (Fault.REPLICA_SIZE, Fault.REPLICA_STATUS)
    assert line_of("failed", "db", "wrong", Level.REPLICA, faults, ids) == (
        f"FAILED db: wrong [replica: replica_size, replica_status] What to do: {advice_on(faults)}{end}"
    )

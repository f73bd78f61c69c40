"""What a task pushes is plain JSON: every test that runs one holds its XComs against what Airflow would store."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.task_run import TaskRun


class Word(enum.Enum):
    ONE = "one"


def push(value: Any) -> TaskRun:
    run = TaskRun(SimpleNamespace(task_id="a_task"))
    run.xcom_push("key", value)
    return run


@pytest.mark.parametrize(
    "value",
    [("a", "b"), {"counts": {"verified": 3}, "faults": ("too_old",)}, [{1, 2}], {"at": datetime(2026, 1, 1, tzinfo=UTC)}, Word.ONE],
    ids=["tuple", "tuple inside", "set", "time", "enum"],
)
def test_what_airflow_would_wrap_is_refused(value: Any) -> None:
    with pytest.raises((AssertionError, TypeError)):
        push(value)


def test_plain_json_is_kept_as_it_is() -> None:
    value = {"verdict": "verified", "counts": {"verified": 3}, "resources": [{"id": "a", "age_seconds": 1.5}], "path": None, "large": False}
    assert push(value).xcoms == {"key": value}

"""Whatever is accepted can be carried to its end; whatever is not is refused by name, and never by an error of Python's own."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.checkpoints.state import CheckpointState
from airflow_cbr.exceptions import CbrParameterError
from airflow_cbr.operators.parameters import (
    LONGEST_AGE,
    LONGEST_WAIT,
    SHORTEST_WAIT,
    check_access,
    check_age,
    check_duration,
    check_record_ids,
    check_seconds,
)
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.replication.steps import Pause
from tests.support.airflow_errors import TaskDeferred
from tests.support.task_run import checkpointing, replicating

if TYPE_CHECKING:
    from collections.abc import Callable

RECORD, OTHER = "474f3e40-7544-46d0-8154-bcd3ca422a5a", "58c3f078-8960-499a-9c8b-4c63172d9331"
LAST_MOMENT = datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC)
"""Where the timestamps of MySQL end."""


def refusal(check: Callable[[], Any]) -> tuple[CbrParameterError | None, Any]:
    """Return why something is refused and None, or None and what came of it."""
    try:
        return None, check()
    except CbrParameterError as error:
        return error, None


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(),
    st.floats(SHORTEST_WAIT / 2, LONGEST_AGE * 2),
    st.timedeltas(),
    st.text(max_size=5),
    st.just(timedelta.max),
    st.sampled_from([10**400, -(10**400), 10**5000, 1e308, 5e-324, [], {}, b"30", object(), SHORTEST_WAIT, LONGEST_WAIT, LONGEST_AGE]),
)


@given(value=ANYTHING)
@pytest.mark.parametrize(
    ("check", "shortest", "longest"),
    [(check_seconds, SHORTEST_WAIT, LONGEST_WAIT), (check_duration, 0.0, LONGEST_WAIT), (check_age, SHORTEST_WAIT, LONGEST_AGE)],
)
def test_seconds_are_in_bounds_or_refused_by_name(check: Callable[[Any, str], float], shortest: float, longest: float, value: Any) -> None:
    error, seconds = refusal(lambda: check(value, "settle_time"))
    if error is not None:
        assert error.parameter == "settle_time"
        assert "number of seconds" in error.message
        assert len(error.message) < 250
        return
    assert type(seconds) is float
    assert not isinstance(value, bool | str)
    assert shortest <= seconds <= longest
    assert seconds == (value.total_seconds() if isinstance(value, timedelta) else value)


def test_the_longest_waits_can_be_slept_for_and_stored() -> None:
    assert threading.TIMEOUT_MAX > LONGEST_WAIT
    assert datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=3 * LONGEST_WAIT) < LAST_MOMENT
    assert datetime.now(UTC) - timedelta(seconds=LONGEST_AGE) > datetime(1900, 1, 1, tzinfo=UTC)


@given(timeout=ANYTHING, shortest=ANYTHING, longest=ANYTHING, settle=ANYTHING)
def test_what_a_replication_accepts_can_be_deferred_for(timeout: Any, shortest: Any, longest: Any, settle: Any) -> None:
    named = {"timeout": timeout, "poll_interval": shortest, "max_poll_interval": longest, "settle_time": settle}
    task = replicating(deferrable=True, **named).task
    error, spec = refusal(task._spec)
    if error is not None:
        assert error.parameter in named
        return
    task.hook = SimpleNamespace(region="cn-north-4", project_id="p")
    for pause in (Pause("x", 5.0, (RECORD,)), Pause("x", 5.0)):
        with pytest.raises(TaskDeferred) as caught:
            task._defer(ReplicationState(deadline=time.time() + spec.timeout), pause, 5.0)
        assert caught.value.timeout is not None
        assert datetime.now(UTC) + caught.value.timeout < LAST_MOMENT
        json.dumps(caught.value.trigger.serialize())


@pytest.mark.parametrize("make", [replicating, checkpointing])
def test_timedeltas_are_taken_everywhere(make: Callable[..., Any]) -> None:
    waits = {
        "timeout": timedelta(hours=2),
        "poll_interval": timedelta(minutes=1),
        "max_poll_interval": timedelta(minutes=5),
        "settle_time": timedelta(seconds=90),
    }
    spec = make(**waits).task._spec() if make is replicating else None
    if spec is not None:
        assert (spec.timeout, spec.poll_interval, spec.max_poll_interval, spec.settle_time) == (7200.0, 60.0, 300.0, 90.0)
        return
    task = make(deferrable=True, **waits).task
    with pytest.raises(TaskDeferred) as caught:
        task._defer(CheckpointState(deadline=time.time() + 7200), Pause("x", 5.0), 5.0)
    assert caught.value.timeout is not None
    assert 7790 < caught.value.timeout.total_seconds() <= 7800


# --- nothing, in its three kinds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"), [("None", "the string 'None'"), ("null", "the string 'null'"), ("", "empty string"), (" \n", "empty string")]
)
@pytest.mark.parametrize("parameter", ["cbr_conn_id", "destination_conn_id", "region", "project_id"])
def test_what_a_template_makes_of_nothing_is_no_default(parameter: str, value: str, said: str) -> None:
    access: dict[str, Any] = {"cbr_conn_id": "c", "destination_conn_id": None, "region": None, "project_id": None}
    check_access(**access)
    with pytest.raises(CbrParameterError, match=said) as caught:
        check_access(**access | {parameter: value})
    assert caught.value.parameter == parameter


@pytest.mark.parametrize("parameter", ["vault_id", "destination_region", "destination_project_id", "destination_vault_id", "cbr_conn_id"])
@pytest.mark.parametrize(("value", "said"), [(None, "is None"), ("", "empty string"), ("None", "string 'None'")])
def test_the_kinds_of_nothing_are_told_apart(parameter: str, value: Any, said: str) -> None:
    with pytest.raises(CbrParameterError, match=said) as caught:
        replicating(**{parameter: value}).task._spec()
    assert caught.value.parameter == parameter


# --- record ids -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [RECORD, RECORD.upper(), [RECORD], (RECORD, RECORD), deque([RECORD])])
def test_one_id_or_any_sequence_of_ids_is_a_list_of_ids(value: Any) -> None:
    assert check_record_ids(value) == [RECORD]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "upstream task pushed nothing"),
        ("None", "the string 'None'"),
        ("", "empty string"),
        ([[RECORD], []], r"list of lists.*\.expand\(replication_record_ids=\.\.\.\)"),
        ([RECORD, (OTHER,)], "list of lists"),
        ([RECORD, None], "contains None"),
        (f"{RECORD},{OTHER}", "joins several ids"),
        (f"{RECORD}, {OTHER}", "joins several ids"),
        (f"{RECORD}\n{OTHER}", "joins several ids"),
        (f"{RECORD};{OTHER}", "joins several ids"),
        (f" ['{RECORD}']", "looks like a list"),
        ((one for one in [RECORD]), "generator, which can be read only once"),
        ({RECORD}, "not set"),
        ({RECORD: 1}, "not dict"),
        (RECORD.encode(), "not bytes"),
        (7, "not int"),
        ([7], "is not an id"),
        (["None"], "the string 'None'"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_list_of_ids_is_told_for_what_it_is(value: Any, said: str) -> None:
    with pytest.raises(CbrParameterError, match="(?s)" + said) as caught:
        check_record_ids(value)
    assert caught.value.parameter == "replication_record_ids"


@given(value=st.recursive(st.one_of(st.none(), st.text(), st.just(RECORD), st.integers(), st.binary()), st.lists, max_leaves=6))
def test_record_ids_are_ids_or_refused(value: Any) -> None:
    error, found = refusal(lambda: check_record_ids(value))
    if error is None:
        assert all(len(one) in (32, 36) and one == one.lower() for one in found)
        assert value == [] or found

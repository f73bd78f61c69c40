"""Events are read fail closed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cbr.exceptions import CbrAuthenticationError, CbrPermissionError, CbrProtocolError
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.triggers.events import Wake, backups_of, deadline_of, memory_of, refusal_in, refusal_of, wake_of

GOOD: dict[str, Any] = {
    "wake": "final",
    "records": ["record-1", "record-2"],
    "backups": {"record-1": "backup-1"},
    "deadline": 1.5,
    "memory": ReplicationState(deadline=1.5).dump(),
}


def test_a_good_event_is_read() -> None:
    assert wake_of(GOOD) is Wake.FINAL
    assert deadline_of(GOOD, ["record-2"]) == 1.5
    assert backups_of(GOOD) == {"record-1": "backup-1"}
    assert memory_of(GOOD, ReplicationState.load).deadline == 1.5


@pytest.mark.parametrize(
    "event", [None, "final", [], 7, {}, {"wake": None}, {"wake": "success"}, {"wake": "FINAL"}, GOOD | {"wake": ["final"]}]
)
@pytest.mark.parametrize(
    "read", [wake_of, lambda event: memory_of(event, ReplicationState.load), backups_of, lambda event: deadline_of(event, [])]
)
def test_no_event_and_an_unknown_word_are_errors(event: Any, read: Any) -> None:
    with pytest.raises(CbrProtocolError, match="trigger's event"):
        read(event)


@pytest.mark.parametrize("told", [None, [], "record-1", ["record-2"], {"record-1": 1}.keys()])
def test_a_missing_record_is_an_error(told: Any) -> None:
    with pytest.raises(CbrProtocolError, match="record-1"):
        deadline_of(GOOD | {"records": told}, ["record-1", "record-2"])


@pytest.mark.parametrize("deadline", [None, "soon", True])
def test_a_missing_deadline_is_an_error(deadline: Any) -> None:
    with pytest.raises(CbrProtocolError, match="deadline"):
        deadline_of(GOOD | {"deadline": deadline}, [])


@pytest.mark.parametrize("memory", [None, {}, {"deadline": "soon"}, "memory", {"deadline": 1.0, "accepted": ["record"]}])
def test_a_missing_memory_is_an_error(memory: Any) -> None:
    with pytest.raises(CbrProtocolError, match="memory"):
        memory_of(GOOD | {"memory": memory}, ReplicationState.load)


@pytest.mark.parametrize("backups", [None, [], {"record": None}, {"record": 7}])
def test_unreadable_backups_are_an_error(backups: Any) -> None:
    with pytest.raises(CbrProtocolError, match="backups"):
        backups_of(GOOD | {"backups": backups})


def test_such_an_error_is_worth_a_retry() -> None:
    with pytest.raises(CbrProtocolError) as caught:
        wake_of(None)
    assert not caught.value.permanent


def test_a_refusal_of_the_credentials_is_handed_on_and_no_other() -> None:
    error = CbrAuthenticationError("Wrong.", advice="Mend it.", error_code="APIG.0301", request_id="r-1", http_status=401)
    handed_on = refusal_of(GOOD | {"wake": "refused", "refusal": refusal_in(error)})
    assert type(handed_on) is CbrAuthenticationError
    assert str(handed_on) == str(error)
    assert refusal_in(CbrPermissionError("No.")) is None
    assert refusal_of(GOOD | {"wake": "refused", "refusal": None}) is None
    assert refusal_of(GOOD | {"wake": "final", "refusal": refusal_in(error)}) is None

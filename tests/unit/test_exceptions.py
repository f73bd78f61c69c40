"""What Dag authors catch: texts, attributes, permanence, and the way from one process to another."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

from airflow_cbr import exceptions
from airflow_cbr.exceptions import (
    CbrApiError,
    CbrBusyError,
    CbrCheckpointFailedError,
    CbrCheckpointIncompleteError,
    CbrConnectionError,
    CbrError,
    CbrOutcomeUnknownError,
    CbrParameterError,
    CbrReplicationFailedError,
    CbrReplicationTimeoutError,
    CbrThrottledError,
    CbrTransportError,
    CbrVaultReplicatingError,
    CbrVerificationError,
    CbrWorkError,
)

ALL = [getattr(exceptions, name) for name in exceptions.__all__]


def make(kind: type[CbrError]) -> CbrError:
    return kind("vault_id", "is wrong.") if issubclass(kind, CbrParameterError) else kind("Something went wrong.")


def test_every_class_of_the_module_is_public() -> None:
    defined = {name for name, value in vars(exceptions).items() if isinstance(value, type) and issubclass(value, CbrError)}
    assert defined == set(exceptions.__all__)


def test_all_share_one_base() -> None:
    assert [kind.__name__ for kind in ALL if not issubclass(kind, CbrError) or not isinstance(make(kind).permanent, bool)] == []


def test_the_text_has_code_status_request_id_and_advice() -> None:
    error = CbrApiError("CopyCheckpoint: no.", error_code="BackupService.6130", http_status=400, request_id="abc", advice="Wait a little.")
    assert str(error) == "CopyCheckpoint: no. [BackupService.6130, HTTP 400, request id abc] What to do: Wait a little."
    assert str(CbrError("plain ")) == "plain"


@pytest.mark.parametrize(
    ("kind", "permanent"),
    [
        (CbrTransportError, False),
        (CbrConnectionError, False),
        (CbrThrottledError, False),
        (CbrBusyError, False),
        (CbrVaultReplicatingError, False),
        (exceptions.CbrAlreadyReplicatedError, False),
        (exceptions.CbrUnavailableError, False),
        (exceptions.CbrAuthenticationError, True),
        (exceptions.CbrRefusedError, True),
        (exceptions.CbrNotFoundError, True),
        (exceptions.CbrConfigurationError, True),
        (CbrParameterError, True),
        (CbrOutcomeUnknownError, True),
        (CbrReplicationTimeoutError, True),
    ],
)
def test_whether_a_retry_makes_sense(kind: type[CbrError], permanent: bool) -> None:
    assert make(kind).permanent is permanent


def test_permanence_can_be_set_for_one_error() -> None:
    assert CbrConnectionError("x", permanent=True).permanent
    assert not CbrConnectionError("x").permanent


def test_a_parameter_error_names_the_parameter_and_is_a_value_error() -> None:
    error = CbrParameterError("vault_id", "is no id.")
    assert str(error) == "vault_id: is no id."
    assert error.parameter == "vault_id"
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("kind", [CbrReplicationFailedError, CbrVerificationError, CbrCheckpointFailedError, CbrCheckpointIncompleteError])
def test_problems_are_listed_line_by_line(kind: type[CbrWorkError]) -> None:
    assert str(kind("Two are missing.", problems=["a", "b"])).splitlines() == ["Two are missing.", "  - a", "  - b"]


def test_survives_pickling_and_copying() -> None:
    changed = []
    for kind in ALL:
        error = make(kind)
        error.error_code, error.request_id, error.http_status, error.advice = "BackupService.1", "id", 400, "Do it."
        error.permanent = not kind.permanent
        for way, twin in (("pickle", pickle.loads(pickle.dumps(error))), ("copy", copy.copy(error)), ("deepcopy", copy.deepcopy(error))):
            if (type(twin), str(twin), vars(twin)) != (kind, str(error), vars(error)):
                changed.append(f"{kind.__name__} by {way}: {twin!r}")
    assert changed == []


def test_lists_and_numbers_survive_pickling() -> None:
    throttled = pickle.loads(pickle.dumps(CbrThrottledError("x", retry_after=2.5)))
    assert throttled.retry_after == 2.5
    timeout = pickle.loads(pickle.dumps(CbrReplicationTimeoutError("x", running=["r1"])))
    assert timeout.running == ["r1"]
    assert pickle.loads(pickle.dumps(CbrTransportError("x", sent=False))).sent is False


def test_the_module_needs_nothing_but_python() -> None:
    script = (
        "import sys; import airflow_cbr.exceptions; "
        "print([name for name in sys.modules if name.split('.')[0] in {'airflow', 'requests', 'msgspec', 'tenacity'}])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

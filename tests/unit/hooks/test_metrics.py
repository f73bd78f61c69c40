"""What is sent to Airflow's metrics, once for each Dag run; and that nothing which goes wrong with it reaches the task."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.airflow_names import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from airflow_cbr.exceptions import CbrReplicationFailedError
from airflow_cbr.hooks import metrics
from airflow_cbr.hooks.attempt import will_be_retried
from airflow_cbr.hooks.metrics import (
    COUNTERS,
    Metric,
    concluding,
    tags_of,
    tell_drill,
    tell_replication,
    tell_throttled,
    tell_used,
    tell_verified,
    tell_wait,
)
from tests.support.airflow_errors import AirflowRescheduleException, TaskDeferred
from tests.support.python_process import run_python

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

MADE = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)
VAULT, OTHER = "3b5816b5-f29c-4172-9d9a-76c719a659ce", "0ca3eb86-8800-46da-9c37-9d657a825274"
TAGS = {"region": "cn-north-4", "vault_id": VAULT, "destination_region": "cn-shenzhen-1", "destination_vault_id": OTHER}
COUNTS = {"accepted": 3, "adopted": 1, "already": 7, "succeeded": 2, "failed": 1, "skipped": 4, "missing": 0}
SECRET = "the-key-of-the-collector"


class Recorder:
    """A ``Stats`` that notes what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Any, dict[str, str]]] = []

    def __getattr__(self, method: str) -> Callable[..., None]:
        def take(stat: str, value: Any, *, tags: dict[str, str]) -> None:
            assert type(stat) is str, "a backend may look at the type"
            self.sent.append((method, stat, value, tags))

        return take


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any, dict[str, str]]]:
    recorder = Recorder()
    monkeypatch.setattr(metrics, "stats", lambda: recorder)
    return recorder.sent


# --- what is sent -------------------------------------------------------------------------------------------------------------


def test_the_names_are_those_of_the_contract() -> None:
    assert sorted(Metric) == [
        "cbr.api.throttled",
        "cbr.drill.boot.seconds",
        "cbr.drill.check.seconds",
        "cbr.drill.failed",
        "cbr.drill.image.seconds",
        "cbr.drill.rto.seconds",
        "cbr.drill.successful",
        "cbr.drill.timed_out",
        "cbr.replica.age_seconds",
        "cbr.replica.verified_at",
        "cbr.replication.accepted",
        "cbr.replication.adopted",
        "cbr.replication.failed",
        "cbr.replication.gb",
        "cbr.replication.missing",
        "cbr.replication.skipped",
        "cbr.replication.succeeded",
        "cbr.vault.used_ratio",
        "cbr.wait.seconds",
    ]
    assert set(COUNTERS) == set(COUNTS) - {"already"}


def test_everything_that_is_sent(sent: list[Any]) -> None:
    tell_verified(MADE, 3600.9, TAGS)
    tell_used(0.91239, TAGS)
    tell_replication(COUNTS, TAGS, gb=120.5)
    tell_wait(90.5, TAGS)
    tell_throttled("cn-north-4")
    tell_drill("timed_out", {"image_seconds": 300.5, "boot_seconds": 120.0, "check_seconds": 4.0, "rto_seconds": 424.5}, TAGS)

    assert sent == [
        ("gauge", "cbr.replica.verified_at", int(MADE.timestamp()), TAGS),
        ("gauge", "cbr.replica.age_seconds", 3600, TAGS),
        ("gauge", "cbr.vault.used_ratio", 0.9124, TAGS),
        *(("incr", f"cbr.replication.{key}", count, TAGS) for key, count in COUNTS.items() if key != "already"),
        ("gauge", "cbr.replication.gb", 120.5, TAGS),
        # Airflow takes a bare number for milliseconds.
        ("timing", "cbr.wait.seconds", timedelta(seconds=90.5), TAGS),
        ("incr", "cbr.api.throttled", 1, {"region": "cn-north-4"}),
        ("incr", "cbr.drill.successful", 0, TAGS),
        ("incr", "cbr.drill.failed", 0, TAGS),
        ("incr", "cbr.drill.timed_out", 1, TAGS),
        ("timing", "cbr.drill.image.seconds", timedelta(seconds=300.5), TAGS),
        ("timing", "cbr.drill.boot.seconds", timedelta(seconds=120), TAGS),
        ("timing", "cbr.drill.check.seconds", timedelta(seconds=4), TAGS),
        ("timing", "cbr.drill.rto.seconds", timedelta(seconds=424.5), TAGS),
    ]
    assert {stat for _, stat, _, _ in sent} == set(Metric)


@pytest.mark.parametrize(("verified_at", "age_seconds"), [(None, None), (MADE, None), (None, 5.0)])
def test_what_is_not_known_to_be_protected_is_not_sent(sent: list[Any], verified_at: datetime | None, age_seconds: float | None) -> None:
    tell_verified(verified_at, age_seconds, TAGS)
    tell_used(None, TAGS)
    tell_replication({"accepted": 1}, TAGS, gb=None)

    assert sent == [("incr", "cbr.replication.accepted", 1, TAGS)]


def test_no_gauge_and_no_timing_is_below_zero(sent: list[Any]) -> None:
    # StatsD would take the sign for a difference.
    tell_verified(MADE, -4.2, TAGS)
    tell_wait(-30.0, TAGS)
    tell_drill("failed", {"image_seconds": -0.1, "boot_seconds": None}, TAGS)

    assert [value for _, _, value, _ in sent] == [int(MADE.timestamp()), 0, timedelta(0), 0, 1, 0, timedelta(0)]


def test_the_tags_are_four_at_most_and_no_other() -> None:
    assert tags_of(**TAGS) == TAGS
    assert tags_of(region="r", vault_id="v") == {"region": "r", "vault_id": "v"}
    assert tags_of(region="r", vault_id="v", destination_region="s") == {"region": "r", "vault_id": "v"}


def test_each_metric_with_its_tags_is_a_name_that_airflow_hands_to_statsd() -> None:
    # With InfluxDB's tags Airflow drops a name that is longer, or has other characters, and says so in the log alone.
    longest = "ap-southeast-99-and-more-1"
    tags = {"region": longest, "vault_id": VAULT, "destination_region": longest, "destination_vault_id": OTHER}
    written = [",".join([name.value, *(f"{key}={value}" for key, value in tags.items())]) for name in Metric]

    assert [text for text in written if len(text) > 250 or not re.fullmatch(r"[A-Za-z0-9_./,=-]+", text)] == []


@pytest.mark.campaign
def test_importing_the_operators_loads_no_backend() -> None:
    loaded = run_python(
        "-c",
        "import sys\nimport airflow.sdk, airflow.triggers.base, airflow.sdk.execution_time.xcom\nbefore = set(sys.modules)\n"
        "from airflow_cbr.operators.cbr import *\nimport airflow_cbr.sensors.cbr, airflow_cbr.triggers.cbr, airflow_cbr.hooks.cbr\n"
        "for name in sorted(sys.modules.keys() - before):\n"
        "    if 'stats' in name or 'observability' in name or 'serde' in name or 'opentelemetry' in name: print(name)",
    )

    assert loaded.splitlines() == []


# --- nothing that goes wrong reaches the task ---------------------------------------------------------------------------------


class Hostile:
    """A ``Stats`` that fails in its own way, whatever it is asked."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def incr(self, *args: Any, **kwargs: Any) -> None:
        raise self.error

    gauge = timing = incr


def missing() -> Any:
    raise ImportError(f"No module named statsd {SECRET}")


def raising(error: BaseException) -> Callable[[], Any]:
    return lambda: Hostile(error)


def send_everything() -> None:
    tell_verified(MADE, 1.0, TAGS)
    tell_used(0.5, TAGS)
    tell_replication(COUNTS, TAGS, gb=1.0)
    tell_wait(1.0, TAGS)
    tell_throttled("cn-north-4")


HOSTILE: dict[str, Callable[[], Any]] = {
    "it is missing": missing,
    "it has no method": lambda: object(),
    "it takes no tags": lambda: SimpleNamespace(incr=lambda stat, count: None, gauge=lambda stat, value: None, timing=lambda stat: None),
    "the host is bad": raising(OSError(f"{SECRET}: Name or service not known")),
    "the settings are bad": raising(ValueError(SECRET)),
    "it recurses": raising(RecursionError(SECRET)),
    "an error of its own": raising(type("BackendError", (Exception,), {})(SECRET)),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_stats_that_fails_is_logged_once_and_quotes_nothing(
    how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metrics, "stats", HOSTILE[how])
    monkeypatch.setattr(metrics, "_warned", set())
    with caplog.at_level(logging.DEBUG, logger=metrics.__name__):
        send_everything()
        send_everything()

    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING
    assert SECRET not in caplog.text


def test_the_tasks_own_timeout_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "stats", raising(AirflowTaskTimeout("execution_timeout")))
    with pytest.raises(AirflowTaskTimeout):
        tell_wait(1.0, TAGS)


def test_airflows_own_stats_takes_everything_where_no_backend_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_warned", set())
    send_everything()

    assert metrics._warned == set()


def test_what_cannot_be_worked_out_fails_no_task() -> None:
    def tell() -> None:
        raise KeyError("what the metrics are made of")

    with concluding(context(), tell):
        pass
    with pytest.raises(AirflowFailException, match="the task's own"), concluding(context(), tell):
        raise AirflowFailException("the task's own")


# --- once in a Dag run --------------------------------------------------------------------------------------------------------


class Policy:
    """A retry policy (Airflow 3.3) that gives one answer, or breaks."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def evaluate(self, **asked: Any) -> Any:
        assert {"exception", "try_number", "max_tries", "context"} == set(asked)
        if self.answer == "breaks":
            raise RuntimeError("the policy is broken")
        return SimpleNamespace(action=SimpleNamespace(value=self.answer))


def context(try_number: int = 1, retries: int = 0, policy: str | None = None) -> Context:
    task = SimpleNamespace(retries=retries, retry_policy=None if policy is None else Policy(policy))
    return cast("Context", {"ti": SimpleNamespace(try_number=try_number, max_tries=retries, task=task)})


PASSING = [CbrReplicationFailedError("a copy failed"), RuntimeError("anything"), AirflowTaskTimeout("execution_timeout")]
FINAL = [AirflowFailException("for good"), AirflowSensorTimeout("too late"), AirflowSkipException("skipped")]
NO_END = [TaskDeferred(trigger=cast("Any", None), method_name="x"), AirflowRescheduleException(MADE)]


@given(
    legs=st.lists(st.lists(st.sampled_from(NO_END), max_size=2), min_size=6, max_size=6),
    ends=st.lists(st.sampled_from([*PASSING, *FINAL, None]), min_size=6, max_size=6),
    retries=st.integers(0, 4),
    policy=st.sampled_from([None, "retry", "default", "breaks", "fail"]),
)
def test_a_task_tells_once_however_often_it_is_deferred_or_retried(
    legs: list[list[BaseException]], ends: list[BaseException | None], retries: int, policy: str | None
) -> None:
    """Plays a task as Airflow does, each attempt with its deferrals, until one succeeds or is not retried."""
    told: list[int] = []

    def leg(number: int, raises: BaseException | None) -> None:
        with concluding(context(number, retries, policy), lambda: told.append(number)):
            if raises is not None:
                raise raises

    for number in range(1, retries + 2):
        for pause in legs[number - 1]:
            with pytest.raises(type(pause)):
                leg(number, pause)
        end = ends[number - 1]
        if end is None:
            leg(number, None)
        else:
            with pytest.raises(type(end)) as caught:
                leg(number, end)
            assert caught.value is end, "the task fails with its own error"
        if end is None or end in FINAL or policy == "fail":
            break

    assert told == [number]


def test_an_attempt_after_a_clear_counts_its_own_retries() -> None:
    error = RuntimeError("passes")
    # Airflow adds the retries to the number of the attempt that was cleared.
    assert will_be_retried(context(try_number=4, retries=5), error)
    assert not will_be_retried(context(try_number=6, retries=5), error)
    assert not will_be_retried(context(try_number=1, retries=0), error)

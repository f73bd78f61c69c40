"""What the tasks tell Airflow's metrics: the names, the tags, and when a number counts.

They go through Airflow's own ``Stats``, to StatsD, Datadog or OpenTelemetry, whichever the site has switched on. Nothing of it is imported
before a task has something to say, and whatever goes wrong with it is logged once in a process and fails no task.

A gauge may be sent again. A counter may not: it is sent once, when the task has concluded, and not by an attempt that is to be retried.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_cbr.airflow_names import AirflowRescheduleException, AirflowTaskTimeout, stats
from airflow_cbr.hooks.attempt import will_be_retried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from airflow.sdk import Context

__all__ = [
    "COUNTERS",
    "Metric",
    "concluding",
    "quietly",
    "tags_of",
    "tell_drill",
    "tell_replication",
    "tell_throttled",
    "tell_used",
    "tell_verified",
    "tell_wait",
]

log = logging.getLogger(__name__)


class Metric(StrEnum):
    """Every metric of this package. Airflow puts its own prefix before the name, ``airflow`` by default."""

    VERIFIED_AT = "cbr.replica.verified_at"
    """Gauge: Unix time at which the source backup of the newest verified replica was made, of the vault's worst resource."""
    AGE_SECONDS = "cbr.replica.age_seconds"
    """Gauge: how old that was when the verification looked."""
    USED_RATIO = "cbr.vault.used_ratio"
    """Gauge: which part of the destination vault is used; 1 is full."""
    ACCEPTED = "cbr.replication.accepted"
    """Counter: copies that the service accepted from the task's last attempt."""
    ADOPTED = "cbr.replication.adopted"
    """Counter: copies of earlier attempts, or of others, that the task followed."""
    SUCCEEDED = "cbr.replication.succeeded"
    """Counter: backups, or the sensor's records, whose copies ended in success."""
    FAILED = "cbr.replication.failed"
    """Counter: those whose copies failed."""
    SKIPPED = "cbr.replication.skipped"
    """Counter: backups that cannot be replicated, or the sensor's records that the service skipped."""
    MISSING = "cbr.replication.missing"
    """Counter: backups that should have a copy and have none, or the sensor's records of which nothing is known."""
    GB = "cbr.replication.gb"
    """Gauge: GB of the resources whose copies succeeded in this Dag run."""
    WAIT_SECONDS = "cbr.wait.seconds"
    """Timing: how long the task followed copies."""
    THROTTLED = "cbr.api.throttled"
    """Counter: answers of the service that say "too many requests"."""
    DRILL_SUCCESSFUL = "cbr.drill.successful"
    """Counter: restore drills whose server became active in time, and whose checks succeeded."""
    DRILL_FAILED = "cbr.drill.failed"
    """Counter: those without a server, or with a check that did not succeed."""
    DRILL_TIMED_OUT = "cbr.drill.timed_out"
    """Counter: those that took longer than they may."""
    DRILL_IMAGE_SECONDS = "cbr.drill.image.seconds"
    """Timing: from the beginning of a drill until its image was active."""
    DRILL_BOOT_SECONDS = "cbr.drill.boot.seconds"
    """Timing: from then until its server was."""
    DRILL_CHECK_SECONDS = "cbr.drill.check.seconds"
    """Timing: from then until its checks had ended."""
    DRILL_RTO_SECONDS = "cbr.drill.rto.seconds"
    """Timing: all of it, the recovery time that was attained."""


COUNTERS = {name.rpartition(".")[2]: name for name in Metric if name.startswith("cbr.replication.") and name is not Metric.GB}
"""The counters of copies, by the key that each has in the XCom ``replication``."""

_VERDICTS = {"successful": Metric.DRILL_SUCCESSFUL, "failed": Metric.DRILL_FAILED, "timed_out": Metric.DRILL_TIMED_OUT}
_DURATIONS = {
    "image_seconds": Metric.DRILL_IMAGE_SECONDS,
    "boot_seconds": Metric.DRILL_BOOT_SECONDS,
    "check_seconds": Metric.DRILL_CHECK_SECONDS,
    "rto_seconds": Metric.DRILL_RTO_SECONDS,
}

_warned: set[str] = set()


def tags_of(
    *, region: str, vault_id: str, destination_region: str | None = None, destination_vault_id: str | None = None
) -> dict[str, str]:
    """Return the tags of a metric; there are no others, since each value of a tag is a time series of its own.

    :param region: the source region.
    :param vault_id: the source vault.
    :param destination_region: the region of the destination. Default: not known.
    :param destination_vault_id: the vault there. Default: not known.
    """
    tags = {"region": region, "vault_id": vault_id}
    if destination_region and destination_vault_id:
        tags |= {"destination_region": destination_region, "destination_vault_id": destination_vault_id}
    return tags


@contextmanager
def concluding(context: Context, tell: Callable[[], None]) -> Iterator[None]:
    """Send metrics when the block concludes its task: it ends, or fails and is not retried. A deferral or a reschedule is no end.

    :param context: the task's context.
    :param tell: sends them; what it raises is logged.
    """
    try:
        yield
    except AirflowRescheduleException:
        raise
    except (Exception, AirflowTaskTimeout) as error:
        if not will_be_retried(context, error):
            with quietly():
                tell()
        raise
    with quietly():
        tell()


def tell_verified(verified_at: datetime | None, age_seconds: float | None, tags: dict[str, str]) -> None:
    """Send when the vault's worst resource was last protected; nothing when one has no verified replica, or its age is not known.

    :param verified_at: when the source backup of its newest verified replica was made, or None.
    :param age_seconds: how long ago that is by the service's clock, or None.
    :param tags: from :func:`tags_of`.
    """
    if verified_at is None or age_seconds is None:
        return
    _send("gauge", Metric.VERIFIED_AT, int(verified_at.timestamp()), tags)
    # StatsD reads a gauge with a sign as a difference.
    _send("gauge", Metric.AGE_SECONDS, max(int(age_seconds), 0), tags)


def tell_used(used_ratio: float | None, tags: dict[str, str]) -> None:
    """Send how full the destination vault is; nothing when that is not known.

    :param used_ratio: which part of it is used, or None.
    :param tags: from :func:`tags_of`.
    """
    if used_ratio is not None:
        _send("gauge", Metric.USED_RATIO, round(used_ratio, 4), tags)


def tell_replication(counts: Mapping[str, int], tags: dict[str, str], *, gb: float | None = None) -> None:
    """Send what came of a task's copies.

    :param counts: the counts, by key of the XCom ``replication``; what is not among the :data:`COUNTERS` is not sent.
    :param tags: from :func:`tags_of`.
    :param gb: GB that were copied. Default: not known, and not sent.
    """
    for key, metric in COUNTERS.items():
        # Also a 0: a series that begins with the first failure does not show that it has risen.
        if (count := counts.get(key)) is not None:
            _send("incr", metric, count, tags)
    if gb is not None:
        _send("gauge", Metric.GB, gb, tags)


def tell_wait(seconds: float, tags: dict[str, str]) -> None:
    """Send how long a task followed copies.

    :param seconds: how long, over all of its deferrals. Less than 0, where two workers' clocks differ, is 0.
    :param tags: from :func:`tags_of`.
    """
    # A bare number would be milliseconds.
    _send("timing", Metric.WAIT_SECONDS, timedelta(seconds=max(seconds, 0.0)), tags)


def tell_drill(verdict: str, durations: Mapping[str, float | None], tags: dict[str, str]) -> None:
    """Send the verdict on a restore drill, and how long it took.

    :param verdict: ``successful``, ``failed`` or ``timed_out``.
    :param durations: seconds, by key of the XCom ``drill``; one that is None, since the drill did not come so far, is not sent.
    :param tags: from :func:`tags_of`.
    """
    for key, metric in _VERDICTS.items():
        _send("incr", metric, int(key == verdict), tags)
    for key, metric in _DURATIONS.items():
        if (seconds := durations.get(key)) is not None:
            _send("timing", metric, timedelta(seconds=max(seconds, 0.0)), tags)


def tell_throttled(region: str) -> None:
    """Count an answer that says "too many requests".

    :param region: the region that was asked.
    """
    _send("incr", Metric.THROTTLED, 1, {"region": region})


@contextmanager
def quietly() -> Iterator[None]:
    """Let nothing that goes wrong in the block fail the task; it is logged, once in a process for each kind."""
    try:
        yield
    except Exception as error:
        # The text may be a backend's, and quote its settings.
        if (kind := type(error).__name__) not in _warned:
            _warned.add(kind)
            log.warning("Metrics were not sent (%s). The task is not affected.", kind)


def _send(method: str, metric: Metric, value: Any, tags: dict[str, str]) -> None:
    with quietly():
        getattr(stats(), method)(metric.value, value, tags=dict(tags))

"""The progress of a set of copies: one line for the log, the numbers that decide when to look again, and the error at the deadline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.api.texts import counted
from airflow_cbr.exceptions import CbrReplicationTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow_cbr.api.summaries import RecordSummary

__all__ = ["Progress", "measure", "percent_of", "remaining_seconds", "timeout_error"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of copies by state, as one look found them.

    :param total: copies that are followed.
    :param succeeded: those that ended in ``success``.
    :param failed: those that ended in ``fail``.
    :param skipped: those that ended in ``skip``.
    :param replicating: those that move data.
    :param waiting: those that are queued, or not listed yet.
    :param percent: mean progress of the replicating ones, or None where the service reports none.
    :param seconds_left: estimate until the last copy ends, or None where there is none.
    """

    total: int
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    replicating: int = 0
    waiting: int = 0
    percent: float | None = None
    seconds_left: float | None = None

    @property
    def line(self) -> str:
        """Return the status line, for example ``12/20 replicated, 1 failed, 3 replicating (41 %), 4 waiting, eta 02:10``."""
        parts = [f"{self.succeeded}/{self.total} replicated"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.skipped:
            parts.append(f"{self.skipped} skipped")
        if self.replicating:
            percent = f" ({self.percent:.0f} %)" if self.percent is not None else ""
            parts.append(f"{self.replicating} replicating{percent}")
        if self.waiting:
            parts.append(f"{self.waiting} waiting")
        if self.seconds_left is not None:
            minutes = round(self.seconds_left / 60)
            parts.append(f"eta {minutes // 60:02d}:{minutes % 60:02d}")
        return ", ".join(parts)

    @property
    def change_key(self) -> tuple[int | None, ...]:
        """Return what must differ for the line to be logged again; the estimate is left out."""
        percent = None if self.percent is None else int(self.percent)
        return self.total, self.succeeded, self.failed, self.skipped, self.replicating, self.waiting, percent


def percent_of(record: RecordSummary) -> float | None:
    """Return the percentage that the service reports for a copy, or None where it reports none, or a number that is no percentage.

    :param record: a replication record.
    """
    percent = record.extra.progress
    return float(percent) if percent is not None and 0 <= percent <= 100 else None


def remaining_seconds(record: RecordSummary, now: datetime) -> float | None:
    """Estimate how long a copy still takes, from its age and the percentage that the service reports.

    :param record: a record that has not ended.
    :param now: the service's clock.
    :return: seconds, not negative; None where progress or start is unknown, or no estimate can be computed from them.
    """
    percent, created = percent_of(record), record.created
    if not percent or created is None:
        return None
    age = max((now - created).total_seconds(), 0.0)
    seconds = age * (100 - percent) / percent
    return seconds if math.isfinite(seconds) else None


def measure(records: Iterable[RecordSummary], *, unlisted: int, now: datetime) -> Progress:
    """Count copies by state.

    :param records: the listed records that are followed.
    :param unlisted: how many followed records the listing does not show (yet).
    :param now: the service's clock, for the estimate.
    :return: the counts.
    """
    succeeded = failed = skipped = replicating = waiting = 0
    percents: list[float] = []
    estimates: list[float | None] = []
    for record in records:
        match record.state:
            case CopyState.SUCCEEDED:
                succeeded += 1
            case CopyState.FAILED:
                failed += 1
            case CopyState.SKIPPED:
                skipped += 1
            case CopyState.RUNNING:
                replicating += 1
                if (percent := percent_of(record)) is not None:
                    percents.append(percent)
                estimates.append(remaining_seconds(record, now))
            case _:
                waiting += 1
                estimates.append(None)
    known = [estimate for estimate in estimates if estimate is not None]
    complete = bool(known) and len(known) == len(estimates) and not unlisted
    return Progress(
        total=succeeded + failed + skipped + replicating + waiting + unlisted,
        succeeded=succeeded,
        failed=failed,
        skipped=skipped,
        replicating=replicating,
        waiting=waiting + unlisted,
        percent=sum(percents) / len(percents) if percents else None,
        seconds_left=max(known) if complete else None,
    )


def timeout_error(
    vault: str, timeout: float, still_running: Sequence[str], resources: Mapping[str, str] | None = None
) -> CbrReplicationTimeoutError:
    """Return the error of a wait whose deadline has passed.

    :param vault: the source vault, in words: ``vault web (3b58...)``.
    :param timeout: seconds that the wait was given.
    :param still_running: the records that have not ended, as far as is known.
    :param resources: what is copied, by record id, as far as it is known. Default: nothing is.
    """
    count = counted(len(still_running), "copy is", "copies are")
    named = ", ".join(f"{resources[one]} ({one})" if resources and one in resources else one for one in still_running)
    state = f"{count} still running: {named}" if still_running else "no copy is running"
    return CbrReplicationTimeoutError(
        f"The timeout of {timeout:.9g} s for {vault} has passed; {state}.",
        running=still_running,
        advice="Copies continue in CBR. Clear this task to keep waiting for them; it does not start a copy twice.",
    )

"""The ceiling: how often a task may request anything in a Dag run, whatever the logic above it decides.

It counts calls and knows nothing of their purpose, so that no misread answer, and no missing one, can make a task pay
without end. A call that the service refuses explicitly (too many requests, a resource is busy), or that certainly was not sent, has started
nothing; it has its own limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from airflow_cbr.api.texts import counted
from airflow_cbr.exceptions import (
    CbrBusyError,
    CbrCallLimitError,
    CbrError,
    CbrStoppedError,
    CbrThrottledError,
    CbrTransportError,
)

__all__ = ["CALLS_PER_ITEM", "REFUSALS", "CallCeiling", "CallCounts", "calls_per_task"]

CALLS_PER_ITEM: Final = 8
"""Calls in a Dag run that may have started something for one backup, or one checkpoint: attempts whose copy fails again need as many."""

REFUSALS: Final = 500
"""Calls in a Dag run that the service may refuse, beyond :func:`calls_per_task`: enough for a vault that is busy for a day."""

Answer = TypeVar("Answer")


class CallCounts(msgspec.Struct, kw_only=True):
    """The calls of a task in a Dag run.

    :param made: all calls that may have started something.
    :param refused: calls that the service refused without starting anything.
    :param by_item: calls that may have started something, by what they asked for.
    """

    made: int = 0
    refused: int = 0
    by_item: dict[str, int] = {}


def calls_per_task(items: int) -> int:
    """Return how many calls that may have started something a task may make in a Dag run.

    :param items: how many things it may have to request.
    """
    return 3 * items + CALLS_PER_ITEM


class CallCeiling:
    """Lets calls through until one of its limits is reached.

    :param counts: the calls made so far; changed in place.
    :param what: what is requested, in the singular, for the message.
    """

    def __init__(self, counts: CallCounts, what: str) -> None:
        self._counts = counts
        self._what = what

    def count(self, items: Sequence[str], *, of: int) -> None:
        """Count a call that is about to be sent, or refuse it.

        :param items: what it requests.
        :param of: how many things the task may have to request in all.
        :raises CbrCallLimitError: a limit is reached; nothing must be sent.
        """
        counts = self._counts
        limit = calls_per_task(of)
        if counts.made >= limit:
            raise self._reached(f"{counted(counts.made, 'call')} for {counted(of, self._what)}", f"{limit} calls")
        if counts.refused >= limit + REFUSALS:
            raise self._reached(f"{counted(counts.refused, 'call')} that the service refused", f"{limit + REFUSALS} refused calls")
        for item in items:
            if counts.by_item.get(item, 0) >= CALLS_PER_ITEM:
                raise self._reached(f"{counted(counts.by_item[item], 'call')} for {self._what} {item}", f"{CALLS_PER_ITEM} calls for each")
        counts.made += 1
        for item in items:
            counts.by_item[item] = counts.by_item.get(item, 0) + 1

    def send(self, items: Sequence[str], call: Callable[[], Answer]) -> Answer:
        """Send a call that was counted, and subtract it again if it has started nothing.

        :param items: what it requests, as it was counted.
        :param call: sends it.
        """
        try:
            return call()
        except CbrError as error:
            nothing_started = CbrThrottledError | CbrBusyError | CbrStoppedError
            if isinstance(error, nothing_started) or (isinstance(error, CbrTransportError) and not error.sent):
                counts = self._counts
                counts.made -= 1
                counts.refused += 1
                for item in items:
                    counts.by_item[item] -= 1
            raise

    def _reached(self, done: str, limit: str) -> CbrCallLimitError:
        return CbrCallLimitError(
            f"This task has sent {done} in this Dag run; the limit is {limit}. Nothing more was sent.",
            advice="Check the vault's tasks in the CBR console: the service accepts calls and does not show their outcome. Report it "
            "with this log, and trigger a new Dag run when the vault works again.",
        )

"""One wait for a set of records, and what a look says to it."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_cbr.waiting.schedule import Schedule

if TYPE_CHECKING:
    from airflow_cbr.api.models import Backup, ReplicationRecord
    from airflow_cbr.waiting.copies import CopiesSeen
    from airflow_cbr.waiting.progress import Progress

__all__ = ["PollResult", "Waiter"]


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of one look for one waiter.

    :param progress: the progress of its records; None when the look failed.
    :param are_final: whether all its records have ended.
    :param unlisted: backup id by record id, for the records that no backup lists; None where the backup was never seen.
    :param error: why the look failed, or None.
    :param refused: whether the error is one that persists.
    :param copies: every copy out of the vault, for a :class:`~airflow_cbr.waiting.listener.Listener`; None for a waiter.
    """

    progress: Progress | None = None
    are_final: bool = False
    unlisted: Mapping[str, str | None] = field(default_factory=dict)
    error: Exception | None = None
    refused: bool = False
    copies: CopiesSeen | None = None

    @property
    def key(self) -> Hashable:
        """Return what must differ for a result to be new; how long a record is unlisted counts, and that changes with every look."""
        if self.error is not None:
            return type(self.error), self.refused
        return None if self.unlisted or self.progress is None else self.progress.change_key


class Waiter:
    """One wait for a set of records, for the time of a :func:`join`.

    :param record_ids: the records.
    :param shortest: shortest gap between two looks, in seconds.
    :param longest: longest gap between two looks, in seconds.
    :param backups: backup id by record id, for the records that are known to have been listed once. Default: none is.
    """

    __slots__ = ("_news", "_told", "_wake", "answer_from", "backups", "due", "ended", "record_ids", "schedule")

    def __init__(self, record_ids: Sequence[str], *, shortest: float, longest: float, backups: Mapping[str, str] | None = None) -> None:
        self.record_ids = tuple(dict.fromkeys(record_id.lower() for record_id in record_ids))
        self.schedule = Schedule(shortest, longest)
        self.backups = dict(backups or {})
        self.ended: dict[str, tuple[Backup, ReplicationRecord]] = {}
        self.answer_from = 0.0
        self.due = 0.0
        self._news: PollResult | None = None
        self._told: Hashable = None
        self._wake = asyncio.Event()

    @property
    def open_ids(self) -> list[str]:
        """Return the records that have not been seen to end; an end is for good."""
        return [record_id for record_id in self.record_ids if record_id not in self.ended]

    def tell(self, poll: PollResult) -> None:
        """Hand over a result, if it is new; one that was not read yet is replaced."""
        if poll.key is None or poll.key != self._told:
            self._told = poll.key
            self._news = poll
            self._wake.set()

    async def next(self) -> PollResult:
        """Wait for the next new result."""
        while self._news is None:
            self._wake.clear()
            await self._wake.wait()
        poll, self._news = self._news, None
        return poll

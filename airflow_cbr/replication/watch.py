"""One poll for many waiters: how the deferred waits of a vault share their looks at it.

A :class:`Watch` belongs to one vault, seen with one connection. It lists the vault's backups with their records in a worker thread, hands
each :class:`Waiter` what concerns it, and sleeps until one of them could have news. It lives while somebody waits. It logs nothing: a
line must land in the log of the task it is about, and only the waiter's own coroutine can write there.

Everything but the look itself runs on the event loop that the waiters live on, so there is nothing to lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from airflow_cbr.exceptions import CbrAuthenticationError, CbrError, CbrNotFoundError, CbrThrottledError
from airflow_cbr.replication.records import RecordsSeen, find_records
from airflow_cbr.replication.schedule import Schedule

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup
    from airflow_cbr.replication.progress import Progress

__all__ = ["Sight", "Waiter", "Watch", "join"]

FIRST_LOOK_AFTER: Final = 10.0
"""Seconds before a new waiter's first look. Airflow's scheduler fails a task whose trigger fires while it still books the deferral."""

REFUSALS_LIMIT: Final = 3
ROWS_PER_PAGE: Final = 1000
THREADS: Final = 8
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="cbr-watch")

Connect = Callable[[], Awaitable["CbrClient"]]


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look says to one waiter.

    :param progress: how far its records have come; None when the look failed.
    :param are_final: whether all its records have ended.
    :param unlisted: backup id by record id, for the records that no backup lists; None where the backup was never seen.
    :param error: why the look failed, or None.
    :param refused: whether the error is one that persists.
    """

    progress: Progress | None = None
    are_final: bool = False
    unlisted: dict[str, str | None] = field(default_factory=dict)
    error: CbrError | None = None
    refused: bool = False


class Waiter:
    """One wait for a set of records; made by :func:`join`.

    :param record_ids: the records.
    :param shortest: shortest gap between two looks, in seconds.
    :param longest: longest gap between two looks, in seconds.
    """

    __slots__ = ("_news", "_wake", "backups", "record_ids", "schedule")

    def __init__(self, record_ids: Sequence[str], *, shortest: float, longest: float) -> None:
        self.record_ids = tuple(record_ids)
        self.schedule = Schedule(shortest, longest)
        self.backups: dict[str, str] = {}
        self._news: Sight | None = None
        self._wake = asyncio.Event()

    def tell(self, sight: Sight) -> None:
        """Hand over the newest look; one that was not read yet is replaced."""
        self._news = sight
        self._wake.set()

    async def next(self) -> Sight:
        """Wait for the next look and return what it says."""
        await self._wake.wait()
        self._wake.clear()
        sight, self._news = self._news, None
        return sight if sight is not None else Sight()


class Pace:
    """How fast an account may be asked: after a 429, everybody on it waits.

    :param longest: longest back-off in seconds.
    """

    def __init__(self, longest: float = 600.0) -> None:
        self._longest = longest
        self._delay = 0.0
        self._until = 0.0

    def throttled(self, error: CbrThrottledError, now: float) -> None:
        """Double the back-off, or take the service's word for it."""
        self._delay = min(max(self._delay * 2, 30.0), self._longest)
        self._until = max(self._until, now + max(self._delay, error.retry_after or 0.0))

    def cleared(self) -> None:
        """Forget the back-off: the account was answered."""
        self._delay = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds that everybody on the account has to wait."""
        return max(self._until - now, 0.0)


class Watch:
    """The looks at one vault, for all who wait for its records.

    :param connect: makes a client with fresh credentials; awaited on the event loop, at the start and after an authentication error.
    :param vault_id: the source vault.
    :param pace: shared by the watches of one account.
    """

    def __init__(self, connect: Connect, vault_id: str, pace: Pace) -> None:
        self._connect = connect
        self._vault_id = vault_id
        self._pace = pace
        self._client: CbrClient | None = None
        self._waiters: dict[Waiter, None] = {}
        self._joined = asyncio.Event()
        self._next_look = 0.0
        self._last_look = 0.0
        self._refusals = 0
        self._failures = 0
        self._pages = 1
        self._shows_records = True
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Return whether nobody waits any more."""
        return not self._waiters

    def add(self, waiter: Waiter) -> None:
        """Take a waiter in; its first look comes soon, and no sooner than the others' shortest gap allows."""
        loop = asyncio.get_running_loop()
        self._waiters[waiter] = None
        soon = max(loop.time() + FIRST_LOOK_AFTER, self._last_look + waiter.schedule.shortest)
        self._next_look = soon if len(self._waiters) == 1 else min(self._next_look, soon)
        self._joined.set()
        if self._task is None:
            self._task = loop.create_task(self._run())

    def remove(self, waiter: Waiter) -> None:
        """Let a waiter go; the last one ends the watch."""
        self._waiters.pop(waiter, None)
        if not self._waiters and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        try:
            while True:
                await self._sleep()
                await self._look()
        finally:
            client, self._client = self._client, None
            if client is not None:
                client.close()

    async def _sleep(self) -> None:
        """Sleep until the next look is due; a new waiter may bring it forward."""
        loop = asyncio.get_running_loop()
        while (wait := max(self._next_look - loop.time(), self._pace.wait(loop.time()))) > 0:
            self._joined.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._joined.wait(), wait)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        waiters = list(self._waiters)
        self._last_look = loop.time()
        try:
            if self._client is None:
                self._client = await self._connect()
            sights, gap = await loop.run_in_executor(_threads, self._ask, self._client, waiters)
        except CbrError as error:
            self._note_failure(error, waiters)
            return
        self._refusals = self._failures = 0
        self._pace.cleared()
        self._next_look = loop.time() + gap
        for waiter, sight in sights.items():
            if waiter in self._waiters:
                waiter.tell(sight)

    def _note_failure(self, error: CbrError, waiters: list[Waiter]) -> None:
        now = asyncio.get_running_loop().time()
        self._failures += 1
        if isinstance(error, CbrAuthenticationError) and self._client is not None:
            # A rotated key: the next look resolves the connection again.
            self._client.close()
            self._client = None
        if isinstance(error, CbrThrottledError):
            self._pace.throttled(error, now)
        self._refusals = self._refusals + 1 if error.permanent else 0
        shortest = min((waiter.schedule.shortest for waiter in self._waiters), default=30.0)
        longest = max((waiter.schedule.longest for waiter in self._waiters), default=600.0)
        self._next_look = now + min(shortest * 2 ** min(self._failures - 1, 10), longest)
        sight = Sight(error=error, refused=self._refusals >= REFUSALS_LIMIT)
        for waiter in waiters:
            if waiter in self._waiters:
                waiter.tell(sight)

    def _ask(self, client: CbrClient, waiters: list[Waiter]) -> tuple[dict[Waiter, Sight], float]:
        """Look at the vault, and work out for each waiter what concerns it. Runs in a worker thread and touches nothing of Airflow."""
        wanted = {record_id for waiter in waiters for record_id in waiter.record_ids}
        seen = self._few(client, waiters) or self._all(client, wanted)
        now = client.server_time or datetime.now(UTC)
        sights: dict[Waiter, Sight] = {}
        gaps = []
        for waiter in waiters:
            listed = {record_id: seen.listed[record_id] for record_id in waiter.record_ids if record_id in seen.listed}
            own = RecordsSeen(listed, [record_id for record_id in waiter.record_ids if record_id not in listed])
            waiter.backups.update((record_id, backup.id) for record_id, (backup, _) in listed.items())
            unlisted = {record_id: waiter.backups.get(record_id) for record_id in own.unlisted}
            sights[waiter] = Sight(own.progress(now), own.are_final, unlisted)
            gaps.append(waiter.schedule.gap(own.unfinished, now))
        return sights, min(gaps, default=0.0)

    def _all(self, client: CbrClient, wanted: set[str]) -> RecordsSeen:
        """List the vault: one request for each thousand of its backups answers everybody."""
        rows = 0

        def counted() -> Iterator[Backup]:
            nonlocal rows
            for backup in client.list_backups(vault_id=self._vault_id, show_replication=True):
                rows += 1
                yield backup

        seen = find_records(counted(), wanted)
        self._pages = rows // ROWS_PER_PAGE + 1
        return seen

    def _few(self, client: CbrClient, waiters: list[Waiter]) -> RecordsSeen | None:
        """Show the backups in question one by one where that takes fewer requests than listing; None where it does not, or cannot."""
        if not self._shows_records:
            return None
        backup_ids: set[str] = set()
        for waiter in waiters:
            if len(waiter.backups) < len(waiter.record_ids):
                return None
            backup_ids.update(waiter.backups.values())
        if not 0 < len(backup_ids) < self._pages:
            return None
        try:
            backups = [client.show_backup(backup_id) for backup_id in backup_ids]
        except CbrNotFoundError:
            return None
        wanted = {record_id for waiter in waiters for record_id in waiter.record_ids}
        seen = find_records(backups, wanted)
        # Whether ShowBackup always fills in the records is not documented.
        self._shows_records = not seen.unlisted
        return seen if self._shows_records else None


@dataclass(slots=True)
class _Loop:
    """The watches and paces of one event loop."""

    watches: dict[Hashable, Watch] = field(default_factory=dict)
    paces: dict[Hashable, Pace] = field(default_factory=dict)


_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = weakref.WeakKeyDictionary()


@contextlib.asynccontextmanager
async def join(
    waiter: Waiter, *, account: Hashable, region: str, project_id: str, vault_id: str, connect: Connect
) -> AsyncIterator[Waiter]:
    """Let a waiter share the watch of its vault, for as long as the block lasts.

    :param waiter: the waiter.
    :param account: whom the service counts requests for; waits with the same connection share it.
    :param region: source region.
    :param project_id: source project.
    :param vault_id: source vault.
    :param connect: makes the watch's client, if this waiter is the first.
    :return: the waiter.
    """
    here = _loops.setdefault(asyncio.get_running_loop(), _Loop())
    key = (account, region, project_id, vault_id)
    watch = here.watches.get(key)
    if watch is None:
        watch = here.watches[key] = Watch(connect, vault_id, here.paces.setdefault(account, Pace()))
    watch.add(waiter)
    try:
        yield waiter
    finally:
        watch.remove(waiter)
        if watch.is_idle and here.watches.get(key) is watch:
            del here.watches[key]

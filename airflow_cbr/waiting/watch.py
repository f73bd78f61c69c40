"""One poll for many waiters: how the deferred waits of a vault share their looks at it.

A :class:`Watch` belongs to one vault, seen with one connection. It lists the vault's backups with their records in a worker thread, hands
each :class:`Waiter` what is new to it, and sleeps until one of them could have news. It lives while somebody waits. It logs nothing: a
line must land in the log of the task it is about, and only the waiter's own coroutine can write there.

Everything but the look itself runs on the event loop that the waiters live on, so there is nothing to lock. A look reads the waiters it
was given, and there is one look at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import random
import weakref
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airflow_cbr.exceptions import CbrAuthenticationError, CbrThrottledError
from airflow_cbr.waiting.lanes import Lanes
from airflow_cbr.waiting.poll import VaultPoll
from airflow_cbr.waiting.schedule import BLIND_GAP
from airflow_cbr.waiting.throttle import AccountThrottle
from airflow_cbr.waiting.waiter import PollResult, Waiter

if TYPE_CHECKING:
    from concurrent.futures import Future

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.waiting.access import Opened, WatchAccess
    from airflow_cbr.waiting.lanes import Lane

__all__ = ["FIRST_LOOK_AFTER", "Watch", "join"]

FIRST_LOOK_AFTER: Final = 10.0
"""Seconds before a new waiter's first look. Airflow's scheduler fails a task whose trigger fires while it still books the deferral."""

REFUSALS_LIMIT: Final = 3
SHORTEST_GAP: Final = 1.0
"""Shortest gap between two looks, in seconds, whatever the intervals say."""

_SPREAD: Final = 2.0
_BATCH: Final = 100
"""Waiters of all vaults that are notified in a row before the event loop's other tasks, theirs among them, get their turn."""

_lanes = Lanes()


class Watch:
    """The looks at one vault, for all waiters for its records.

    :param vault_id: the source vault.
    :param access: how to get at the service.
    :param here: what is shared by the watches of an event loop.
    """

    def __init__(self, vault_id: str, access: WatchAccess, here: _Loop) -> None:
        self._access = access
        self._here = here
        self._throttle = AccountThrottle()
        self._opened: Opened | None = None
        self._client: CbrClient | None = None
        self._lane: Lane | None = None
        self._login: Hashable = None
        self._secrets: list[str] = []
        self._waiters: dict[Waiter, None] = {}
        self._joined = asyncio.Event()
        self._last_look = float("-inf")
        self._refusals = self._failures = 0
        self._poll = VaultPoll(vault_id, lambda: self.is_idle)
        self._asking: Future[dict[Waiter, tuple[PollResult, float]]] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Return whether there is no waiter left."""
        return not self._waiters

    def add(self, waiter: Waiter) -> None:
        """Take a waiter in; its first look comes soon, but leaves its shortest gap to the look before."""
        loop = asyncio.get_running_loop()
        waiter.answer_from = loop.time() + FIRST_LOOK_AFTER
        # A little later than it could be: triggers come in crowds, and not all their vaults should be asked in the same moment.
        waiter.due = max(waiter.answer_from + random.uniform(0.0, _SPREAD), self._last_look + waiter.schedule.shortest)  # noqa: S311
        self._waiters[waiter] = None
        self._joined.set()
        if self._task is None or self._task.done():
            # With a context of its own: what is logged below, say by a secrets backend, belongs to no waiter's task.
            self._task = loop.create_task(self._run(), context=contextvars.Context())

    def remove(self, waiter: Waiter) -> None:
        """Let a waiter go; the last one ends the watch."""
        self._waiters.pop(waiter, None)
        if not self._waiters and self._task is not None:
            self._task.cancel()

    # --- on the event loop --------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                await self._sleep()
                await self._look()
        except BaseException as error:
            # Nobody looks any more: whoever still waits must not wait for ever.
            broken = error if isinstance(error, Exception) else RuntimeError("The watch was cancelled.")
            for waiter in self._waiters:
                waiter.tell(PollResult(error=broken, refused=True))
            if not isinstance(error, Exception):
                raise
        finally:
            self._leave_lane()
            if self._asking is None:
                self._close()
            else:
                # A look in flight still uses the client.
                self._asking.add_done_callback(lambda _: self._close())

    async def _sleep(self) -> None:
        """Sleep until somebody's look is due; a new waiter may bring it forward, and a leaving one may put it off."""
        loop = asyncio.get_running_loop()
        spread = 0.0
        while True:
            self._joined.clear()
            wait = max(min(waiter.due for waiter in self._waiters) - loop.time(), 0.0)
            if (held := self._throttle.wait(loop.time())) > wait:
                # Those who were held up together do not come back together.
                spread = spread or random.uniform(0.0, max(held * 0.1, 1.0))  # noqa: S311 - spreads load, guards nothing
                wait = held + spread
            if wait <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._joined.wait()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        asked_at = self._last_look = loop.time()
        waiters = [waiter for waiter in self._waiters if waiter.answer_from <= asked_at]
        try:
            if self._opened is None:
                self._opened = await self._access.open()
                if (login := (self._opened.credentials, self._opened.project)) != self._login:
                    # What others were refused says nothing of these.
                    self._login, self._refusals = login, 0
                self._throttle = self._here.throttles.setdefault(self._opened.account, self._throttle)
                if self._throttle.wait(loop.time()) > 0:
                    return
            answers = await self._ask_in_thread(waiters, self._opened)
        except Exception as error:
            await self._note_failure(error, waiters, asked_at)
            return
        self._refusals = self._failures = 0
        self._throttle.answered(asked_at=asked_at)
        now = loop.time()
        for waiter, (_, gap) in answers.items():
            waiter.due = now + max(gap, SHORTEST_GAP)
        await self._tell({waiter: poll for waiter, (poll, _) in answers.items()})

    async def _ask_in_thread(self, waiters: list[Waiter], opened: Opened) -> dict[Waiter, tuple[PollResult, float]]:
        if self._lane is None:
            self._lane = _lanes.take((opened.account, opened.endpoint))
        self._asking = asking = self._lane.submit(self._ask, waiters, opened, asyncio.get_running_loop().time())
        answers = await asyncio.wrap_future(asking)
        self._asking = None
        return answers

    async def _note_failure(self, error: Exception, waiters: list[Waiter], asked_at: float) -> None:
        self._asking = None
        now = asyncio.get_running_loop().time()
        self._failures += 1
        if isinstance(error, CbrAuthenticationError):
            # What was not sent, because others were refused, shows nothing new. But where the machine has met it often enough, it persists.
            self._refusals += not error.is_local
            persists = max(self._refusals, error.refusals) >= REFUSALS_LIMIT
            # A rotated key: the next look resolves the connection again.
            self._opened = None
            self._leave_lane()
            self._close()
        else:
            # What is no error of the service is a mistake of this package, and persists.
            self._refusals = self._refusals + 1 if getattr(error, "permanent", True) else 0
            persists = self._refusals >= REFUSALS_LIMIT
        if isinstance(error, CbrThrottledError):
            self._throttle.throttled(error, asked_at=asked_at, now=now)
        for waiter in waiters:
            longest = max(waiter.schedule.shortest, min(waiter.schedule.longest, BLIND_GAP))
            gap = min(waiter.schedule.shortest * 2 ** min(self._failures - 1, 10), longest)
            waiter.due = now + max(gap * random.uniform(1.0, 1.1), SHORTEST_GAP)  # noqa: S311
        await self._tell(dict.fromkeys(waiters, PollResult(error=error, refused=persists)))

    async def _tell(self, polls: dict[Waiter, PollResult]) -> None:
        while self._secrets:
            await self._access.hide(self._secrets.pop())
        # One watch after the other: the vaults of a night may all answer in the same moment, and each wait that is told has work to do.
        async with self._here.telling:
            for waiter, poll in polls.items():
                waiter.tell(poll)
                self._here.told += 1
                if self._here.told % _BATCH == 0:
                    await asyncio.sleep(0)

    def _leave_lane(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            _lanes.give_back(lane)

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    # --- in a worker thread -------------------------------------------------------------------------------------------

    def _ask(self, waiters: list[Waiter], opened: Opened, at: float) -> dict[Waiter, tuple[PollResult, float]]:
        if self._client is None:
            # Here and not on the event loop: the first client of a process loads the HTTP libraries.
            self._client = opened.make_client(self._secrets.append)
        return self._poll.look(self._client, waiters, at)


@dataclass(slots=True)
class _Loop:
    """What the watches of one event loop share: the register, what concerns an account, and whose turn it is to tell."""

    watches: dict[Hashable, Watch] = field(default_factory=dict)
    throttles: dict[Hashable, AccountThrottle] = field(default_factory=dict)
    telling: asyncio.Lock = field(default_factory=asyncio.Lock)
    told: int = 0


_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def join(waiter: Waiter, *, connection: Hashable, region: str, project_id: str, vault_id: str, access: WatchAccess) -> Iterator[Waiter]:
    """Let a waiter share the watch of its vault, for as long as the block lasts.

    :param waiter: the waiter.
    :param connection: the connection's id.
    :param region: source region.
    :param project_id: source project.
    :param vault_id: source vault.
    :param access: how to get at the service; the first waiter's is used for all.
    :return: the waiter.
    """
    here = _loops.setdefault(asyncio.get_running_loop(), _Loop())
    # An id in capitals is the same id, and the service writes it in small letters.
    project_id, vault_id = project_id.lower(), vault_id.lower()
    key = (connection, region, project_id, vault_id)
    watch = here.watches.get(key)
    if watch is None:
        watch = here.watches[key] = Watch(vault_id, access, here)
    watch.add(waiter)
    try:
        yield waiter
    finally:
        watch.remove(waiter)
        if watch.is_idle and here.watches.get(key) is watch:
            del here.watches[key]

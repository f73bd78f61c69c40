"""The threads in which the watches look: a few of its own for each account and endpoint, so that none waits for another's dead service.

A look that hangs cannot be stopped, only left behind. So a look that takes longer than :data:`PATIENCE` gives up its place in the lane:
another thread takes the next look. Threads are daemons, outside of any pool that Python joins when it exits: a triggerer stops while looks
hang.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Lane", "Lanes"]

Result = TypeVar("Result")

WIDTH: Final = 4
"""Looks of a lane that run at the same moment, as long as none of them hangs."""

PATIENCE: Final = 0.5
"""Seconds after which a look that still runs does not hold up the next one."""

SPARES: Final = 64
"""Threads beyond the first few of each lane that all lanes together may have."""

IDLE: Final = 60.0
"""Seconds without a look after which a thread ends."""


class Lane:
    """The threads of one account and endpoint.

    :param lanes: the register that it belongs to.
    :param key: the account and endpoint.
    """

    def __init__(self, lanes: Lanes, key: Hashable) -> None:
        self.key = key
        self.users = 0
        self._lanes = lanes
        self._turn = threading.Condition()
        self._queue: deque[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = deque()
        self._began: dict[int, float] = {}
        self._threads = 0
        self._free = 0
        self._closed = False

    def submit(self, work: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Do some work in a thread, in the order in which it is asked for.

        :param work: what to do.
        :param arguments: its arguments.
        """
        future: Future[Result] = Future()
        with self._turn:
            self._queue.append((future, work, arguments))
            self._turn.notify()
            self._staff()
            if not self._threads:
                self._queue.pop()
                raise RuntimeError("No thread can be started to poll the service.")
        return future

    def close(self) -> None:
        """End the threads; one that is at work ends after it."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()

    def _staff(self) -> None:
        """Have a thread that waits for its turn, as long as anything is queued. Called with the lock held."""
        if not self._queue or self._free or not (self._threads < WIDTH or self._lanes.take_spare()):
            return
        thread = threading.Thread(target=self._work, name=f"cbr-watch-{self._threads + 1}", daemon=True)
        self._threads += 1
        self._free += 1
        try:
            thread.start()
        except RuntimeError:
            # The machine has no more; those that are there go on.
            self._forget_one()

    def _forget_one(self) -> None:
        self._free -= 1
        self._threads -= 1
        if self._threads >= WIDTH:
            self._lanes.give_spare_back()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            future, work, arguments = task
            if future.set_running_or_notify_cancel():
                try:
                    result = work(*arguments)
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)
                    del result
            del task, future, work, arguments
            with self._turn:
                del self._began[threading.get_ident()]
                self._free += 1

    def _next(self) -> tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None:
        """Return what to do next when it is its turn, or None when the thread is no longer needed."""
        with self._turn:
            idle_since = time.monotonic()
            while True:
                now = time.monotonic()
                fresh = [began for began in self._began.values() if now - began < PATIENCE]
                if self._queue and len(fresh) < WIDTH:
                    task = self._queue.popleft()
                    self._began[threading.get_ident()] = now
                    self._free -= 1
                    self._staff()
                    return task
                if not self._queue and (self._closed or self._free > 1 or now - idle_since >= IDLE):
                    break
                self._turn.wait(min(fresh) + PATIENCE - now if self._queue else IDLE)
            self._forget_one()
            if self._closed:
                # The one that still waited for its turn has nothing left to wait for either.
                self._turn.notify_all()
            return None


class Lanes:
    """The lanes of this process. Each exists as long as it is used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lanes: dict[Hashable, Lane] = {}
        self._spares = SPARES

    def take(self, key: Hashable) -> Lane:
        """Return the lane of an account and endpoint, to be given back.

        :param key: the account and endpoint.
        """
        with self._lock:
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = Lane(self, key)
            lane.users += 1
            return lane

    def give_back(self, lane: Lane) -> None:
        """Let go of a lane; the last one to do so ends its threads.

        :param lane: what :meth:`take` returned.
        """
        with self._lock:
            lane.users -= 1
            if lane.users:
                return
            del self._lanes[lane.key]
        lane.close()

    def take_spare(self) -> bool:
        """Return whether a lane may have one thread more than the first few."""
        with self._lock:
            if not self._spares:
                return False
            self._spares -= 1
            return True

    def give_spare_back(self) -> None:
        """Return what :meth:`take_spare` has allowed."""
        with self._lock:
            self._spares += 1

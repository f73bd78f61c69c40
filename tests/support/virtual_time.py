"""An event loop in virtual time: it jumps to the next timer when nothing else is left to do, so that a night takes seconds.

Looks that run in threads are waited for in real time, and take no virtual time; :class:`SlowLooks` makes them take some.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self, TypeVar

Result = TypeVar("Result")

START = 1_790_000_000.0
"""Unix time at which virtual time begins."""


class NothingLeftError(AssertionError):
    """Everybody waits, and nothing is left that could wake anybody."""


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        self._loop.note_idle()
        if self._loop.at_work:
            events = super().select(timeout if timeout is not None and timeout <= 0 else None)
        elif timeout is None:
            raise NothingLeftError
        else:
            self._loop.passed += max(timeout, 0.0)
            events = super().select(0)
        self._loop.note_busy()
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop.

    ``longest_freeze`` is the longest time that callbacks have kept it from looking at anything else, in seconds: real time, as far as this
    process was at work, in whichever of its threads. While it was not, other programs had the machine. ``longest_turn`` is the same
    without the time for which Python collected garbage, as ``collected`` tells it: a function that returns the seconds so far.
    """

    def __init__(self) -> None:
        self.passed = 0.0
        self.at_work = 0
        self.longest_freeze = self.longest_turn = 0.0
        self.collected: Callable[[], float] = float
        self._busy_since: tuple[float, float, float] | None = None
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.passed

    def unix_time(self) -> float:
        """Return virtual time as Unix time."""
        return START + self.passed

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        # Airflow's own threads, say a secrets backend's, take no virtual time either.
        self.at_work += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._note_done)
        return future

    async def shutdown_default_executor(self, *arguments: Any) -> None:
        # It waits for a thread that waits for the threads.
        self.at_work += 1
        try:
            await super().shutdown_default_executor(*arguments)
        finally:
            self.at_work -= 1

    def _note_done(self, _: object) -> None:
        self.at_work -= 1

    def note_idle(self) -> None:
        if self._busy_since is not None:
            real, worked, collected = (now - then for now, then in zip(self._clocks(), self._busy_since, strict=True))
            self.longest_freeze = max(self.longest_freeze, min(real, worked))
            self.longest_turn = max(self.longest_turn, min(real, worked) - collected)

    def note_busy(self) -> None:
        self._busy_since = self._clocks()

    def _clocks(self) -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), self.collected()


class _OneLane:
    """Stands for the lanes of a process, and is the only one."""

    def take(self, key: Hashable) -> Self:
        return self

    def give_back(self, lane: object) -> None:
        """Nothing to do."""


class InlineLooks(_OneLane):
    """Stands for the threads: a look is over as soon as it is asked for."""

    def submit(self, work: Callable[..., Result], *arguments: Any) -> Future[Result]:
        future: Future[Result] = Future()
        self.carry_out(future, work, *arguments)
        return future

    def carry_out(self, future: Future[Result], work: Callable[..., Result], *arguments: Any) -> None:
        try:
            future.set_result(work(*arguments))
        except BaseException as error:
            future.set_exception(error)


class SlowLooks(InlineLooks):
    """Stands for the threads: a look takes virtual time, and cannot be stopped once it has begun.

    :param loop: the loop.
    :param seconds: returns how long the next look takes.
    """

    def __init__(self, loop: VirtualLoop, seconds: Callable[[], float]) -> None:
        self._loop = loop
        self._seconds = seconds
        self.in_flight = 0

    def submit(self, work: Callable[..., Result], *arguments: Any) -> Future[Result]:
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        self.in_flight += 1
        self._loop.call_later(self._seconds(), self._finish, future, work, arguments)
        return future

    def _finish(self, future: Future[Any], work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.in_flight -= 1
        self.carry_out(future, work, *arguments)


class ThreadedLooks(_OneLane):
    """Real threads, which the loop waits for before it lets virtual time pass."""

    def __init__(self, loop: VirtualLoop, threads: ThreadPoolExecutor) -> None:
        self._loop = loop
        self._threads = threads

    def submit(self, work: Callable[..., Result], *arguments: Any) -> Future[Result]:
        self._loop.at_work += 1
        # A future of the loop's own: between the end of the work and its news, the loop must not let time pass.
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        done = self._threads.submit(work, *arguments)
        done.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._pass_on, done, future))
        return future

    def _pass_on(self, done: Future[Result], future: Future[Result]) -> None:
        self._loop.at_work -= 1
        error = done.exception()
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(done.result())


def run(main: Callable[[VirtualLoop], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine in a virtual loop to its end, as ``asyncio.run`` does.

    :param main: makes the coroutine.
    """
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(loop))

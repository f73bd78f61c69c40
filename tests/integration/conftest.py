"""What the tests against a served emulator share."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from airflow_cbr.emulator.switches import Switches
from airflow_cbr.emulator.world import default_world
from tests.support.emulator import EmulatorServer
from tests.support.task_run import set_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def stop_soon() -> Iterator[Callable[[EmulatorServer], None]]:
    """Stop emulators while the next tests run already: a stop takes longer than many a test. One that does not stop is an error."""
    stopping: list[Future[None]] = []
    with ThreadPoolExecutor(4) as pool:
        yield lambda server: stopping.append(pool.submit(server.__exit__, None, None, None))
    for one in stopping:
        one.result()


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch, stop_soon: Callable[[EmulatorServer], None]) -> Iterator[EmulatorServer]:
    """Serve the default world with short copies; the default connection leads to it."""
    world = default_world().model_copy(update={"switches": Switches(queue_seconds=0, copy_seconds=0.2)})
    server = EmulatorServer(world).__enter__()
    set_connection(monkeypatch, server.url)
    yield server
    stop_soon(server)

"""What the tests against a served emulator share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_cbr.emulator.switches import Switches
from airflow_cbr.emulator.world import default_world
from tests.support.emulator import EmulatorServer
from tests.support.task_run import set_connection

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    """Serve the default world with short copies; the default connection leads to it."""
    world = default_world().model_copy(update={"switches": Switches(queue_seconds=0, copy_seconds=0.2)})
    with EmulatorServer(world) as server:
        set_connection(monkeypatch, server.url)
        yield server

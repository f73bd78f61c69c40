"""The emulator as a process of its own, as a user would start it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from airflow_cbr.demo.components import Component
from airflow_cbr.demo.loopback import HOST, clean_environment, reserve_port
from airflow_cbr.demo.waiting import wait_until
from airflow_cbr.languages import translated

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["EmulatorProcess"]

# A process that dies is noticed at once; this is for one that hangs, and long enough for a machine with much else to do.
START_LIMIT: Final = 300.0
READY: Final = "CBR emulator listening on "


class EmulatorProcess(Component):
    """``airflow-cbr emulator`` on a loopback port.

    :param directory: where its log goes.
    :param port: port to listen on; 0 for any free one. Default: 0.
    :param world_file: the world to start with. Default: the emulator's own.
    """

    def __init__(self, directory: Path, *, port: int = 0, world_file: Path | None = None) -> None:
        self.url = f"http://{HOST}:{(port := reserve_port(port))}"
        command = [sys.executable, "-P", "-m", "airflow_cbr.cli", "emulator", "--host", HOST, "--port", str(port)]
        super().__init__(
            "emulator",
            [*command, "--world", str(world_file)] if world_file else command,
            environment={**clean_environment(os.environ), "PYTHONUNBUFFERED": "1"},
            directory=directory,
            log=directory / f"emulator-{port}.log",
        )

    def wait_until_ready(self, check: Callable[[], None] | None = None) -> None:
        """Wait until it accepts requests.

        :param check: called while it waits; may raise to stop it. Default: none.
        :raises DemoError: it has ended, or says nothing for five minutes.
        """

        def ready() -> bool:
            if check is not None:
                check()
            self.check()
            return f"{READY}{self.url}" in self.log.read_text(errors="replace")

        wait_until(ready, limit=START_LIMIT, what=translated("the emulator listens"))

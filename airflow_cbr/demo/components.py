"""Processes that are started with everything they start, and stopped the same way, by id."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING, Final

from airflow_cbr.demo.process_reaper import keeper
from airflow_cbr.demo.sessions import kill_session, session_members
from airflow_cbr.demo.waiting import DemoError
from airflow_cbr.languages import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

__all__ = ["Component", "ended_with", "stop_all"]

GRACE: Final = 5.0


class Component:
    """One process in a session of its own.

    A session and not a process group, because Airflow moves every task process to a group of its own: a signal to the group of the
    scheduler does not reach the tasks that it runs. The session id of a process never changes unless it asks for that, and outlives
    the parent, so the orphans of a killed component are found too.

    :param name: what it is, for messages.
    :param command: program and arguments.
    :param environment: its whole environment.
    :param directory: its working directory.
    :param log: file that receives its output, appended.
    :param user: who runs it, for a caller that may choose. Default: the caller.
    :param stop_signal: what asks it to end. Default: SIGTERM.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        log: Path,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = dict(environment)
        self.directory = directory
        self.log = log
        self.user = user
        self.stop_signal = stop_signal
        self.expected_to_run = False
        self._released = False
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; its output goes to :attr:`log`.

        :raises DemoError: the program cannot be started.
        """
        with self.log.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    self.command,
                    env=self.environment,
                    cwd=self.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    user=self.user,
                )
            except OSError as error:
                raise DemoError(translated("{name} cannot be started: {error}", name=self.name, error=error)) from error
        keeper().keep(self._process.pid)
        self.expected_to_run = True
        self._released = False

    @property
    def pid(self) -> int:
        """Return the id of the process, which is also the id of its session."""
        if self._process is None:
            raise DemoError(translated("{name} was not started", name=self.name))
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs or was never started."""
        return None if self._process is None else self._process.poll()

    def members(self) -> list[int]:
        """Return the ids of all living processes of the session: the process itself, and what it has started."""
        if self._process is None or self._released:
            return []
        self._process.poll()
        return session_members(self._process.pid)

    def signal(self, signum: int) -> None:
        """Send a signal to the process itself, and to nothing that it has started; does nothing when it is gone.

        :param signum: for example ``signal.SIGTERM``.
        """
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signum)

    def kill(self) -> None:
        """Kill every process of the session and wait until none is left, as when a machine is lost.

        :raises DemoError: a process is still there after a minute.
        """
        self.expected_to_run = False
        if self._process is None or self._released:
            return
        if remaining := kill_session(self._process.pid):
            raise DemoError(
                translated("{name} cannot be killed: processes {processes}", name=self.name, processes=", ".join(map(str, remaining)))
            )
        self._process.wait()
        keeper().release(self._process.pid)
        self._released = True  # the id may soon be somebody else's

    def tail(self, lines: int = 25, *, without: str | None = None) -> str:
        """Return the last lines of the output.

        :param lines: how many. Default: 25.
        :param without: leave out lines that contain this. Default: none.
        """
        try:
            output = self.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join([line for line in output if without is None or without not in line][-lines:])

    def check(self) -> None:
        """Raise when the process has ended although it was not stopped.

        :raises DemoError: with the exit code and the end of the output.
        """
        if self.expected_to_run and self.exit_code is not None:
            raise DemoError(ended_with(self.name, self.exit_code, self.tail()))


def ended_with(name: str, code: int | None, output: str) -> str:
    """Return what to say of a process that has ended although it was not stopped.

    :param name: what it is.
    :param code: its exit code.
    :param output: the end of its output.
    """
    return translated("{name} ended with exit code {code}; the end of its output:", name=name, code=code) + f"\n{output}"


def stop_all(components: Collection[Component], grace: float = GRACE) -> None:
    """Ask every component to end, wait, and kill what is left of their sessions.

    :param components: what to stop; one that has ended, or never started, does no harm.
    :param grace: seconds between the signal that asks and SIGKILL, for all of them together. Default: 5.
    """
    remaining = list(components)
    for component in remaining:
        component.expected_to_run = False
        component.signal(component.stop_signal)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and (remaining := [each for each in remaining if each.members()]):
        time.sleep(0.1)
    for component in components:
        component.kill()

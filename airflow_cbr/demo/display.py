"""What the demo shows: a bar for each record on a terminal, plain lines elsewhere, and a block of lines for each backup at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from airflow_cbr.demo.copies import CopyRow

__all__ = ["CopyProgress", "copy_blocks", "make_console"]

# Nobody reads a log in which ids are broken into pieces.
PLAIN_WIDTH: Final = 170
STEP: Final = 25.0


def make_console() -> Console:
    """Return the console of the demo; what is not a terminal gets wide lines."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


class CopyProgress:
    """Shows how the copies come along; a context manager.

    :param console: where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[str, tuple[str, float]] = {}
        self._started = time.monotonic()
        self._tasks: dict[str, TaskID] = {}
        self._bars: Progress | None = None
        if console.is_terminal:
            self._bars = Progress(
                TextColumn("  {task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", min_width=12)),
                BarColumn(bar_width=None, table_column=Column(min_width=6, ratio=1)),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[status]}"),
                TimeElapsedColumn(),
                console=console,
            )

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def show(self, copies: Iterable[CopyRow]) -> None:
        """Show the present state; on a terminal the bars move, elsewhere a line says what has changed.

        :param copies: the state of every copy.
        """
        for copy in copies:
            if copy.record_id is None:
                continue
            if self._bars is None:
                self._say(copy)
                continue
            task = self._tasks.get(copy.record_id)
            if task is None:
                task = self._tasks[copy.record_id] = self._bars.add_task(copy.name, total=100, status="")
            self._bars.update(task, completed=copy.progress, status=copy.status)

    def _say(self, copy: CopyRow) -> None:
        state = (copy.status or "", copy.progress - copy.progress % STEP)
        if self._said.get(copy.backup_id) == state:
            return
        self._said[copy.backup_id] = state
        self._console.print(f"  {time.monotonic() - self._started:5.1f} s  {copy.name}  {copy.status}  {copy.progress:.0f} %")


def copy_blocks(copies: Iterable[CopyRow], region: str) -> str:
    """Return a block of lines for each backup: what it is of, and its ids, each whole on a line of its own and easy to copy.

    :param copies: the final state.
    :param region: the destination region.
    """
    blocks = []
    for copy in copies:
        verdict = "verified" if copy.arrived else "NOT VERIFIED"
        blocks.append(
            f"  {copy.resource}: {copy.status or 'no copy'}, {verdict} in {region}\n"
            f"    name     {copy.name}\n"
            f"    backup   {copy.backup_id}\n"
            f"    record   {copy.record_id or 'none'}\n"
            f"    replica  {copy.replica_id or 'none'}"
        )
    return "\n".join(blocks)

"""What the demo shows: a bar for each record on a terminal, plain lines elsewhere, and blocks of lines at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from airflow_cbr.languages import translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    from airflow_cbr.demo.copies import CopyRow

__all__ = ["CopyProgress", "copy_blocks", "labelled", "make_console", "verdict"]

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
        said = {"resource": copy.resource, "status": copy.status or translated("no copy"), "region": region}
        blocks.append(
            "  "
            + (
                translated("{resource}: {status}, verified in {region}", **said)
                if copy.arrived
                else translated("{resource}: {status}, NOT VERIFIED in {region}", **said)
            )
        )
        none = translated("none")
        rows = [
            (translated("name"), copy.name),
            (translated("backup"), copy.backup_id),
            (translated("record"), copy.record_id or none),
            (translated("replica"), copy.replica_id or none),
        ]
        blocks += [f"    {line}" for line in labelled(rows)]
    return "\n".join(blocks)


def labelled(rows: Sequence[tuple[str, str]], gap: int = 2) -> list[str]:
    """Return lines in which what is labelled stands in one column; a Chinese character is as wide as two others.

    :param rows: label and what it labels.
    :param gap: columns after the widest label. Default: 2.
    """
    width = max(cell_len(label) for label, _ in rows) + gap
    return [f"{label}{' ' * (width - cell_len(label))}{text}" for label, text in rows]


def verdict(line: str, style: str) -> Text:
    """Return a line whose verdict, which is what stands before the first colon, is in a style.

    :param line: the line, in the reader's language.
    :param style: of rich.
    """
    end = min((at for colon in (":", "：") if (at := line.find(colon)) >= 0), default=len(line))
    text = Text(line)
    text.stylize(style, 0, end)
    return text

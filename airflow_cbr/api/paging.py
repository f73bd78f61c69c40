"""Walking through a list that changes while it is read.

CBR pages by ``offset``, and its lists are sorted newest first. A row that appears while a list is read pushes the others on, so that
one comes twice; a row that disappears pulls the others back, so that one would be skipped, and a skipped backup is a backup that is
not copied. Therefore each page overlaps the one before by a row: as long as a page shows a row that is known, nothing lies between
the two. Otherwise the walk steps back until it finds one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, TypeVar

from airflow_cbr.exceptions import CbrProtocolError

__all__ = ["Page", "walk"]

_REMEMBERED = 2000
"""At least this many of the last rows' ids are remembered, and at most about twice as many: memory does not grow with the list."""
_IDLE_LIMIT: Final = 20


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


Row = TypeVar("Row", bound=_Identified)
Page = tuple[Sequence[Row], int | None]
"""The rows of a page, and the number of rows in the whole list if the service said it."""


def walk(
    fetch: Callable[[int, int], Page[Row]], *, page_size: int, call: str, on_repeat: Callable[[Row], object] | None = None
) -> Iterator[Row]:
    """Yield every row of a list once.

    A row that is in the list from the first request to the last is yielded exactly once, whatever appears or disappears around it, as
    long as the rows that stay keep their order. A row that appears or disappears meanwhile may be missing. A list that fits into one
    page costs one request.

    :param fetch: asks for the page at ``offset`` with at most ``limit`` rows.
    :param page_size: rows per page, at least 1. The service may cap it.
    :param call: the call's name in the API reference, for messages.
    :param on_repeat: called with every row that is read and not yielded: a row that is listed again, whatever it says then.
        Default: none.
    :raises CbrProtocolError: the service repeats a page for ever, or rows disappear faster than they can be read.
    """
    # One row of each page is the overlap: a page of one would never get on.
    limit = max(2, page_size)
    recent: set[str] = set()
    older: set[str] = set()
    forgotten = False
    may_forget = True
    offset = idle = longest = 0
    at_last_row = False
    while True:
        rows, count = fetch(offset, limit)
        if not rows and (offset == 0 or at_last_row):
            return
        longest = max(longest, len(rows))
        known = [row.id in recent or row.id in older for row in rows]
        overlaps = True in known
        if not overlaps and offset > 0:
            # Rows before this page have disappeared and pulled others back, past the end of the page before.
            offset = max(0, offset - max(1, longest - 1))
            at_last_row = False
            continue
        if not overlaps and (recent or older):
            if forgotten:
                raise CbrProtocolError(f"{call}: the list changes faster than it can be read; none of the last rows is listed any more.")
            # Begin again, and remember everything: where in the list the rows stand that are known by now is not.
            may_forget = False

        # What stands before the first known row was yielded long ago, or is new.
        first = known.index(True) if overlaps else 0
        fresh = {row.id: row for row, is_known in zip(rows[first:], known[first:], strict=True) if not is_known}
        if on_repeat is not None and len(fresh) < len(rows):
            # Mostly the one row by which the page overlaps the one before.
            is_overlap_alone = overlaps and len(fresh) == len(rows) - 1
            for row in (rows[first],) if is_overlap_alone else [row for row in rows if fresh.get(row.id) is not row]:
                on_repeat(row)
        at_last_row = not fresh and len(rows) == 1
        if fresh:
            idle = 0
            if may_forget and len(recent) >= _REMEMBERED:
                forgotten = forgotten or bool(older)
                older, recent = recent, set()
            recent.update(fresh)
            yield from fresh.values()
        else:
            idle += 1
            if idle > _IDLE_LIMIT:
                raise CbrProtocolError(f"{call}: the service returns the same rows again and again.")
        if len(rows) < limit and count is not None and count <= offset + len(rows):
            return
        offset += len(rows) if at_last_row else len(rows) - 1

"""Sizes, durations and rates as a message says them: the last line of a task is read by somebody who has just got up."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_cbr.inventory.coverage import BackupCoverage

__all__ = ["duration_text", "gb_of", "gb_text", "known_gb_of", "rate_text"]

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_MB_PER_GB: Final = 1000


def gb_of(backups: Iterable[BackupCoverage]) -> float:
    """Return the nominal size of backups in GB: of their disks, so an upper bound of what a copy moves. One without a size counts as 0.

    :param backups: the backups.
    """
    return sum(one.backup.resource_size or 0 for one in backups)


def known_gb_of(backups: Iterable[BackupCoverage]) -> float | None:
    """Return the same; None when the service does not say the size of one, or says what no size can be.

    :param backups: the backups.
    """
    sizes = [one.backup.resource_size for one in backups]
    known = [float(size) for size in sizes if size is not None and 0 <= size < math.inf]
    return sum(known) if len(known) == len(sizes) else None


def gb_text(gb: float | None) -> str:
    """Return GB in words: ``120 GB``, ``0.5 GB``, or ``an unknown number of GB``.

    :param gb: GB, or None.
    """
    if gb is None:
        return "an unknown number of GB"
    return f"{round(gb, 1):.12g} GB"


def duration_text(seconds: float) -> str:
    """Return a duration by its two largest units: ``42 s``, ``12 min 5 s``, ``1 d 3 h``; what is below a second is ``0 s``.

    :param seconds: seconds; below zero counts as zero.
    """
    left = max(int(seconds), 0)
    for place, (size, name) in enumerate(_UNITS):
        if left >= size:
            rest = left % size // _UNITS[place + 1][0] if place + 1 < len(_UNITS) else 0
            return f"{left // size} {name}" + (f" {rest} {_UNITS[place + 1][1]}" if rest else "")
    return "0 s"


def rate_text(gb: float, seconds: float) -> str | None:
    """Return how much was moved in a second, in MB to three digits, or None where nothing was, or in no time.

    :param gb: GB that were moved.
    :param seconds: in which time.
    """
    if gb <= 0 or seconds < 1:
        return None
    # By way of Decimal, since nobody reads 2e+04 in the morning.
    return f"{Decimal(f'{gb * _MB_PER_GB / seconds:.3g}'):f} MB/s"

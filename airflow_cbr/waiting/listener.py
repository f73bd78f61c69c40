"""One who waits for copies that somebody else starts: it is told of every copy out of a vault, look by look, as long as it listens."""

from __future__ import annotations

from typing import Final

from airflow_cbr.waiting.waiter import Waiter

__all__ = ["Listener"]

_SPREAD: Final = 1.1


class Listener(Waiter):
    """Shares the looks at a vault, for the time of a :func:`~airflow_cbr.waiting.watch.join`, and never has enough.

    :param every: seconds between two looks.
    """

    __slots__ = ()

    def __init__(self, *, every: float) -> None:
        super().__init__((), shortest=every, longest=every * _SPREAD)

"""How long to wait after a passing failure."""

from __future__ import annotations

__all__ = ["backoff"]


def backoff(times: int, *, shortest: float, longest: float, asked: float | None = None) -> float:
    """Return the seconds until the next try: they double with each failure in a row.

    :param times: failures in a row, this one included.
    :param shortest: the first gap in seconds.
    :param longest: the longest gap in seconds.
    :param asked: seconds that the service asks to wait, which is never cut short. Default: it does not say.
    """
    gap: float = min(shortest * 2 ** min(times - 1, 10), longest)
    return max(gap, asked or 0.0)

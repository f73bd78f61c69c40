"""How long what a caller does may go on asking the service: a bound from outside, over all calls made inside it.

The client's own bounds are about one exchange (its timeouts) and one call (its retry budget). A task that has a timeout of its own, of
which little is left, puts the rest around its calls, and none of them outlasts it, whatever the service does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

__all__ = ["seconds_left", "within"]

_UNTIL: Final[ContextVar[float]] = ContextVar("until", default=math.inf)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let no exchange and no pause of a client last longer than this, for as long as the block is running.

    It holds in this thread, or in this asyncio task, and for every client. An inner bound can only be narrower than an outer one. A list is
    asked for page by page where it is walked through, and so is bounded where that is done. What cannot be sent, answered or repeated in
    time raises the error that it would raise at the end of its own time.

    :param seconds: from now. What is not above 0 lets nothing be sent any more.
    """
    token = _UNTIL.set(min(_UNTIL.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _UNTIL.reset(token)


def seconds_left() -> float:
    """Return how long the narrowest bound around this point still lasts; infinite without any."""
    return _UNTIL.get() - time.monotonic()

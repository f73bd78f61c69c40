"""Publishing what a task is responsible for: as soon as it is known, and again when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from enum import StrEnum

__all__ = ["Publisher"]


class Publisher:
    """Publishes what changed.

    :param publish: called with what is published.
    :param step: how the step is marked.
    :param at: marks the step, so that a test can stop there.
    """

    def __init__(self, publish: Callable[..., None], step: StrEnum, *, at: Callable[[Any], AbstractContextManager[None]]) -> None:
        self._publish = publish
        self._step = step
        self._at = at
        self._told: tuple[Any, ...] | None = None

    def tell(self, *said: Any) -> None:
        """Publish, unless the same was published before.

        :param said: what is published.
        """
        if self._told != said:
            with self._at(self._step):
                self._publish(*said)
            self._told = said

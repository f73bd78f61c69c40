"""Where an asset watcher keeps its place: Airflow's store for the state of assets (3.3 and newer)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["CursorStore"]

RETRY_AFTER: Final = 30.0
"""Seconds until the store is read again after an error."""


class CursorStore:
    """The cursor of one watcher.

    :param stores: what Airflow gives a trigger: the stores of the assets that it watches for. None before Airflow 3.3.
    :param key: names the cursor among those of an asset.
    :param log: takes the lines.
    """

    def __init__(self, stores: Any, key: str, *, log: Any) -> None:
        self._stores: Sequence[Any] = () if stores is None else _each_of(stores)
        self._key = key
        self._log = log

    @property
    def is_there(self) -> bool:
        """Return whether anything can be kept."""
        return bool(self._stores)

    async def load(self) -> Any:
        """Return what was kept last, or None; waits as long as the store cannot be read, since without its place a watcher would skip."""
        while True:
            try:
                for store in self._stores:
                    if (kept := await _call(store, "get", self._key)) is not None:
                        return kept
                return None
            except Exception as error:
                # The text may be a store's, and quote anything.
                self._log.warning("The watcher's cursor could not be read (%s); trying again in %.0f s", type(error).__name__, RETRY_AFTER)
                await asyncio.sleep(RETRY_AFTER)

    async def save(self, cursor: Any) -> bool:
        """Keep a cursor.

        :param cursor: plain JSON.
        :return: whether it is kept; an error is logged.
        """
        try:
            for store in self._stores:
                await _call(store, "set", self._key, cursor)
        except Exception as error:
            self._log.warning("The watcher's cursor could not be kept (%s); a restart may repeat the last event", type(error).__name__)
            return False
        return True


def _each_of(stores: Any) -> Sequence[Any]:
    """Return the store of each asset: two may have the same watcher, and Airflow's own short form takes one only."""
    by_asset = [store for name in ("_by_name", "_by_uri") for store in getattr(stores, name, {}).values()]
    return by_asset or (stores,)


async def _call(store: Any, name: str, *arguments: Any) -> Any:
    if (awaitable := getattr(store, f"a{name}", None)) is not None:
        return await awaitable(*arguments)
    from asgiref.sync import sync_to_async

    blocking: Callable[..., Any] = getattr(store, name)
    return await sync_to_async(blocking, thread_sensitive=False)(*arguments)

"""Evidence in memory, in a store that takes whatever it is given: as a bucket that cannot refuse a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cbr.evidence.file import digest_of
from airflow_cbr.evidence.folder import name_of

if TYPE_CHECKING:
    from collections.abc import Callable


class BareStore:
    """A store whose names are unique by their digest.

    :param between: is called between a writer's look and what it writes. Default: nothing.
    """

    def __init__(self, between: Callable[[], None] = lambda: None) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.between = between

    def pairs(self) -> list[str]:
        """Return the folders."""
        return sorted(self.files)

    def names(self, pair: str) -> list[str]:
        """Return the names of the files."""
        return sorted(self.files.get(pair, {}))

    def read(self, pair: str, name: str) -> bytes:
        """Return a file."""
        return self.files[pair][name]

    def create(self, pair: str, number: int, data: bytes) -> str | None:
        """Take a file."""
        self.between()
        name = name_of(number, digest_of(data)[:12])
        self.files.setdefault(pair, {})[name] = data
        return name

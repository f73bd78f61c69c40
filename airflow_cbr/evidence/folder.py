"""Where evidence is kept: a folder for each vault pair, in it a file for each number, made whole or not at all, and never twice."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EvidenceStore", "FolderStore", "name_of", "number_of"]

_NAME: Final = re.compile(r"(\d{8})(?:-[0-9a-f]{12})?\.json")
_UNFINISHED: Final = ".part"


def name_of(number: int, unique: str = "") -> str:
    """Return the name of a file, by which a folder is sorted as the chain is.

    :param number: its number in the chain.
    :param unique: twelve hex digits, where the store itself cannot keep two writers from the same name. Default: none.
    """
    return f"{number:08d}{unique and f'-{unique}'}.json"


def number_of(name: str) -> int | None:
    """Return the number in a file's name; None for a file that is no evidence.

    :param name: the name.
    """
    found = _NAME.fullmatch(name)
    return None if found is None else int(found[1])


class EvidenceStore(Protocol):
    """What evidence is written to and read from."""

    def pairs(self) -> list[str]:
        """Return the folders of the vault pairs, sorted."""

    def names(self, pair: str) -> list[str]:
        """Return the names of the files of a vault pair, sorted; none where there is no folder yet.

        :param pair: its folder.
        """

    def read(self, pair: str, name: str) -> bytes:
        """Return a file.

        :param pair: the folder.
        :param name: the file.
        """

    def create(self, pair: str, number: int, data: bytes) -> str | None:
        """Make a file that is there as a whole when this returns, and return its name; None when another has taken the number.

        :param pair: the folder.
        :param number: of the file in the chain.
        :param data: the file.
        """


class FolderStore:
    """A folder of this machine, or of a network file system that has hard links, such as NFS.

    :param folder: the folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def __str__(self) -> str:
        """Return the folder."""
        return str(self._folder)

    def pairs(self) -> list[str]:
        """Return the folders of the vault pairs, sorted."""
        return sorted(entry.name for entry in os.scandir(self._folder) if entry.is_dir())

    def names(self, pair: str) -> list[str]:
        """Return the names of the files of a vault pair, sorted; none where there is no folder yet.

        :param pair: its folder.
        """
        try:
            return sorted(name for name in os.listdir(self._folder / pair) if not name.endswith(_UNFINISHED))
        except FileNotFoundError:
            return []

    def read(self, pair: str, name: str) -> bytes:
        """Return a file.

        :param pair: the folder.
        :param name: the file.
        """
        return (self._folder / pair / name).read_bytes()

    def create(self, pair: str, number: int, data: bytes) -> str | None:
        """Make a file that is on the disk as a whole when this returns, and return its name; None when another has taken the number.

        A hard link gives a whole file its name, and is refused where the name is taken: that decides between two writers, also on
        NFS. What a killed writer leaves behind has no name of evidence.

        :param pair: the folder.
        :param number: of the file in the chain.
        :param data: the file.
        """
        folder, name = self._folder / pair, name_of(number)
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{name}.{uuid4().hex}{_UNFINISHED}"
        try:
            _write(unfinished, data)
            if not _link(unfinished, folder / name):
                return None
        finally:
            unfinished.unlink(missing_ok=True)
        # Two names may be new: the file's in its folder, and the folder's in the one above.
        for place in (folder, self._folder):
            with _opened(place, os.O_RDONLY) as descriptor:
                os.fsync(descriptor)
        return name


@contextmanager
def _opened(path: Path, flags: int, mode: int = 0) -> Iterator[int]:
    descriptor = os.open(path, flags, mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes) -> None:
    # Nobody, not even its owner, has a reason to write to it again.
    with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444) as descriptor:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)


def _link(unfinished: Path, target: Path) -> bool:
    try:
        os.link(unfinished, target)
    except FileExistsError:
        # A server of NFS may have carried out the call, and lost its answer: then the name is ours, and the file has two.
        return unfinished.stat().st_nlink > 1
    return True

"""Evidence in Airflow's object storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from airflow_cbr.evidence.file import digest_of
from airflow_cbr.evidence.folder import FolderStore, name_of

if TYPE_CHECKING:
    from airflow_cbr.evidence.folder import EvidenceStore

__all__ = ["ObjectStore", "store_at"]

_UNIQUE_DIGITS = 12


def store_at(path: str) -> EvidenceStore:
    """Return where evidence is kept.

    :param path: a folder, or a URL as ``ObjectStoragePath`` takes it, for example ``s3://aws_default@bucket/evidence``.
    """
    if "://" not in path:
        return FolderStore(path)
    url = urlsplit(path)
    if url.scheme == "file":
        # A file of this machine can be made whole or not at all, which no object storage need know how to do.
        return FolderStore(url2pathname(url.path))
    return ObjectStore(path)


class ObjectStore:
    """A bucket, or a part of one. What is put there is there as a whole, but not every service can refuse a name that is taken.

    OBS for one replaces the object. So each name carries the beginning of its digest, and two writers never have the same.

    :param url: as ``ObjectStoragePath`` takes it.
    """

    def __init__(self, url: str) -> None:
        from airflow.sdk import ObjectStoragePath

        self._url = url
        root = ObjectStoragePath(url)
        self._files: Any = root.fs
        self._root = str(root.path).rstrip("/")

    def __str__(self) -> str:
        """Return the URL."""
        return self._url

    def pairs(self) -> list[str]:
        """Return the folders of the vault pairs, sorted.

        :raises FileNotFoundError: there is nothing at all.
        """
        self._files.invalidate_cache()
        return sorted(_last(entry["name"]) for entry in self._files.ls(self._root, detail=True) if entry["type"] == "directory")

    def names(self, pair: str) -> list[str]:
        """Return the names of the files of a vault pair, sorted; none where there are none yet.

        :param pair: its folder.
        """
        # A list from before would hide what another process has written since.
        self._files.invalidate_cache()
        try:
            return sorted(_last(entry["name"]) for entry in self._files.ls(f"{self._root}/{pair}", detail=True) if entry["type"] == "file")
        except FileNotFoundError:
            return []

    def read(self, pair: str, name: str) -> bytes:
        """Return a file.

        :param pair: the folder.
        :param name: the file.
        """
        return bytes(self._files.cat_file(f"{self._root}/{pair}/{name}"))

    def create(self, pair: str, number: int, data: bytes) -> str | None:
        """Put an object, and return its name.

        :param pair: the folder.
        :param number: of the file in the chain; several may have it.
        :param data: the file.
        """
        name = name_of(number, digest_of(data)[:_UNIQUE_DIGITS])
        self._files.pipe_file(f"{self._root}/{pair}/{name}", data)
        return name


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]

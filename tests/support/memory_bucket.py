"""A bucket in the memory of the test's process, which Airflow's object storage knows as ``memory://``."""

from __future__ import annotations

from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem


def empty_bucket() -> str:
    """Empty the bucket, and return its URL."""
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    attach("memory", fs=MemoryFileSystem())
    return "memory://bucket"

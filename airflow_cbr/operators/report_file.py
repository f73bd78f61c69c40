"""Where the report of a verification is written, and how."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_cbr.airflow_names import conf

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cbr.verification.document import Writable
    from airflow_cbr.verification.report import Report

__all__ = ["default_path", "write_report"]


def default_path(context: Context) -> str:
    """Return the path for a report that is too large for XCom when ``report_path`` is not set.

    Beside the task's log: Airflow may write there on every worker, and whatever rotates or ships the logs takes care of it too.

    :param context: the task's context.
    """
    ti, task = context["ti"], context["task"]
    parts = [f"dag_id={task.dag_id}", f"run_id={context['run_id']}", f"task_id={task.task_id}"]
    map_index = getattr(ti, "map_index", -1)
    if isinstance(map_index, int) and map_index >= 0:
        parts.append(f"map_index={map_index}")
    parts.append(f"attempt={ti.try_number}.verification.json")
    folder = conf.get("logging", "base_log_folder")
    return str(Path(folder, *(re.sub(r"[^\w.~:+=@-]", "_", part) for part in parts)))


class _Digested:
    """Passes bytes on, and knows the digest of all of them."""

    def __init__(self, file: Writable) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def write_report(report: Report, path: str) -> str:
    """Write a report as a file, streamed.

    :param report: the report.
    :param path: a path of this machine, whose folders are made and whose file appears when it is whole, or a URL as
        ``ObjectStoragePath`` takes it, for example ``s3://aws_default@bucket/report.json``.
    :return: the SHA-256 of the file.
    :raises OSError: the file cannot be written.
    """
    from airflow_cbr.verification.document import write

    if "://" in path:
        from airflow.sdk import ObjectStoragePath

        with ObjectStoragePath(path).open("wb") as remote:  # type: ignore[no-untyped-call]
            write(report, digested := _Digested(remote), path)
        return digested.sha256
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            write(report, digested := _Digested(file), path)
        unfinished.replace(target)
        return digested.sha256
    finally:
        unfinished.unlink(missing_ok=True)

"""How often the tasks of the demo look, and how soon they retry.

The operator's own pace is made for copies that take hours; the emulator's take seconds. A cluster policy changes it
(``airflow_local_settings.py`` in ``AIRFLOW_HOME``), so the example Dags stay as users run them.
"""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DEMO_INTERVAL", "install_intervals", "set_intervals"]

DEMO_INTERVAL: Final = 1.0
INTERVALS: Final = ("poll_interval", "max_poll_interval")

_SETTINGS: Final = """\
from airflow_cbr.demo.intervals import set_intervals


def task_policy(task):
    set_intervals(task, {seconds})
"""


def install_intervals(home: Path, seconds: float) -> None:
    """Make every waiting task of an Airflow look at a fixed pace.

    :param home: its folder (``AIRFLOW_HOME``).
    :param seconds: time between two looks.
    """
    folder = home / "config"
    folder.mkdir(exist_ok=True)
    (folder / "airflow_local_settings.py").write_text(_SETTINGS.format(seconds=seconds))


def set_intervals(task: Any, seconds: float) -> None:
    """Set the intervals of a task that waits, and the pause before a retry of any task; in a mapped one, its common arguments.

    :param task: an operator, or a mapped operator.
    :param seconds: time between two looks, and before a retry.
    """
    values = {**dict.fromkeys(INTERVALS, seconds), "retry_delay": timedelta(seconds=seconds)}
    if isinstance(mapped := getattr(task, "partial_kwargs", None), dict):
        accepted = {*inspect.signature(task.operator_class).parameters, "retry_delay"}
        mapped.update({name: value for name, value in values.items() if name in accepted})
        return
    for name, value in values.items():
        if hasattr(task, name):
            setattr(task, name, value)

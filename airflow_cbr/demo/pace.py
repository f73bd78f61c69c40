"""How often the tasks of the demo look: the operator's own pace is made for copies that take hours, the emulator's take seconds.

A cluster policy does it (``airflow_local_settings.py`` in ``AIRFLOW_HOME``), so the example Dags stay as users run them.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DEMO_PACE", "install_pace", "set_pace"]

DEMO_PACE: Final = 1.0
INTERVALS: Final = ("poll_interval", "max_poll_interval")

_SETTINGS: Final = """\
from airflow_cbr.demo.pace import set_pace


def task_policy(task):
    set_pace(task, {seconds})
"""


def install_pace(home: Path, seconds: float) -> None:
    """Make every waiting task of an Airflow look at a fixed pace.

    :param home: its folder (``AIRFLOW_HOME``).
    :param seconds: time between two looks.
    """
    folder = home / "config"
    folder.mkdir(exist_ok=True)
    (folder / "airflow_local_settings.py").write_text(_SETTINGS.format(seconds=seconds))


def set_pace(task: Any, seconds: float) -> None:
    """Set the intervals of a task that waits, in a mapped one its common arguments; leave any other task alone.

    :param task: an operator, or a mapped operator.
    :param seconds: time between two looks.
    """
    for name in INTERVALS:
        if isinstance(mapped := getattr(task, "partial_kwargs", None), dict):
            if name in inspect.signature(task.operator_class).parameters:
                mapped[name] = seconds
        elif hasattr(task, name):
            setattr(task, name, seconds)

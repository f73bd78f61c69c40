"""Python in a process of its own, to see what a module loads, and Airflow's commands."""

from __future__ import annotations

import os
import subprocess
import sys


def run_python(*arguments: str, limit: float = 120) -> str:
    """Run this interpreter and return what it prints.

    Airflow's unit test mode is left out: Airflow announces it on stdout, and the commands should behave as they do for users.

    :param limit: seconds that it may take.
    """
    environment = {name: value for name, value in os.environ.items() if name != "AIRFLOW__CORE__UNIT_TEST_MODE"}
    run = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=limit)
    assert run.returncode == 0, run.stderr
    return run.stdout

"""What the Makefile has and would do, asked of make itself."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def make_plan(*arguments: str) -> str:
    """Return the commands that make would run, without running them."""
    return _make("--dry-run", *arguments, check=True)


@cache
def make_targets() -> frozenset[str]:
    """Return the targets that are commands, those of each line of Airflow too."""
    # --question: nothing is made, and the exit status says whether something would be.
    (names,) = re.findall(r"^\.PHONY: (.+)$", _make("--question", "--print-data-base", check=False), re.MULTILINE)
    return frozenset(names.split())


def _make(*arguments: str, check: bool) -> str:
    # The tests may run below a make, whose flags are not meant for this one.
    environment = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=check).stdout

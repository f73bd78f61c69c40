"""A machine that has seen nothing yet: no token, and no login that was refused, neither in this process nor in the files that all share."""

from __future__ import annotations

import os
import shutil

from airflow_cbr.api import auth, brake
from airflow_cbr.api.tallies import DIRECTORY_VARIABLE


def new_machine() -> None:
    """Forget what outlives a client; tokens of another service are worth nothing here, and its refusals are none of this one's."""
    auth._TOKENS.clear()
    auth._PROJECT_IDS.clear()
    brake.forget()
    shutil.rmtree(os.environ[DIRECTORY_VARIABLE], ignore_errors=True)

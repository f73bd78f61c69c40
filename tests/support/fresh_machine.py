"""A machine that has seen nothing yet: no token, and no login that was refused, neither in this process nor in the files that all share."""

from __future__ import annotations

import os
import shutil

from airflow_cbr.api import brake, projects, sign_in, tokens
from airflow_cbr.api.tallies import DIRECTORY_VARIABLE


def new_machine() -> None:
    """Forget what outlives a client; tokens of another service are worth nothing here, and its refusals are none of this one's."""
    tokens._TOKENS.clear()
    projects._PROJECT_IDS.clear()
    sign_in.KEYS.clear()
    brake.forget()
    shutil.rmtree(os.environ[DIRECTORY_VARIABLE], ignore_errors=True)

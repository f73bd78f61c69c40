"""Where keys come from that nobody has to keep: one module for each way, which is found here.

A module defines one class with the word of extra ``auth_type`` that names it, and how it asks for a key
(:class:`~airflow_cbr.api.sign_in.KeySource`). What the ways have in common (keeping, renewing, telling which step failed)
is elsewhere, and knows none of them.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Final

from airflow_cbr.api.credential_sources.base import IssuedSource

__all__ = ["SOURCES"]

SOURCES: Final[dict[str, type[IssuedSource]]] = {}
"""The ways, by the word of extra ``auth_type``."""

for _found in pkgutil.iter_modules(__path__, f"{__name__}."):
    for _class in vars(importlib.import_module(_found.name)).values():
        if (
            isinstance(_class, type)
            and issubclass(_class, IssuedSource)
            and _class.__module__ == _found.name
            and "auth_type" in vars(_class)
        ):
            SOURCES[_class.auth_type] = _class

"""Keys in a connection's extra that mean nothing here: a misspelt one would go unseen, and its default take its place."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.endpoints import SERVICES
from airflow_cbr.hooks.sign_in import SignInFields

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["KNOWN_EXTRAS", "unknown_extras", "warn_of_unknown"]

logger = logging.getLogger(__name__)

KNOWN_EXTRAS: Final = frozenset(
    {
        "auth_type",
        "cloud",
        "console",
        "domain_name",
        "project_id",
        "region",
        "security_token",
        "verify",
        *(f"{service}_endpoint" for service in SERVICES),
        *SignInFields.names(),
    }
)
"""The extras that are read; the form has a field for each."""

_LONGEST: Final = 40
_warned: set[tuple[str, str]] = set()


def unknown_extras(names: Iterable[object]) -> list[str]:
    """Return a text for each key that is not known, with the nearest one that is; no value is looked at.

    :param names: the keys of an extra.
    """
    # Only a wrong connection needs it, and it takes as long to import as all else that reads one.
    import difflib

    found = []
    for name in names:
        key = name if isinstance(name, str) else str(name)
        if key in KNOWN_EXTRAS:
            continue
        near = difflib.get_close_matches(key[:_LONGEST].lower().replace("-", "_"), KNOWN_EXTRAS, n=1)
        found.append(f"extra has the unknown key {key[:_LONGEST]!a}, which is not used" + (f"; did you mean {near[0]}?" if near else "."))
    return found


def warn_of_unknown(conn_id: str, texts: Iterable[str]) -> None:
    """Log a warning for each text, once in the life of a process.

    :param conn_id: the connection.
    :param texts: from :func:`unknown_extras`.
    """
    for text in texts:
        if (conn_id, text) not in _warned:
            _warned.add((conn_id, text))
            logger.warning("Connection %s: %s", conn_id, text)

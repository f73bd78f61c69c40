"""The query parameters of lists: read strictly, so that a client's mistake is refused and not overlooked."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from airflow_cbr.emulator.error_responses import cbr

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow_cbr.emulator.exchange import Call
    from airflow_cbr.emulator.store import Backup

GREATEST_PAGE: Final = 1000
GREATEST_OFFSET: Final = 2**31 - 1
"""Offsets are published as numbers of 32 bits."""
_WHOLE: Final = re.compile(r"[0-9]{1,18}")
_SORT_KEYS: Final[dict[str, Callable[[Backup], str | float]]] = {
    "created_at": lambda backup: backup.created_at,
    "updated_at": lambda backup: backup.updated_at,
    "name": lambda backup: backup.name,
    "status": lambda backup: backup.status,
    "protected_at": lambda backup: backup.protected_at or 0.0,
    "id": lambda backup: backup.id,
}


def whole(call: Call, name: str, default: int, least: int, most: int) -> int:
    """Return a whole number.

    :param call: the call.
    :param name: the parameter.
    :param default: what counts when it is not there.
    :param least: smallest legal value.
    :param most: greatest legal value.
    :raises Refusal: 9900.
    """
    text = call.asked(name)
    if text is None:
        return default
    if _WHOLE.fullmatch(text) is None or not least <= int(text) <= most:
        raise cbr("9900", f"Parameter check failed: {name} is out of range.")
    return int(text)


def page(call: Call) -> tuple[int, int]:
    """Return ``(offset, limit)``; offset is the index of a row.

    :param call: the call.
    :raises Refusal: 9900.
    """
    return whole(call, "offset", 0, 0, GREATEST_OFFSET), whole(call, "limit", GREATEST_PAGE, 1, GREATEST_PAGE)


def flag(call: Call, name: str) -> bool | None:
    """Return a truth value, or None when it is not asked for.

    :param call: the call.
    :param name: the parameter.
    :raises Refusal: 9900.
    """
    text = call.asked(name)
    if text is None:
        return None
    if text.lower() not in ("true", "false"):
        raise cbr("9900", f"Parameter check failed: {name} must be true or false.")
    return text.lower() == "true"


def moment(call: Call, name: str) -> float | None:
    """Return a time, which must be written ``YYYY-MM-DDTHH:MM:SSZ``, or None.

    :param call: the call.
    :param name: the parameter.
    :raises Refusal: 9900.
    """
    text = call.asked(name)
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise cbr("9900", f"Parameter check failed: {name} must be like 2018-02-01T12:00:00Z.") from None


def words(call: Call, name: str, allowed: Collection[str]) -> frozenset[str]:
    """Return the values of a repeatable parameter.

    :param call: the call.
    :param name: the parameter.
    :param allowed: the documented words.
    :raises Refusal: 9900.
    """
    found = frozenset(value for key, value in call.query if key == name)
    strange = found.difference(allowed)
    if strange:
        raise cbr("9900", f"Parameter check failed: {name} {min(strange)} is unknown.")
    return found


def sort_backups(rows: list[Backup], text: str | None) -> list[Backup]:
    """Sort backups as ``sort`` says; the default is what the store already gives: newest first.

    :param rows: the backups.
    :param text: ``key[:asc|desc],...``, or None.
    :raises Refusal: 9900.
    """
    if text is None:
        return rows
    keys: list[tuple[Callable[[Backup], str | float], bool]] = []
    for part in text.split(","):
        name, _, direction = part.partition(":")
        if len(text) > 255 or name not in _SORT_KEYS or direction not in ("", "asc", "desc"):
            raise cbr("9900", "Parameter check failed: sort is malformed.")
        keys.append((_SORT_KEYS[name], direction != "asc"))
    for key, descending in reversed(keys):
        rows = sorted(rows, key=key, reverse=descending)
    return rows

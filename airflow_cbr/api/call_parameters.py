"""Checks of what a call is given, and how it is written into a path, a query or a body."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from airflow_cbr.api.ids import check_id, check_region
from airflow_cbr.exceptions import CbrParameterError

__all__ = ["LARGEST_PAGE", "Filter", "check_page_size", "destination_of", "ids", "optional_id", "query_of", "segment", "texts_of"]

Filter = str | int | bool | datetime | Sequence[str] | None

LARGEST_PAGE: Final = 1000
_NAME: Final = re.compile(r"[\u4e00-\u9fa5\uf900-\ufa2da-zA-Z0-9_-]{1,64}")
_LONGEST_DESCRIPTION: Final = 255


def check_page_size(page_size: int) -> int:
    """Return the number of rows of a page, checked."""
    if isinstance(page_size, bool) or not isinstance(page_size, int) or not 1 <= page_size <= LARGEST_PAGE:
        raise CbrParameterError("page_size", f"must be a whole number from 1 to {LARGEST_PAGE}.")
    return page_size


def destination_of(region: str, project_id: str, vault_id: str) -> dict[str, str]:
    """Return the destination's fields of a replicate call, checked."""
    return {
        "destination_region": check_region(region, "destination_region"),
        "destination_project_id": check_id(project_id, "destination_project_id"),
        "destination_vault_id": check_id(vault_id, "destination_vault_id"),
    }


def texts_of(name: str | None, description: str | None) -> dict[str, Any]:
    """Return name and description as a body has them, checked; without those that are None."""
    texts: dict[str, Any] = {}
    if name is not None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise CbrParameterError("name", "must be 1 to 64 Chinese characters, letters, digits, '_' or '-'.")
        texts["name"] = name
    if description is not None:
        if not isinstance(description, str) or len(description) > _LONGEST_DESCRIPTION or "<" in description or ">" in description:
            raise CbrParameterError("description", f"must have at most {_LONGEST_DESCRIPTION} characters and no '<' or '>'.")
        texts["description"] = description
    return texts


def optional_id(value: str | None, parameter: str) -> str | None:
    """Return an id, checked, or None."""
    return None if value is None else check_id(value, parameter)


def segment(value: str, parameter: str) -> str:
    """Return an id, checked and quoted, as a segment of a path."""
    return quote(check_id(value, parameter), safe="")


def ids(values: Sequence[str], parameter: str) -> list[str]:
    """Return a list of ids, checked; it must not be empty."""
    if isinstance(values, str) or not values:
        raise CbrParameterError(parameter, "must be a list with at least one id.")
    return [check_id(value, parameter) for value in values]


def query_of(filters: dict[str, Filter]) -> str:
    """Return filters as a query string that ends in ``&``, or an empty string; None is left out, times are written in UTC."""
    pairs: list[tuple[str, str]] = []
    for name, value in filters.items():
        if value is None:
            continue
        if isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif isinstance(value, datetime):
            if value.tzinfo is None:
                raise CbrParameterError(name, "must have a time zone.")
            pairs.append((name, value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")))
        elif isinstance(value, (str, int)):
            pairs.append((name, str(value)))
        else:
            pairs += [(name, item) for item in value]
    return f"{urlencode(pairs, quote_via=quote, safe='')}&" if pairs else ""

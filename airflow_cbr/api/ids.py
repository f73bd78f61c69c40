"""Ids and regions: how each must look before it becomes part of a URL.

The Dag processor imports this module for every Dag file, and checks nothing: so patterns are compiled on first use.
"""

from __future__ import annotations

import re
from typing import Final

from airflow_cbr.exceptions import CbrParameterError

__all__ = ["LABEL", "check_given", "check_id", "check_region", "is_id", "is_region", "shown"]

LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
"""One label of a host name, as a pattern."""
_ID: Final = "[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"

# What Jinja, and its filter tojson, make of None.
_NOTHING_AS_TEXT: Final = ("None", "null")


def check_given(value: object, parameter: str, what: str) -> None:
    """Refuse a missing value, and say how it is missing: each way has another cause.

    :param value: what the user gave, or what a template was rendered to.
    :param parameter: the name to blame.
    :param what: what it must be, with its article.
    :raises CbrParameterError: it is None, an empty or blank string, or the string ``None``.
    """
    if value is None:
        raise CbrParameterError(
            parameter,
            f"must be {what}, but is None.",
            advice="Give it a value. If it comes from an upstream task or a template, check the task's rendered templates.",
        )
    if not isinstance(value, str):
        return
    if not value.strip():
        raise CbrParameterError(
            parameter,
            f"must be {what}, but is an empty string; if it is a template, it rendered to nothing.",
            advice="Check the task's rendered templates. To get the default, leave the parameter out.",
        )
    if value.strip() in _NOTHING_AS_TEXT:
        raise CbrParameterError(
            parameter,
            f"must be {what}, but is the string {value.strip()!r}: a template rendered a param or variable that is None.",
            advice="Give it a value, or set render_template_as_native_obj=True on the Dag, so that None means the default.",
        )


def check_region(value: object, parameter: str = "region") -> str:
    """Check a region id: one label of a host name, such as ``cn-north-4``.

    :param value: what the user gave.
    :param parameter: the name to blame. Default: ``region``.
    :return: the value.
    :raises CbrParameterError: it is not a region id.
    """
    check_given(value, parameter, "a region id")
    if not isinstance(value, str) or not re.fullmatch(LABEL, value):
        raise CbrParameterError(parameter, f"{shown(value)} is not a region id (letters, digits and '-', for example 'cn-north-4').")
    return value


def check_id(value: object, parameter: str) -> str:
    """Check the id of a project, vault, backup, checkpoint or operation log.

    :param value: what the user gave.
    :param parameter: the name to blame.
    :return: the value in lower case, which is how the service writes ids.
    :raises CbrParameterError: it is neither 32 hexadecimal digits nor a UUID with dashes.
    """
    if not isinstance(value, str) or not re.fullmatch(_ID, value):
        check_given(value, parameter, "an id")
        raise CbrParameterError(
            parameter,
            f"{shown(value)} is not an id (32 hexadecimal digits, or 8-4-4-4-12 of them with dashes).",
        )
    return value.lower()


def is_id(value: object) -> bool:
    """Return whether a value looks like an id: 32 hexadecimal digits, or 8-4-4-4-12 of them with dashes.

    :param value: what the service gave.
    """
    return isinstance(value, str) and re.fullmatch(_ID, value) is not None


def is_region(value: object) -> bool:
    """Return whether a value looks like a region id: one label of a host name, such as ``cn-north-4``.

    :param value: what the service gave.
    """
    return isinstance(value, str) and re.fullmatch(LABEL, value) is not None


def shown(value: object) -> str:
    """Return a value for a message: short, and without the user name and password of a URL.

    :param value: what the user gave.
    """
    if not isinstance(value, str):
        return f"a value of type {type(value).__name__}"
    # A URL of the form scheme://user:password@host is a mistake that must not end up in a log.
    text = repr(re.sub("//.*@", "//***@", value))
    return text if len(text) <= 80 else f"{text[:77]}...'"

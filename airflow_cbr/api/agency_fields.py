"""Checks of what names an agency, and of how long its keys may last; it loads no HTTP library."""

from __future__ import annotations

import re
from typing import Final

from airflow_cbr.exceptions import CbrParameterError

__all__ = ["DEFAULT_DURATION", "LONGEST_BY_NAME", "LONGEST_BY_URN", "LONGEST_CHAINED", "check_duration", "check_name", "check_urn"]

DEFAULT_DURATION: Final = 3600
SHORTEST: Final = 900
LONGEST_BY_URN: Final = 43200
LONGEST_CHAINED: Final = 3600
"""Seconds that STS gives, at most, when it is asked with a key that ends itself."""
LONGEST_BY_NAME: Final = 86400
_URN: Final = r"iam:[\w-]{0,64}:[\w-]{1,64}:agency:[\w+=,.@/-]{1,512}"
_LONGEST_NAME: Final = 64


def check_urn(value: str) -> str:
    """Check the URN of an agency.

    :param value: what the user gave.
    :return: the value.
    :raises CbrParameterError: it is none.
    """
    if not re.fullmatch(_URN, value, re.ASCII):
        raise CbrParameterError(
            "agency_urn",
            f"{ascii(value)[:80]} is not the URN of an agency: iam::<account id>:agency:<name>.",
            advice="Copy it from the agency's page in IAM, of the account that made the agency.",
        )
    return value


def check_duration(value: str | None, *, longest: int) -> int:
    """Check how long an agency's key is to last.

    :param value: digits, or None for the default of 3600.
    :param longest: seconds that the service gives at most.
    :return: seconds.
    :raises CbrParameterError: it is no whole number, or out of bounds.
    """
    if value is None:
        return DEFAULT_DURATION
    if not re.fullmatch("[0-9]{1,9}", value) or not SHORTEST <= int(value) <= longest:
        raise CbrParameterError(
            "agency_duration",
            f"{ascii(value)[:40]} is not a number of seconds from {SHORTEST} to {longest}.",
            advice="Leave it out for 3600. A longer one is seldom of use: keys are renewed while tasks run.",
        )
    return int(value)


def check_name(value: str, parameter: str) -> str:
    """Check the name of an agency or of an account.

    :param value: what the user gave.
    :param parameter: the name to blame.
    :return: the value.
    :raises CbrParameterError: it is too long, or cannot be sent.
    """
    if len(value) > _LONGEST_NAME or not value.isprintable() or any("\ud800" <= sign <= "\udfff" for sign in value):
        raise CbrParameterError(parameter, f"has more than {_LONGEST_NAME} characters, or one that cannot be sent.")
    return value

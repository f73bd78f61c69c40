"""One error that is known, and what the package does about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_cbr.exceptions import CbrApiError

__all__ = ["CatalogueRow", "Decision"]


class Decision(StrEnum):
    """What the package does about an error."""

    RETRY = "retry"
    """The same request can succeed later. Reads are sent again; a replicate call is not, unless it was throttled."""

    REAUTHENTICATE = "reauthenticate"
    """The token may have expired or been revoked: get a new one and send the request once more. AK/SK: fail at once."""

    ADOPT = "adopt"
    """Something, perhaps an earlier attempt, is replicating or has replicated this: find its records and follow them."""

    FAIL = "fail"
    """Stays until somebody changes something."""


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One known error.

    :param code: the code with its prefix, ``APIGW.`` written as ``APIG.``.
    :param meaning: what the service means by it.
    :param decision: what the package does about it.
    :param error: the exception that a caller sees.
    :param advice: what the user can do.
    :param statuses: the HTTP statuses for which this row holds. Default: all.
    :param uncertain: after a replicate call this code leaves open whether the service accepted it. Default: False.
    """

    code: str
    meaning: str
    decision: Decision
    error: type[CbrApiError]
    advice: str
    statuses: frozenset[int] = frozenset()
    uncertain: bool = False

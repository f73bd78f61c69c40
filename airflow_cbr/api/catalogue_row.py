"""One error that is known, and what the package does about it; and the advice that many rows share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_cbr.exceptions import CbrApiError

__all__ = ["IDS", "KEYS", "LATER", "SUPPORT", "CatalogueRow", "Decision", "rows_of"]

SUPPORT: Final = "Contact Huawei Cloud support with the request id."
LATER: Final = "Nothing. It ends by itself; if it lasts for hours, contact Huawei Cloud support with the request id."
IDS: Final = "Check the id, and that it belongs to this region and project."
KEYS: Final = (
    "Check login and password of the connection (access key and secret key, or IAM user and password), auth_type, region and project_id, "
    "and that this machine's clock is right (a signature is valid for 15 minutes). After more than 5 wrong signatures in a row the access "
    "key is locked for 5 minutes."
)


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


def rows_of(
    decision: Decision, error: type[CbrApiError], rows: Iterable[tuple[str, str, str]], prefix: str, *, uncertain: bool = False
) -> list[CatalogueRow]:
    """Return rows that have a decision in common.

    :param decision: the decision.
    :param error: the exception.
    :param rows: code without its prefix, meaning and advice of each.
    :param prefix: of the codes, with its dot.
    :param uncertain: as of :class:`CatalogueRow`. Default: False.
    """
    return [CatalogueRow(f"{prefix}{code}", meaning, decision, error, advice, uncertain=uncertain) for code, meaning, advice in rows]

"""What an error means and what to do about it, by its code in the catalogue, or by its HTTP status where the catalogue has no such code."""

from __future__ import annotations

from typing import Final

from airflow_cbr.api.catalogue_row import CatalogueRow, Decision
from airflow_cbr.api.errors import CATALOGUE
from airflow_cbr.exceptions import (
    CbrApiError,
    CbrAuthenticationError,
    CbrBusyError,
    CbrNotFoundError,
    CbrPermissionError,
    CbrRefusedError,
    CbrThrottledError,
    CbrUnavailableError,
)

__all__ = ["decide", "error_class_of_status", "find", "is_uncertain", "normalise_code"]

_BY_CODE: Final[dict[str, tuple[CatalogueRow, ...]]] = {
    row.code: tuple(other for other in CATALOGUE if other.code == row.code) for row in CATALOGUE
}


def normalise_code(code: str, *, iam: bool = False) -> str:
    """Write a code the way the catalogue does.

    :param code: as the service sent it: ``BackupService.6130``, ``6130``, ``APIGW.0308``, ``IAM.0011``.
    :param iam: whether it came from IAM, where a bare number means one of IAM's. Default: False.
    :return: ``BackupService.6130``, ``APIG.0308``, ``IAM.0011``; an unknown form unchanged.
    """
    code = code.strip()
    if len(code) == 4 and code.isascii() and code.isdigit():
        return f"{'IAM' if iam else 'BackupService'}.{code}"
    if code.startswith("APIGW."):
        return f"APIG.{code.removeprefix('APIGW.')}"
    return code


def find(code: str | None, http_status: int | None) -> CatalogueRow | None:
    """Return the catalogue's row for a code, or None for an unknown one.

    :param code: a normalised code.
    :param http_status: the answer's status, which tells the meanings of a code with several rows apart.
    """
    for row in _BY_CODE.get(code or "", ()):
        if not row.statuses or http_status in row.statuses:
            return row
    return None


def error_class_of_status(http_status: int) -> type[CbrApiError]:
    """Return the exception for an answer whose code is unknown or missing.

    :param http_status: the answer's status.
    """
    match http_status:
        case 401:
            return CbrAuthenticationError
        case 403:
            return CbrPermissionError
        case 404 | 410:
            return CbrNotFoundError
        case 429:
            return CbrThrottledError
        case 408:
            return CbrUnavailableError
    return CbrUnavailableError if http_status >= 500 else CbrRefusedError


def decide(error: CbrApiError) -> Decision:
    """Return what to do about an error that the service answered.

    :param error: as raised by the client.
    """
    row = find(error.error_code, error.http_status)
    if row is not None:
        return row.decision
    if isinstance(error, CbrAuthenticationError):
        return Decision.REAUTHENTICATE
    if isinstance(error, (CbrThrottledError, CbrUnavailableError, CbrBusyError)):
        return Decision.RETRY
    return Decision.FAIL


def is_uncertain(error: CbrApiError) -> bool:
    """Return whether, after a call that changes something, the error leaves open if the service accepted the call.

    A known code never does, but for those that stand for "no idea" (9910) or for a backend that did not answer the gateway.

    :param error: as raised by the client.
    """
    row = find(error.error_code, error.http_status)
    if row is not None:
        return row.uncertain
    return isinstance(error, CbrUnavailableError)

"""Whether a vault of which no backup is listed exists: of one that does not, the service lists none either, and without an error."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.exceptions import CbrError, CbrNotFoundError, CbrPermissionError

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Vault

__all__ = ["vault_or_error", "why_not_empty"]

logger = logging.getLogger(__name__)

_NO_SUCH_CALL: Final = "APIG.0101"


def why_not_empty(client: CbrClient, vault_id: str, *, seen: Vault | CbrError | None = None, log: Any = logger) -> CbrError | None:
    """Return why a vault without an eligible backup may not be called empty; None when it exists, or when nobody may look at it.

    :param client: a client of the vault's region and project.
    :param vault_id: the vault of which no eligible backup is listed.
    :param seen: the vault, or the error with which it could not be read, where it was asked for already. Default: it is asked for now.
    :param log: takes the warning that its existence could not be checked.
    """
    error = vault_or_error(client, vault_id) if seen is None else seen
    if not isinstance(error, CbrError):
        return None
    where = f"{client.region} (project {client.project_id})"
    if isinstance(error, CbrPermissionError) or error.error_code == _NO_SUCH_CALL:
        log.warning(
            "No eligible backup is listed of vault %s in %s. Whether that vault exists could not be checked: %s", vault_id, where, error
        )
        return None
    if not isinstance(error, CbrNotFoundError):
        return error
    return CbrNotFoundError(
        f"Vault {vault_id} does not exist in {where}. That no backup of it is listed does not mean that it is empty.",
        advice="Check vault_id, and region and project_id of the connection; allow_empty=True is for a vault that exists.",
        error_code=error.error_code,
        request_id=error.request_id,
        http_status=error.http_status,
    )


def vault_or_error(client: CbrClient, vault_id: str) -> Vault | CbrError:
    """Return a vault, or the error with which it cannot be read: to some callers that is a finding, and no failure.

    :param client: a client of the vault's region and project.
    :param vault_id: the vault.
    """
    try:
        return client.show_vault(vault_id)
    except CbrError as error:
        return error

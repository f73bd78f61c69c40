"""The names of both vaults, for messages: asked for once, and never a reason to fail. And whether the source vault is there at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.api.texts import LONGEST_NAME, one_line
from airflow_cbr.inventory.absence import why_not_empty
from airflow_cbr.inventory.vaults import named_vault

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.exceptions import CbrError
    from airflow_cbr.inventory.coverage import Coverage
    from airflow_cbr.replication.spec import ReplicationSpec
    from airflow_cbr.replication.state import ReplicationState

__all__ = ["ask_for_names", "destination_text", "source_text", "why_not_there"]


def ask_for_names(client: CbrClient, spec: ReplicationSpec, state: ReplicationState) -> None:
    """Note the names of both vaults in the state, as far as the source region tells them.

    :param client: a client of the source region and project. The destination's own region is not asked: this task need not have
        credentials there.
    :param spec: what is asked.
    :param state: takes the names.
    """
    try:
        state.vault_name = _name(client.show_vault(spec.vault_id).name)
    except Exception:
        # A policy may leave the call out, a client may be a user's own that has none; and the ids are always there.
        state.vault_name = None
    there = spec.destination
    try:
        rows = client.list_external_vaults(external_project_id=there.project_id, region_id=there.region, vault_id=there.vault_id)
        state.destination_name = next((_name(row.name) for row in rows if row.id == there.vault_id), None)
    except Exception:
        # Not every cloud offers this call.
        state.destination_name = None


def why_not_there(coverage: Coverage, client: CbrClient, spec: ReplicationSpec, state: ReplicationState, log: Any) -> CbrError | None:
    """Return why a vault without an eligible backup may not be called replicated; None when it may.

    A vault of which any backup is listed is there, and so is one that has told its name: only where :func:`ask_for_names` has learnt none
    is it asked for again.

    :param coverage: the newest look.
    :param client: a client of the source region and project.
    :param spec: what is asked.
    :param state: has the names.
    :param log: takes the warning that its existence could not be checked.
    """
    return None if coverage.settled.backups or coverage.by_backup or state.vault_name else why_not_empty(client, spec.vault_id, log=log)


def source_text(spec: ReplicationSpec, state: ReplicationState) -> str:
    """Return how a message names the source vault."""
    return named_vault(spec.vault_id, state.vault_name)


def destination_text(spec: ReplicationSpec, state: ReplicationState) -> str:
    """Return how a message names the destination."""
    return spec.destination.named(state.destination_name)


def _name(name: str | None) -> str | None:
    return one_line(name, LONGEST_NAME) if name else None

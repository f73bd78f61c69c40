"""The calls about vaults, and where their backups may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cbr.api import responses
from airflow_cbr.api.call_parameters import LARGEST_PAGE, Filter, ids, optional_id, segment
from airflow_cbr.api.ids import check_id, check_region
from airflow_cbr.api.responses import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_cbr.api.caller import Caller
    from airflow_cbr.api.models import ReplicationCapability, Vault
    from airflow_cbr.api.paging import Page
    from airflow_cbr.api.responses import ServiceResponse

__all__ = ["VaultCalls"]


class VaultCalls:
    """ListVault, ShowVault, ListExternalVault and ShowReplicationCapabilities."""

    _calls: Caller

    def list_vaults(
        self,
        *,
        page_size: int = LARGEST_PAGE,
        name: str | None = None,
        vault_ids: Sequence[str] | None = None,
        protect_type: str | None = None,
        object_type: str | None = None,
        cloud_type: str | None = None,
        policy_id: str | None = None,
        resource_ids: Sequence[str] | None = None,
        status: str | None = None,
        enterprise_project_id: str | None = None,
    ) -> Iterator[Vault]:
        """Yield vaults, page by page (ListVault).

        :param page_size: rows per request, 1 to 1000. Default: 1000.
        :param name: name of the vault.
        :param vault_ids: only these (``id`` of the API).
        :param protect_type: ``backup``, ``replication`` or ``hybrid``.
        :param object_type: ``server``, ``disk``, ``turbo`` ...
        :param cloud_type: ``public`` or ``hybrid``.
        :param policy_id: vaults with this policy.
        :param resource_ids: vaults with any of these resources.
        :param status: for example ``available``.
        :param enterprise_project_id: an id, ``0`` for the default one, or ``all_granted_eps``.
        """
        filters: dict[str, Filter] = {
            "name": name,
            "id": None if vault_ids is None else ids(vault_ids, "vault_ids"),
            "protect_type": protect_type,
            "object_type": object_type,
            "cloud_type": cloud_type,
            "policy_id": optional_id(policy_id, "policy_id"),
            "resource_ids": None if resource_ids is None else ",".join(ids(resource_ids, "resource_ids")),
            "status": status,
            "enterprise_project_id": enterprise_project_id,
        }
        return self._calls.list("ListVault", "/vaults", filters, page_size, _read_vaults("ListVault"))

    def show_vault(self, vault_id: str) -> Vault:
        """Return one vault (ShowVault).

        :param vault_id: id of the vault.
        :raises CbrNotFoundError: there is no such vault in this project.
        """
        return self._calls.get("ShowVault", f"/vaults/{segment(vault_id, 'vault_id')}", responses.VaultAnswer).vault

    def list_external_vaults(
        self,
        *,
        external_project_id: str,
        region_id: str,
        page_size: int = LARGEST_PAGE,
        vault_id: str | None = None,
        protect_type: str | None = None,
        object_type: str | None = None,
        cloud_type: str | None = None,
    ) -> Iterator[Vault]:
        """Yield the vaults of another region, as this region sees them (ListExternalVault).

        :param external_project_id: project in the other region.
        :param region_id: the other region.
        :param page_size: rows per request, 1 to 1000. Default: 1000.
        :param vault_id: only this one; the service then ignores the other filters.
        :param protect_type: ``backup``, ``replication`` or ``hybrid``.
        :param object_type: ``server``, ``disk``, ``turbo`` ...
        :param cloud_type: ``public`` or ``hybrid``.
        """
        filters: dict[str, Filter] = {
            "external_project_id": check_id(external_project_id, "external_project_id"),
            "region_id": check_region(region_id, "region_id"),
            "vault_id": optional_id(vault_id, "vault_id"),
            "protect_type": protect_type,
            # The API spells it like this.
            "objcet_type": object_type,
            "cloud_type": cloud_type,
        }
        return self._calls.list("ListExternalVault", "/vaults/external", filters, page_size, _read_vaults("ListExternalVault"))

    def list_replication_capabilities(self) -> list[ReplicationCapability]:
        """Return from which region backups may be replicated to which (ShowReplicationCapabilities)."""
        return self._calls.get("ShowReplicationCapabilities", "/replication-capabilities", responses.CapabilitiesAnswer).regions or []


def _read_vaults(call: str) -> Callable[[ServiceResponse], Page[Vault]]:
    def read(answer: ServiceResponse) -> Page[Vault]:
        page = decode(answer, responses.VaultsAnswer, call=call)
        return page.vaults or (), page.count

    return read

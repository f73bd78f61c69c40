"""The client: one method per call of CBR's API.

Names of calls in messages are those of the API reference (CopyCheckpoint, ListBackups ...). What may be sent twice and what may not is
decided in :mod:`airflow_cbr.api.transport`; how an error is classified, in :mod:`airflow_cbr.api.errors`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.api import responses
from airflow_cbr.api.auth import Credentials, make_authenticator
from airflow_cbr.api.caller import Caller
from airflow_cbr.api.endpoints import Endpoints, check_id, check_region, is_id
from airflow_cbr.api.parameters import LARGEST_PAGE, Filter, destination_of, ids, optional_id, segment, texts_of
from airflow_cbr.api.responses import ServiceResponse, decode
from airflow_cbr.api.transport import Transport
from airflow_cbr.exceptions import CbrProtocolError

if TYPE_CHECKING:
    from airflow_cbr.api.models import Backup, Checkpoint, OperationLog, Replication, ReplicationCapability, Vault
    from airflow_cbr.api.paging import Page

__all__ = ["CbrClient"]

_ROW_ID: Final = re.compile("[0-9A-Za-z_-]{1,64}")
"""Wider than an id that is handed on: rows of a cloud that writes its ids otherwise still tell what is covered."""


class CbrClient:
    """Calls CBR in one region and project. Safe to use from several threads.

    Reads are repeated within ``retry_budget`` after connection errors, timeouts, throttling and errors that pass. The calls that change
    something (the two replicate calls and CreateCheckpoint) are sent again only when they were certainly not processed: the connection
    was never made, the service throttled them, or refused a token that had expired. Where that is not certain they raise
    :class:`~airflow_cbr.exceptions.CbrOutcomeUnknownError`.

    Every method raises :class:`~airflow_cbr.exceptions.CbrParameterError` before anything is sent,
    :class:`~airflow_cbr.exceptions.CbrTransportError` when no usable answer came back, and a subclass of
    :class:`~airflow_cbr.exceptions.CbrApiError` for the service's own errors.

    :param credentials: who asks.
    :param region: region id, for example ``cn-north-4``.
    :param project_id: project to work in. Default: looked up in IAM by the region's name, on first use.
    :param home_region: the region that an endpoint without ``{region}`` belongs to. Default: ``region``.
    :param endpoints: addresses of CBR and IAM. Default: those of ``myhuaweicloud.com``.
    :param verify: True to check certificates, False not to, or the path of a file with authorities. Default: True.
    :param connect_timeout: seconds for making a connection, from the name to TLS. Default: 10.
    :param read_timeout: seconds without a byte of the answer; the whole answer may take five times as long. Default: 60.
    :param retry_budget: seconds within which another attempt may begin; 0 for a single attempt. Default: 180.
    :param sleep: waits between attempts. Default: :func:`time.sleep`.
    :param on_secret: called with each new token before it is used, in the thread of the call, so that logs can be masked. Default: none.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        region: str,
        project_id: str | None = None,
        home_region: str | None = None,
        endpoints: Endpoints = Endpoints(),  # noqa: B008 - immutable
        verify: bool | str = True,
        connect_timeout: float = 10,
        read_timeout: float = 60,
        retry_budget: float = 180,
        sleep: Callable[[float], None] = time.sleep,
        on_secret: Callable[[str], None] | None = None,
    ) -> None:
        self.region = check_region(region)
        home = self.region if home_region is None else check_region(home_region, "home_region")
        base_url = f"{endpoints.cbr_url(self.region, home_region=home)}/v3"
        self._transport = Transport(
            verify=verify,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retry_budget=retry_budget,
            sleep=sleep,
        )
        self._authenticator = make_authenticator(
            credentials,
            self._transport,
            iam_url=lambda: endpoints.iam_url(self.region, home_region=home),
            region=self.region,
            project_id=None if project_id is None else check_id(project_id, "project_id"),
            on_secret=on_secret,
            sign_in_iam_url=lambda: endpoints.iam_url(home, home_region=home),
            sts_url=lambda: endpoints.sts_url(home, home_region=home),
            home_region=home,
            place=f"{endpoints.cloud} {endpoints.cbr or ''} {endpoints.iam or ''}",
            patience=retry_budget,
        )
        self._calls = Caller(self._transport, self._authenticator, base_url)

    @property
    def project_id(self) -> str:
        """Return the id of the project; asks IAM on first use when it was not given.

        :raises CbrConfigurationError: IAM knows no such project, or several.
        """
        return self._authenticator.project_id()

    @property
    def server_time(self) -> datetime | None:
        """Return the service's clock: the ``Date`` header of the newest answer as an aware UTC time, or None before the first."""
        return responses.parse_http_date(self._transport.newest_date)

    def close(self) -> None:
        """Close the connections. The client can still be used, it opens new ones."""
        self._transport.close()

    def __enter__(self) -> CbrClient:
        """Return the client."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connections."""
        self.close()

    # --- replicate ----------------------------------------------------------------------------------------------------

    def replicate_checkpoint(
        self,
        *,
        vault_id: str,
        destination_region: str,
        destination_project_id: str,
        destination_vault_id: str,
        auto_trigger: bool = False,
        enable_acceleration: bool = False,
    ) -> Replication:
        """Replicate the backups of a vault that have no replica at the destination yet (CopyCheckpoint).

        :param vault_id: source vault.
        :param destination_region: region id of the destination.
        :param destination_project_id: project in that region.
        :param destination_vault_id: replication vault in that project.
        :param auto_trigger: mark the records as made by a schedule. Default: False.
        :param enable_acceleration: quicker transfer for an extra fee; sent only when true, since some accounts must not use the
            word. Default: False.
        :return: the accepted backups with their record ids; may be empty.
        :raises CbrOutcomeUnknownError: the service may have accepted the call.
        """
        replicate: dict[str, Any] = {
            "vault_id": check_id(vault_id, "vault_id"),
            **destination_of(destination_region, destination_project_id, destination_vault_id),
            "auto_trigger": auto_trigger,
        }
        if enable_acceleration:
            replicate["enable_acceleration"] = True

        def read(answer: ServiceResponse) -> Replication:
            found = decode(answer, responses.ReplicationAnswer, call="CopyCheckpoint").replication
            if found.backups is None:
                raise _unreadable(answer, "CopyCheckpoint", "no list of backups")
            return _with_record_ids(found, answer, "CopyCheckpoint")

        return self._calls.change("CopyCheckpoint", "/checkpoints/replicate", {"replicate": replicate}, read)

    def replicate_backup(
        self,
        backup_id: str,
        *,
        destination_region: str,
        destination_project_id: str,
        destination_vault_id: str,
        name: str | None = None,
        description: str | None = None,
        enable_acceleration: bool = False,
    ) -> Replication:
        """Replicate one backup (CopyBackup).

        :param backup_id: the backup in the source region.
        :param destination_region: region id of the destination.
        :param destination_project_id: project in that region.
        :param destination_vault_id: replication vault in that project.
        :param name: name of the replica: 1 to 64 Chinese characters, letters, digits, ``_`` and ``-``. Default: the service's choice.
        :param description: at most 255 characters without ``<`` and ``>``. Default: none.
        :param enable_acceleration: as in :meth:`replicate_checkpoint`. Default: False.
        :return: the backup with its record id.
        :raises CbrAlreadyReplicatedError: that region has, or is being sent, a replica of this backup.
        :raises CbrOutcomeUnknownError: the service may have accepted the call.
        """
        replicate: dict[str, Any] = {
            **destination_of(destination_region, destination_project_id, destination_vault_id),
            **texts_of(name, description),
        }
        if enable_acceleration:
            replicate["enable_acceleration"] = True

        def read(answer: ServiceResponse) -> Replication:
            found = decode(answer, responses.ReplicationAnswer, call="CopyBackup").replication
            if not found.pairs:
                raise _unreadable(answer, "CopyBackup", "no record id")
            return _with_record_ids(found, answer, "CopyBackup")

        return self._calls.change("CopyBackup", f"/backups/{segment(backup_id, 'backup_id')}/replicate", {"replicate": replicate}, read)

    # --- backups ------------------------------------------------------------------------------------------------------

    def list_backups(
        self,
        *,
        page_size: int = LARGEST_PAGE,
        show_replication: bool = False,
        vault_id: str | None = None,
        checkpoint_id: str | None = None,
        resource_id: str | None = None,
        resource_name: str | None = None,
        resource_type: str | None = None,
        resource_az: str | None = None,
        name: str | None = None,
        parent_id: str | None = None,
        image_type: str | None = None,
        status: str | Sequence[str] | None = None,
        incremental: bool | None = None,
        dec: bool | None = None,
        own_type: str | None = None,
        member_status: str | None = None,
        used_percent: int | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        enterprise_project_id: str | None = None,
        sort: str | None = None,
        on_repeat: Callable[[Backup], object] | None = None,
    ) -> Iterator[Backup]:
        """Yield backups, page by page, newest first (ListBackups).

        The service's ``marker``, ``limit`` and ``offset`` are the walk's own business: see :func:`airflow_cbr.api.paging.walk`.

        :param page_size: rows per request, 1 to 1000. Default: 1000.
        :param show_replication: fill ``replication_records``. Default: False.
        :param vault_id: backups in this vault.
        :param checkpoint_id: backups of this checkpoint.
        :param resource_id: backups of this server or file system.
        :param resource_name: backups of a resource of this name.
        :param resource_type: for example ``OS::Nova::Server``.
        :param resource_az: availability zone of the resource.
        :param name: name of the backup.
        :param parent_id: parent backup.
        :param image_type: ``backup`` or ``replication``.
        :param status: one status, or several of which any will do.
        :param incremental: only incremental, or only full backups.
        :param dec: only backups of dedicated clouds, or only others.
        :param own_type: ``private``, ``shared`` or ``all_granted``. Default: the service's, ``private``.
        :param member_status: of shared backups: ``pending``, ``accepted`` or ``rejected``.
        :param used_percent: backups in vaults used beyond this percentage, 1 to 100.
        :param start_time: created at or after this time; must have a zone.
        :param end_time: created at or before this time; must have a zone.
        :param enterprise_project_id: an id, ``0`` for the default one, or ``all_granted_eps``.
        :param sort: keys with directions, for example ``created_at:asc``. Sorting by a key that changes while the list is read
            (``updated_at``, ``status``) can hide rows. Default: the service's, newest first.
        :param on_repeat: is told of every row that comes again and is not yielded. Default: nobody is told.
        """
        filters: dict[str, Filter] = {
            "show_replication": show_replication or None,
            "vault_id": optional_id(vault_id, "vault_id"),
            "checkpoint_id": optional_id(checkpoint_id, "checkpoint_id"),
            "resource_id": resource_id,
            "resource_name": resource_name,
            "resource_type": resource_type,
            "resource_az": resource_az,
            "name": name,
            "parent_id": optional_id(parent_id, "parent_id"),
            "image_type": image_type,
            "status": status,
            "incremental": incremental,
            "dec": dec,
            "own_type": own_type,
            "member_status": member_status,
            "used_percent": used_percent,
            "start_time": start_time,
            "end_time": end_time,
            "enterprise_project_id": enterprise_project_id,
            "sort": sort,
        }

        def read(answer: ServiceResponse) -> Page[Backup]:
            page = decode(answer, responses.BackupsAnswer, call="ListBackups")
            return _with_ids(page.backups or (), answer, "ListBackups"), page.count

        return self._calls.list("ListBackups", "/backups", filters, page_size, read, on_repeat)

    def show_backup(self, backup_id: str) -> Backup:
        """Return one backup, with its replication records (ShowBackup).

        :param backup_id: id of the backup.
        :raises CbrNotFoundError: there is no such backup in this project.
        """
        path = f"/backups/{segment(backup_id, 'backup_id')}"
        return self._calls.send(
            "ShowBackup",
            "GET",
            path,
            lambda answer: _with_ids([decode(answer, responses.BackupAnswer, call="ShowBackup").backup], answer, "ShowBackup")[0],
        )

    # --- operation logs -----------------------------------------------------------------------------------------------

    def list_operation_logs(
        self,
        *,
        page_size: int = LARGEST_PAGE,
        operation_type: str | None = None,
        status: str | None = None,
        vault_id: str | None = None,
        vault_name: str | None = None,
        resource_id: str | None = None,
        resource_name: str | None = None,
        provider_id: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        enterprise_project_id: str | None = None,
    ) -> Iterator[OperationLog]:
        """Yield operation logs, page by page (ListOpLogs). The service keeps about 30 days of them.

        :param page_size: rows per request, 1 to 1000. Default: 1000.
        :param operation_type: for example ``replication`` or ``backup``.
        :param status: ``success``, ``skipped``, ``failed``, ``running``, ``timeout`` or ``waiting``.
        :param vault_id: of this vault. The rows themselves may lack the vault's id.
        :param vault_name: of a vault of this name.
        :param resource_id: of this resource.
        :param resource_name: of a resource of this name.
        :param provider_id: of this kind of resource.
        :param start_time: begun at or after this time; must have a zone.
        :param end_time: the documentation leaves open which of the task's times this limits; must have a zone.
        :param enterprise_project_id: an id, ``0`` for the default one, or ``all_granted_eps``.
        """
        filters: dict[str, Filter] = {
            "operation_type": operation_type,
            "status": status,
            "vault_id": optional_id(vault_id, "vault_id"),
            "vault_name": vault_name,
            "resource_id": resource_id,
            "resource_name": resource_name,
            "provider_id": optional_id(provider_id, "provider_id"),
            "start_time": start_time,
            "end_time": end_time,
            "enterprise_project_id": enterprise_project_id,
        }

        def read(answer: ServiceResponse) -> Page[OperationLog]:
            page = decode(answer, responses.OperationLogsAnswer, call="ListOpLogs")
            return page.operation_logs or (), page.count

        return self._calls.list("ListOpLogs", "/operation-logs", filters, page_size, read)

    def show_operation_log(self, operation_log_id: str) -> OperationLog:
        """Return one operation log (ShowOpLog).

        :param operation_log_id: id of the log.
        :raises CbrNotFoundError: there is no such log in this project.
        """
        path = f"/operation-logs/{segment(operation_log_id, 'operation_log_id')}"
        return self._calls.get("ShowOpLog", path, responses.OperationLogAnswer).operation_log

    # --- vaults -------------------------------------------------------------------------------------------------------

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

    # --- checkpoints --------------------------------------------------------------------------------------------------

    def create_checkpoint(
        self,
        *,
        vault_id: str,
        name: str | None = None,
        description: str | None = None,
        incremental: bool | None = None,
        auto_trigger: bool | None = None,
        resources: Sequence[str] | None = None,
    ) -> Checkpoint:
        """Back up the resources of a vault (CreateCheckpoint).

        :param vault_id: the vault.
        :param name: name of the backups, as in :meth:`replicate_backup`.
        :param description: at most 255 characters without ``<`` and ``>``.
        :param incremental: incremental or full. Default: the service's, incremental.
        :param auto_trigger: mark it as made by a schedule. Default: the service's, False.
        :param resources: ids of the resources to back up. Default: all of the vault.
        :return: the checkpoint, usually ``protecting``.
        :raises CbrOutcomeUnknownError: the service may have accepted the call.
        """
        parameters: dict[str, Any] = texts_of(name, description)
        if incremental is not None:
            parameters["incremental"] = incremental
        if auto_trigger is not None:
            parameters["auto_trigger"] = auto_trigger
        if resources is not None:
            parameters["resources"] = ids(resources, "resources")
        body = {"checkpoint": {"vault_id": check_id(vault_id, "vault_id"), "parameters": parameters}}
        return self._calls.change(
            "CreateCheckpoint",
            "/checkpoints",
            body,
            lambda answer: _with_id(
                decode(answer, responses.CheckpointAnswer, call="CreateCheckpoint").checkpoint, answer, "CreateCheckpoint"
            ),
        )

    def show_checkpoint(self, checkpoint_id: str) -> Checkpoint:
        """Return one checkpoint (ShowCheckpoint).

        :param checkpoint_id: id of the checkpoint.
        :raises CbrNotFoundError: there is no such checkpoint in this project.
        """
        path = f"/checkpoints/{segment(checkpoint_id, 'checkpoint_id')}"
        return self._calls.get("ShowCheckpoint", path, responses.CheckpointAnswer).checkpoint


def _read_vaults(call: str) -> Callable[[ServiceResponse], Page[Vault]]:
    def read(answer: ServiceResponse) -> Page[Vault]:
        page = decode(answer, responses.VaultsAnswer, call=call)
        return page.vaults or (), page.count

    return read


def _with_ids(backups: Sequence[Backup], answer: ServiceResponse, call: str) -> Sequence[Backup]:
    """Return the backups if they and their replication records have something like an id each.

    Rows without do not tell what is covered, and to leave them out would be to copy a backup again.
    """
    for backup in backups:
        if not _ROW_ID.fullmatch(backup.id) or not all(_ROW_ID.fullmatch(record.id) for record in backup.replication_records or ()):
            raise _unreadable(answer, call, "the id of a backup or a replication record is none")
    return backups


def _with_record_ids(found: Replication, answer: ServiceResponse, call: str) -> Replication:
    if len(found.references) != len(found.pairs):
        raise _unreadable(answer, call, "the id of a backup or a replication record is none")
    return found


def _with_id(checkpoint: Checkpoint, answer: ServiceResponse, call: str) -> Checkpoint:
    if not is_id(checkpoint.id):
        raise _unreadable(answer, call, "the checkpoint's id is none")
    return checkpoint


def _unreadable(answer: ServiceResponse, call: str, what: str) -> CbrProtocolError:
    return CbrProtocolError(f"{call}: the answer cannot be read ({what}).", request_id=answer.request_id, http_status=answer.status)

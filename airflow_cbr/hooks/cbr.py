"""The hook: authentication and HTTP for CBR and IAM, from an Airflow connection."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.airflow_names import BaseHook, mask_secret
from airflow_cbr.api.deadline import within
from airflow_cbr.exceptions import CbrError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup, Checkpoint, OperationLog, Replication, ReplicationCapability, Vault
    from airflow_cbr.hooks.connection import ConnectionFields

__all__ = ["CbrHook"]

_TEST_SECONDS: Final = 15.0


class CbrHook(BaseHook):
    """Talk to Huawei Cloud CBR with the credentials of an Airflow connection.

    The connection is read on first use, never when the hook is made. Each method is one call of the API and returns typed rows of
    :mod:`airflow_cbr.api.models`; errors are those of :mod:`airflow_cbr.exceptions`. Reads are retried within the client's budget, the
    replicate calls only when it is certain that the service did not process them.

    :param cbr_conn_id: id of a connection of type ``huaweicloud_cbr``.
    :param region: region id to work in. Default: the connection's.
    :param project_id: project to work in. Default: the connection's, or the region's default project, looked up in IAM.
    """

    conn_name_attr = "cbr_conn_id"
    default_conn_name = "huaweicloud_cbr_default"
    conn_type = "huaweicloud_cbr"
    hook_name = "Huawei Cloud CBR"

    def __init__(
        self,
        cbr_conn_id: str = default_conn_name,
        *,
        region: str | None = None,
        project_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cbr_conn_id = cbr_conn_id
        self._region = region
        self._project_id = project_id

    @staticmethod
    def get_connection_form_widgets() -> dict[str, Any]:
        """Return the form's fields for Airflow 3.1; newer versions read them from the provider's metadata."""
        from airflow_cbr.hooks.legacy_form import connection_form_widgets

        return connection_form_widgets()

    @staticmethod
    def get_ui_field_behaviour() -> dict[str, Any]:
        """Return labels, placeholders and hidden fields for Airflow 3.1; newer versions read them from the provider's metadata."""
        from airflow_cbr.hooks.legacy_form import ui_field_behaviour

        return ui_field_behaviour()

    # --- the connection -----------------------------------------------------------------------------------------------

    @cached_property
    def fields(self) -> ConnectionFields:
        """Return the connection's fields.

        :raises CbrConfigurationError: when a field is missing or wrong.
        """
        from airflow_cbr.hooks.connection import ConnectionFields

        return ConnectionFields.of(self.get_connection(self.cbr_conn_id))

    @cached_property
    def client(self) -> CbrClient:
        """Return the client that this hook's calls go through; made on first use and kept.

        :raises CbrConfigurationError: when the connection cannot be used.
        :raises CbrParameterError: when region or project id cannot be right.
        """
        from airflow_cbr.hooks.login_refusals import share_refusals
        from airflow_cbr.hooks.metrics import tell_throttled

        share_refusals()
        return self.fields.client(region=self._region, project_id=self._project_id, on_secret=mask_secret, on_throttled=tell_throttled)

    def get_conn(self) -> CbrClient:
        """Return the client, under the name that every Airflow hook has for it."""
        return self.client

    @property
    def region(self) -> str:
        """Return the region id that this hook works in."""
        return self.client.region

    @property
    def project_id(self) -> str:
        """Return the project id that this hook works in; looked up in IAM if nothing names it."""
        return self.client.project_id

    def test_connection(self) -> tuple[bool, str]:
        """List one vault, and return what is wrong if that fails. Read-only, returns within 15 seconds.

        :return: whether it worked, and a message without any secret.
        """
        from airflow_cbr.hooks.connection import ConnectionFields

        try:
            fields = ConnectionFields.of(self.get_connection(self.cbr_conn_id))
            client = fields.client(
                region=self._region,
                project_id=self._project_id,
                on_secret=mask_secret,
                connect_timeout=5.0,
                read_timeout=8.0,
                retry_budget=0.0,
            )
            try:
                with within(_TEST_SECONDS):
                    next(client.list_vaults(page_size=1), None)
                    said = f"CBR in {client.region} answers for project {client.project_id}."
                    return True, " ".join([said, *(f"But {text}" for text in fields.unknown)])
            finally:
                client.close()
        except CbrError as error:
            return False, str(error)

    # --- one method per call ------------------------------------------------------------------------------------------

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
        """Replicate the backups of a vault that are not replicated yet: ``POST /v3/{project_id}/checkpoints/replicate`` (CopyCheckpoint).

        Not idempotent: the service has no request token. The operator
        :class:`~airflow_cbr.operators.cbr.CbrReplicateCheckpointOperator` is the way to call this safely.

        :param vault_id: source vault.
        :param destination_region: region id of the destination.
        :param destination_project_id: project in that region.
        :param destination_vault_id: replication vault in that project.
        :param auto_trigger: mark the copies as made by a schedule. Default: False.
        :param enable_acceleration: pay for a faster transfer. Default: False.
        :return: pairs of backup id and replication record id; there may be none.
        :raises CbrOutcomeUnknownError: when the service may have accepted the call.
        :raises CbrApiError: when the service refuses it.
        """
        return self.client.replicate_checkpoint(
            vault_id=vault_id,
            destination_region=destination_region,
            destination_project_id=destination_project_id,
            destination_vault_id=destination_vault_id,
            auto_trigger=auto_trigger,
            enable_acceleration=enable_acceleration,
        )

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
        """Replicate one backup: ``POST /v3/{project_id}/backups/{backup_id}/replicate`` (CopyBackup).

        :param backup_id: source backup.
        :param destination_region: region id of the destination.
        :param destination_project_id: project in that region.
        :param destination_vault_id: replication vault in that project.
        :param name: name of the replica, 1 to 64 characters. Default: the service's choice.
        :param description: description of the replica, up to 255 characters. Default: none.
        :param enable_acceleration: pay for a faster transfer. Default: False.
        :return: one pair of backup id and replication record id.
        :raises CbrOutcomeUnknownError: when the service may have accepted the call.
        :raises CbrAlreadyReplicatedError: when the region has the backup, or is getting it.
        :raises CbrApiError: when the service refuses it for another reason.
        """
        return self.client.replicate_backup(
            backup_id,
            destination_region=destination_region,
            destination_project_id=destination_project_id,
            destination_vault_id=destination_vault_id,
            name=name,
            description=description,
            enable_acceleration=enable_acceleration,
        )

    def list_backups(self, *, show_replication: bool = False, page_size: int = 1000, **filters: Any) -> Iterator[Backup]:
        """List backups, page by page: ``GET /v3/{project_id}/backups`` (ListBackups).

        :param show_replication: whether to list the replication records with each backup. Default: False.
        :param page_size: rows per request, 1 to 1000. Default: 1000.
        :param filters: the documented filters, as keywords of :meth:`airflow_cbr.api.client.CbrClient.list_backups`.
        :return: an iterator over the backups, newest first.
        """
        return self.client.list_backups(show_replication=show_replication, page_size=page_size, **filters)

    def show_backup(self, backup_id: str) -> Backup:
        """Show one backup: ``GET /v3/{project_id}/backups/{backup_id}`` (ShowBackup).

        :param backup_id: the backup.
        :raises CbrNotFoundError: when there is no such backup in this project.
        """
        return self.client.show_backup(backup_id)

    def delete_backup(self, backup_id: str) -> None:
        """Delete a backup or a replica: ``DELETE /v3/{project_id}/backups/{backup_id}`` (DeleteBackup). It cannot be undone.

        :param backup_id: the backup.
        :raises CbrNotFoundError: when there is no such backup in this project.
        :raises CbrOutcomeUnknownError: when the service may have accepted the call.
        :raises CbrApiError: when the service refuses it.
        """
        self.client.delete_backup(backup_id)

    def list_operation_logs(self, **filters: Any) -> Iterator[OperationLog]:
        """List the service's tasks: ``GET /v3/{project_id}/operation-logs`` (ListOpLogs).

        :param filters: the documented filters, as keywords of :meth:`airflow_cbr.api.client.CbrClient.list_operation_logs`.
        """
        return self.client.list_operation_logs(**filters)

    def show_operation_log(self, operation_log_id: str) -> OperationLog:
        """Show one task of the service: ``GET /v3/{project_id}/operation-logs/{operation_log_id}`` (ShowOpLog).

        :param operation_log_id: the operation log.
        :raises CbrNotFoundError: when there is no such log in this project.
        """
        return self.client.show_operation_log(operation_log_id)

    def list_vaults(self, **filters: Any) -> Iterator[Vault]:
        """List vaults: ``GET /v3/{project_id}/vaults`` (ListVault).

        :param filters: the documented filters, as keywords of :meth:`airflow_cbr.api.client.CbrClient.list_vaults`.
        """
        return self.client.list_vaults(**filters)

    def show_vault(self, vault_id: str) -> Vault:
        """Show one vault: ``GET /v3/{project_id}/vaults/{vault_id}`` (ShowVault).

        :param vault_id: the vault.
        :raises CbrNotFoundError: when there is no such vault in this project.
        """
        return self.client.show_vault(vault_id)

    def list_external_vaults(self, *, external_project_id: str, region_id: str, **filters: Any) -> Iterator[Vault]:
        """List the vaults of another region, asked in this one: ``GET /v3/{project_id}/vaults/external`` (ListExternalVault).

        :param external_project_id: project in the other region.
        :param region_id: the other region.
        :param filters: the documented filters, as keywords of :meth:`airflow_cbr.api.client.CbrClient.list_external_vaults`.
        """
        return self.client.list_external_vaults(external_project_id=external_project_id, region_id=region_id, **filters)

    def list_replication_capabilities(self) -> list[ReplicationCapability]:
        """List which regions replicate to which: ``GET /v3/{project_id}/replication-capabilities`` (ShowReplicationCapabilities)."""
        return self.client.list_replication_capabilities()

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
        """Back up a vault: ``POST /v3/{project_id}/checkpoints`` (CreateCheckpoint). Not idempotent.

        :param vault_id: the vault.
        :param name: name of the backups, 1 to 64 characters. Default: the service's choice.
        :param description: up to 255 characters. Default: none.
        :param incremental: incremental or full. Default: the service's choice, incremental.
        :param auto_trigger: mark it as made by a schedule. Default: the service's choice, False.
        :param resources: ids of the resources to back up. Default: all that are bound to the vault.
        """
        return self.client.create_checkpoint(
            vault_id=vault_id,
            name=name,
            description=description,
            incremental=incremental,
            auto_trigger=auto_trigger,
            resources=resources,
        )

    def show_checkpoint(self, checkpoint_id: str) -> Checkpoint:
        """Show one checkpoint: ``GET /v3/{project_id}/checkpoints/{checkpoint_id}`` (ShowCheckpoint).

        :param checkpoint_id: the checkpoint.
        :raises CbrNotFoundError: when there is no such checkpoint in this project.
        """
        return self.client.show_checkpoint(checkpoint_id)

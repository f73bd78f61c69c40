"""The operator that replicates one backup."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_cbr.airflow_names import conf
from airflow_cbr.api.ids import check_id
from airflow_cbr.exceptions import CbrProtocolError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.base import BetweenRegions
from airflow_cbr.operators.replicating import ReplicatingOperator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_cbr.api.models import Backup
    from airflow_cbr.replication.state import ReplicationState

__all__ = ["CbrReplicateBackupOperator"]


class CbrReplicateBackupOperator(ReplicatingOperator):
    """Replicate one backup to a vault in another region, and wait until the copy has ended.

    For a copy that is wrong or gone: after a replica was deleted, CBR leaves its backup out of every later replication of the vault, and
    takes it only when it is asked for by itself.

    The task states a postcondition: the destination holds a replica of this backup, or one is on its way. A record that says ``success``
    is not enough; its replica is looked up in the destination region. Only where it does not exist, and still does not after
    ``settle_time``, one ``POST /v3/{project_id}/backups/{backup_id}/replicate`` (CopyBackup) is sent. Whatever is lost or killed on the
    way, the next attempt looks before it sends. A replica that exists and is in ``error`` is never replaced by this task, since CBR keeps
    one replica of a backup in a region: the task fails without a retry, and names the replica to delete.

    XCom: as of :class:`~airflow_cbr.operators.cbr.CbrReplicateCheckpointOperator`: ``return_value`` is a list with the id of the
    replication record, ``[]`` when the replica is there already; ``replication`` is a dict with source, destination and counts.

    Seconds are a number or a ``timedelta``, within the bounds of :mod:`airflow_cbr.operators.parameters`.

    :param backup_id: id of the backup in the source region. (templated)
    :param destination_region: region id of the destination, for example ``cn-shenzhen-1``. (templated)
    :param destination_project_id: project id in that region. (templated)
    :param destination_vault_id: id of the replication vault in that project. (templated)
    :param enable_acceleration: pay for a faster transfer. Default: False.
    :param cbr_conn_id: id of the connection. Default: ``huaweicloud_cbr_default``. (templated)
    :param destination_conn_id: connection for the destination region, where it needs other credentials. Default: ``cbr_conn_id``.
        (templated)
    :param region: source region id. Default: the connection's. (templated)
    :param project_id: source project id. Default: the connection's, or looked up. (templated)
    :param wait_for_completion: wait until the copy has ended; otherwise a copy that runs is good enough. Default: True.
    :param deferrable: wait in the triggerer and not on a worker. Default: ``[operators] default_deferrable``.
    :param poll_interval: shortest time between two looks, in seconds. Default: 30.
    :param max_poll_interval: longest time between two looks, in seconds. Default: 600.
    :param timeout: seconds for the whole task, counted from the first attempt after the last clear; when it passes the task fails without
        a retry, and the copy goes on. Default: 86400.
    :param durable: take earlier attempts into account. False is the one way to copy twice. Default: True.
    :param settle_time: seconds within which the service shows a replication that it accepted, and a replica whose record says success;
        before anything is repeated, the task waits that long. Default: 120.
    :raises CbrError: see :mod:`airflow_cbr.exceptions`; permanent ones as ``AirflowFailException``.
    """

    template_fields: Sequence[str] = ("backup_id", *BetweenRegions.template_fields)

    def __init__(
        self,
        *,
        backup_id: str,
        destination_region: str,
        destination_project_id: str,
        destination_vault_id: str,
        enable_acceleration: bool = False,
        cbr_conn_id: str = CbrHook.default_conn_name,
        destination_conn_id: str | None = None,
        region: str | None = None,
        project_id: str | None = None,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta = 30,
        max_poll_interval: float | timedelta = 600,
        timeout: float | timedelta = 86400,
        durable: bool = True,
        settle_time: float | timedelta = 120,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.backup_id = backup_id
        self.destination_region = destination_region
        self.destination_project_id = destination_project_id
        self.destination_vault_id = destination_vault_id
        self.enable_acceleration = enable_acceleration
        self.cbr_conn_id = cbr_conn_id
        self.destination_conn_id = destination_conn_id
        self.region = region
        self.project_id = project_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.timeout = timeout
        self.durable = durable
        self.settle_time = settle_time

    @cached_property
    def _backup(self) -> Backup:
        return self.hook.show_backup(check_id(self.backup_id, "backup_id"))

    def _source_vault(self) -> str:
        vault_id = self._backup.vault_id
        if vault_id is None:
            raise CbrProtocolError(f"The service does not say in which vault backup {self.backup_id} is, so its copies cannot be followed.")
        return vault_id

    def _perform(self, context: Context, state: ReplicationState | None) -> list[str]:
        from airflow_cbr.inventory.backups import name_of, resource_of
        from airflow_cbr.replication.one_backup import BackupSubmission

        # Bad input is refused before the service is asked where the backup lies.
        self._spec_for("", self.destination())
        vault_id = self._source_vault()
        spec = self._spec_for(vault_id, self.destination_of(vault_id))
        result = self._submit(context, spec, state, lambda **options: BackupSubmission(self.hook.client, spec, self._backup, **options))
        self.log.info("%s of %s; backup %s", resource_of(self._backup), f"{self.pair}: {result.figures.line}", name_of(self._backup))
        self._tell_outlets(context)
        return result.record_ids

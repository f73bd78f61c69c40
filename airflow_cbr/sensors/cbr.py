"""The sensor: wait for replication records that something else started."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator, conf

from airflow_cbr.api.endpoints import check_id
from airflow_cbr.exceptions import CbrError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.hooks.failures import raise_for_airflow
from airflow_cbr.operators.parameters import check_record_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, XComArg

    from airflow_cbr.replication.records import RecordsSeen

__all__ = ["CbrReplicationSensor"]


class CbrReplicationSensor(BaseSensorOperator):
    """Wait until replication records have ended, and fail if one did not end in a copy.

    One look asks for all records at once (``GET /v3/{project_id}/backups?vault_id=..&show_replication=true``).
    A record that is not listed is waited for: the service shows it with a delay. A record that ends in ``fail`` fails the sensor after all
    others have ended; so does one that the service skipped, unless an earlier copy is recorded.

    :param vault_id: id of the source vault. (templated)
    :param replication_record_ids: the records to wait for: a list, or one id, for example ``replicate.output``. (templated)
    :param cbr_conn_id: id of the connection. Default: ``huaweicloud_cbr_default``. (templated)
    :param region: source region id. Default: the connection's. (templated)
    :param project_id: source project id. Default: the connection's, or looked up. (templated)
    :param deferrable: wait in the triggerer and not on a worker. Default: ``[operators] default_deferrable``.
    :raises CbrReplicationFailedError: when a record did not end in a copy.
    """

    template_fields: Sequence[str] = ("vault_id", "replication_record_ids", "cbr_conn_id", "region", "project_id")
    ui_color = "#d4e4f7"

    def __init__(
        self,
        *,
        vault_id: str,
        replication_record_ids: list[str] | str | XComArg,
        cbr_conn_id: str = CbrHook.default_conn_name,
        region: str | None = None,
        project_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vault_id = vault_id
        self.replication_record_ids = replication_record_ids
        self.cbr_conn_id = cbr_conn_id
        self.region = region
        self.project_id = project_id
        self.deferrable = deferrable
        self._reported: tuple[Any, ...] | None = None

    @cached_property
    def hook(self) -> CbrHook:
        """Return the hook of the source region and project."""
        return CbrHook(self.cbr_conn_id, region=self.region, project_id=self.project_id)

    def poke(self, context: Context) -> bool:
        """Look once at all records. A look that fails for a passing reason says nothing; the next one may.

        :param context: the task's context.
        :return: whether all have ended in a copy.
        """
        try:
            check_id(self.vault_id, "vault_id")
            record_ids = check_record_ids(self.replication_record_ids)
            if not record_ids:
                self.log.info("No replication records to wait for")
                return True
            seen = self._look(record_ids)
            if seen is None or not seen.are_final:
                return False
            if error := seen.failure():
                raise error
            return True
        except CbrError as error:
            raise_for_airflow(error)

    def _look(self, record_ids: list[str]) -> RecordsSeen | None:
        from airflow_cbr.replication.records import find_records

        client = self.hook.client
        try:
            seen = find_records(client.list_backups(vault_id=self.vault_id, show_replication=True), record_ids)
        except CbrError as error:
            if error.permanent:
                raise
            self.log.warning("Looking at vault %s failed, and is tried again: %s", self.vault_id, error)
            return None
        progress = seen.progress(client.server_time or datetime.now(UTC))
        if progress.change_key != self._reported:
            self.log.info("%s", progress.line)
            self._reported = progress.change_key
        return seen

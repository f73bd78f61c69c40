"""The sensor: wait for replication records that something else started."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, AirflowSkipException, BaseSensorOperator, conf

from airflow_cbr.api.endpoints import check_id
from airflow_cbr.exceptions import CbrError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.hooks.failures import raise_for_airflow
from airflow_cbr.operators.parameters import check_record_ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import Context, XComArg

__all__ = ["CbrReplicationSensor"]

MAX_POLL_INTERVAL = 600.0


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
        self._backups: dict[str, str] = {}

    @cached_property
    def hook(self) -> CbrHook:
        """Return the hook of the source region and project."""
        return CbrHook(self.cbr_conn_id, region=self.region, project_id=self.project_id)

    def execute(self, context: Context) -> Any:
        """Wait: on the worker, by rescheduling, or in the triggerer.

        :param context: the task's context.
        """
        if not self.deferrable:
            return super().execute(context)
        with self._failing_as_told():
            return self._defer_until_done(context, time.time() + self.timeout)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """Go on after a deferral.

        :param context: the task's context.
        :param event: the event of :class:`~airflow_cbr.triggers.cbr.CbrReplicationTrigger`.
        :raises AirflowSensorTimeout: when ``timeout`` has passed.
        """
        from airflow_cbr.triggers.events import deadline_of, lost_of

        with self._failing_as_told():
            try:
                deadline, lost = deadline_of(event), lost_of(event)
            except CbrError as error:
                raise_for_airflow(error)
            self._backups.update(lost)
            return self._defer_until_done(context, deadline)

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
            return self._are_done(record_ids)
        except CbrError as error:
            raise_for_airflow(error)

    def _are_done(self, record_ids: list[str]) -> bool:
        from airflow_cbr.replication.records import find_records, gone_records

        client = self.hook.client
        try:
            seen = find_records(client.list_backups(vault_id=self.vault_id, show_replication=True), record_ids)
            vanished = {record_id: self._backups[record_id] for record_id in seen.unlisted if record_id in self._backups}
            gone = gone_records(client, self.vault_id, vanished) if vanished else None
        except CbrError as error:
            if error.permanent:
                raise
            self.log.warning("Looking at vault %s failed, and is tried again: %s", self.vault_id, error)
            return False
        self._backups.update((record_id, backup.id) for record_id, (backup, _) in seen.listed.items())
        progress = seen.progress(client.server_time or datetime.now(UTC))
        if progress.change_key != self._reported:
            self.log.info("%s", progress.line)
            self._reported = progress.change_key
        if seen.unfinished or any(record_id not in vanished for record_id in seen.unlisted) or (gone and gone.running):
            return False
        if failure := seen.failure(gone.problems if gone else ()):
            raise failure
        return True

    def _defer_until_done(self, context: Context, deadline: float) -> None:
        """End, or wait in the triggerer until there is news."""
        if self.poke(context):
            return
        if time.time() >= deadline:
            raise AirflowSensorTimeout(
                f"Sensor has timed out: timeout of {self.timeout} seconds has passed, and the copies go on in CBR. "
                "Clear this task to go on waiting for them."
            )
        from airflow_cbr.triggers.cbr import CbrReplicationTrigger

        record_ids = check_record_ids(self.replication_record_ids)
        self.log.info("Deferring; these replication records run in CBR whatever becomes of this task: %s", ", ".join(record_ids))
        self.defer(
            trigger=CbrReplicationTrigger(
                cbr_conn_id=self.cbr_conn_id,
                region=self.hook.region,
                project_id=self.hook.project_id,
                vault_id=self.vault_id,
                replication_record_ids=record_ids,
                deadline=deadline,
                poll_interval=self.poke_interval,
                max_poll_interval=max(self.poke_interval, MAX_POLL_INTERVAL),
                follows_unseen=False,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(deadline - time.time(), 0.0) + 2 * max(self.poke_interval, MAX_POLL_INTERVAL)),
        )

    @contextmanager
    def _failing_as_told(self) -> Iterator[None]:
        """Turn failures into skips where ``soft_fail`` or ``never_fail`` asks for it, as ``BaseSensorOperator.execute`` does."""
        try:
            yield
        except (AirflowSensorTimeout, AirflowFailException) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipping: {error}") from error
            raise
        except CbrError as error:
            if self.never_fail:
                raise AirflowSkipException(f"Skipping: {error}") from error
            raise

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
from airflow_cbr.hooks.attempt import attempt_of
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.hooks.failures import raise_for_airflow
from airflow_cbr.operators.parameters import check_record_ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import Context, XComArg
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor

__all__ = ["CbrReplicationSensor"]

MAX_POLL_INTERVAL = 600.0
UNLISTED_FOR = 120.0
STATE_KEY = "cbr_replication_wait"


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
    :param poke_interval: shortest time between two looks, in seconds. Default: 60.
    :param timeout: seconds for the whole wait, counted from the first attempt after the last clear (before Airflow 3.3 from each attempt,
        except in the mode ``reschedule``); when it passes the task fails without a retry, and the copies go on. Default: ``[sensors]
        default_timeout``.
    :param max_wait: longest time between two looks of a deferred wait. Default: 600 seconds.
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
        self._deadline: float | None = None
        self._store: TaskStateStoreAccessor | None = None
        self._generation = 0
        self._kept: dict[str, Any] | None = None

    @cached_property
    def hook(self) -> CbrHook:
        """Return the hook of the source region and project."""
        return CbrHook(self.cbr_conn_id, region=self.region, project_id=self.project_id)

    def execute(self, context: Context) -> Any:
        """Wait: on the worker, by rescheduling, or in the triggerer.

        :param context: the task's context.
        """
        self._begin(context)
        if not self.deferrable:
            return super().execute(context)
        with self._failing_as_told():
            return self._defer_until_done(context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """Go on after a deferral.

        :param context: the task's context.
        :param event: the event of :class:`~airflow_cbr.triggers.cbr.CbrReplicationTrigger`.
        :raises AirflowSensorTimeout: when ``timeout`` has passed.
        """
        from airflow_cbr.triggers.events import Wake, backups_of, deadline_of, refusal_of, wake_of

        with self._failing_as_told():
            try:
                self._deadline = deadline_of(event, check_record_ids(self.replication_record_ids))
                self._backups = backups_of(event)
                was_lost = wake_of(event) is Wake.LOST
                if refusal := refusal_of(event):
                    raise refusal
            except CbrError as error:
                raise_for_airflow(error)
            # The operation log follows a vanished record; there is no need to ask it every two minutes.
            return self._defer_until_done(context, unlisted_for=MAX_POLL_INTERVAL if was_lost else UNLISTED_FOR)

    def poke(self, context: Context) -> bool:
        """Look once at all records. A look that fails for a passing reason says nothing; the next one may.

        :param context: the task's context.
        :return: whether all have ended in a copy.
        :raises AirflowSensorTimeout: when ``timeout`` has passed, the same in all modes.
        """
        try:
            check_id(self.vault_id, "vault_id")
            record_ids = check_record_ids(self.replication_record_ids)
            if not record_ids:
                self.log.info("No replication records to wait for")
                return True
            still_running = self._look(record_ids)
        except CbrError as error:
            raise_for_airflow(error)
        if still_running and self._deadline is not None and time.time() >= self._deadline:
            from airflow_cbr.replication.progress import timeout_error

            raise AirflowSensorTimeout(str(timeout_error(self.vault_id, self.timeout, still_running)))
        self._keep()
        return not still_running

    def _look(self, record_ids: list[str]) -> list[str]:
        """Return the records that have not ended, as far as is known.

        :raises CbrReplicationFailedError: when all have ended, and not all in a copy.
        """
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
            return record_ids
        self._backups.update((record_id, backup.id) for record_id, (backup, _) in seen.listed.items())
        progress = seen.progress(client.server_time or datetime.now(UTC))
        if progress.change_key != self._reported:
            self.log.info("%s", progress.line)
            self._reported = progress.change_key
        unlisted = [record_id for record_id in seen.unlisted if record_id not in vanished]
        still_running = [*(record.id for record in seen.unfinished), *unlisted, *(gone.running if gone else ())]
        if not still_running and (failure := seen.failure(gone.problems if gone else ())):
            raise failure
        return still_running

    def _defer_until_done(self, context: Context, *, unlisted_for: float = UNLISTED_FOR) -> None:
        """End, or wait in the triggerer until there is news."""
        try:
            if self.poke(context):
                return
        except (AirflowSensorTimeout, AirflowFailException):
            raise
        except Exception:
            if not self.silent_fail:
                raise
            self.log.exception("Sensor poke failed")
        from airflow_cbr.triggers.cbr import CbrReplicationTrigger

        record_ids = check_record_ids(self.replication_record_ids)
        deadline = self._deadline if self._deadline is not None else time.time() + self.timeout
        longest = max(self.poke_interval, self.max_wait.total_seconds() if self.max_wait else MAX_POLL_INTERVAL)
        self.log.info("Deferring; these replication records run in CBR whatever becomes of this task: %s", ", ".join(record_ids))
        self.defer(
            trigger=CbrReplicationTrigger(
                cbr_conn_id=self.cbr_conn_id,
                region=self.hook.region,
                project_id=self.hook.project_id,
                vault_id=check_id(self.vault_id, "vault_id"),
                replication_record_ids=record_ids,
                deadline=deadline,
                poll_interval=self.poke_interval,
                max_poll_interval=longest,
                unlisted_for=unlisted_for,
                follows_unseen=False,
                backups=self._backups,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(deadline - time.time(), 0.0) + 2 * longest),
        )

    @contextmanager
    def _failing_as_told(self) -> Iterator[None]:
        """Turn failures into skips as ``BaseSensorOperator.execute`` does in the other modes."""
        try:
            yield
        except AirflowSkipException:
            raise
        except Exception as error:
            if self.soft_fail and isinstance(error, AirflowSensorTimeout | AirflowFailException):
                raise AirflowSkipException("Skipping due to soft_fail is set to True.") from error
            if self.never_fail:
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise

    # --- what outlives a process --------------------------------------------------------------------------------------

    def _begin(self, context: Context) -> None:
        """Settle the deadline: with Airflow 3.3 it counts from the first attempt after the last clear, before that from this attempt."""
        self._store, self._generation = context.get("task_state_store"), attempt_of(context).generation
        kept: Any = self._store.get(STATE_KEY) if self._store is not None else None
        if isinstance(kept, dict) and kept.get("generation") == self._generation:
            self._kept, self._deadline, self._backups = kept, kept["deadline"], dict(kept["backups"])
            return
        began = context["ti"].get_first_reschedule_date(context) if self.reschedule else None
        self._deadline = (began.timestamp() if began is not None else time.time()) + self.timeout
        self._keep()

    def _keep(self) -> None:
        """Keep what the next process needs: a retry, or the next poke in the mode ``reschedule``."""
        state: dict[str, Any] = {"generation": self._generation, "deadline": self._deadline, "backups": dict(self._backups)}
        if self._store is not None and state != self._kept:
            self._store.set(STATE_KEY, state)
            self._kept = state

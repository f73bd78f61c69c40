"""The sensor: wait for replication records that something else started."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_cbr.airflow_names import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    conf,
)
from airflow_cbr.api.deadline import within
from airflow_cbr.api.ids import check_id
from airflow_cbr.exceptions import CbrAuthenticationError, CbrError, CbrReplicationFailedError, CbrUnlistedRecordError
from airflow_cbr.hooks.attempt import attempt_of
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.hooks.failures import raise_for_airflow
from airflow_cbr.links.cbr import CbrFailureLink
from airflow_cbr.operators.base import LAST_LOOK, BaseCbrOperator
from airflow_cbr.operators.parameters import check_access, check_duration, check_record_ids, check_seconds, check_truth

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from airflow.sdk import BaseOperatorLink, Context, XComArg
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor

    from airflow_cbr.waiting.records import RecordsGone, RecordsSeen

__all__ = ["CbrReplicationSensor"]

MAX_POLL_INTERVAL = 600.0
UNLISTED_FOR = 120.0
STATE_KEY = "cbr_replication_wait"


class CbrReplicationSensor(BaseCbrOperator, BaseSensorOperator):
    """Wait until replication records have ended, and fail if one did not end in a copy.

    One look asks for all records at once (``GET /v3/{project_id}/backups?vault_id=..&show_replication=true``).
    A record that ends in ``fail`` fails the sensor once all records have ended; so does one that the service skipped, unless an earlier
    copy is recorded. The service lists a new record with a delay, so the sensor waits for a record that was never listed, until
    :attr:`LISTED_WITHIN` seconds from the beginning of the wait; then it fails, even while other copies run.

    ``soft_fail=True`` skips the task when the timeout has passed and when a copy failed. Everything else (refused credentials, a wrong
    parameter or connection, a missing permission, a record that was never listed) still fails it: nobody would look for that in a
    skipped task.

    :param vault_id: id of the source vault. (templated)
    :param replication_record_ids: the records to wait for: a list, or one id, for example ``replicate.output``. (templated)
    :param cbr_conn_id: id of the connection. Default: ``huaweicloud_cbr_default``. (templated)
    :param region: source region id. Default: the connection's. (templated)
    :param project_id: source project id. Default: the connection's, or looked up. (templated)
    :param poke_interval: shortest time between two looks, in seconds from 0.01 to 31,536,000 (365 days), or a ``timedelta``. Default: 60.
    :param timeout: seconds for the whole wait, counted from the first attempt after the last clear (before Airflow 3.3 from each attempt,
        except in the mode ``reschedule``); when it passes, the task fails without a retry, and the copies continue in CBR. Default:
        ``[sensors] default_timeout``.
    :param max_wait: longest time between two looks of a deferred wait; bounds as for ``poke_interval``. Default: 600 seconds.
    :param deferrable: wait in the triggerer and not on a worker. Default: ``[operators] default_deferrable``.
    :raises CbrReplicationFailedError: when a copy failed.
    :raises CbrUnlistedRecordError: when the vault has never listed a record.
    """

    LISTED_WITHIN: ClassVar[float] = 900.0
    """Seconds from the beginning of the wait after which a record that was never listed fails the sensor."""

    template_fields: Sequence[str] = ("vault_id", "replication_record_ids", *BaseCbrOperator.template_fields)
    operator_extra_links: Collection[BaseOperatorLink] = (*BaseCbrOperator.operator_extra_links, CbrFailureLink())
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
        # Airflow makes timedeltas of these while the Dag is parsed, and does not name the one that is not valid.
        for name, check in (("poke_interval", check_seconds), ("timeout", check_duration), ("max_wait", check_seconds)):
            if kwargs.get(name) is not None:
                kwargs[name] = check(kwargs[name], name)
        super().__init__(**kwargs)
        self.vault_id = vault_id
        self.replication_record_ids = replication_record_ids
        self.cbr_conn_id = cbr_conn_id
        self.region = region
        self.project_id = project_id
        self.deferrable = deferrable
        self._reported: tuple[Any, ...] | None = None
        self._named: list[str] | None = None
        self._backups: dict[str, str] = {}
        self._deadline: float | None = None
        self._store: TaskStateStoreAccessor | None = None
        self._generation = 0
        self._kept: dict[str, Any] | None = None
        self._seen: RecordsSeen | None = None
        self._gone: RecordsGone | None = None
        self._has_links = False

    def execute(self, context: Context) -> Any:
        """Wait: on the worker, by rescheduling, or in the triggerer.

        :param context: the task's context.
        """
        from airflow_cbr.hooks.metrics import concluding

        with concluding(context, self._tell_metrics), self._failing_softly():
            self._begin(context)
            if not self.deferrable:
                return super().execute(context)
            with self._never_failing():
                return self._defer_until_done(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Continue after a deferral, or after Airflow gave it up.

        :param next_method: the method to continue with.
        :param next_kwargs: its arguments.
        :param context: the task's context.
        """
        from airflow_cbr.hooks.metrics import concluding

        with concluding(context, self._tell_metrics), self._failing_softly():
            return super().resume_execution(next_method, next_kwargs, context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """Continue after a deferral.

        :param context: the task's context.
        :param event: the event of :class:`~airflow_cbr.triggers.cbr.CbrReplicationTrigger`.
        :raises AirflowSensorTimeout: when ``timeout`` has passed.
        """
        from airflow_cbr.triggers.events import Wake, backups_of, refusal_of, wake_of

        with self._failing_softly(), self._never_failing():
            try:
                self._deadline = _deadline_of(event, check_record_ids(self.replication_record_ids))
                self._backups = backups_of(event)
                was_lost = wake_of(event) is Wake.LOST
                if refusal := refusal_of(event):
                    raise refusal
            except CbrError as error:
                raise_for_airflow(error)
            # The operation log follows a vanished record; there is no need to ask it every two minutes.
            return self._defer_until_done(context, unlisted_for=MAX_POLL_INTERVAL if was_lost else UNLISTED_FOR)

    def poke(self, context: Context) -> bool:
        """Look once at all records. A look that fails for a passing reason is repeated with the next poke.

        :param context: the task's context.
        :return: whether all have succeeded.
        :raises AirflowSensorTimeout: when ``timeout`` has passed, the same in all modes.
        """
        try:
            check_id(self.vault_id, "vault_id")
            check_access(cbr_conn_id=self.cbr_conn_id, region=self.region, project_id=self.project_id)
            check_truth(self.deferrable, "deferrable")
            record_ids = check_record_ids(self.replication_record_ids)
            if not record_ids:
                self.log.info("No replication records to wait for")
                return True
            if not self._has_links:
                self._push_links(context)
                self._has_links = True
            left = math.inf if self._deadline is None else max(self._deadline - time.time(), 0.0)
            with within(left + LAST_LOOK):
                still_running, unlisted = self._look(record_ids)
        except CbrError as error:
            if isinstance(error, CbrReplicationFailedError | CbrUnlistedRecordError):
                self.failed_vault_id = self.vault_id
            raise_for_airflow(error)
        is_done = not (still_running or unlisted)
        if not is_done and self._deadline is not None and time.time() >= self._deadline:
            from airflow_cbr.waiting.progress import timeout_error

            never = f" No backup of the vault has ever listed {', '.join(unlisted)}." if unlisted else ""
            resources = self._seen.resources if self._seen is not None else None
            raise AirflowSensorTimeout(f"{timeout_error(f'its vault ({self.vault_id})', self.timeout, still_running, resources)}{never}")
        self._keep()
        return is_done

    def _look(self, record_ids: list[str]) -> tuple[list[str], list[str]]:
        """Return the records that have not ended, as far as known, and those that were never listed.

        :raises CbrReplicationFailedError: when all have ended and one did not succeed, or when one has not been listed for too long.
        """
        from airflow_cbr.waiting.records import RecordsGone, find_records, gone_records

        client = self.hook.client
        try:
            seen = find_records(client.list_backups(vault_id=self.vault_id, show_replication=True), record_ids)
            vanished = {record_id: self._backups[record_id] for record_id in seen.unlisted if record_id in self._backups}
            gone = gone_records(client, self.vault_id, vanished) if vanished else RecordsGone()
        except CbrError as error:
            # A secret that was refused is no passing reason, also where it is not tried again for a while.
            if error.permanent or isinstance(error, CbrAuthenticationError):
                raise
            self.log.warning("The vault could not be read; trying again: %s (vault %s)", error, self.vault_id)
            return record_ids, []
        self._seen, self._gone = seen, gone
        self._backups.update((record_id, backup.id) for record_id, (backup, _) in seen.listed.items())
        progress = seen.progress(client.server_time or datetime.now(UTC))
        if progress.change_key != self._reported:
            self.log.info("%s", progress.line if progress.succeeded < progress.total else seen.closing_line(self.vault_id))
            self._reported = progress.change_key
        unlisted = [record_id for record_id in seen.unlisted if record_id not in vanished]
        if unlisted:
            self._name_unlisted(seen, unlisted)
        still_running = [*(record.id for record in seen.unfinished), *gone.running]
        if not still_running and not unlisted and (failure := seen.failure(gone.problems)):
            raise failure
        return still_running, unlisted

    def _tell_metrics(self) -> None:
        """Send what came of the records; nothing where the wait ended before the vault was read."""
        if self._seen is None or self._gone is None:
            return
        from airflow_cbr.hooks.metrics import tags_of, tell_replication, tell_wait

        region, vault_id = self._seen.destination or (None, None)
        tags = tags_of(
            region=self.hook.region,
            vault_id=check_id(self.vault_id, "vault_id"),
            destination_region=region,
            destination_vault_id=vault_id,
        )
        tell_replication(self._seen.counts(self._gone), tags)
        if self._deadline is not None:
            tell_wait(time.time() - (self._deadline - self.timeout), tags)

    def _name_unlisted(self, seen: RecordsSeen, unlisted: list[str]) -> None:
        """Log which records the vault has not listed so far.

        :raises CbrUnlistedRecordError: when that has lasted too long.
        """
        from airflow_cbr.waiting.records import unlisted_error

        if unlisted != self._named:
            if seen.is_without_records:
                self.log.warning(
                    "This cloud does not list replication records with its backups, so copies cannot be followed by record ids"
                )
            self.log.warning(
                "No backup has listed these replication records so far, and the task fails if this lasts until %s s after the wait began: "
                "%s (vault %s)",
                f"{self.LISTED_WITHIN:g}",
                ", ".join(unlisted),
                self.vault_id,
            )
            self._named = unlisted
        if (until := self._listed_until()) is not None and time.time() >= until:
            raise unlisted_error(self.vault_id, seen, unlisted, after=self.LISTED_WITHIN)

    def _listed_until(self) -> float | None:
        """Return when a record that was never listed fails the sensor; None when it is not known when the wait began."""
        return None if self._deadline is None else self._deadline - self.timeout + self.LISTED_WITHIN

    def _defer_until_done(self, context: Context, *, unlisted_for: float = UNLISTED_FOR) -> None:
        """End, or wait in the triggerer until something changes."""
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
        wake_at = deadline
        if any(record_id not in self._backups for record_id in record_ids) and (until := self._listed_until()) is not None:
            # A second later, because the triggerer's clock may be a little behind; if that is over already, the last look has failed.
            wake_at = min(deadline, until + 1.0 if time.time() < until else time.time() + longest)
        self.log.info(
            "Deferring the task. These replication records keep running in CBR even if the task is stopped: %s", ", ".join(record_ids)
        )
        self.defer(
            trigger=CbrReplicationTrigger(
                cbr_conn_id=self.cbr_conn_id,
                region=self.hook.region,
                project_id=self.hook.project_id,
                vault_id=check_id(self.vault_id, "vault_id"),
                replication_record_ids=record_ids,
                deadline=wake_at,
                poll_interval=self.poke_interval,
                max_poll_interval=longest,
                unlisted_for=unlisted_for,
                follows_unseen=False,
                backups=self._backups,
                memory={"deadline": deadline},
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(deadline - time.time(), 0.0) + 2 * longest),
        )

    @contextmanager
    def _failing_softly(self) -> Iterator[None]:
        """Skip for what ``soft_fail`` means here. Airflow's own handling would skip other failures too, so it is off meanwhile."""
        soft_fail, self.soft_fail = self.soft_fail, False
        try:
            yield
        except (Exception, AirflowTaskTimeout) as error:
            if not soft_fail or not _is_soft(error):
                raise
            self.log.warning("Skipped, because soft_fail is set to True: %s", error)
            raise AirflowSkipException("Skipping due to soft_fail is set to True.") from error
        finally:
            self.soft_fail = soft_fail

    @contextmanager
    def _never_failing(self) -> Iterator[None]:
        """Skip for every failure when ``never_fail`` is set, as ``BaseSensorOperator.execute`` does in the other modes."""
        try:
            yield
        except AirflowSkipException:
            raise
        except (Exception, AirflowTaskTimeout) as error:
            if self.never_fail:
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise

    # --- what outlives a process --------------------------------------------------------------------------------------

    def _begin(self, context: Context) -> None:
        """Set the deadline: with Airflow 3.3 it counts from the first attempt after the last clear, before that from this attempt."""
        self._seen = self._gone = None
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


def _is_soft(error: BaseException) -> bool:
    """Return whether a failure is a timeout, or a copy that failed."""
    if isinstance(error, AirflowSensorTimeout | AirflowTaskTimeout):
        return True
    reason = error.__cause__ if isinstance(error, AirflowFailException) else error
    return isinstance(reason, CbrReplicationFailedError) and not isinstance(reason, CbrUnlistedRecordError)


def _deadline_of(event: Any, record_ids: list[str]) -> float:
    """Return the deadline of the whole wait; the trigger's own comes earlier while a record was never listed.

    :raises CbrProtocolError: when the event cannot be read, has no deadline, or does not mention one of the records.
    """
    from airflow_cbr.triggers.events import deadline_of

    own, memory = deadline_of(event, record_ids), event.get("memory")
    deadline = memory.get("deadline") if isinstance(memory, dict) else None
    return float(deadline) if isinstance(deadline, int | float) and not isinstance(deadline, bool) else own

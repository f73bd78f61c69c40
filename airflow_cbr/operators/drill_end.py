"""The operator that ends a restore drill, and says how it went."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_cbr.airflow_names import conf
from airflow_cbr.exceptions import CbrDrillFailedError, CbrDrillTimeoutError, CbrError, CbrParameterError, CbrStoppedError
from airflow_cbr.hooks.attempt import DRILL_END_STATE_KEY, attempt_of, intents_of, will_be_retried
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.drilling import DRILL_XCOM_KEY, DrillCleaner, mark_of_drill
from airflow_cbr.operators.parameters import check_intervals, check_seconds, check_text, check_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_cbr.drills.cleanup import Cleanup
    from airflow_cbr.drills.document import DrillProgress
    from airflow_cbr.drills.state import CleanupState
    from airflow_cbr.exceptions import CbrDrillError

__all__ = ["CbrEndRestoreDrillOperator"]


class CbrEndRestoreDrillOperator(DrillCleaner[dict[str, Any]]):
    """Delete a drill's server with its disks, and its image, whatever happened; and record the verdict. Use it as the teardown.

    What is deleted carries the drill's mark, and is found by it, not by what the start has told: so what a lost answer made is found too. A
    server without the mark is never deleted, and no replica ever is. Where a call of the start may still take effect, the task waits
    (``settle_time``) and looks again.

    XCom: ``return_value`` and ``drill`` are the verdict: ``verdict`` is ``successful``, ``failed`` or ``timed_out``, with ``reason``, the
    replica, the state of each check, and ``durations`` with ``image_seconds``, ``boot_seconds``, ``check_seconds`` and ``rto_seconds``, the
    time from the beginning of the drill to the end of its checks.

    After that the task fails, without a retry, unless the drill was successful; and it fails, with retries, when something is left. A
    teardown's failure fails the Dag run only with ``on_failure_fail_dagrun=True``, and then Airflow looks at no check before it.

    :param start_task_id: id of the task that starts the drill; in a task group with the group's. (templated)
    :param destination_region: region id of the drill. (templated)
    :param destination_project_id: project id in that region. (templated)
    :param check_task_ids: ids of the tasks whose success makes the drill successful. Default: the tasks directly before this one
        that are no setups.
    :param max_duration: seconds from the beginning of the drill to the end of its checks that the recovery may take. Default: any.
    :param cbr_conn_id: id of the connection. Default: ``huaweicloud_cbr_default``. (templated)
    :param destination_conn_id: connection for the destination region, where it needs other credentials. Default: ``cbr_conn_id``.
        (templated)
    :param deferrable: wait in the triggerer and not on a worker. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks. Default: 10.
    :param max_poll_interval: longest time between two looks after a failure, in seconds. Default: 60.
    :param timeout: seconds for the whole task, counted from the first attempt after the last clear. Default: 7200.
    :param settle_time: as of the start; used where the start has told nothing. Default: 1800.
    :param evidence_path: folder for evidence, or a URL that ``ObjectStoragePath`` takes: one file for each drill, in the chain of its vault
        pair, as :class:`~airflow_cbr.operators.cbr.CbrVerifyReplicationOperator` writes it. Everything is deleted before it is written; the
        task fails when it cannot be. Default: none. (templated)
    :param evidence_conn_id: id of a connection whose password is the Ed25519 private key, as PEM, that signs the evidence. Default: it is
        not signed. (templated)
    :raises CbrDrillCleanupError: something is left.
    :raises CbrDrillFailedError: the drill failed; nothing is left.
    :raises CbrDrillTimeoutError: it took too long; nothing is left.
    :raises CbrEvidenceError: nothing is wrong but that the evidence cannot be written.
    """

    template_fields: Sequence[str] = ("start_task_id", *DrillCleaner.template_fields, "evidence_path", "evidence_conn_id")

    _recorded: dict[str, Any] | None = None
    """The verdict with which the task concludes; None as long as it does not."""

    def __init__(
        self,
        *,
        start_task_id: str,
        destination_region: str,
        destination_project_id: str,
        check_task_ids: Sequence[str] | None = None,
        max_duration: float | timedelta | None = None,
        cbr_conn_id: str = CbrHook.default_conn_name,
        destination_conn_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta = 10,
        max_poll_interval: float | timedelta = 60,
        timeout: float | timedelta = 7200,
        settle_time: float | timedelta = 1800,
        evidence_path: str | None = None,
        evidence_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.start_task_id = start_task_id
        self.destination_region = destination_region
        self.destination_project_id = destination_project_id
        self.check_task_ids = check_task_ids
        self.max_duration = max_duration
        self.cbr_conn_id = cbr_conn_id
        self.destination_conn_id = destination_conn_id
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.timeout = timeout
        self.settle_time = settle_time
        self.evidence_path = evidence_path
        self.evidence_conn_id = evidence_conn_id

    def _run_leg(self, context: Context, recall: Callable[[], Any]) -> dict[str, Any]:
        from airflow_cbr.hooks.metrics import concluding

        self._recorded = None
        with concluding(context, self._tell_metrics):
            return super()._run_leg(context, recall)

    def _tell_metrics(self) -> None:
        from airflow_cbr.operators.drill_record import tell_verdict

        if self._recorded is not None:
            tell_verdict(self._recorded, str(self.destination_region))

    def _perform(self, context: Context, state: CleanupState | None) -> dict[str, Any]:
        from airflow_cbr.operators.drill_record import state_drill
        from airflow_cbr.operators.evidence import leave_evidence

        started = self._start_published(context)
        cleanup = self._cleanup(context, started, state)
        self._push_links(context)
        try:
            removed = self._follow(cleanup)
        except CbrError as error:
            try:
                verdict = self._record(context, started, cleanup.state, left=error.what_happened)
            except CbrParameterError as wrong:
                # What is left goes before what is wrong with a parameter, which no retry mends.
                self.log.error("%s", wrong)
                raise error from wrong
            # The next attempt says it anew; and one that was stopped has come to no conclusion.
            if not isinstance(error, CbrStoppedError) and (error.permanent or not will_be_retried(context, error)):
                self._recorded = verdict
                leave_evidence(self, context, lambda: state_drill(self, verdict), error)
            raise
        deleted = {"servers": list(removed.servers), "images": list(removed.images)}
        verdict = self._recorded = self._record(context, started, cleanup.state, deleted=deleted)
        failure = self._failure(verdict)
        leave_evidence(self, context, lambda: state_drill(self, verdict), failure)
        if failure is not None:
            raise failure
        return verdict

    def _failure(self, verdict: dict[str, Any]) -> CbrDrillError | None:
        """Return the error of a drill that is no success; None of one that is."""
        from airflow_cbr.drills.document import DrillOutcome

        if verdict["verdict"] == DrillOutcome.SUCCESSFUL:
            return None
        # Where a teardown counts for the Dag run, Airflow no longer looks at the checks before it: it must be red itself.
        return (CbrDrillTimeoutError if verdict["verdict"] == DrillOutcome.TIMED_OUT else CbrDrillFailedError)(
            f"The drill {verdict['name']} was cleaned up, and is no success: {verdict['reason']}.",
            advice="See the runbook of a failed restore drill.",
        )

    def _record(
        self,
        context: Context,
        started: DrillProgress | None,
        state: CleanupState,
        *,
        left: str | None = None,
        deleted: dict[str, list[str]] | None = None,
    ) -> dict[str, Any]:
        """Make the verdict, push it and log it.

        :param context: the task's context.
        :param started: what the start has published.
        :param state: what the clean-up knows.
        :param left: why something is left. Default: nothing is.
        :param deleted: ids of what was deleted. Default: not known.
        """
        from airflow_cbr.drills.lines import verdict_line

        verdict = self._verdict(context, started, state) | {"left": left}
        if deleted is not None:
            verdict["deleted"] = deleted
        context["ti"].xcom_push(key="return_value", value=verdict)
        context["ti"].xcom_push(key=DRILL_XCOM_KEY, value=verdict)
        self.log.info("%s", verdict_line(verdict))
        return verdict

    def _start_published(self, context: Context) -> DrillProgress | None:
        """Return what the start has published, in this Dag run and for this map index."""
        from airflow_cbr.drills.document import DrillProgress

        ti: Any = context["ti"]
        start_task_id = check_text(self.start_task_id, "start_task_id", "the id of the task that starts the drill")
        map_index = -1 if getattr(ti, "map_index", None) is None else ti.map_index
        pulled = ti.xcom_pull(task_ids=start_task_id, key=DRILL_XCOM_KEY, map_indexes=map_index)
        return DrillProgress.read(pulled, mark_of_drill(context, start_task_id).name)

    def _cleanup(self, context: Context, started: DrillProgress | None, state: CleanupState | None) -> Cleanup:
        from airflow_cbr.drills.cleanup import Cleanup
        from airflow_cbr.drills.spec import CleanupSpec

        poll_interval, max_poll_interval = check_intervals(self.poll_interval, self.max_poll_interval)
        check_truth(self.deferrable, "deferrable")
        settle_time = check_seconds(self.settle_time, "settle_time")
        began = time.time() if state is None else state.begun_at
        spec = CleanupSpec(
            owner=mark_of_drill(context, self.start_task_id),
            # A start that has told nothing may have sent its calls a moment ago.
            unsettled_until=began + settle_time if started is None else started.unsettled_until,
            server_id=None if started is None else started.server_id,
            image_id=None if started is None else started.image_id,
            timeout=check_seconds(self.timeout, "timeout"),
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
        )
        return Cleanup(
            self.destination_hook.client,
            spec,
            attempt=attempt_of(context),
            intents=intents_of(context, DRILL_END_STATE_KEY),
            state=state,
            observe=self.at_step,
            log=self.log,
        )

    def _verdict(self, context: Context, started: DrillProgress | None, state: CleanupState) -> dict[str, Any]:
        from airflow_cbr.drills.document import verdict

        # A later attempt does not know whether the server was there when the first one looked.
        was_there = state.saw_server or attempt_of(context).number > 1 or not state.has_looked
        return verdict(
            started,
            name=mark_of_drill(context, self.start_task_id).name,
            checks=self._checks(context),
            ended_at=state.begun_at,
            # Checked only now: what cannot be right about it must not keep anything from being deleted.
            max_duration=None if self.max_duration is None else check_seconds(self.max_duration, "max_duration"),
            server_was_there=was_there,
        )

    def _checks(self, context: Context) -> dict[str, str | None]:
        """Return the state of each check, by task id; of one that is mapped beyond this drill, success only if all have succeeded."""
        from airflow_cbr.operators.drill_turns import states_of

        if self.check_task_ids is None:
            task_ids = sorted(task.task_id for task in self.upstream_list if not task.is_setup)
        elif isinstance(self.check_task_ids, str):
            task_ids = [self.check_task_ids]
        else:
            task_ids = sorted(set(self.check_task_ids))
        task_ids = [one for one in task_ids if one != self.start_task_id]
        if not task_ids:
            return {}
        states, index = states_of(context, task_ids), getattr(context["ti"], "map_index", -1)
        checks: dict[str, str | None] = {}
        for task_id in task_ids:
            own = f"{task_id}_{index}"
            mapped = [state for key, state in states.items() if key.rpartition("_")[0] == task_id and key.rpartition("_")[2].isdigit()]
            if own in states:
                checks[task_id] = states[own]
            elif task_id in states:
                checks[task_id] = states[task_id]
            else:
                checks[task_id] = next((state for state in mapped if state != "success"), "success" if mapped else None)
        return checks

    def _recall(self, event: Any) -> CleanupState:
        from airflow_cbr.drills.state import CleanupState
        from airflow_cbr.triggers.events import memory_of

        return memory_of(event, CleanupState.load)

"""What the operators share that replicate: one submission, its XComs, and the deferred wait for its records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.airflow_names import conf
from airflow_cbr.hooks.attempt import attempt_of, intents_of
from airflow_cbr.operators.base import BetweenRegions, OnceOperator
from airflow_cbr.operators.parameters import check_intervals, check_seconds, check_truth
from airflow_cbr.replication.spec import ReplicationSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from airflow_cbr.inventory.coverage import Destination
    from airflow_cbr.once.steps import Pause
    from airflow_cbr.replication.state import ReplicationState
    from airflow_cbr.replication.steps import Result
    from airflow_cbr.replication.submission import Submission

__all__ = ["ReplicatingOperator"]

REPLICATION_XCOM_KEY = "replication"


class ReplicatingOperator(BetweenRegions, OnceOperator[list[str]]):
    """A task that replicates backups, and follows their records."""

    enable_acceleration: bool
    wait_for_completion: bool
    durable: bool
    settle_time: float | timedelta

    _unlisted_for = 120.0
    """Seconds after which a record that no backup lists wakes the task."""

    def on_kill(self) -> None:
        """Log which copies continue: the API cannot cancel one."""
        if self._running:
            self.log.warning(
                "The task was stopped (%s). CBR cannot cancel copies; these replication records keep running: %s",
                self.pair,
                ", ".join(self._running),
            )

    def _source_vault(self) -> str:
        """Return the id of the vault whose backups list the records."""
        raise NotImplementedError

    def _submit(self, context: Context, spec: ReplicationSpec, state: ReplicationState | None, begin: Callable[..., Submission]) -> Result:
        """Follow one submission to its end, and return its result.

        :param context: the task's context.
        :param spec: what is asked for.
        :param state: what an earlier leg of the attempt knew, or None.
        :param begin: makes the submission from its options, all but client and spec.
        """
        attempt, ti = attempt_of(context), context["ti"]
        if not self.durable and attempt.may_have_predecessor:
            self.log.warning("durable=False: copies that an earlier attempt started are ignored; they may be started, and billed, again")
        where, there = self._place(context, spec.vault_id), spec.destination

        def publish(record_ids: list[str], counts: dict[str, int]) -> None:
            self._source_name = submission.state.vault_name
            document = {
                "source": {**where, "vault_name": submission.state.vault_name},
                "destination": {
                    "region": there.region,
                    "project_id": there.project_id,
                    "vault_id": there.vault_id,
                    "vault_name": submission.state.destination_name,
                },
                **counts,
                **submission.figures.row,
            }
            ti.xcom_push(key="return_value", value=record_ids)
            ti.xcom_push(key=REPLICATION_XCOM_KEY, value=document)

        submission = begin(
            attempt=attempt,
            intents=intents_of(context),
            publish=publish,
            destination=lambda: self.destination_hook.client,
            state=state,
            observe=self.at_step,
            log=self.log,
        )
        self._source_region, self._source_name = where["region"], submission.state.vault_name
        return self._follow(submission)

    def _spec_for(self, vault_id: str, destination: Destination, **limits: Any) -> ReplicationSpec:
        """Return what is asked for.

        :param vault_id: the source vault.
        :param destination: where the copies go.
        :param limits: what only some of these operators take, checked.
        """
        poll_interval, max_poll_interval = check_intervals(self.poll_interval, self.max_poll_interval)
        check_truth(self.deferrable, "deferrable")
        is_mapped_over = self.has_dag() and next(iter(self.iter_mapped_dependants()), None) is not None  # type: ignore[no-untyped-call]
        return ReplicationSpec(
            vault_id=vault_id,
            destination=destination,
            enable_acceleration=check_truth(self.enable_acceleration, "enable_acceleration"),
            wait_for_completion=check_truth(self.wait_for_completion, "wait_for_completion"),
            max_records=conf.getint("core", "max_map_length", fallback=1024) if is_mapped_over else None,
            timeout=check_seconds(self.timeout, "timeout"),
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
            settle_time=check_seconds(self.settle_time, "settle_time"),
            durable=check_truth(self.durable, "durable"),
            **limits,
        )

    def _recall(self, event: Any) -> ReplicationState:
        from airflow_cbr.once.machine import TROUBLES_LIMIT
        from airflow_cbr.replication.state import ReplicationState
        from airflow_cbr.triggers.events import Wake, memory_of, refusal_of, wake_of

        state = memory_of(event, ReplicationState.load)
        if refusal := refusal_of(event):
            raise refusal
        if wake_of(event) is Wake.LOST:
            # The operation log follows a vanished record; there is no need to ask it every two minutes.
            self._unlisted_for = 600.0
        if wake_of(event) is Wake.REFUSED:
            # The trigger has seen the refusal persist; one more look makes this task fail with it.
            state.troubles = TROUBLES_LIMIT
        return state

    def _trigger(self, state: ReplicationState, pause: Pause, seconds: float) -> BaseTrigger:
        from airflow_cbr.triggers.cbr import CbrReplicationTrigger

        if not pause.records:
            return super()._trigger(state, pause, seconds)
        self.log.info(
            "Deferring the task. These replication records keep running in CBR even if the task is stopped: %s", ", ".join(pause.records)
        )
        poll_interval, max_poll_interval = check_intervals(self.poll_interval, self.max_poll_interval)
        return CbrReplicationTrigger(
            cbr_conn_id=self.cbr_conn_id,
            region=self.hook.region,
            project_id=self.hook.project_id,
            vault_id=self._source_vault(),
            replication_record_ids=list(pause.records),
            deadline=state.deadline,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
            unlisted_for=self._unlisted_for,
            memory=state.dump(),
        )

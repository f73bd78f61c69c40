"""What the operators share that replicate: one submission, its XComs, and the deferred wait for its records."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_cbr.airflow_names import conf
from airflow_cbr.hooks.attempt import attempt_of, intents_of
from airflow_cbr.links.cbr import CbrFailureLink
from airflow_cbr.operators.base import BetweenRegions, OnceOperator
from airflow_cbr.operators.lineage import TracedOperator
from airflow_cbr.operators.outcome import of_replication
from airflow_cbr.operators.parameters import check_intervals, check_seconds, check_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import timedelta

    from airflow.sdk import BaseOperatorLink, Context
    from airflow.triggers.base import BaseTrigger

    from airflow_cbr.inventory.destination import Destination
    from airflow_cbr.once.steps import Pause
    from airflow_cbr.replication.spec import ReplicationSpec
    from airflow_cbr.replication.state import ReplicationState
    from airflow_cbr.replication.steps import Result
    from airflow_cbr.replication.submission import Submission

__all__ = ["ReplicatingOperator"]

REPLICATION_XCOM_KEY = "replication"


class ReplicatingOperator(TracedOperator, BetweenRegions, OnceOperator[list[str]]):
    """A task that replicates backups, and follows their records."""

    enable_acceleration: bool
    wait_for_completion: bool
    durable: bool
    settle_time: float | timedelta

    operator_extra_links: Collection[BaseOperatorLink] = (*BetweenRegions.operator_extra_links, CbrFailureLink())

    _unlisted_for = 120.0
    """Seconds after which a record that no backup lists wakes the task."""

    _replication: dict[str, Any] | None = None
    """The XCom ``replication``, as it was pushed last."""

    _recalled: ReplicationState | None = None
    """What the trigger's event brought back, for metrics of a leg that ends before it has looked."""
    _submission: Submission | None = None
    _counts: dict[str, int] | None = None
    """The counts as they were published last."""

    def _run_leg(self, context: Context, recall: Callable[[], Any]) -> list[str]:
        from airflow_cbr.hooks.metrics import concluding

        self._recalled = self._submission = self._counts = None
        with concluding(context, self._tell_metrics):
            return super()._run_leg(context, recall)

    def _tell_metrics(self) -> None:
        """Send what came of the copies; nothing where the task came to its end before there were any to speak of."""
        from airflow_cbr.hooks.metrics import tell_replication, tell_wait
        from airflow_cbr.replication.decisions import counts_before_looking

        state = self._recalled if self._submission is None else self._submission.state
        if state is None:
            return
        counts = self._counts or counts_before_looking(state)
        # Before this leg has published anything, what another has published is none of its business.
        gb = None if self._counts is None or self._replication is None else self._replication["gb"]
        tags = self._tags(self._source_vault())
        if self.wait_for_completion:
            tell_replication(counts, tags, gb=gb)
            if state.looked_at:
                tell_wait(time.time() - state.looked_at, tags)
        else:
            # Whoever waits for the copies counts those that succeed.
            tell_replication({key: count for key, count in counts.items() if key != "succeeded"}, tags)

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
            self._counts, self._source_name = counts, submission.state.vault_name
            source = {**where, "vault_name": submission.state.vault_name}
            destination = {
                "region": there.region,
                "project_id": there.project_id,
                "vault_id": there.vault_id,
                "vault_name": submission.state.destination_name,
            }
            self._replication = {"source": source, "destination": destination, **counts, **submission.figures.row}
            ti.xcom_push(key="return_value", value=record_ids)
            ti.xcom_push(key=REPLICATION_XCOM_KEY, value=self._replication)
            self.tell(of_replication(source, destination, counts, self.consoles))

        submission = begin(
            attempt=attempt,
            intents=intents_of(context),
            publish=publish,
            destination=lambda: self.destination_hook.client,
            state=state,
            observe=self.at_step,
            log=self.log,
        )
        self._submission = submission
        self._source_region, self._source_name = where["region"], submission.state.vault_name
        return self._follow(submission)

    def _tell_outlets(self, context: Context) -> None:
        """Let the events of the outlets say what was replicated; where that is nothing, there are none."""
        if not self.outlets:
            return
        from airflow_cbr.operators.facts import covers_something, replicated
        from airflow_cbr.operators.outlet_events import announce, withhold

        if self._replication is not None and covers_something(self._replication):
            announce(context, replicated(self._replication, waited=self.wait_for_completion))
        else:
            withhold(context, "nothing was replicated.")

    def _lineage_facts(self) -> dict[str, Any] | None:
        from airflow_cbr.operators.facts import replicated

        return None if self._replication is None else replicated(self._replication, waited=self.wait_for_completion)

    def _spec_for(self, vault_id: str, destination: Destination, **limits: Any) -> ReplicationSpec:
        """Return what is asked for.

        :param vault_id: the source vault.
        :param destination: where the copies go.
        :param limits: what only some of these operators take, checked.
        """
        from airflow_cbr.replication.spec import ReplicationSpec

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

    def _ids_started(self, state: ReplicationState) -> Sequence[str]:
        return list(state.followed)

    def _what_continues(self, ids: Sequence[str]) -> str:
        if not ids:
            return "No copy of its own is running"
        return f"CBR cannot cancel copies; these replication records keep running: {', '.join(ids)}"

    def _recall(self, event: Any) -> ReplicationState:
        from airflow_cbr.once.machine import TROUBLES_LIMIT
        from airflow_cbr.replication.state import ReplicationState
        from airflow_cbr.triggers.events import Wake, memory_of, refusal_of, wake_of

        self._recalled = state = memory_of(event, ReplicationState.load)
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

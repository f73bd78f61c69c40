"""The operator that replicates the backups of a vault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.airflow_names import conf
from airflow_cbr.api.endpoints import check_id
from airflow_cbr.hooks.attempt import attempt_of, intents_of
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.base import BetweenRegions, OnceOperator
from airflow_cbr.operators.parameters import (
    check_at_least,
    check_intervals,
    check_seconds,
    check_truth,
)
from airflow_cbr.operators.preflight_report import publish_plan, run_preflight
from airflow_cbr.replication.spec import ReplicationSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from airflow_cbr.once.steps import Pause
    from airflow_cbr.replication.state import ReplicationState
    from airflow_cbr.replication.submission import Submission

__all__ = ["CbrReplicateCheckpointOperator"]

REPLICATION_XCOM_KEY = "replication"


class CbrReplicateCheckpointOperator(BetweenRegions, OnceOperator[list[str]]):
    """Replicate the backups of a vault to a vault in another region, and wait until the copies have ended.

    The task's postcondition: every eligible backup of the source vault has a replica, or a running copy, at the destination. It reads the
    vault first, sends one ``POST /v3/{project_id}/checkpoints/replicate`` (CopyCheckpoint) if anything is missing, requests individually
    what that call leaves out, and follows every copy to its end. Whatever was lost or killed, the next attempt reads before it sends.

    XCom: ``return_value`` is the list of replication record ids that were accepted or adopted in this Dag run, pushed as soon as the
    service has answered; ``replication`` is a dict with source, destination and the counts ``accepted``, ``adopted``, ``already``,
    ``succeeded``, ``failed``, ``skipped`` and ``missing``.

    Seconds are a number or a ``timedelta``, within the bounds of :mod:`airflow_cbr.operators.parameters`.

    :param vault_id: id of the source vault. (templated)
    :param destination_region: region id of the destination, for example ``cn-shenzhen-1``. (templated)
    :param destination_project_id: project id in that region. (templated)
    :param destination_vault_id: id of the replication vault in that project. (templated)
    :param auto_trigger: mark the copies as made by a schedule, not by hand. Default: False.
    :param enable_acceleration: pay for a faster transfer. Default: False.
    :param cbr_conn_id: id of the connection. Default: ``huaweicloud_cbr_default``. (templated)
    :param destination_conn_id: connection for the destination region, where it needs other credentials. Only the preflight reads there,
        and the task itself on a cloud that lists no replication records: the replicate call goes to the source region. Default:
        ``cbr_conn_id``. (templated)
    :param region: source region id. Default: the connection's. (templated)
    :param project_id: source project id. Default: the connection's, or looked up. (templated)
    :param wait_for_completion: wait until the copies have ended. False: a running copy counts as covered. Default: True.
    :param deferrable: wait in the triggerer and not on a worker. Default: ``[operators] default_deferrable``.
    :param poll_interval: shortest time between two looks, in seconds. Default: 30.
    :param max_poll_interval: longest time between two looks, in seconds. Default: 600.
    :param timeout: seconds for the whole task, counted from the first attempt after the last clear; when it passes, the task fails without
        a retry, and the copies continue in CBR. Default: 86400.
    :param allow_empty: succeed when the vault holds no eligible backup at all. Default: False, the task fails.
    :param max_backups: refuse to start more copies than this. Default: no limit.
    :param durable: take earlier attempts into account. False is the one way to copy twice. Default: True.
    :param settle_time: seconds within which the service shows a replication that it accepted; before a call of unknown outcome is
        repeated, the task waits that long. Default: 120.
    :param preflight: run the checks of :class:`~airflow_cbr.operators.cbr.CbrPreflightOperator` first, and fail before anything is sent.
        Left out when an earlier attempt of this Dag run has sent a replicate call. Default: False.
    :param plan_only: log what would be copied, push it as XCom ``plan``, send nothing, and return ``[]``. Default: False.
    :raises CbrError: see :mod:`airflow_cbr.exceptions`; permanent ones as ``AirflowFailException``.
    """

    template_fields: Sequence[str] = ("vault_id", *BetweenRegions.template_fields)

    _unlisted_for = 120.0
    """Seconds after which a record that no backup lists wakes the task."""

    def __init__(
        self,
        *,
        vault_id: str,
        destination_region: str,
        destination_project_id: str,
        destination_vault_id: str,
        auto_trigger: bool = False,
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
        allow_empty: bool = False,
        max_backups: int | None = None,
        durable: bool = True,
        settle_time: float | timedelta = 120,
        preflight: bool = False,
        plan_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vault_id = vault_id
        self.destination_region = destination_region
        self.destination_project_id = destination_project_id
        self.destination_vault_id = destination_vault_id
        self.auto_trigger = auto_trigger
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
        self.allow_empty = allow_empty
        self.max_backups = max_backups
        self.durable = durable
        self.settle_time = settle_time
        self.preflight = preflight
        self.plan_only = plan_only

    def on_kill(self) -> None:
        """Log which copies continue: the API cannot cancel one."""
        if self._running:
            self.log.warning(
                "The task was stopped. CBR cannot cancel copies; these replication records keep running: %s", ", ".join(self._running)
            )

    def _perform(self, context: Context, state: ReplicationState | None) -> list[str]:
        spec = self._spec()
        if check_truth(self.plan_only, "plan_only"):
            self._plan(context, spec)
            return []
        if check_truth(self.preflight, "preflight") and state is None:
            self._check_the_way(context, spec)
        result = self._follow(self._submission(context, spec, state))
        self.log.info("All eligible backups are covered: %s", result.counts)
        return result.record_ids

    def _plan(self, context: Context, spec: ReplicationSpec) -> None:
        """Log what would be copied, and send nothing."""
        from airflow_cbr.inventory.coverage import assess
        from airflow_cbr.preflight.plan import plan_of

        if check_truth(self.preflight, "preflight"):
            if error := run_preflight(self, spec.vault_id, spec.destination, context["ti"]).failure():
                raise error
        else:
            source = self.hook.show_vault(spec.vault_id)
            backups = self.hook.list_backups(vault_id=spec.vault_id, show_replication=True)
            coverage = assess((one for one in backups if one.vault_id in (None, spec.vault_id)), spec.destination)
            publish_plan(self, plan_of(coverage, source=source), context["ti"])
        self.log.info("plan_only=True: nothing was sent")

    def _check_the_way(self, context: Context, spec: ReplicationSpec) -> None:
        """Run the preflight, unless this task has sent something in this Dag run already, which then must be followed.

        :raises CbrPreflightError: the replication would fail.
        """
        from airflow_cbr.once.clock import CLOCK_MARGIN
        from airflow_cbr.replication.decisions import has_begun
        from airflow_cbr.replication.intents import has_sent

        attempt = attempt_of(context)
        if spec.durable and has_sent(intents_of(context), spec.destination):
            self.log.info("An earlier attempt has sent a replicate call; the preflight is left out")
            return
        report = run_preflight(self, spec.vault_id, spec.destination, context["ti"])
        error = report.failure()
        if error is None:
            return
        began = attempt.run_after if spec.durable and attempt.may_have_predecessor else None
        if began is not None and report.plan is not None and has_begun(report.plan.coverage, since=began - CLOCK_MARGIN.total_seconds()):
            self.log.warning("Copies of this Dag run have begun, so the task follows them although its preflight failed: %s", error)
            return
        raise error

    def _submission(self, context: Context, spec: ReplicationSpec, state: ReplicationState | None) -> Submission:
        from airflow_cbr.replication.submission import Submission

        attempt, ti = attempt_of(context), context["ti"]
        if not self.durable and attempt.may_have_predecessor:
            self.log.warning("durable=False: copies that an earlier attempt started are ignored; they may be started, and billed, again")
        where = self._place(context, spec.vault_id)
        there = {
            "region": spec.destination.region,
            "project_id": spec.destination.project_id,
            "vault_id": spec.destination.vault_id,
        }

        def publish(record_ids: list[str], counts: dict[str, int]) -> None:
            ti.xcom_push(key="return_value", value=record_ids)
            ti.xcom_push(key=REPLICATION_XCOM_KEY, value={"source": where, "destination": there, **counts})

        return Submission(
            self.hook.client,
            spec,
            attempt=attempt,
            intents=intents_of(context),
            publish=publish,
            destination=lambda: self.destination_hook.client,
            state=state,
            observe=self.at_step,
            log=self.log,
        )

    def _spec(self) -> ReplicationSpec:
        poll_interval, max_poll_interval = check_intervals(self.poll_interval, self.max_poll_interval)
        check_truth(self.deferrable, "deferrable")
        is_mapped_over = self.has_dag() and next(iter(self.iter_mapped_dependants()), None) is not None  # type: ignore[no-untyped-call]
        return ReplicationSpec(
            vault_id=check_id(self.vault_id, "vault_id"),
            destination=self.destination(),
            auto_trigger=check_truth(self.auto_trigger, "auto_trigger"),
            enable_acceleration=check_truth(self.enable_acceleration, "enable_acceleration"),
            wait_for_completion=check_truth(self.wait_for_completion, "wait_for_completion"),
            allow_empty=check_truth(self.allow_empty, "allow_empty"),
            max_backups=None if self.max_backups is None else check_at_least(self.max_backups, 1, "max_backups"),
            max_records=conf.getint("core", "max_map_length", fallback=1024) if is_mapped_over else None,
            timeout=check_seconds(self.timeout, "timeout"),
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
            settle_time=check_seconds(self.settle_time, "settle_time"),
            durable=check_truth(self.durable, "durable"),
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
            vault_id=check_id(self.vault_id, "vault_id"),
            replication_record_ids=list(pause.records),
            deadline=state.deadline,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
            unlisted_for=self._unlisted_for,
            memory=state.dump(),
        )

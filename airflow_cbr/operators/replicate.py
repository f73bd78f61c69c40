"""The operator that replicates the backups of a vault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.airflow_names import conf
from airflow_cbr.api.ids import check_id
from airflow_cbr.hooks.attempt import attempt_of, intents_of
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.base import BetweenRegions
from airflow_cbr.operators.parameters import check_at_least, check_truth
from airflow_cbr.operators.preflight_report import publish_plan, run_preflight
from airflow_cbr.operators.replicating import ReplicatingOperator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_cbr.replication.spec import ReplicationSpec
    from airflow_cbr.replication.state import ReplicationState

__all__ = ["CbrReplicateCheckpointOperator"]


class CbrReplicateCheckpointOperator(ReplicatingOperator):
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
    :param allow_empty: succeed when the vault exists and holds no eligible backup at all. Default: False, the task fails.
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

    def _perform(self, context: Context, state: ReplicationState | None) -> list[str]:
        spec = self._spec()
        if check_truth(self.plan_only, "plan_only"):
            self._plan(context, spec)
            self._tell_outlets(context)
            return []
        if check_truth(self.preflight, "preflight") and state is None:
            self._check_the_way(context, spec)
        from airflow_cbr.replication.submission import Submission

        result = self._submit(context, spec, state, lambda **options: Submission(self.hook.client, spec, **options))
        self.log.info("%s: %s", self.pair, result.figures.line)
        self._tell_outlets(context)
        return result.record_ids

    def _plan(self, context: Context, spec: ReplicationSpec) -> None:
        """Log what would be copied, and send nothing."""
        from airflow_cbr.inventory.coverage import assess
        from airflow_cbr.preflight.plan import plan_of

        if check_truth(self.preflight, "preflight"):
            report = run_preflight(self, spec.vault_id, spec.destination, context["ti"])
            if error := report.failure():
                raise error
            plan = report.plan
        else:
            source = self.hook.show_vault(spec.vault_id)
            self._source_region, self._source_name = self.hook.region, source.name
            backups = self.hook.list_backups(vault_id=spec.vault_id, show_replication=True)
            coverage = assess((one for one in backups if one.vault_id in (None, spec.vault_id)), spec.destination)
            plan = plan_of(coverage, source=source)
            publish_plan(self, plan, context["ti"])
        self.log.info("plan_only=True: nothing was sent. %s: %s", self.pair, plan.headline if plan is not None else "nothing is known")

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

    def _spec(self) -> ReplicationSpec:
        return self._spec_for(
            self._source_vault(),
            self.destination_of(self.vault_id),
            auto_trigger=check_truth(self.auto_trigger, "auto_trigger"),
            allow_empty=check_truth(self.allow_empty, "allow_empty"),
            max_backups=None if self.max_backups is None else check_at_least(self.max_backups, 1, "max_backups"),
        )

    def _source_vault(self) -> str:
        return check_id(self.vault_id, "vault_id")

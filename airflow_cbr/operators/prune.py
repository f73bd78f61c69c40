"""The operator that prunes a vault's backups and their replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.api.ids import check_id
from airflow_cbr.exceptions import CbrError, CbrParameterError
from airflow_cbr.hooks.attempt import PRUNE_STATE_KEY, intents_of
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.hooks.failures import raise_for_airflow
from airflow_cbr.operators.base import BetweenRegions, StoppableOperator
from airflow_cbr.operators.parameters import (
    check_age,
    check_at_least,
    check_duration,
    check_seconds,
    check_text,
    check_truth,
    check_word,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_cbr.pruning.keep_rules import KeepRules
    from airflow_cbr.pruning.pruning import Pruning
    from airflow_cbr.pruning.spec import PruneSpec

__all__ = ["CbrPruneOperator"]

PRUNE_XCOM_KEY = "prune"


class CbrPruneOperator(BetweenRegions, StoppableOperator):
    """Delete the backups of a vault, and their replicas, that no keep rule keeps; plan first.

    The keep rules hold for each resource and each side by itself, and decide as restic's ``forget`` does. Whatever they say, a backup
    stays if its replica is not verified, and a replica stays as long as its source backup exists, or if no other verified replica of its
    resource stays. What is in use, locked, running, part of an incomplete checkpoint, younger than ``min_age``, or not known well
    enough stays too: see the reference page for all reasons. The task verifies both sides itself; if that cannot be done, it
    fails, and deletes nothing.

    Backups are deleted one by one. Before each deletion everything that allowed it is read again; at the first surprise the task stops
    with an error. A deletion cannot be undone.

    XCom, pushed before the task fails too: ``return_value`` is the list of the ids that were deleted, or, with ``plan_only``, would be;
    ``prune`` is a dict with the counts, the reasons of what stays, and name, size and reason of the first 1,000 that go.

    Seconds are a number or a ``timedelta``, within the bounds of :mod:`airflow_cbr.operators.parameters`.

    :param vault_id: id of the source vault. (templated)
    :param destination_region: region id of the destination. (templated)
    :param destination_project_id: project id in that region. (templated)
    :param destination_vault_id: id of the replication vault in that project. (templated)
    :param plan_only: log and return what would be deleted, and delete nothing. Default: True. (templated)
    :param side: ``source``, ``replicas`` or ``both``: what is pruned; both sides are verified in any case. Default: ``both``.
    :param keep_last: newest backups of each resource that stay. Default: 0. (templated)
    :param keep_daily: days of which the newest backup stays. Default: 0. (templated)
    :param keep_weekly: ISO weeks of which the newest backup stays. Default: 0. (templated)
    :param keep_monthly: months of which the newest backup stays. Default: 0. (templated)
    :param keep_yearly: years of which the newest backup stays. Default: 0. (templated)
    :param time_zone: IANA name of the time zone in which days, weeks, months and years begin. Default: ``UTC``. (templated)
    :param min_age: seconds; what is younger stays. Default: 86400.
    :param max_deletions: most backups that may go; a larger plan fails the task, and nothing is deleted. Default: any number.
    :param cbr_conn_id: id of the connection. Default: ``huaweicloud_cbr_default``. (templated)
    :param destination_conn_id: connection for the destination region, where it needs other credentials. Default: ``cbr_conn_id``.
        (templated)
    :param region: source region id. Default: the connection's. (templated)
    :param project_id: source project id. Default: the connection's, or looked up. (templated)
    :param settle_timeout: seconds to wait until what was deleted is gone. Default: 600.
    :param poll_interval: seconds between two looks while it waits. Default: 10.
    :raises CbrPruneStoppedError: something was not as planned; what was deleted before is in its ``deleted``.
    :raises CbrLimitError: the plan is larger than ``max_deletions``.
    """

    template_fields: Sequence[str] = (
        "vault_id",
        "plan_only",
        "keep_last",
        "keep_daily",
        "keep_weekly",
        "keep_monthly",
        "keep_yearly",
        "time_zone",
        *BetweenRegions.template_fields,
    )
    ui_color = "#f4e3c1"

    def __init__(
        self,
        *,
        vault_id: str,
        destination_region: str,
        destination_project_id: str,
        destination_vault_id: str,
        plan_only: bool | str = True,
        side: str = "both",
        keep_last: int | str = 0,
        keep_daily: int | str = 0,
        keep_weekly: int | str = 0,
        keep_monthly: int | str = 0,
        keep_yearly: int | str = 0,
        time_zone: str = "UTC",
        min_age: float | timedelta = 86400,
        max_deletions: int | None = None,
        cbr_conn_id: str = CbrHook.default_conn_name,
        destination_conn_id: str | None = None,
        region: str | None = None,
        project_id: str | None = None,
        settle_timeout: float | timedelta = 600,
        poll_interval: float | timedelta = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vault_id = vault_id
        self.destination_region = destination_region
        self.destination_project_id = destination_project_id
        self.destination_vault_id = destination_vault_id
        self.plan_only = plan_only
        self.side = side
        self.keep_last = keep_last
        self.keep_daily = keep_daily
        self.keep_weekly = keep_weekly
        self.keep_monthly = keep_monthly
        self.keep_yearly = keep_yearly
        self.time_zone = time_zone
        self.min_age = min_age
        self.max_deletions = max_deletions
        self.cbr_conn_id = cbr_conn_id
        self.destination_conn_id = destination_conn_id
        self.region = region
        self.project_id = project_id
        self.settle_timeout = settle_timeout
        self.poll_interval = poll_interval

    def execute(self, context: Context) -> list[str]:
        """Verify both sides, make the plan, and carry it out unless ``plan_only`` is set.

        :param context: the task's context.
        :return: ids of what was deleted, or would be.
        """
        from airflow_cbr.api.texts import counted
        from airflow_cbr.pruning.notes import Notes
        from airflow_cbr.pruning.pruning import Pruning

        try:
            spec = self._spec()
            self._push_links(context)
            notes = Notes(intents_of(context, PRUNE_STATE_KEY), spec)
            clients = self.hook.client, self.destination_hook.client
            pruning = Pruning(*clients, spec, notes=notes, observe=self.at_step, sleep=self._sleep, log=self.log)
            try:
                with self._until_stopped(), self._naming(lambda: pruning.going_ids):
                    pruning.run()
            except CbrError as error:
                self._push(context, pruning, spec, stopped=error.what_happened)
                raise
            self._push(context, pruning, spec)
        except CbrError as error:
            raise_for_airflow(error)
        if (plan := pruning.plan) is None:
            return []
        if spec.plan_only:
            self.log.info("plan_only=True: nothing was deleted. %s", plan.headline)
        else:
            freed = sum(one.size_gb for one in pruning.removed)
            number = counted(len(pruning.removed), "backup or replica", "backups and replicas")
            self.log.info("Deleted: %s, at most %g GB, of %s", number, freed, plan.way)
        return pruning.removed_ids

    def _what_continues(self, ids: Sequence[str]) -> str:
        return f"These deletions were accepted, and go on: {', '.join(ids)}" if ids else "No deletion of its own is going on"

    def _push(self, context: Context, pruning: Pruning, spec: PruneSpec, *, stopped: str | None = None) -> None:
        from airflow_cbr.pruning.document import document_of

        ti = context["ti"]
        ti.xcom_push(key="return_value", value=pruning.removed_ids)
        ti.xcom_push(key=PRUNE_XCOM_KEY, value=document_of(pruning, spec, time_zone=self.time_zone, stopped=stopped))

    def _spec(self) -> PruneSpec:
        from airflow_cbr.pruning.spec import PruneSpec, Side

        destination = self.destination_of(self.vault_id)
        sides = {"both": (Side.SOURCE, Side.REPLICA), "source": (Side.SOURCE,), "replicas": (Side.REPLICA,)}
        return PruneSpec(
            vault_id=check_id(self.vault_id, "vault_id"),
            destination=destination,
            rules=self._rules(),
            sides=sides[check_word(self.side, tuple(sides), "side")],
            min_age=check_age(self.min_age, "min_age"),
            max_deletions=None if self.max_deletions is None else check_at_least(self.max_deletions, 0, "max_deletions"),
            plan_only=_truth_of(self.plan_only, "plan_only"),
            settle_timeout=check_duration(self.settle_timeout, "settle_timeout"),
            poll_interval=check_seconds(self.poll_interval, "poll_interval"),
        )

    def _rules(self) -> KeepRules:
        from zoneinfo import ZoneInfo

        from airflow_cbr.pruning.keep_rules import RULES, KeepRules

        counts = {name: check_at_least(_number_of(getattr(self, f"keep_{name}")), 0, f"keep_{name}") for name in RULES}
        if not any(counts.values()):
            raise CbrParameterError(
                "keep_last", "is 0, as are keep_daily, keep_weekly, keep_monthly and keep_yearly; at least one must be greater."
            )
        name = check_text(self.time_zone, "time_zone", "the name of a time zone, for example Asia/Shanghai")
        try:
            return KeepRules(**counts, zone=ZoneInfo(name))
        except (OSError, ValueError, KeyError):
            raise CbrParameterError("time_zone", f"{name!r} is no time zone that this machine knows.") from None


def _truth_of(value: Any, parameter: str) -> bool:
    """Return a boolean; a template that is not rendered to native objects makes the text of one."""
    return check_truth({"True": True, "False": False}.get(value, value) if isinstance(value, str) else value, parameter)


def _number_of(value: Any) -> Any:
    """Return a whole number of what a template made the text of one; anything else as it is."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else value

"""A task group for the usual case: plan, then for each replica start, check and end, a few at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.operators.drill_end import CbrEndRestoreDrillOperator
from airflow_cbr.operators.drill_name import CbrNameRestoreDrillOperator
from airflow_cbr.operators.drill_plan import CbrPlanRestoreDrillsOperator
from airflow_cbr.operators.drill_start import CbrStartRestoreDrillOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from airflow.sdk.definitions.xcom_arg import XComArg

__all__ = ["restore_drills"]

_CONNECTING = ("cbr_conn_id", "destination_conn_id")


def restore_drills(
    *,
    check: Callable[[XComArg], Any],
    group_id: str = "restore_drills",
    resource_ids: Sequence[str] | None = None,
    sample: int | None = None,
    seed: str | None = None,
    at_once: int | None = 3,
    max_duration: float | timedelta | None = None,
    fail_dagrun: bool = True,
    evidence_path: str | None = None,
    evidence_conn_id: str | None = None,
    **server: Any,
) -> Any:
    """Make a task group that restores replicas, checks each server, and deletes all of it again.

    ``plan`` chooses and looks; a mapped group ``drill`` has, for each replica, ``name`` and ``start`` as setups, the checks, and ``end`` as
    the teardown, which runs whatever happens. To clear a check clears its drill: another server is started for it.

    :param check: makes the tasks that check a server, and returns the last of them (or a list of them); is called once with the output of
        the start: a dict with ``server_id``, ``private_ip``, ``image_id``, ``replica_id`` and ``resource_id``.
    :param group_id: id of the group. Default: ``restore_drills``.
    :param resource_ids: as of :class:`~airflow_cbr.operators.cbr.CbrPlanRestoreDrillsOperator`. Default: all resources.
    :param sample: the same. Default: all.
    :param seed: the same. Default: the Dag run's id.
    :param at_once: how many drills run at a time. None: all. Default: 3.
    :param max_duration: as of :class:`~airflow_cbr.operators.cbr.CbrEndRestoreDrillOperator`. Default: any.
    :param fail_dagrun: whether the Dag run fails when an end fails: something is left, or a recovery took too long. Default: True.
    :param evidence_path: as of the same. Default: none.
    :param evidence_conn_id: as of the same. Default: it is not signed.
    :param server: the other parameters of :class:`~airflow_cbr.operators.cbr.CbrStartRestoreDrillOperator`; those of vault, destination,
        server and connection go to the plan too.
    :return: the verdicts: the output of the mapped ``end``.
    """
    waiting = {name: server.pop(name) for name in ("deferrable", "poll_interval", "max_poll_interval", "settle_time") if name in server}
    timeout = {name: server.pop(name) for name in ("timeout",) if name in server}
    ending = {name: server[name] for name in ("destination_region", "destination_project_id", *_CONNECTING) if name in server}

    # With the decorator Airflow loads its standard provider, which a Dag file without drills does not need.
    from airflow.sdk import task_group

    @task_group(group_id=group_id)
    def group() -> Any:
        plan = CbrPlanRestoreDrillsOperator(task_id="plan", resource_ids=resource_ids, sample=sample, seed=seed, at_once=at_once, **server)

        @task_group(group_id="drill")
        def drill(replica_id: str) -> Any:
            start = CbrStartRestoreDrillOperator(
                task_id="start",
                replica_id=replica_id,
                at_once=at_once,
                **server,
                **waiting,
                **timeout,
            )
            end = CbrEndRestoreDrillOperator(
                task_id="end",
                start_task_id=start.task_id,
                max_duration=max_duration,
                evidence_path=evidence_path,
                evidence_conn_id=evidence_conn_id,
                **ending,
                **waiting,
            )
            name = CbrNameRestoreDrillOperator(task_id="name", start_task_id=start.task_id)
            start.end_task_id = end.task_id
            name >> start >> check(start.output) >> end
            # Airflow runs a teardown only where one of its setups has succeeded: that of the name always does.
            end.as_teardown(setups=[name, start], on_failure_fail_dagrun=fail_dagrun)
            return end.output

        return drill.expand(replica_id=plan.output)

    return group()

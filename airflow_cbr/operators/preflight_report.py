"""A preflight inside a task: what it logs and pushes, for the preflight operator and for the replicate operator."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_cbr.airflow_names import AirflowNotFoundException
from airflow_cbr.exceptions import CbrConfigurationError, CbrError

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.hooks.cbr import CbrHook
    from airflow_cbr.inventory.destination import Destination
    from airflow_cbr.operators.base import BetweenRegions
    from airflow_cbr.preflight.checks import RegionAccess
    from airflow_cbr.preflight.findings import PreflightReport
    from airflow_cbr.preflight.plan import Plan

__all__ = ["publish_plan", "run_preflight"]

PREFLIGHT_XCOM_KEY = "preflight"
PLAN_XCOM_KEY = "plan"


def run_preflight(
    task: BetweenRegions, vault_id: str, destination: Destination, ti: Any, *, with_checkpoint: bool = False
) -> PreflightReport:
    """Run a preflight, log each finding and the plan, and push both.

    :param task: whose hooks look, and whose log takes the lines.
    :param vault_id: the source vault.
    :param destination: where the copies would go.
    :param ti: the task instance, which takes the XComs.
    :param with_checkpoint: count what a checkpoint will add before the copy begins. Default: False.
    """
    from airflow_cbr.preflight.checks import Preflight
    from airflow_cbr.preflight.findings import Severity

    source, there = _access(task.hook), _access(task.destination_hook)
    report = Preflight(vault_id, destination, source=source, there=there, with_checkpoint=with_checkpoint).check()
    task._source_region, task._source_name = source.region, report.vault_name
    levels = {Severity.ERROR: logging.ERROR, Severity.WARNING: logging.WARNING, Severity.UNCHECKED: logging.WARNING}
    for finding in report.findings:
        task.log.log(levels.get(finding.severity, logging.INFO), "%s", finding)
    ti.xcom_push(key=PREFLIGHT_XCOM_KEY, value=report.document)
    if report.plan is not None:
        publish_plan(task, report.plan, ti)
    return report


def publish_plan(task: BetweenRegions, plan: Plan, ti: Any) -> None:
    """Log what would be copied, one line for each backup, and push the plan.

    :param task: whose log takes the lines.
    :param plan: the plan.
    :param ti: the task instance, which takes the XCom.
    """
    for line in (plan.headline, *plan.lines):
        task.log.info("%s", line)
    ti.xcom_push(key=PLAN_XCOM_KEY, value=plan.summary)


def _access(hook: CbrHook) -> RegionAccess:
    from airflow_cbr.preflight.checks import RegionAccess

    def connect() -> CbrClient:
        try:
            return hook.client
        except AirflowNotFoundException as error:
            raise CbrConfigurationError(
                f"Connection {hook.cbr_conn_id} is not defined.", advice="Create the connection, or name another one."
            ) from error

    try:
        region = connect().region
    except CbrError:
        region = "unknown"
    return RegionAccess(hook.cbr_conn_id, region, connect)

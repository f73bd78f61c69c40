"""The operator that removes what drills have left behind."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_cbr.airflow_names import conf
from airflow_cbr.exceptions import CbrParameterError
from airflow_cbr.hooks.attempt import DRILL_END_STATE_KEY, attempt_of, intents_of
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.drilling import SHORTEST_LIFE, DrillCleaner
from airflow_cbr.operators.parameters import check_intervals, check_seconds, check_text, check_truth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_cbr.drills.state import CleanupState

__all__ = ["CbrSweepRestoreDrillsOperator"]


class CbrSweepRestoreDrillsOperator(DrillCleaner[dict[str, Any]]):
    """Find what restore drills of a Dag have left behind, and remove it if told so.

    Meant are the servers and images whose names carry the Dag's mark and that are older than ``min_age``. By default the task only says
    what it would delete. Images have no ``auto_terminate_time``: this is the net below an end that never ran.

    XCom: ``return_value`` is a dict with ``found`` (one line for each server and image), ``servers`` and ``images`` (ids of what was
    deleted) and ``plan_only``.

    :param destination_region: region id of the drills. (templated)
    :param destination_project_id: project id in that region. (templated)
    :param dag_id_of_drills: the Dag whose drills are meant. Default: this Dag. (templated)
    :param plan_only: only say what would be deleted. Default: True.
    :param min_age: seconds; what is younger may belong to a drill that runs, and is left alone. Default: 86400.
    :param cbr_conn_id: id of the connection. Default: ``huaweicloud_cbr_default``. (templated)
    :param destination_conn_id: connection for the destination region, where it needs other credentials. Default: ``cbr_conn_id``.
        (templated)
    :param deferrable: wait in the triggerer and not on a worker. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks. Default: 10.
    :param max_poll_interval: longest time between two looks after a failure, in seconds. Default: 60.
    :param timeout: seconds for the whole task, counted from the first attempt after the last clear. Default: 7200.
    :raises CbrDrillCleanupError: something is left.
    """

    template_fields: Sequence[str] = ("dag_id_of_drills", *DrillCleaner.template_fields)

    def __init__(
        self,
        *,
        destination_region: str,
        destination_project_id: str,
        dag_id_of_drills: str | None = None,
        plan_only: bool = True,
        min_age: float | timedelta = 86400,
        cbr_conn_id: str = CbrHook.default_conn_name,
        destination_conn_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta = 10,
        max_poll_interval: float | timedelta = 60,
        timeout: float | timedelta = 7200,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination_region = destination_region
        self.destination_project_id = destination_project_id
        self.dag_id_of_drills = dag_id_of_drills
        self.plan_only = plan_only
        self.min_age = min_age
        self.cbr_conn_id = cbr_conn_id
        self.destination_conn_id = destination_conn_id
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.timeout = timeout

    def _perform(self, context: Context, state: CleanupState | None) -> dict[str, Any]:
        from airflow_cbr.drills.belongings import Belongings
        from airflow_cbr.drills.cleanup import Cleanup
        from airflow_cbr.drills.marks import DagMark
        from airflow_cbr.drills.spec import CleanupSpec

        poll_interval, max_poll_interval = check_intervals(self.poll_interval, self.max_poll_interval)
        check_truth(self.deferrable, "deferrable")
        plan_only, min_age = check_truth(self.plan_only, "plan_only"), self._min_age()
        timeout = check_seconds(self.timeout, "timeout")
        dag_id = (
            context["ti"].dag_id if self.dag_id_of_drills is None else check_text(self.dag_id_of_drills, "dag_id_of_drills", "a Dag id")
        )
        owner, client = DagMark.of(dag_id), self.destination_hook.client
        self._push_links(context)
        # What grows old while the task runs is left to the next sweep.
        before = (time.time() if state is None else state.begun_at) - min_age
        found = state.found if state is not None else Belongings.find(client.machines, owner).made_before(before).lines
        for line in found if state is None else ():
            self.log.warning("%s: %s", "Would delete" if plan_only else "Left behind by a drill", line)
        if state is None and not found:
            self.log.info("Drills of Dag %s have left nothing behind", dag_id)
        result: dict[str, Any] = {"plan_only": plan_only, "found": found, "servers": [], "images": []}
        if plan_only:
            return result
        spec = CleanupSpec(owner=owner, before=before, timeout=timeout, poll_interval=poll_interval, max_poll_interval=max_poll_interval)
        cleanup = Cleanup(
            client,
            spec,
            attempt=attempt_of(context),
            intents=intents_of(context, DRILL_END_STATE_KEY),
            state=state,
            observe=self.at_step,
            log=self.log,
        )
        cleanup.state.found = found
        removed = self._follow(cleanup)
        return result | {"servers": list(removed.servers), "images": list(removed.images)}

    def _min_age(self) -> float:
        seconds = check_seconds(self.min_age, "min_age")
        if seconds < SHORTEST_LIFE:
            raise CbrParameterError(
                "min_age", f"must be at least {SHORTEST_LIFE:g} seconds: what is younger may belong to a drill that runs."
            )
        return seconds

    def _recall(self, event: Any) -> CleanupState:
        from airflow_cbr.drills.state import CleanupState
        from airflow_cbr.triggers.events import memory_of

        return memory_of(event, CleanupState.load)

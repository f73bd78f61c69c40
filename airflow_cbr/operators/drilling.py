"""What the operators of restore drills share: the server that is asked for, and how Airflow says which drill it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.api.ids import check_id, check_region
from airflow_cbr.exceptions import CbrParameterError
from airflow_cbr.hooks.attempt import identity_of
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.links.cbr import DESTINATION_XCOM_KEY, CbrDestinationLink
from airflow_cbr.operators.base import OnceOperator, Returned
from airflow_cbr.operators.parameters import check_access, check_seconds, check_text

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import BaseOperatorLink, Context

    from airflow_cbr.drills.marks import DrillMark
    from airflow_cbr.drills.spec import Placement
    from airflow_cbr.drills.state import CleanupState

__all__ = ["DRILL_XCOM_KEY", "SHORTEST_LIFE", "DrillCleaner", "check_life", "mark_of_drill", "placement_of"]

DRILL_XCOM_KEY = "drill"
SHORTEST_LIFE: Final = 3600.0
"""Seconds that a drill's server may live at the least; the service takes nothing below half an hour."""
_LONGEST_LIFE: Final = 7 * 86400.0
_WORD: Final = r"[A-Za-z0-9._-]{1,64}"


class DrillCleaner(OnceOperator[Returned]):
    """A task that removes what drills have made, in the region where they were."""

    destination_region: str
    destination_project_id: str
    destination_conn_id: str | None

    region = None
    project_id = None
    template_fields: Sequence[str] = ("destination_region", "destination_project_id", "cbr_conn_id", "destination_conn_id")
    operator_extra_links: Collection[BaseOperatorLink] = (CbrDestinationLink(),)
    ui_color = "#e4d4f0"

    def _push_links(self, context: Context) -> None:
        context["ti"].xcom_push(key=DESTINATION_XCOM_KEY, value=self._console(self.destination_region))

    def _ids_started(self, state: CleanupState) -> Sequence[str]:
        return list(state.asked)

    def _what_continues(self, ids: Sequence[str]) -> str:
        return f"The deletion of these was asked for, and goes on: {', '.join(ids)}" if ids else "It has asked for no deletion"

    @cached_property
    def destination_hook(self) -> CbrHook:
        """Return the hook of the drills' region and project."""
        check_access(cbr_conn_id=self.cbr_conn_id, region=None, project_id=None, destination_conn_id=self.destination_conn_id)
        return CbrHook(
            self.destination_conn_id or self.cbr_conn_id,
            region=check_region(self.destination_region, "destination_region"),
            project_id=check_id(self.destination_project_id, "destination_project_id"),
        )


def mark_of_drill(context: Context, start_task_id: str | None = None) -> DrillMark:
    """Return the mark of a drill: of Dag, run, the task that starts it, and the map index.

    :param context: the task's context.
    :param start_task_id: the task that starts it. Default: this task.
    """
    from airflow_cbr.drills.marks import DrillMark

    dag_id, run_id, task_id, map_index = identity_of(context)
    return DrillMark.of(dag_id, run_id, start_task_id or task_id, map_index)


def check_life(value: float | timedelta) -> float:
    """Return the seconds after which the service deletes a drill's server by itself.

    :param value: ``terminate_after``.
    :raises CbrParameterError: it is less than an hour or more than a week; it cannot be left out.
    """
    seconds = check_seconds(value, "terminate_after")
    if not SHORTEST_LIFE <= seconds <= _LONGEST_LIFE:
        raise CbrParameterError("terminate_after", f"must be from {SHORTEST_LIFE:g} to {_LONGEST_LIFE:g} seconds.")
    return seconds


def placement_of(operator: Any) -> Placement:
    """Return what server an operator asks for, and where, after checking it.

    :param operator: has the parameters of the server as attributes.
    :raises CbrParameterError: one of them cannot be right.
    """
    from airflow_cbr.drills.spec import Placement

    groups = operator.security_group_ids
    if isinstance(groups, str):
        groups = [groups]
    if not isinstance(groups, Sequence) or not groups:
        raise CbrParameterError(
            "security_group_ids",
            "must be a list with at least one id.",
            advice="Name a security group that lets nothing out and only the checks in: the service's default one is not that.",
        )
    volumes = operator.data_volumes or ()
    if isinstance(volumes, str) or not isinstance(volumes, Sequence) or not all(isinstance(one, Mapping) for one in volumes):
        raise CbrParameterError("data_volumes", "must be a list of objects such as {'volumetype': 'SSD', 'size': 100}.")
    return Placement(
        flavor=_word(operator.flavor, "flavor"),
        vpc_id=check_id(operator.vpc_id, "vpc_id"),
        subnet_id=check_id(operator.subnet_id, "subnet_id"),
        security_group_ids=tuple(check_id(one, "security_group_ids") for one in groups),
        root_volume_type=_word(operator.root_volume_type, "root_volume_type"),
        data_volumes=tuple(volumes),
        availability_zone=_optional_word(operator.availability_zone, "availability_zone"),
        key_name=_optional_word(operator.key_name, "key_name"),
        user_data=None if operator.user_data is None else check_text(operator.user_data, "user_data", "base64 text"),
        enterprise_project_id=_optional_word(operator.enterprise_project_id, "enterprise_project_id"),
    )


def _word(value: Any, parameter: str) -> str:
    text = check_text(value, parameter, "a word")
    if not re.fullmatch(_WORD, text):
        raise CbrParameterError(parameter, "must be 1 to 64 letters, digits, '.', '_' or '-'.")
    return text


def _optional_word(value: Any, parameter: str) -> str | None:
    return None if value is None else _word(value, parameter)

"""The operator that says by which name a drill's image and server are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.airflow_names import BaseOperator
from airflow_cbr.operators.drilling import mark_of_drill
from airflow_cbr.operators.parameters import check_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

__all__ = ["CbrNameRestoreDrillOperator"]


class CbrNameRestoreDrillOperator(BaseOperator):
    """Say by which name the image and the server of a drill are known, before there are any. Use it as the first setup task.

    It asks nobody and always succeeds. Airflow runs a teardown only where one of its setups has succeeded: with this one as a setup beside
    the start, the end of the drill runs after a start that failed or was killed, too.

    XCom: ``return_value`` is the name.

    :param start_task_id: id of the task that starts the drill; in a task group with the group's. (templated)
    """

    template_fields: Sequence[str] = ("start_task_id",)
    ui_color = "#e4d4f0"

    def __init__(self, *, start_task_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start_task_id = start_task_id

    def execute(self, context: Context) -> str:
        """Return the name.

        :param context: the task's context.
        """
        name = mark_of_drill(context, check_text(self.start_task_id, "start_task_id", "the id of the task that starts the drill")).name
        self.log.info("The image and the server of this drill are called %s", name)
        return name

"""How many drills of a mapped task group run at once: a drill waits until few enough of those before it have not ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.once.state import DeferredState
from airflow_cbr.once.steps import Pause

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["Turn", "TurnState", "states_of"]

_ENDED: Final = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
_LONGEST_QUEUE: Final = 14 * 86400.0


class TurnState(DeferredState, kw_only=True, forbid_unknown_fields=True):
    """What goes through a deferral while a drill waits for its turn.

    :param deadline: Unix time at which it stops waiting.
    :param is_turn: tells it from the state of a drill.
    """

    deadline: float
    is_turn: bool


class Turn:
    """The wait of one drill for its turn. It asks Airflow alone, so that two drills cannot both take the last place.

    :param context: the task's context.
    :param at_once: how many drills may run at a time.
    :param end_task_id: the task that ends each drill.
    :param poll_interval: seconds between two looks.
    :param state: what an earlier leg knew. Default: nothing.
    """

    def __init__(self, context: Context, *, at_once: int, end_task_id: str, poll_interval: float, state: TurnState | None = None) -> None:
        self._context = context
        self._at_once = at_once
        self._end_task_id = end_task_id
        self._poll_interval = poll_interval
        self.state: Any = state or TurnState(deadline=time.time() + _LONGEST_QUEUE, is_turn=True)

    def advance(self) -> Pause | bool:
        """Return True when it is the drill's turn; or a pause."""
        index = self._context["ti"].map_index
        if index is None or index < self._at_once:
            return True
        states = states_of(self._context, [self._end_task_id])
        before = [states.get(f"{self._end_task_id}_{number}") for number in range(index)]
        running = sum(state not in _ENDED for state in before)
        if running < self._at_once:
            return True
        return Pause(f"{running} drills before this one have not ended; {self._at_once} run at once", self._poll_interval)


def states_of(context: Context, task_ids: list[str]) -> dict[str, str | None]:
    """Return the states of tasks in this Dag run, by task id, or by task id and map index (``check_2``) where a task is mapped.

    :param context: the task's context.
    :param task_ids: the tasks.
    """
    ti: Any = context["ti"]
    found = ti.get_task_states(dag_id=ti.dag_id, task_ids=task_ids, run_ids=[ti.run_id]) or {}
    states = found.get(ti.run_id) or {}
    return {key: None if state is None else str(getattr(state, "value", state)) for key, state in states.items()}

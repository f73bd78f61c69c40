"""What Airflow tells of the attempt that is running, in the words of the replication ring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.replication.order import Attempt

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["TaskStateIntents", "attempt_of", "intents_of"]

STATE_KEY = "cbr_replication_intent"


def attempt_of(context: Context) -> Attempt:
    """Return which attempt this is.

    Airflow adds the task's retries to the number of the attempt that was cleared, so ``max_tries - retries`` grows with each
    clear and is the number of attempts before it.

    :param context: the task's context.
    """
    ti = context["ti"]
    before = max((getattr(ti, "max_tries", 0) or 0) - (ti.task.retries or 0), 0)
    run_after = getattr(context.get("dag_run"), "run_after", None)
    return Attempt(
        number=max((ti.try_number or 1) - before, 1),
        generation=before,
        run_after=run_after.timestamp() if run_after is not None else None,
    )


class TaskStateIntents:
    """Keeps the intent in Airflow's task state store (Airflow 3.3 and newer), which outlives retries and clears.

    :param store: ``context["task_state_store"]``.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    def load(self) -> Any:
        """Return the stored intent, or None."""
        return self._store.get(STATE_KEY)

    def save(self, intent: dict[str, Any]) -> None:
        """Store the intent; it is in Airflow's database when this returns."""
        self._store.set(STATE_KEY, intent)


def intents_of(context: Context) -> TaskStateIntents | None:
    """Return the store for intents, or None on an Airflow that has none.

    :param context: the task's context.
    """
    store = context.get("task_state_store")
    return TaskStateIntents(store) if store is not None else None

"""What Airflow says about the attempt that is running, as the inner rings need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.airflow_names import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cbr.once.attempt import Attempt

__all__ = ["TaskStateIntents", "attempt_of", "identity_of", "intents_of", "will_be_retried"]

STATE_KEY = "cbr_replication_intent"
CHECKPOINT_STATE_KEY = "cbr_checkpoint_intent"
DRILL_STATE_KEY = "cbr_drill_intent"
DRILL_END_STATE_KEY = "cbr_drill_end_intent"
PRUNE_STATE_KEY = "cbr_prune_plan"


def attempt_of(context: Context) -> Attempt:
    """Return which attempt this is.

    Airflow adds the task's retries to the number of the attempt that was cleared, so ``max_tries - retries`` grows with each
    clear and is the number of attempts before it.

    :param context: the task's context.
    """
    from airflow_cbr.once.attempt import Attempt

    ti = context["ti"]
    before = max((getattr(ti, "max_tries", 0) or 0) - (ti.task.retries or 0), 0)
    run_after = getattr(context.get("dag_run"), "run_after", None)
    return Attempt(
        number=max((ti.try_number or 1) - before, 1),
        generation=before,
        run_after=run_after.timestamp() if run_after is not None else None,
    )


def identity_of(context: Context) -> tuple[str, str, str, int]:
    """Return what identifies this task in its Dag run, the same in every attempt: Dag, run, task, map index.

    :param context: the task's context.
    """
    ti = context["ti"]
    map_index = getattr(ti, "map_index", None)
    return ti.dag_id, ti.run_id, ti.task_id, -1 if map_index is None else map_index


def will_be_retried(context: Context, error: BaseException) -> bool:
    """Return whether Airflow runs the task again after an attempt that fails with this error.

    :param context: the task's context.
    :param error: what the attempt raises.
    """
    if isinstance(error, AirflowFailException | AirflowSensorTimeout | AirflowSkipException):
        return False
    ti = context["ti"]
    number, last = ti.try_number or 1, getattr(ti, "max_tries", 0) or 0
    if not last or number > last:
        return False
    policy: Any = getattr(ti.task, "retry_policy", None)
    if policy is None:
        return True
    try:
        decision = policy.evaluate(exception=error, try_number=number, max_tries=last, context=context)
        return bool(decision.action.value != "fail")
    except Exception:
        # Airflow asks it again, and says what is wrong with it.
        return True


class TaskStateIntents:
    """Keeps the intent in Airflow's task state store (Airflow 3.3 and newer), which outlives retries.

    From Airflow 3.4 on it does not outlive a clear of the task over the REST API or in the web page, unless ``keep_task_state`` is set
    there. ``airflow tasks clear``, clearing a whole run, and Airflow 3.3 keep it.

    :param store: ``context["task_state_store"]``.
    :param key: under which it is kept.
    """

    def __init__(self, store: Any, key: str) -> None:
        self._store = store
        self._key = key

    def load(self) -> Any:
        """Return the stored intent, or None."""
        return self._store.get(self._key)

    def save(self, intent: dict[str, Any]) -> None:
        """Store the intent; it is in Airflow's database when this returns."""
        self._store.set(self._key, intent)


def intents_of(context: Context, key: str = STATE_KEY) -> TaskStateIntents | None:
    """Return the store for intents, or None on an Airflow that has none.

    :param context: the task's context.
    :param key: under which they are kept. Default: the one of replications.
    """
    store = context.get("task_state_store")
    return TaskStateIntents(store, key) if store is not None else None

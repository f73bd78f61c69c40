"""What to say when a task has failed: a ready payload for ``on_failure_callback``, as a dict and as text.

Neither sends anything: the page on alerts has recipes for mail, Slack, SMN and a health-check ping. Neither ever raises: a callback that
fails says nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from airflow_cbr.api.texts import clean
from airflow_cbr.exceptions import CbrError

__all__ = ["failure_payload", "failure_text"]

_LOOK: Final = "Look at the task's log."
_MOST_PROBLEMS: Final = 20


def failure_payload(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return what failed and what to do, as plain JSON values.

    The keys are always there: ``dag_id``, ``run_id``, ``task_id``, ``map_index``, ``try_number``, ``label`` (from where to where),
    ``error`` (the class), ``message``, ``problems`` (at most 20 lines), ``error_code``, ``request_id``, ``http_status``, ``is_retried``,
    ``what_to_do`` and ``log_url``. What is not known is None.

    :param context: the context that Airflow hands to the callback.
    :return: the payload; no value of it is a secret of this package's.
    """
    ti = context.get("ti") or context.get("task_instance")
    error = _error_of(context)
    is_ours = isinstance(error, CbrError)
    message = error.what_happened if isinstance(error, CbrError) else clean(str(error or context.get("reason") or "no reason is known"))
    return {
        "dag_id": _text(ti, "dag_id"),
        "run_id": _text(ti, "run_id"),
        "task_id": _text(ti, "task_id"),
        "map_index": getattr(ti, "map_index", None),
        "try_number": getattr(ti, "try_number", None),
        "label": _text(context.get("task"), "pair"),
        "error": type(error).__name__ if isinstance(error, BaseException) else None,
        "message": message,
        "problems": [str(one) for one in (getattr(error, "problems", None) or ())][:_MOST_PROBLEMS] if is_ours else [],
        "error_code": getattr(error, "error_code", None) if is_ours else None,
        "request_id": getattr(error, "request_id", None) if is_ours else None,
        "http_status": getattr(error, "http_status", None) if is_ours else None,
        "is_retried": not error.permanent if isinstance(error, CbrError) else None,
        "what_to_do": (error.advice if isinstance(error, CbrError) else None) or _LOOK,
        "log_url": _text(ti, "log_url"),
    }


def failure_text(context: Mapping[str, Any]) -> str:
    """Return the same as text of a few lines: what failed, why, what to do, and where to look.

    :param context: the context that Airflow hands to the callback.
    """
    said = failure_payload(context)
    is_mapped = isinstance(said["map_index"], int) and said["map_index"] >= 0
    where = f"{said['dag_id']}.{said['task_id']}" + (f"[{said['map_index']}]" if is_mapped else "")
    label = f" ({said['label']})" if said["label"] else ""
    lines = [f"{where}{label} failed in run {said['run_id']}, attempt {said['try_number']}.", said["message"]]
    lines += [f"  - {problem}" for problem in said["problems"]]
    lines.append(f"What to do: {said['what_to_do']}")
    if said["log_url"]:
        lines.append(f"Log: {said['log_url']}")
    return "\n".join(lines)


def _error_of(context: Mapping[str, Any]) -> Any:
    """Return the error of this package's that the exception is, or wraps; else the exception."""
    error = context.get("exception")
    if isinstance(error, BaseException) and not isinstance(error, CbrError) and isinstance(error.__cause__, CbrError):
        return error.__cause__
    return error


def _text(holder: Any, name: str) -> str | None:
    try:
        value = getattr(holder, name, None)
    except Exception:
        # A label is not worth an alert that is not sent.
        return None
    return None if value is None else str(value)

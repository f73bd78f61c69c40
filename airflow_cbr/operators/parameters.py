"""Checks of task parameters at run time, before anything is sent. Messages name the parameter as the Dag author wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_cbr.api.endpoints import check_id, check_region
from airflow_cbr.exceptions import CbrParameterError
from airflow_cbr.replication.coverage import Destination
from airflow_cbr.verification.levels import Action, Level

__all__ = [
    "check_at_least",
    "check_destination",
    "check_duration",
    "check_intervals",
    "check_levels",
    "check_record_ids",
    "check_seconds",
    "check_truth",
    "check_word",
]


def check_destination(*, vault_id: Any, region: Any, project_id: Any, destination_vault_id: Any) -> Destination:
    """Return the destination, after checking it and the source vault's id.

    :raises CbrParameterError: when an id or the region cannot be right, or source and destination are the same vault.
    """
    source_vault_id = check_id(vault_id, "vault_id")
    destination = Destination(
        region=check_region(region, "destination_region"),
        project_id=check_id(project_id, "destination_project_id"),
        vault_id=check_id(destination_vault_id, "destination_vault_id"),
    )
    if destination.vault_id == source_vault_id:
        raise CbrParameterError("destination_vault_id", "is the source vault itself.")
    return destination


def check_record_ids(value: Any, parameter: str = "replication_record_ids", *, source: str = "replicate.output") -> list[str]:
    """Return replication record ids, or other ids, as a list without repetitions.

    :param value: a list of ids, or one id.
    :param parameter: its name as the Dag author wrote it.
    :param source: what could be passed as it is, for the advice.
    :raises CbrParameterError: when it is neither; text that only looks like a list is refused, because it is the sign of a template that
        was rendered to text.
    """
    advice = f"Pass {source}, or set render_template_as_native_obj=True on the Dag."
    if isinstance(value, str):
        if value.startswith(("[", "(")):
            raise CbrParameterError(parameter, "is text that looks like a list.", advice=advice)
        value = [value]
    if not isinstance(value, Sequence):
        raise CbrParameterError(parameter, f"must be a list of ids or one id, not {type(value).__name__}.", advice=advice)
    return list(dict.fromkeys(check_id(one, parameter) for one in value))


def check_truth(value: Any, parameter: str) -> bool:
    """Return a truth value; text such as ``"false"``, which Python takes for true, is refused.

    :raises CbrParameterError: when it is neither True nor False.
    """
    if not isinstance(value, bool):
        raise CbrParameterError(parameter, f"must be True or False, not {value!r}.")
    return value


def check_seconds(value: Any, parameter: str) -> float:
    """Return a number of seconds greater than zero.

    :raises CbrParameterError: when it is no such number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise CbrParameterError(parameter, f"must be a number of seconds greater than 0, not {value!r}.")
    return float(value)


def check_duration(value: Any, parameter: str) -> float:
    """Return a number of seconds that may be zero.

    :raises CbrParameterError: when it is no such number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise CbrParameterError(parameter, f"must be a number of seconds, at least 0, not {value!r}.")
    return float(value)


def check_word(value: Any, words: Sequence[str], parameter: str) -> str:
    """Return one of a few words.

    :raises CbrParameterError: when it is none of them.
    """
    if value not in words:
        raise CbrParameterError(parameter, f"must be one of {', '.join(words)}, not {value!r}.")
    return str(value)


def check_levels(value: Any, parameter: str) -> dict[Level, Action]:
    """Return what a violation does, by level of the verification.

    :raises CbrParameterError: when it is no mapping, is empty, or has a level or an action that does not exist.
    """
    if not isinstance(value, Mapping) or not value:
        raise CbrParameterError(parameter, f"must map at least one of {', '.join(Level)} to one of {', '.join(Action)}, not {value!r}.")
    return {
        Level(check_word(level, tuple(Level), parameter)): Action(check_word(action, tuple(Action), f"{parameter}[{level!r}]"))
        for level, action in value.items()
    }


def check_intervals(poll_interval: Any, max_poll_interval: Any) -> tuple[float, float]:
    """Return the shortest and the longest gap between two looks, in seconds.

    :raises CbrParameterError: when one is not a number greater than zero, or the longest is shorter than the shortest.
    """
    shortest, longest = check_seconds(poll_interval, "poll_interval"), check_seconds(max_poll_interval, "max_poll_interval")
    if longest < shortest:
        raise CbrParameterError("max_poll_interval", f"{longest:g} s is shorter than poll_interval, {shortest:g} s.")
    return shortest, longest


def check_at_least(value: Any, minimum: int, parameter: str) -> int:
    """Return a whole number that is not below a minimum.

    :raises CbrParameterError: when it is no such number.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise CbrParameterError(parameter, f"must be a whole number of at least {minimum}, not {value!r}.")
    return value

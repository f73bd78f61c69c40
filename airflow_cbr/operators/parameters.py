"""Checks of task parameters at run time, before anything is sent. Messages name the parameter as the Dag author wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.api.ids import check_given, check_id, check_region
from airflow_cbr.exceptions import CbrParameterError

if TYPE_CHECKING:
    from airflow_cbr.inventory.destination import Destination
    from airflow_cbr.verification.levels import Action, Level

__all__ = [
    "LONGEST_AGE",
    "LONGEST_WAIT",
    "SHORTEST_WAIT",
    "check_access",
    "check_age",
    "check_at_least",
    "check_destination",
    "check_duration",
    "check_intervals",
    "check_levels",
    "check_record_ids",
    "check_seconds",
    "check_text",
    "check_truth",
    "check_way",
    "check_word",
]

SHORTEST_WAIT: Final = 0.01
"""Shortest wait, in seconds; anything below would ask the service without a pause."""

LONGEST_WAIT: Final = 365 * 86400.0
"""Longest wait, in seconds: a moment that far ahead can still be slept for, and be stored by every database that Airflow runs on."""

LONGEST_AGE: Final = 36_525 * 86400.0
"""Greatest age or retention, in seconds: a century."""

_JOINED: Final = r"[0-9A-Fa-f-]{32,36}['\"]?[,;\s]"


def check_access(*, cbr_conn_id: Any, region: Any, project_id: Any, destination_conn_id: Any = None) -> None:
    """Check connections, region and project, before a connection is read.

    :param cbr_conn_id: id of the connection.
    :param region: region id, or None for the connection's.
    :param project_id: project id, or None for the connection's.
    :param destination_conn_id: id of the destination's connection, or None where it has none of its own. Default: None.
    :raises CbrParameterError: when one cannot be right. An empty string and the string ``None`` are not None: a template went wrong.
    """
    check_text(cbr_conn_id, "cbr_conn_id", "the id of a connection")
    if destination_conn_id is not None:
        check_text(destination_conn_id, "destination_conn_id", "the id of a connection")
    if region is not None:
        check_region(region)
    if project_id is not None:
        check_id(project_id, "project_id")


def check_destination(*, region: Any, project_id: Any, vault_id: Any) -> Destination:
    """Return the destination, after checking it.

    :param region: ``destination_region``.
    :param project_id: ``destination_project_id``.
    :param vault_id: ``destination_vault_id``.
    :raises CbrParameterError: when an id or the region cannot be right.
    """
    from airflow_cbr.inventory.destination import Destination

    return Destination(
        region=check_region(region, "destination_region"),
        project_id=check_id(project_id, "destination_project_id"),
        vault_id=check_id(vault_id, "destination_vault_id"),
    )


def check_way(vault_id: Any, destination: Destination) -> None:
    """Check that a source vault is not its own destination.

    :param vault_id: the source vault.
    :param destination: the destination.
    :raises CbrParameterError: when it is, or the id cannot be right.
    """
    if destination.vault_id == check_id(vault_id, "vault_id"):
        raise CbrParameterError("destination_vault_id", "is the source vault itself.")


def check_record_ids(value: Any, parameter: str = "replication_record_ids", *, source: str = "replicate.output") -> list[str]:
    """Return replication record ids, or other ids, as a list without repetitions.

    :param value: a list of ids, or one id.
    :param parameter: its name as the Dag author wrote it.
    :param source: what could be passed instead, for the advice.
    :raises CbrParameterError: when it is neither; a string that looks like a list is refused, because it is the sign of a template that
        was rendered to a string.
    """
    if value is None:
        raise CbrParameterError(
            parameter,
            "is None, but must be a list of ids or one id: the upstream task pushed nothing, because it was skipped or failed early.",
            advice="Check the upstream task and this task's trigger_rule. To pass no ids, pass [].",
        )
    advice = f"Pass {source}, or set render_template_as_native_obj=True on the Dag."
    if isinstance(value, str):
        if value.lstrip().startswith(("[", "(")):
            raise CbrParameterError(parameter, "is a string that looks like a list.", advice=advice)
        if re.search(_JOINED, value):
            raise CbrParameterError(
                parameter,
                "is a string that joins several ids; it must be a list of ids or one id.",
                advice=f"Pass {source}, or split the string in a task in between.",
            )
        value = [value]
    if isinstance(value, Iterator):
        raise CbrParameterError(
            parameter,
            f"must be a list of ids or one id, not a {type(value).__name__}, which can be read only once.",
            advice="Pass list(...).",
        )
    if not isinstance(value, Sequence) or isinstance(value, bytes | bytearray | memoryview):
        raise CbrParameterError(parameter, f"must be a list of ids or one id, not {type(value).__name__}.", advice=advice)
    return list(dict.fromkeys(_check_element(one, parameter) for one in value))


def _check_element(value: Any, parameter: str) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview):
        raise CbrParameterError(
            parameter,
            "is a list of lists, like the output of a mapped task.",
            advice=f"Map over it with .expand({parameter}=...) to get one task for each inner list, or flatten it in a task in between: "
            "[one for inner in outputs for one in inner].",
        )
    if value is None:
        raise CbrParameterError(
            parameter,
            "contains None: an upstream task pushed nothing, because it was skipped or failed.",
            advice="Check the upstream tasks, or filter None out in a task in between.",
        )
    return check_id(value, parameter)


def check_truth(value: Any, parameter: str) -> bool:
    """Return a boolean; a string such as ``"false"``, which Python takes for true, is refused.

    :raises CbrParameterError: when it is neither True nor False.
    """
    if not isinstance(value, bool):
        raise CbrParameterError(parameter, f"must be True or False, not {_shown(value)}.")
    return value


def check_text(value: Any, parameter: str, what: str) -> str:
    """Return a string that is not empty.

    :param value: the string.
    :param parameter: its name as the Dag author wrote it.
    :param what: what it must be, with its article.
    :raises CbrParameterError: when it is not a string, is empty, or is what a template makes of None.
    """
    check_given(value, parameter, what)
    if not isinstance(value, str):
        raise CbrParameterError(parameter, f"must be {what}, not {_shown(value)}.")
    return value


def check_seconds(value: Any, parameter: str) -> float:
    """Return the length of a wait in seconds, from :data:`SHORTEST_WAIT` to :data:`LONGEST_WAIT`.

    :param value: a number of seconds, or a ``timedelta``.
    :param parameter: its name as the Dag author wrote it.
    :raises CbrParameterError: when it is neither, or out of these bounds.
    """
    return _seconds(value, parameter, SHORTEST_WAIT, LONGEST_WAIT)


def check_duration(value: Any, parameter: str) -> float:
    """Return the length of a wait in seconds that may be zero, and is at most :data:`LONGEST_WAIT`.

    :param value: a number of seconds, or a ``timedelta``.
    :param parameter: its name as the Dag author wrote it.
    :raises CbrParameterError: when it is neither, or out of these bounds.
    """
    return _seconds(value, parameter, 0.0, LONGEST_WAIT)


def check_age(value: Any, parameter: str) -> float:
    """Return an age or a retention in seconds, from :data:`SHORTEST_WAIT` to :data:`LONGEST_AGE`.

    :param value: a number of seconds, or a ``timedelta``.
    :param parameter: its name as the Dag author wrote it.
    :raises CbrParameterError: when it is neither, or out of these bounds.
    """
    return _seconds(value, parameter, SHORTEST_WAIT, LONGEST_AGE)


def _seconds(value: Any, parameter: str, shortest: float, longest: float) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    least = "greater than 0" if shortest else "of at least 0"
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        hint = " This parameter is not templated." if isinstance(value, str) else ""
        raise CbrParameterError(parameter, f"must be a number of seconds {least}, or a timedelta, not {_shown(value)}.{hint}")
    # Compared before it is made a float, which a whole number of Python may be too large for.
    if not shortest <= seconds <= longest:
        raise CbrParameterError(
            parameter,
            f"must be a number of seconds {least} (from {shortest:g} to {longest:.0f}, {longest / 86400:.0f} days), not {_shown(value)}.",
        )
    return float(seconds)


def check_word(value: Any, words: Sequence[str], parameter: str) -> str:
    """Return one of a few allowed words.

    :raises CbrParameterError: when it is none of them.
    """
    if value not in words:
        raise CbrParameterError(parameter, f"must be one of {', '.join(words)}, not {_shown(value)}.")
    return str(value)


def check_levels(value: Any, parameter: str) -> dict[Level, Action]:
    """Return the action on a violation, by level of the verification.

    :raises CbrParameterError: when it is not a mapping, is empty, or has a level or an action that does not exist.
    """
    from airflow_cbr.verification.levels import Action, Level

    if not isinstance(value, Mapping) or not value:
        raise CbrParameterError(
            parameter, f"must map at least one of {', '.join(Level)} to one of {', '.join(Action)}, not {_shown(value)}."
        )
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

    :raises CbrParameterError: when it is not such a number.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise CbrParameterError(parameter, f"must be a whole number of at least {minimum}, not {_shown(value)}.")
    return value


def _shown(value: Any) -> str:
    """Return a value for a message: short, and whatever Python says of numbers with too many digits."""
    try:
        text = repr(value)
    except ValueError:
        return f"a number of {value.bit_length()} bits" if isinstance(value, int) else f"a value of type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."

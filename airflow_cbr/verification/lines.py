"""A line of a verification: the verdict, what it is about and why come first, and ids last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_cbr.languages import advice_line
from airflow_cbr.verification.faults import advice_on

if TYPE_CHECKING:
    from airflow_cbr.verification.faults import Fault
    from airflow_cbr.verification.levels import Level

__all__ = ["WARNING", "line_of"]

WARNING: Final = "warning"
"""What a line begins with whose finding only warns: the backup has failed nobody yet."""


def line_of(word: str, subject: str, reason: str, level: Level | None, faults: tuple[Fault, ...], ids: str) -> str:
    """Return one line.

    :param word: the verdict, or ``warning``.
    :param subject: what it is about, by name.
    :param reason: why.
    :param level: the level that caught it, or None where nothing is wrong.
    :param faults: what is wrong.
    :param ids: the ids, in words.
    """
    text = f"{word.upper()} {subject}: {reason}"
    if level is not None:
        text = f"{text} [{level}: {', '.join(faults)}] {advice_line(advice_on(faults))}"
    return f"{text} ({ids})" if ids else text

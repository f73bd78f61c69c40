"""The texts of reports and checks, by language: one catalogue file each, with the same keys."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.texts import one_line

if TYPE_CHECKING:
    from airflow_cbr.evidence.check import Problem
    from airflow_cbr.evidence.judgement import Reason

__all__ = ["LANGUAGES", "Texts"]

LANGUAGES: Final = ("en", "zh")

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LONG: Final = 2 * _DAY


class Texts:
    """What is said, in one language.

    :param language: one of :data:`LANGUAGES`.
    """

    def __init__(self, language: str = "en") -> None:
        self._catalogue = _read(language)

    def __call__(self, key: str, **facts: object) -> str:
        """Return a text.

        :param key: of the catalogue.
        :param facts: what it names.
        """
        return self._catalogue[key].format(**facts)

    def counted(self, what: str, count: int) -> str:
        """Return a number with what it counts.

        :param what: key of the noun: ``count.vault_pair``, of which the catalogue has the singular and the plural.
        :param count: how many.
        """
        return self(f"{what}.{'one' if count == 1 else 'many'}", count=count)

    def duration(self, seconds: float | None, none: str = "unknown") -> str:
        """Return a length of time.

        :param seconds: how long; infinite for what never was.
        :param none: key of what is said for None.
        """
        if seconds is None:
            return self(none)
        if seconds == math.inf:
            return self("none")
        whole = round(seconds)
        if whole < _MINUTE:
            return self("seconds", seconds=whole)
        if whole < _HOUR:
            return self("minutes", minutes=whole // _MINUTE)
        if whole < _LONG:
            return self("hours", hours=whole // _HOUR, minutes=whole % _HOUR // _MINUTE)
        return self("days_hours", days=whole // _DAY, hours=whole % _DAY // _HOUR)

    def reason(self, reason: Reason) -> str:
        """Return why a day is not met.

        :param reason: from a judgement.
        """
        # What a later version of the package may find has no text here yet.
        fault = self._catalogue.get(f"fault.{reason.fault}", reason.fault or "-")
        return self(f"reason.{reason.key}", subject=reason.subject, age=self.duration(reason.age), fault=fault, text=reason.text)

    def problem(self, problem: Problem) -> str:
        """Return what is wrong with the evidence itself.

        :param problem: from a walk.
        """
        text = self(f"problem.{problem.kind}", file=problem.file, detail=problem.detail)
        return one_line(f"{problem.pair}: {text}")


@cache
def _read(language: str) -> dict[str, str]:
    catalogue: dict[str, str] = json.loads(
        files("airflow_cbr.evidence").joinpath("catalogue", f"{language}.json").read_text(encoding="utf-8")
    )
    return catalogue

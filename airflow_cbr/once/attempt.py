"""Which attempt at a task this is."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Attempt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Which attempt this is.

    :param number: 1 for the first attempt after the last clear.
    :param generation: how often the task was cleared, as far as Airflow says; attempts of one generation share the deadline.
    :param run_after: Unix time before which this Dag run cannot have begun, or None where it is not known.
    """

    number: int = 1
    generation: int = 0
    run_after: float | None = None

    @property
    def may_have_predecessor(self) -> bool:
        """Return whether an earlier attempt of the same task may have sent something."""
        return self.number > 1 or self.generation > 0

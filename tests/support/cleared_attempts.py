"""The attempts of a task in virtual time, and what a clear does to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["ClearedAttempts", "Intents"]


@dataclass
class Intents:
    """What outlives a process."""

    stored: dict[str, Any] | None = None
    saves: int = 0

    def load(self) -> Any:
        """Return what was saved last."""
        return self.stored

    def save(self, intent: dict[str, Any]) -> None:
        """Keep it."""
        self.stored = intent
        self.saves += 1


class ClearedAttempts:
    """Counts attempts as Airflow does."""

    intents: Intents | None
    """None as before Airflow 3.3, where nothing outlives an attempt."""
    number = 0
    generation = 0

    def clear(self) -> None:
        """Clear the task: attempts count anew, and belong to another generation."""
        self.generation += self.number
        self.number = 0

    def clear_and_forget(self) -> None:
        """Clear the task as Airflow 3.4 does unless it is told to keep the task state: what was written down is gone."""
        self.clear()
        if self.intents is not None:
            self.intents.stored = None

"""The steps of a pruning, at which a test can stop it."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["PruneStep"]


class PruneStep(StrEnum):
    """What touches the world."""

    LOOK = "look"
    """Verify, and list both sides."""
    NOTE = "write the plan down"
    """For the next attempt."""
    LOOK_AGAIN = "look again"
    """Read what could have changed, before each deletion."""
    DELETE = "delete a backup"
    LOOK_BACK = "look back"
    """See whether what was deleted is gone."""

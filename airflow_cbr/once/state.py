"""What goes through a deferral, inside the trigger's arguments and event: what an attempt knows. Ids and numbers only."""

from __future__ import annotations

from typing import Any, Self

import msgspec

from airflow_cbr.once.ceiling import CallCounts

__all__ = ["AttemptState", "DeferredState"]


class DeferredState(msgspec.Struct):
    """What a task knows, as plain JSON values where it leaves the process."""

    def dump(self) -> dict[str, Any]:
        """Return the state as plain JSON values."""
        return dict(msgspec.to_builtins(self))

    @classmethod
    def load(cls, dumped: Any) -> Self:
        """Return the state that :meth:`dump` wrote.

        :raises ValueError: when it is not one (a deferred task of another version, a foreign event).
        """
        try:
            return msgspec.convert(dumped, cls)
        except msgspec.ValidationError as error:
            # It is a ValueError from msgspec 0.21 on, which is newer than the packages of Airflow 3.1.
            raise ValueError(str(error)) from None


class AttemptState(DeferredState, kw_only=True):
    """What every attempt knows.

    :param deadline: Unix time, by this machine's clock, at which the task gives up.
    :param troubles: how many looks in a row have failed.
    :param refusals: how many calls in a row the service has refused for now.
    :param calls: the calls of this Dag run's task, for their ceiling.
    """

    deadline: float
    troubles: int = 0
    refusals: int = 0
    calls: CallCounts = msgspec.field(default_factory=CallCounts)

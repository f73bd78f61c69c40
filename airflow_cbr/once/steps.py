"""What a machine does next: the pause that it asks for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pause"]


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing can be done now.

    :param reason: why, for the log.
    :param seconds: when to call :meth:`~airflow_cbr.once.machine.Machine.advance` again.
    :param records: ids of the replication records that are waited for; empty when something else is.
    """

    reason: str
    seconds: float
    records: tuple[str, ...] = ()

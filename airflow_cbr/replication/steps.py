"""What a submission does next, and what comes of it: the steps it takes, the pause it asks for, the result it ends with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Pause", "Result", "Step"]


class Step(StrEnum):
    """The steps of the machine; a kill before or after any of them loses nothing."""

    LOOK = "look"
    LOOK_AT_LOG = "look at the operation log"
    RECORD_INTENT = "record the intent"
    REPLICATE_VAULT = "replicate the vault"
    REPLICATE_BACKUP = "replicate a backup"
    PUBLISH = "publish the record ids"
    CONCLUDE = "conclude"


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing can be done now.

    :param reason: why, for the log.
    :param seconds: when to call :meth:`Submission.advance` again.
    :param records: ids of the replication records that are waited for; empty when something else is.
    """

    reason: str
    seconds: float
    records: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """Every eligible backup is covered.

    :param record_ids: the records that were accepted or adopted in this Dag run.
    :param counts: ``accepted``, ``adopted``, ``already``, ``succeeded``, ``failed``, ``skipped``, ``missing``.
    """

    record_ids: list[str]
    counts: dict[str, int]

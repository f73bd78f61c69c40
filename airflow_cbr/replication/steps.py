"""What a submission does next, and what comes of it: the steps it takes, the pause it asks for, the result it ends with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_cbr.once.steps import Pause

if TYPE_CHECKING:
    from airflow_cbr.replication.figures import Figures

__all__ = ["Pause", "Result", "Step"]


class Step(StrEnum):
    """The steps of the machine; being killed before or after any of them loses nothing."""

    LOOK = "look"
    LOOK_AT_LOG = "look at the operation log"
    RECORD_INTENT = "record the intent"
    REPLICATE_VAULT = "replicate the vault"
    REPLICATE_BACKUP = "replicate a backup"
    PUBLISH = "publish the record ids"
    CONCLUDE = "conclude"


@dataclass(frozen=True, slots=True)
class Result:
    """Every eligible backup is covered.

    :param record_ids: the records that were accepted or adopted in this Dag run.
    :param counts: ``accepted``, ``adopted``, ``already``, ``succeeded``, ``failed``, ``skipped``, ``missing``.
    :param figures: how much is where, and what it took.
    """

    record_ids: list[str]
    counts: dict[str, int]
    figures: Figures

"""What the verification says of one backup, and how that follows from what is wrong with it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from airflow_cbr.verification.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Verdict", "verdict_on"]


class Verdict(StrEnum):
    """The result of the verification for one backup."""

    VERIFIED = "verified"
    """No level that judges it is violated."""
    FAILED = "failed"
    """The copy failed, has not ended, or the replica is not what it must be."""
    MISSING = "missing"
    """There is no record, or no replica."""
    SKIPPED = "skipped"
    """Not eligible, or not judged; the reason says why."""


_MISSING: Final = frozenset({Fault.RECORD_UNLISTED, Fault.NO_RECORD, Fault.REPLICA_UNNAMED, Fault.REPLICA_MISSING})


def verdict_on(faults: Sequence[Fault]) -> Verdict:
    """Return the verdict on a backup whose copy has faults: missing where all of them say that something is not there.

    :param faults: what is wrong; at least one fault.
    """
    return Verdict.MISSING if _MISSING.issuperset(faults) else Verdict.FAILED

"""Targets of benchmarks: a measured value, its limit, and the verdict."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One thing that must be reached.

    :param name: what is measured.
    :param measured: the value.
    :param limit: the value must not exceed it.
    :param unit: unit of both. Default: a ratio.
    """

    name: str
    measured: float
    limit: float
    unit: str = "x"

    @property
    def reached(self) -> bool:
        return self.measured <= self.limit


def ratio(these: Sequence[float], those: Sequence[float]) -> float:
    """Return the median of the ratios of neighbouring measurements, which a busy machine disturbs alike."""
    return statistics.median(this / that for this, that in zip(these, those, strict=True))


def spread(values: Sequence[float], scale: float = 1000.0) -> str:
    """Return median and range, by default of seconds in milliseconds."""
    return f"{statistics.median(values) * scale:.3f} [{min(values) * scale:.3f} - {max(values) * scale:.3f}]"


def report(targets: Sequence[Target]) -> None:
    """Print the verdicts; leave with 1 when a target is missed."""
    for target in targets:
        verdict = "reached" if target.reached else "MISSED"
        print(f"  {verdict:8}{target.name}: {target.measured:.2f} {target.unit} (limit {target.limit:g} {target.unit})")
    if not all(target.reached for target in targets):
        sys.exit(1)

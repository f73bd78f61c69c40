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
    :param known: what is measured where the limit is not reached, and why is on the page about benchmarks: only above it does the
        benchmark fail. Default: the limit.
    """

    name: str
    measured: float
    limit: float
    unit: str = "x"
    known: float | None = None

    @property
    def reached(self) -> bool:
        return self.measured <= self.limit

    @property
    def holds(self) -> bool:
        return self.measured <= (self.limit if self.known is None else self.known)


def ratio(these: Sequence[float], those: Sequence[float]) -> float:
    """Return the median of the ratios of neighbouring measurements, which a busy machine disturbs alike."""
    return statistics.median(this / that for this, that in zip(these, those, strict=True))


def spread(values: Sequence[float], scale: float = 1000.0) -> str:
    """Return median and range, by default of seconds in milliseconds."""
    return f"{statistics.median(values) * scale:.3f} [{min(values) * scale:.3f} - {max(values) * scale:.3f}]"


def report(targets: Sequence[Target]) -> None:
    """Print the verdicts; leave with 1 when a target is missed that is not known to be."""
    for target in targets:
        verdict = "reached" if target.reached else "MISSED"
        known = "" if target.known is None else f", known to be up to {target.known:g}"
        print(f"  {verdict:8}{target.name}: {target.measured:.2f} {target.unit} (limit {target.limit:g} {target.unit}{known})")
    if not all(target.holds for target in targets):
        sys.exit(1)

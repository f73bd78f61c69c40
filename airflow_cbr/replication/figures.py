"""How much of a vault is where: what the last line of a replicate task says, and its XCom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_cbr.api.texts import counted
from airflow_cbr.inventory.coverage import CoverageStatus
from airflow_cbr.inventory.measures import duration_text, gb_text, known_gb_of, rate_text
from airflow_cbr.replication.decisions import in_flight, succeeded

if TYPE_CHECKING:
    from airflow_cbr.inventory.coverage import Coverage
    from airflow_cbr.once.clock import ServiceClock
    from airflow_cbr.replication.state import ReplicationState

__all__ = ["Figures", "figures_of", "running_since"]


@dataclass(frozen=True, slots=True)
class Figures:
    """How many of how many backups are at the destination, and what it took.

    :param eligible: backups that must be there.
    :param copied: those that are there by a copy that this task accepted or adopted.
    :param before: those that were there before.
    :param running: those whose copies are running.
    :param skipped: backups that are not eligible.
    :param gb: nominal size of the copied ones in GB: of their disks, so that it is an upper bound of what was moved; None when a
        size is not known.
    :param gb_before: the same of those that were there before.
    :param seconds: for which the copies have run that this attempt began or found running; None when there was none.
    """

    eligible: int
    copied: int
    before: int
    running: int
    skipped: int
    gb: float | None
    gb_before: float | None
    seconds: float | None

    @property
    def row(self) -> dict[str, float | None]:
        """Return what the XCom has of it, beside the counts."""
        seconds = None if self.seconds is None else round(self.seconds, 1)
        gb, before = (None if gb is None else round(gb, 3) for gb in (self.gb, self.gb_before))
        return {"eligible": self.eligible, "gb": gb, "gb_already": before, "seconds": seconds}

    @property
    def line(self) -> str:
        """Return it as one line: ``6 of 6 eligible backups are there: 3 copied now (at most 200 GB in 12 min 5 s, 276 MB/s), 3 before``."""
        there = self.copied + self.before
        head = f"{there} of {counted(self.eligible, 'eligible backup')} {'is' if there == 1 else 'are'} there"
        parts = [f"{self.copied} copied now{self._effort}", f"{self.before} before"]
        if self.running:
            parts.append(f"{self.running} still running")
        if self.skipped:
            parts.append(f"{self.skipped} not eligible")
        return f"{head}: {', '.join(parts)}"

    @property
    def _effort(self) -> str:
        if not self.copied:
            return ""
        size = gb_text(self.gb) if self.gb is None else f"at most {gb_text(self.gb)}"
        if self.seconds is None:
            return f" ({size})"
        rate = None if self.gb is None else rate_text(self.gb, self.seconds)
        return f" ({size} in {duration_text(self.seconds)}{f', {rate}' if rate else ''})"


def figures_of(coverage: Coverage, state: ReplicationState, *, now: float) -> Figures:
    """Return the figures of one look.

    :param coverage: the look.
    :param state: what the attempt knows.
    :param now: this machine's clock, Unix time.
    """
    copied = succeeded(coverage, state)
    ours = {one.backup.id for one in copied}
    before = [one for one in coverage.of(CoverageStatus.SUCCEEDED) if one.backup.id not in ours]
    gb_before = known_gb_of(before)
    return Figures(
        eligible=coverage.eligible_number,
        copied=len(copied),
        before=coverage.settled.backups + len(before),
        running=len(in_flight(coverage, state)),
        skipped=coverage.number_of(CoverageStatus.SKIPPED),
        gb=known_gb_of(copied),
        gb_before=None if gb_before is None or coverage.settled.is_sizeless else float(coverage.settled.gb + gb_before),
        seconds=None if state.copying_since is None else max(now - state.copying_since, 0.0),
    )


def running_since(coverage: Coverage, clock: ServiceClock) -> float | None:
    """Return the Unix time (local) since when the oldest running copy has run, or None where none runs or says since when.

    :param coverage: the look.
    :param clock: the two clocks.
    """
    begun = [one.record.created for one in coverage.of(CoverageStatus.IN_FLIGHT) if one.record is not None]
    times = [time.timestamp() for time in begun if time is not None]
    return clock.local - clock.age(min(times)) if times else None

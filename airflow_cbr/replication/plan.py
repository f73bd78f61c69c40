"""What a replication would copy: which backups, why, and how many GB. Made from one look; nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.replication import verdict
from airflow_cbr.replication.coverage import BackupStanding, Coverage, Standing, name_of
from airflow_cbr.replication.memory import Memory
from airflow_cbr.replication.vaults import room_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_cbr.api.models import Vault

__all__ = ["LISTED", "Plan", "plan_of"]

LISTED: Final = 20
"""How many backups or findings an XCom lists; the counts tell of the others."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would happen to each backup of a source vault.

    :param coverage: the look that it rests on.
    :param copies: the backups that would be copied, oldest first.
    :param declined: the backups that would be asked for singly and that the service declines: servers without their system disk (1004).
    :param by_vault: whether one call for the vault would ask for the copies; singly otherwise, one call for each.
    :param filling: the part of its backups' nominal sizes that the source vault really uses, 0 to 1; 1 where that is not known.
    """

    coverage: Coverage
    copies: list[BackupStanding]
    declined: list[BackupStanding]
    by_vault: bool
    filling: float = 1.0

    @property
    def awaited(self) -> list[BackupStanding]:
        """Return the backups that are still being made: they are waited for, and copied then."""
        return self.coverage.of(Standing.BEING_MADE)

    @property
    def running(self) -> list[BackupStanding]:
        """Return the backups whose copies run: they are followed and not asked for again."""
        return self.coverage.of(Standing.IN_FLIGHT)

    @property
    def skipped(self) -> list[BackupStanding]:
        """Return the backups that are not eligible; the reason says why."""
        return self.coverage.of(Standing.SKIPPED)

    @property
    def elsewhere(self) -> list[BackupStanding]:
        """Return the backups that another vault of the destination region holds: the service would refuse them."""
        return self.coverage.of(Standing.ELSEWHERE)

    @property
    def covered(self) -> list[BackupStanding]:
        """Return the backups that are covered already."""
        return self.coverage.of(Standing.SUCCEEDED)

    @property
    def gb(self) -> float:
        """Return how many GB would be copied at most: the sizes of the disks, of what is asked for and of what is still being made."""
        return _gb(self.copies) + _gb(self.awaited)

    @property
    def gb_estimated(self) -> float:
        """Return how many GB would be copied if these backups are as full as the source vault's are on the whole."""
        return round(self.gb * self.filling, 1)

    @property
    def gb_running(self) -> float:
        """Return how many GB, at most, the copies that run already bring to the destination."""
        return _gb(self.running)

    @property
    def counts(self) -> dict[str, int]:
        """Return how many backups belong to each part of the plan."""
        return {
            "backups": len(self.copies),
            "awaited": len(self.awaited),
            "running": len(self.running),
            "covered": len(self.covered),
            "skipped": len(self.skipped),
            "declined": len(self.declined),
            "elsewhere": len(self.elsewhere),
        }

    @property
    def calls(self) -> int:
        """Return how many replicate calls would be sent: at most one for the vault, and one for each backup that is asked for singly."""
        return (1 if self.by_vault else len(self.copies)) + len(self.declined)

    @property
    def summary(self) -> dict[str, Any]:
        """Return the plan as a small dict for an XCom: counts, GB, and the first backups of each part that needs a reason."""
        return {
            **self.counts,
            "gb": self.gb,
            "gb_estimated": self.gb_estimated,
            "calls": self.calls,
            "to_copy": [{**_row(one), "gb": one.backup.resource_size, "reason": _why_copied(one)} for one in self.copies[:LISTED]],
            "not_copied": [{**_row(one), "place": place, "reason": reason} for one, place, reason in self._not_copied()[:LISTED]],
        }

    @property
    def headline(self) -> str:
        """Return the plan as one line."""
        counts = ", ".join(f"{number} {name}" for name, number in self.counts.items() if number and name != "backups")
        calls = "1 call" if self.calls == 1 else f"{self.calls} calls"
        what = f"{len(self.copies)} backups would be copied to {self.coverage.destination} with {calls}, {self.size}"
        return f"{what}; {counts}" if counts else what

    @property
    def size(self) -> str:
        """Return the GB as a person would read them."""
        estimate = f" (about {self.gb_estimated:g} GB by how full the source vault is)" if self.filling < 1 else ""
        return f"at most {self.gb:g} GB{estimate}"

    @property
    def lines(self) -> list[str]:
        """Return one line for each backup that would be copied, or would not be for a reason."""
        copied = [f"Would copy {name_of(one.backup)}, {one.backup.resource_size or 0:g} GB: {_why_copied(one)}" for one in self.copies]
        return copied + [f"Would not copy {name_of(one.backup)}: {place} ({reason})" for one, place, reason in self._not_copied()]

    def _not_copied(self) -> list[tuple[BackupStanding, str, str]]:
        others = [*self.elsewhere, *self.awaited, *self.running, *self.skipped]
        declined = [(one, "declined", "the service declines a server's backup without its system disk") for one in self.declined]
        return declined + [(one, str(one.standing), one.reason) for one in others]


def plan_of(coverage: Coverage, *, source: Vault | None = None) -> Plan:
    """Return what a task that begins now would do with what this look shows.

    :param coverage: the source vault's backups, judged for the destination.
    :param source: the source vault; its use tells how full the backups are. Default: not known.
    """
    failed = [one.record.id for one in coverage.of(Standing.FAILED) if one.record is not None]
    memory = Memory(deadline=0.0, stale=failed)
    wanted = verdict.needed(coverage, memory)
    return Plan(
        coverage=coverage,
        copies=[one for one in wanted if not verdict.lacks_system_disk(one.backup)],
        declined=[one for one in wanted if verdict.lacks_system_disk(one.backup)],
        by_vault=verdict.asks_for_vault(coverage, memory, wanted),
        filling=_filling(coverage, source),
    )


def _why_copied(one: BackupStanding) -> str:
    return f"its newest copy failed, {one.reason}" if one.standing is Standing.FAILED else "it has no copy there yet"


def _filling(coverage: Coverage, source: Vault | None) -> float:
    room = room_of(source) if source is not None else None
    nominal = _gb(coverage.standings.values())
    if room is None or room.used_gb <= 0 or nominal <= 0:
        return 1.0
    return min(room.used_gb / nominal, 1.0)


def _gb(standings: Iterable[BackupStanding]) -> float:
    return sum(one.backup.resource_size or 0 for one in standings)


def _row(one: BackupStanding) -> dict[str, Any]:
    return {"id": one.backup.id, "name": one.backup.name, "resource": one.backup.resource_name or one.backup.resource_id}

"""What a replication would copy: which backups, why, and how many GB. Made from one look; nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.api.texts import counted
from airflow_cbr.inventory.backups import lacks_system_disk, name_of, resource_of
from airflow_cbr.inventory.coverage import BackupCoverage, Coverage, CoverageStatus
from airflow_cbr.inventory.measures import gb_of
from airflow_cbr.inventory.vaults import capacity_of
from airflow_cbr.replication import decisions
from airflow_cbr.replication.state import ReplicationState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_cbr.api.models import Vault, VaultResource

__all__ = ["LISTED", "Plan", "plan_of"]

LISTED: Final = 20
"""How many backups or findings an XCom lists; the counts include the rest."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would happen to each backup of a source vault.

    :param coverage: the look that it rests on.
    :param copies: the backups that would be copied, oldest first.
    :param declined: the backups that would be requested individually and that the service refuses: servers without system disk (1004).
    :param by_vault: whether one call for the vault would request the copies; otherwise one call for each backup.
    :param filling: the share of its backups' nominal sizes that the source vault really uses, 0 to 1; 1 where that is not known.
    :param coming: the resources of which a checkpoint will make one more backup each before the copy begins. Default: none.
    """

    coverage: Coverage
    copies: list[BackupCoverage]
    declined: list[BackupCoverage]
    by_vault: bool
    filling: float = 1.0
    coming: Sequence[VaultResource] = ()

    @property
    def awaited(self) -> list[BackupCoverage]:
        """Return the backups that are still being made: the task waits for them, and then copies them."""
        return self.coverage.of(CoverageStatus.BEING_MADE)

    @property
    def running(self) -> list[BackupCoverage]:
        """Return the backups whose copies are running: they are followed and not requested again."""
        return self.coverage.of(CoverageStatus.IN_FLIGHT)

    @property
    def skipped(self) -> list[BackupCoverage]:
        """Return the backups that are not eligible; the reason says why."""
        return self.coverage.of(CoverageStatus.SKIPPED)

    @property
    def elsewhere(self) -> list[BackupCoverage]:
        """Return the backups whose replica is in another vault of the destination region: the service would refuse to copy them."""
        return self.coverage.of(CoverageStatus.ELSEWHERE)

    @property
    def covered(self) -> list[BackupCoverage]:
        """Return the backups that are covered already."""
        return self.coverage.of(CoverageStatus.SUCCEEDED)

    @property
    def gb(self) -> float:
        """Return how many GB would be copied at most: the sizes of the disks, of what is asked for, is being made, or is yet to be made."""
        return gb_of(self.copies) + gb_of(self.awaited) + sum(one.size or 0 for one in self.coming)

    @property
    def backups(self) -> int:
        """Return how many backups would be copied, those that a checkpoint is yet to make among them."""
        return len(self.copies) + len(self.coming)

    @property
    def gb_estimated(self) -> float:
        """Return how many GB would be copied if these backups are as full as the source vault's backups are on average."""
        return round(self.gb * self.filling, 1)

    @property
    def gb_running(self) -> float:
        """Return how many GB, at most, the running copies bring to the destination."""
        return gb_of(self.running)

    @property
    def counts(self) -> dict[str, int]:
        """Return how many backups belong to each part of the plan."""
        return {
            "backups": len(self.copies),
            "coming": len(self.coming),
            "awaited": len(self.awaited),
            "running": len(self.running),
            "covered": len(self.covered),
            "skipped": len(self.skipped),
            "declined": len(self.declined),
            "elsewhere": len(self.elsewhere),
        }

    @property
    def calls(self) -> int:
        """Return how many replicate calls would be sent: at most one for the vault, and one for each backup requested individually."""
        return (1 if self.by_vault or self.coming else len(self.copies)) + len(self.declined)

    @property
    def summary(self) -> dict[str, Any]:
        """Return the plan as a small dict for an XCom: counts, GB, and the first backups of each part that needs a reason."""
        return {
            **self.counts,
            "gb": self.gb,
            "gb_estimated": self.gb_estimated,
            "calls": self.calls,
            "to_copy": [{**_row(one), "gb": one.backup.resource_size, "reason": _why_copied(one)} for one in self.copies[:LISTED]],
            "to_make": [{"resource_id": one.id, "resource_name": one.name, "gb": one.size} for one in self.coming[:LISTED]],
            "not_copied": [{**_row(one), "place": place, "reason": reason} for one, place, reason in self._not_copied()[:LISTED]],
        }

    @property
    def headline(self) -> str:
        """Return the plan as one line."""
        counts = ", ".join(f"{number} {name}" for name, number in self.counts.items() if number and name not in ("backups", "coming"))
        copies, calls = counted(self.backups, "backup"), counted(self.calls, "call")
        what = f"{copies} would be copied to {self.coverage.destination} with {calls}, {self.size}"
        if self.coming:
            what = f"{what}; {len(self.coming)} of them are yet to be made by the checkpoint"
        return f"{what}; {counts}" if counts else what

    @property
    def size(self) -> str:
        """Return the GB in words."""
        estimate = f" (about {self.gb_estimated:g} GB, judging by how full the source vault is)" if self.filling < 1 else ""
        return f"at most {self.gb:g} GB{estimate}"

    @property
    def lines(self) -> list[str]:
        """Return one line for each backup that would be copied, or would not be for a reason."""
        said = [
            f"Would copy {resource_of(one.backup)}, {one.backup.resource_size or 0:g} GB: {_why_copied(one)}; backup {name_of(one.backup)}"
            for one in self.copies
        ]
        said += [f"Would copy {one.name or one.id}, {one.size or 0:g} GB: the checkpoint will add a backup of it" for one in self.coming]
        return said + [
            f"Would not copy {resource_of(one.backup)}: {place} ({reason}); backup {name_of(one.backup)}"
            for one, place, reason in self._not_copied()
        ]

    def _not_copied(self) -> list[tuple[BackupCoverage, str, str]]:
        others = [*self.elsewhere, *self.awaited, *self.running, *self.skipped]
        declined = [(one, "declined", "CBR does not replicate a server's backup without its system disk") for one in self.declined]
        return declined + [(one, str(one.status), one.reason) for one in others]


def plan_of(coverage: Coverage, *, source: Vault | None = None, coming: Sequence[VaultResource] = ()) -> Plan:
    """Return what a task that begins now would do with what this look shows.

    :param coverage: the source vault's backups, judged for the destination.
    :param source: the source vault; its use tells how full the backups are. Default: not known.
    :param coming: the resources of which a checkpoint will make one more backup each before the copy begins. Default: none.
    """
    failed = [one.record.id for one in coverage.of(CoverageStatus.FAILED) if one.record is not None]
    state = ReplicationState(deadline=0.0, stale=failed)
    wanted = decisions.needed(coverage, state)
    return Plan(
        coverage=coverage,
        copies=[one for one in wanted if not lacks_system_disk(one.backup)],
        declined=[one for one in wanted if lacks_system_disk(one.backup)],
        by_vault=decisions.asks_for_vault(coverage, state, wanted),
        filling=_filling(coverage, source),
        coming=tuple(coming),
    )


def _why_copied(one: BackupCoverage) -> str:
    return f"its newest copy failed, {one.reason}" if one.status is CoverageStatus.FAILED else "it has no copy there yet"


def _filling(coverage: Coverage, source: Vault | None) -> float:
    capacity = capacity_of(source) if source is not None else None
    nominal = gb_of(coverage.by_backup.values())
    if capacity is None or capacity.used_gb <= 0 or nominal <= 0:
        return 1.0
    return min(capacity.used_gb / nominal, 1.0)


def _row(one: BackupCoverage) -> dict[str, Any]:
    backup = one.backup
    names = {"name": backup.name, "resource": backup.resource_name or backup.resource_id, "resource_name": backup.resource_name}
    return {"id": backup.id, **names}

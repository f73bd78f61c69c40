"""The levels of a verification, what a violation of one does, and what is asked of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from airflow_cbr.inventory.destination import Destination

__all__ = ["COPY_LEVELS", "Action", "Level", "Scope", "Source", "VerificationSpec"]


class Level(StrEnum):
    """What is verified, from single records to the destination vault."""

    RECORD = "record"
    """The source says that each copy ended in success."""
    REPLICA = "replica"
    """The destination region holds the replica that each record names, and it is what it must be."""
    COVERAGE = "coverage"
    """Every resource that is bound to the source vault has a verified replica, of its newest eligible backup too."""
    RPO = "rpo"
    """The newest verified replica of each resource is young enough."""
    VAULT = "vault"
    """The destination vault is for replicas, is available, has room for the next night, and is locked if it must be."""


class Action(StrEnum):
    """What a violation of a level does to the task."""

    FAIL = "fail"
    SKIP = "skip"
    """The task is skipped, unless something else makes it fail."""
    WARN = "warn"
    """A warning in the log and a finding in the report; the verdict does not change."""


class Scope(StrEnum):
    """Which backups get a verdict."""

    RECORDS = "records"
    """The backups of the given replication records."""
    NEWEST = "newest"
    """The newest eligible backup of each resource; a backup that is not eligible is listed as skipped."""
    ALL = "all"
    """Every backup of the vault."""


COPY_LEVELS: Final = (Level.RECORD, Level.REPLICA)
"""The levels that judge single backups, in their order."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the source backups are.

    :param region: region id, as the client of the source has it.
    :param project_id: project in that region.
    :param vault_id: the source vault.
    """

    region: str
    project_id: str
    vault_id: str


@dataclass(frozen=True, slots=True)
class VerificationSpec:
    """The specification of one verification.

    :param vault_id: the source vault.
    :param destination: where the replicas must be.
    :param levels: what a violation does, by level; a level that is not named is not judged.
    :param scope: which backups get a verdict.
    :param record_ids: the records, for :attr:`Scope.RECORDS`.
    :param max_age: greatest age of a resource's newest verified replica in seconds, counted from the creation of its source backup.
        Default: none.
    :param retention: seconds, counted from the creation of its source backup, for which a replica must be kept. Default: none.
    :param require_locked: whether the destination vault must be locked. Default: False.
    :param allow_empty: whether a vault without any eligible backup is fine. Resources that are bound to it are still findings of
        ``coverage`` and ``rpo``. Default: False.
    """

    vault_id: str
    destination: Destination
    levels: Mapping[Level, Action] = field(default_factory=lambda: {Level.RECORD: Action.FAIL, Level.REPLICA: Action.FAIL})
    scope: Scope = Scope.NEWEST
    record_ids: tuple[str, ...] = ()
    max_age: float | None = None
    retention: float | None = None
    require_locked: bool = False
    allow_empty: bool = False

    @property
    def looks_at_replicas(self) -> bool:
        """Return whether a level needs what the destination lists."""
        return not self.levels.keys().isdisjoint({Level.REPLICA, Level.COVERAGE, Level.RPO})

    @property
    def looks_at_source_vault(self) -> bool:
        """Return whether a level needs the source vault's own row."""
        return not self.levels.keys().isdisjoint({Level.COVERAGE, Level.RPO, Level.VAULT})

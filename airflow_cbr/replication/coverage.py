"""What counts: where each backup of a source vault stands with regard to one destination.

Everything that decides between green and red reads its facts here, from one listing of the source vault's backups with their
replication records. A backup's standing is decided by its newest record to exactly this destination. Records that ended in ``skip``
say "there was nothing to do for this one" and are passed over: what counts is why there was nothing to do, which an older record tells.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.texts import LONGEST_MESSAGE, LONGEST_NAME, one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from airflow_cbr.api.models import Backup, ReplicationRecord

__all__ = [
    "BackupStanding",
    "Coverage",
    "Destination",
    "Standing",
    "assess",
    "failure_of",
    "name_of",
    "newest_record",
    "reason_not_eligible",
    "stand",
    "success_beside",
]

BEING_MADE: Final = frozenset({"protecting", "waiting_protect"})

# CBR replicates backups of servers, SFS Turbo file systems and hybrid (VMware) resources; disk vaults and desktops are not among them.
# A kind that is not named here is put to the service, which knows.
NOT_REPLICABLE_PROVIDERS: Final = {
    "d1603440-187d-4516-af25-121250c7cc97": "disk",
    "86a80900-71bf-4961-956a-d52df944f84a": "workspace desktop",
}
NOT_REPLICABLE_RESOURCES: Final = {"OS::Cinder::Volume": "disk", "OS::Workspace::DesktopV2": "workspace desktop"}

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_END: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the copies go.

    :param region: region id, for example ``cn-shenzhen-1``.
    :param project_id: project in that region.
    :param vault_id: replication vault in that project.
    """

    region: str
    project_id: str
    vault_id: str

    def holds(self, record: ReplicationRecord) -> bool:
        """Return whether the record is a replication to exactly this region, project and vault.

        The vault stands in the record itself and once more in ``extra_info``; either will do.
        """
        vault_id = record.destination_vault_id or record.extra.destination_vault_id
        return vault_id == self.vault_id and record.destination_project_id == self.project_id and record.destination_region == self.region

    def __str__(self) -> str:
        """Return the destination as a person would name it."""
        return f"vault {self.vault_id} in {self.region} (project {self.project_id})"


class Standing(StrEnum):
    """Where a backup stands with regard to the destination."""

    SUCCEEDED = "succeeded"
    """The newest record to the destination is ``success``."""
    IN_FLIGHT = "in flight"
    """The newest record has not ended; a status word that nobody documented is taken for this."""
    FAILED = "failed"
    """The newest record is ``fail``."""
    UNRECORDED = "not replicated"
    """Eligible, and no record to the destination says anything."""
    ELSEWHERE = "in another vault"
    """Copied, or being copied, to another vault of the destination region, where the service allows one replica (code 1009)."""
    BEING_MADE = "being made"
    """The backup itself has not ended yet."""
    SKIPPED = "skipped"
    """Not eligible; the reason says why."""
    LOST = "lost"
    """The service accepted a copy, and neither a record nor the operation log knows of it any more."""


@dataclass(frozen=True, slots=True)
class BackupStanding:
    """One backup's standing.

    :param backup: the backup as the service listed it.
    :param standing: where it stands.
    :param reason: why, for the standings that need a reason; may be empty.
    :param record: the record that decided it, if any.
    """

    backup: Backup
    standing: Standing
    reason: str = ""
    record: ReplicationRecord | None = None

    def __str__(self) -> str:
        """Return the backup's name and id with its standing and reason."""
        text = f"{name_of(self.backup)}: {self.standing}"
        return f"{text} ({self.reason})" if self.reason else text


@dataclass(frozen=True, slots=True)
class Coverage:
    """The standing of every backup that counts.

    :param destination: the destination in question.
    :param as_of: only backups created until then count, in the service's clock.
    :param standings: standing by backup id.
    :param records: every record to the destination, by record id, with the id of its backup.
    """

    destination: Destination
    as_of: datetime
    standings: Mapping[str, BackupStanding]
    records: Mapping[str, tuple[str, ReplicationRecord]] = field(default_factory=dict)

    def of(self, *standings: Standing) -> list[BackupStanding]:
        """Return the backups that stand at one of these, oldest first."""
        return sorted((one for one in self.standings.values() if one.standing in standings), key=_age)

    @property
    def eligible(self) -> list[BackupStanding]:
        """Return the backups that must be covered: all but the skipped ones and those still being made, oldest first."""
        return sorted((one for one in self.standings.values() if one.standing not in (Standing.SKIPPED, Standing.BEING_MADE)), key=_age)


def name_of(backup: Backup) -> str:
    """Return how a message names a backup: its name where it has one, and always its id."""
    return f"{one_line(backup.name, LONGEST_NAME)} ({one_line(backup.id)})" if backup.name else one_line(backup.id)


def _age(one: BackupStanding) -> datetime:
    return one.backup.created or _BEGINNING


def reason_not_eligible(backup: Backup) -> str | None:
    """Return why a finished backup cannot be replicated, or None when it can.

    :param backup: a backup that is not being made any more.
    """
    if backup.image_type not in (None, "backup"):
        return f"it is itself a {backup.image_type}"
    kind = NOT_REPLICABLE_PROVIDERS.get(backup.provider_id or "") or NOT_REPLICABLE_RESOURCES.get(backup.resource_type or "")
    if kind:
        return f"CBR does not replicate {kind} backups"
    if backup.status != "available":
        return f"its status is {backup.status or 'unknown'}, not available"
    return None


def assess(
    backups: Iterable[Backup],
    destination: Destination,
    *,
    as_of: datetime | None = None,
    own: Collection[str] = (),
    declined: Mapping[str, str] | None = None,
) -> Coverage:
    """Judge every backup of a source vault.

    :param backups: the vault's backups, listed with their replication records; any order, repeated rows allowed.
    :param destination: where the copies go.
    :param as_of: count only backups created until then. Default: all rows count, and the newest one says when this was.
    :param own: record ids that the service itself named in answer to a call of ours; they count for the destination even if
        the record leaves its destination empty, and whenever their backup was made.
    :param declined: backups that the service refused to copy for a reason that lies in the backup, with the reason.
    :return: the coverage.
    """
    standings: dict[str, BackupStanding] = {}
    records: dict[str, tuple[str, ReplicationRecord]] = {}
    newest = _BEGINNING
    for backup in backups:
        created = backup.created
        listed = backup.replication_records or ()
        is_newer = as_of is not None and created is not None and created > as_of
        # A vault's call also takes a backup that was made since the first look; what it began is followed to its end.
        if is_newer and not any(record.id in own for record in listed):
            continue
        newest = max(newest, created or _BEGINNING)
        here = _records_here(backup, destination, own)
        records.update((record.id, (backup.id, record)) for record in here)
        standings[backup.id] = _stand(backup, here, destination, own, (declined or {}).get(backup.id))
    return Coverage(destination=destination, as_of=as_of or newest, standings=standings, records=records)


def stand(backup: Backup, destination: Destination) -> BackupStanding:
    """Judge one backup, as :func:`assess` does for a task that has sent nothing.

    :param backup: the backup, listed with its replication records.
    :param destination: where its copy goes.
    """
    return _stand(backup, _records_here(backup, destination, ()), destination, (), None)


def _records_here(backup: Backup, destination: Destination, own: Collection[str]) -> list[ReplicationRecord]:
    return [record for record in backup.replication_records or () if destination.holds(record) or record.id in own]


def _stand(
    backup: Backup, here: Collection[ReplicationRecord], destination: Destination, own: Collection[str], declined: str | None
) -> BackupStanding:
    record = newest_record(here)
    if record is not None and (record.id in own or not record.is_final):
        # A copy that has begun is followed to its end, whatever becomes of its source backup meanwhile.
        return _stand_by(record, backup)
    if backup.status in BEING_MADE and backup.image_type in (None, "backup"):
        return BackupStanding(backup, Standing.BEING_MADE, f"its status is {backup.status}")
    if reason := reason_not_eligible(backup):
        return BackupStanding(backup, Standing.SKIPPED, reason)
    if record is not None:
        return _stand_by(record, backup)
    if declined:
        return BackupStanding(backup, Standing.SKIPPED, declined)
    elsewhere = newest_record(r for r in backup.replication_records or () if r.destination_region == destination.region and r not in here)
    if elsewhere is not None and elsewhere.status != "fail":
        vault_id = elsewhere.destination_vault_id or elsewhere.extra.destination_vault_id
        reason = f"the destination region has it in vault {vault_id}, and CBR keeps one replica in a region"
        return BackupStanding(backup, Standing.ELSEWHERE, reason, elsewhere)
    return BackupStanding(backup, Standing.UNRECORDED)


def _stand_by(record: ReplicationRecord, backup: Backup) -> BackupStanding:
    if record.status == "success":
        return BackupStanding(backup, Standing.SUCCEEDED, record=record)
    if record.status == "fail":
        return BackupStanding(backup, Standing.FAILED, failure_of(record), record)
    return BackupStanding(backup, Standing.IN_FLIGHT, record.status or "no status yet", record)


def newest_record(records: Iterable[ReplicationRecord]) -> ReplicationRecord | None:
    """Return the newest record that says something, or None; a ``skip`` says nothing, and a record without a time was made just now.

    :param records: records of one backup.
    """
    telling = [record for record in records if record.status != "skip"]
    # Most backups have one record, and reading times is what a long list spends its time with.
    return max(telling, key=lambda record: record.created or _END) if len(telling) > 1 else next(iter(telling), None)


def failure_of(record: ReplicationRecord) -> str:
    """Return what the service says of a failed record: its ``fail_code`` and ``fail_reason``."""
    extra = record.extra
    said = ": ".join(one_line(part, LONGEST_MESSAGE) for part in (extra.fail_code, extra.fail_reason) if part)
    return one_line(f"record {record.id}: {said or 'the service gives no reason'}")


def success_beside(backup: Backup, skipped: ReplicationRecord) -> ReplicationRecord | None:
    """Return the newest successful record to where a skipped record was going: the copy that made it superfluous.

    :param backup: the backup that both records belong to.
    :param skipped: a record with the status ``skip``.
    """
    there = Destination(
        skipped.destination_region or "",
        skipped.destination_project_id or "",
        skipped.destination_vault_id or skipped.extra.destination_vault_id or "",
    )
    return newest_record(r for r in backup.replication_records or () if r.status == "success" and there.holds(r))

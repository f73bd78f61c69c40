"""A service in state whose copies are real and whose rows are not to be relied on, for properties that must hold whatever it answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from airflow_cbr.api.models import Backup, OperationLog, Replication, Vault
from airflow_cbr.api.summaries import BackupSummary
from airflow_cbr.exceptions import CbrAlreadyReplicatedError, CbrError, CbrNotFoundError
from airflow_cbr.inventory.destination import Destination
from airflow_cbr.once.attempt import Attempt
from airflow_cbr.once.steps import Pause
from airflow_cbr.replication.spec import ReplicationSpec
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.replication.submission import Submission
from tests.support.cleared_attempts import Intents

if TYPE_CHECKING:
    from airflow_cbr.replication.steps import Result

SOURCE_VAULT = "3b5816b5-f29c-4172-9d9a-76c719a659ce"
DESTINATION = Destination("cn-shenzhen-1", "68589cac08274b82b4e254268a3862d8", "0ca3eb86-8800-46da-9c37-9d657a825274")
BEGIN = 1_800_000_000.0
BackupModel = TypeVar("BackupModel", bound=BackupSummary)


def time_text(at: float) -> str:
    """Return a time as CBR writes it."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat()


def as_it_is(row: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return a row unchanged."""
    return row


@dataclass
class Copy:
    """A copy that the service really made."""

    id: str
    backup_id: str
    began: float
    ends: float
    outcome: str = "success"


@dataclass
class HostileService:
    """What a submission takes for its client.

    :param backups: ids of the backups of the vault.
    :param rng: of all that is random.
    :param answers: what the replicate calls do, one after the other and then from the beginning: ``take`` or an error to raise;
        ``take`` before an error means that the call was taken and the answer lost.
    :param distort: changes one listed row, given the row and the random source.
    :param dates: how far each answer's ``Date`` is off, one after the other and then from the beginning; None: there is no header.
    :param careless: copy again what was copied.
    """

    backups: list[str]
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    answers: list[tuple[bool, CbrError | None]] = field(default_factory=lambda: [(True, None)])
    distort: Callable[[dict[str, Any], random.Random], dict[str, Any]] = as_it_is
    dates: list[float | None] = field(default_factory=lambda: [0.0])
    careless: bool = True
    copy_seconds: float = 300.0
    outcomes: list[str] = field(default_factory=lambda: ["success"])
    copies: list[Copy] = field(default_factory=list)
    posts: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)
    region: str = "cn-north-4"
    project_id: str = "4229d7a45436489f8c3dc2b1d35d4987"
    now: float = BEGIN
    _exchanges: int = 0

    @property
    def server_time(self) -> datetime | None:
        """Return the newest answer's ``Date``."""
        off = self.dates[self._exchanges % len(self.dates)]
        return None if off is None else datetime.fromtimestamp(min(max(self.now + off, -2e9), 2e11), UTC)

    def _exchange(self) -> None:
        self._exchanges += 1
        self.now += 0.2

    def _row(self, backup_id: str) -> dict[str, Any]:
        records = []
        for copy in self.copies:
            if copy.backup_id == backup_id:
                records.append(
                    {
                        "id": copy.id,
                        "status": copy.outcome if self.now >= copy.ends else "replicating",
                        "created_at": time_text(copy.began),
                        "source_backup_id": backup_id,
                        "destination_region": DESTINATION.region,
                        "destination_project_id": DESTINATION.project_id,
                        "destination_vault_id": DESTINATION.vault_id,
                        "extra_info": {"progress": 10},
                    }
                )
        return {
            "id": backup_id,
            "vault_id": SOURCE_VAULT,
            "status": "available",
            "image_type": "backup",
            "created_at": time_text(BEGIN - 7200 + self.backups.index(backup_id)),
            "resource_size": 1,
            "replication_records": records,
        }

    def list_backups(self, **_: Any) -> Iterator[Backup]:
        """List the backups, as the service would have them seen."""
        self._exchange()
        rows = [self._row(backup_id) for backup_id in self.backups]
        return iter([msgspec.convert(self.distort(row, self.rng), Backup, strict=False) for row in rows])

    def read_backups(self, model: type[BackupModel], **_: Any) -> Iterator[BackupModel]:
        """List the same, of each row no more than what a model has."""
        return (msgspec.convert(msgspec.to_builtins(row), model) for row in self.list_backups())

    def show_backup(self, backup_id: str) -> Backup:
        """Show one backup."""
        self._exchange()
        if backup_id not in self.backups:
            raise CbrNotFoundError("ShowBackup: no such backup.")
        return msgspec.convert(self._row(backup_id), Backup)

    def show_vault(self, vault_id: str) -> Vault:
        """Refuse it: names are of no use here."""
        self._exchange()
        raise CbrNotFoundError("ShowVault: no such vault.")

    def list_external_vaults(self, **_: Any) -> Iterator[Vault]:
        """Refuse it, as a cloud does that has no such call."""
        self._exchange()
        raise CbrNotFoundError("ListExternalVault: no such call.")

    def list_operation_logs(self, **_: Any) -> Iterator[OperationLog]:
        """List what was really done."""
        self._exchange()
        for number, copy in enumerate(self.copies):
            ended = self.now >= copy.ends
            status = {"success": "success", "skip": "skipped"}.get(copy.outcome, "failed") if ended else "running"
            yield msgspec.convert(
                {
                    "id": f"log-{number}",
                    "status": status,
                    "operation_type": "replication",
                    "created_at": time_text(copy.began),
                    "extra_info": {
                        "replication": {
                            "source_backup_id": copy.backup_id,
                            "destination_region": DESTINATION.region,
                            "destination_project_id": DESTINATION.project_id,
                        }
                    },
                },
                OperationLog,
            )

    def replicate_checkpoint(self, **_: Any) -> Replication:
        """Copy what has no copy; all of it where the service is careless."""
        return self._replicate([one for one in self.backups if self.careless or not self._has_copy(one)])

    def replicate_backup(self, backup_id: str, **_: Any) -> Replication:
        """Copy one backup."""
        if not self.careless and self._has_copy(backup_id):
            self.posts.append((self.now, (backup_id,)))
            raise CbrAlreadyReplicatedError("CopyBackup: replicated already.", error_code="BackupService.1009")
        return self._replicate([backup_id])

    def _has_copy(self, backup_id: str) -> bool:
        return any(copy.backup_id == backup_id and copy.outcome == "success" for copy in self.copies)

    def _replicate(self, backup_ids: list[str]) -> Replication:
        self._exchange()
        taken, error = self.answers[len(self.posts) % len(self.answers)]
        self.posts.append((self.now, tuple(backup_ids)))
        pairs = []
        if taken:
            for backup_id in backup_ids:
                number = len(self.copies)
                outcome = self.outcomes[number % len(self.outcomes)]
                copy = Copy(
                    f"{number:08x}-0000-4000-8000-{self.rng.getrandbits(48):012x}",
                    backup_id,
                    self.now,
                    self.now + self.copy_seconds,
                    outcome,
                )
                self.copies.append(copy)
                pairs.append({"backup_id": backup_id, "replication_record_id": copy.id})
        if error is not None:
            raise error
        return msgspec.convert({"backups": pairs}, Replication)

    @property
    def duplicates(self) -> list[str]:
        """Return the backups of which a copy was begun although one was there or on its way."""
        good: set[str] = set()
        twice = []
        for copy in self.copies:
            if copy.outcome in ("fail", "skip") and copy.ends <= self.now:
                continue
            if copy.backup_id in good:
                twice.append(copy.backup_id)
            good.add(copy.backup_id)
        return twice

    def most_calls(self) -> int:
        """Return how many calls at the most asked for one backup."""
        return max((sum(backup_id in asked for _, asked in self.posts) for backup_id in self.backups), default=0)


def run(service: HostileService, *, attempts: int = 3, store: bool = True, deferred: bool = False, **spec: Any) -> Result | CbrError:
    """Run a task to its end, attempt after attempt, and return its result or its last error.

    :param service: the service.
    :param attempts: how many at the most.
    :param store: whether intents outlive an attempt.
    :param deferred: whether each pause ends the process.
    :param spec: fields of the order that differ from the defaults.
    """
    wanted = ReplicationSpec(vault_id=SOURCE_VAULT, destination=DESTINATION, **spec)
    intents = Intents() if store else None
    began = service.now
    last: CbrError | None = None

    def submission(number: int, state: ReplicationState | None = None) -> Submission:
        return Submission(
            service,  # type: ignore[arg-type]
            wanted,
            attempt=Attempt(number=number, run_after=began),
            intents=intents,
            publish=lambda _ids, _counts: None,
            state=state,
            now=lambda: service.now,
        )

    for number in range(1, attempts + 1):
        one = submission(number)
        try:
            while isinstance(step := one.advance(), Pause):
                assert 0 < step.seconds <= max(wanted.max_poll_interval, wanted.settle_time) * 1.1 + 1
                service.now += step.seconds
                if deferred:
                    one = submission(number, ReplicationState.load(one.state.dump()))
        except CbrError as error:
            last = error
            if error.permanent:
                return error
            service.now += timedelta(minutes=5).total_seconds()
        else:
            return step
    assert last is not None
    return last

"""A service that answers with given rows and answers, while the clock stands: for tests of one step of a submission."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_cbr.api.models import Backup, OperationLog, Replication, ReplicationReference, Vault
from airflow_cbr.exceptions import CbrError, CbrNotFoundError
from airflow_cbr.once.attempt import Attempt
from airflow_cbr.replication.one_backup import BackupSubmission
from airflow_cbr.replication.spec import ReplicationSpec
from airflow_cbr.replication.submission import Submission
from tests.support.cleared_attempts import Intents
from tests.support.hostile_service import BEGIN, DESTINATION, SOURCE_VAULT

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.replication.state import ReplicationState

SETTLE = 120.0


def new(backup_id: str) -> str:
    """Return the id of the record of a copy that was accepted."""
    return "f" * 31 + backup_id[0]


@dataclass
class GivenRows:
    """What a submission takes for its clients of both regions.

    :param rows: the backups of the source vault, as they are listed.
    :param again: those that come again while they are listed.
    :param replicas: the backups of the destination: status by id.
    :param logs: the operation log.
    :param error: what keeps the backups from being listed. Default: nothing.
    :param log_error: what keeps the operation log from being read. Default: nothing.
    :param answers: what the replicate calls answer, one after the other: an error, or the ids of the backups that are accepted.
    :param off: seconds by which the service's clock is ahead.
    """

    rows: Iterable[Backup] = ()
    again: list[Backup] = field(default_factory=list)
    replicas: dict[str, str] = field(default_factory=dict)
    logs: list[OperationLog] = field(default_factory=list)
    error: CbrError | None = None
    log_error: CbrError | None = None
    answers: list[CbrError | list[str]] = field(default_factory=list)
    off: float = 0.0
    now: float = BEGIN
    intents: Intents = field(default_factory=Intents)
    asked: list[dict[str, Any]] = field(default_factory=list)
    """What each listing was asked for."""
    shown: list[str] = field(default_factory=list)
    """Ids of the backups that were asked for singly."""
    sent: list[str] = field(default_factory=list)
    """The replicate calls: id of the vault, or of the backup."""
    steps: list[tuple[str, str]] = field(default_factory=list)

    @property
    def server_time(self) -> datetime:
        """Return the newest answer's ``Date``."""
        return datetime.fromtimestamp(self.now + self.off, UTC)

    def list_backups(self, *, on_repeat: Callable[[Any], object] | None = None, **asked: Any) -> Iterator[Backup]:
        """List the backups of the source vault, or of the destination vault."""
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        if asked["vault_id"] == DESTINATION.vault_id:
            return
        yield from self.rows
        for row in self.again if on_repeat is not None else ():
            on_repeat(row)  # type: ignore[misc]

    def read_backups(self, model: type[Any], **asked: Any) -> Iterator[Backup]:
        """List them."""
        assert issubclass(Backup, model)
        return self.list_backups(**asked)

    def show_backup(self, backup_id: str) -> Backup:
        """Show a replica, or a backup of the source vault."""
        self.shown.append(backup_id)
        for row in self.rows:
            if row.id == backup_id:
                return row
        if backup_id not in self.replicas:
            raise CbrNotFoundError("ShowBackup: no such backup.")
        return Backup(id=backup_id, status=self.replicas[backup_id])

    def list_operation_logs(self, **_: Any) -> Iterator[OperationLog]:
        """List the operation log."""
        if self.log_error is not None:
            raise self.log_error
        return iter(self.logs)

    def show_vault(self, vault_id: str) -> Vault:
        """Show the source vault."""
        return Vault(id=vault_id, name="vault-nightly")

    def replicate_checkpoint(self, *, vault_id: str, **_: Any) -> Replication:
        """Answer the call for the vault."""
        return self._answer(vault_id)

    def replicate_backup(self, backup_id: str, **_: Any) -> Replication:
        """Answer the call for one backup."""
        return self._answer(backup_id)

    def _answer(self, asked_for: str) -> Replication:
        self.sent.append(asked_for)
        answer = self.answers.pop(0)
        if isinstance(answer, CbrError):
            raise answer
        return Replication(backups=[ReplicationReference(backup_id=one, replication_record_id=new(one)) for one in answer])


def submission_of(service: GivenRows, state: ReplicationState | None = None, *, backup: Backup | None = None, **spec: Any) -> Submission:
    """Return a submission that meets this service.

    :param state: what it knows. Default: it begins.
    :param backup: the only one that is asked for. Default: all of the vault.
    :param spec: fields of the order that differ from the defaults.
    """
    options: dict[str, Any] = {
        "attempt": Attempt(),
        "intents": service.intents,
        "publish": lambda _ids, _counts: None,
        "destination": lambda: service,
        "state": state,
        "observe": lambda step, moment: service.steps.append((step, moment)),
        "now": lambda: service.now,
    }
    order = ReplicationSpec(**{"vault_id": SOURCE_VAULT, "destination": DESTINATION, "settle_time": SETTLE, **spec})
    client: Any = service
    return Submission(client, order, **options) if backup is None else BackupSubmission(client, order, backup, **options)

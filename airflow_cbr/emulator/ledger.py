"""What the service did, as opposed to what a client believes: every call that writes, and everything that it started."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from airflow_cbr.emulator.clock import moment_text
from airflow_cbr.emulator.machine_ledger import MachineLedger


@dataclass(slots=True)
class CallEntry:
    """A call that writes: what was asked, what the service decided, what was sent, and whether that reached the client whole."""

    number: int
    call: str
    at: str | None
    by: str | None
    project_id: str | None
    vault_id: str | None
    request: Any
    outcome: str
    status: int | None = None
    answer: Any = None
    fault: str | None = None
    answer_delivered: bool = False


@dataclass(slots=True)
class ReplicationEntry:
    """A replication that was started."""

    record_id: str
    backup_id: str
    vault_id: str
    destination_region: str
    destination_project_id: str
    destination_vault_id: str
    at: str | None
    by: str | None
    call_number: int | None
    outcome: str = "in_flight"


@dataclass(slots=True)
class CheckpointEntry:
    """A checkpoint that was started."""

    checkpoint_id: str
    vault_id: str
    backup_ids: list[str]
    at: str | None
    by: str | None
    call_number: int | None


@dataclass(slots=True)
class DeletionEntry:
    """A backup or a replica that went: ``how`` is ``asked`` or ``expired``."""

    backup_id: str
    vault_id: str
    image_type: str
    resource_id: str
    at: str | None
    by: str | None
    call_number: int | None
    how: str


class Ledger:
    """The book of one emulator, from the start of its world."""

    def __init__(self) -> None:
        self.calls: list[CallEntry] = []
        self.replications: list[ReplicationEntry] = []
        self.checkpoints: list[CheckpointEntry] = []
        self.machines = MachineLedger()
        self.deletions: list[DeletionEntry] = []
        self._by_record: dict[str, ReplicationEntry] = {}
        self._duplicates: list[dict[str, str]] = []
        self._covering: dict[tuple[str, str], list[str]] = {}
        self._requests: Counter[str] = Counter()
        self._requests_of: dict[str, Counter[str]] = {}

    def count(self, call: str, vault_id: str | None) -> None:
        """Count a request.

        :param call: the call's name.
        :param vault_id: the vault that it is about, if any.
        """
        self._requests[call] += 1
        if vault_id is not None:
            self._requests_of.setdefault(vault_id, Counter())[call] += 1

    def enter(self, *, call: str, at: float, project_id: str | None, vault_id: str | None, request: Any) -> CallEntry:
        """Enter a call that writes, as it arrives.

        :param call: the call's name.
        :param at: simulated time.
        :param project_id: from its path.
        :param vault_id: the vault that it is about, if any.
        :param request: its decoded body.
        """
        entry = CallEntry(len(self.calls) + 1, call, moment_text(at), None, project_id, vault_id, request, "not carried out")
        self.calls.append(entry)
        return entry

    def started(self, entry: ReplicationEntry) -> None:
        """Enter a replication that was started; it is a duplicate when an earlier one of the same pair has not failed.

        :param entry: the replication.
        """
        self.replications.append(entry)
        self._by_record[entry.record_id] = entry
        pair = (entry.backup_id, entry.destination_vault_id)
        covering = self._covering.setdefault(pair, [])
        if covering:
            self._duplicates.append(
                {
                    "backup_id": entry.backup_id,
                    "vault_id": entry.vault_id,
                    "destination_vault_id": entry.destination_vault_id,
                    "first_record_id": covering[0],
                    "second_record_id": entry.record_id,
                }
            )
        covering.append(entry.record_id)

    def ended(self, record_id: str, outcome: str) -> None:
        """Enter how a replication ended.

        :param record_id: the record.
        :param outcome: ``success``, ``fail`` or ``skip``.
        """
        entry = self._by_record.get(record_id)
        if entry is None:
            return
        entry.outcome = outcome
        if outcome != "success":
            self.uncovered(record_id)

    def uncovered(self, record_id: str) -> None:
        """Take note that a replication left nothing, or that its replica was deleted: copying again is no duplicate.

        :param record_id: the record.
        """
        entry = self._by_record.get(record_id)
        if entry is not None:
            covering = self._covering[entry.backup_id, entry.destination_vault_id]
            if record_id in covering:
                covering.remove(record_id)

    def report(self, vault_id: str | None = None) -> dict[str, Any]:
        """Return the book.

        :param vault_id: only what concerns this source vault. Default: None, everything.
        """

        def concerns(entry: Any) -> bool:
            return vault_id is None or entry.vault_id == vault_id

        requests = self._requests if vault_id is None else self._requests_of.get(vault_id, Counter())
        return {
            "calls": [asdict(entry) for entry in self.calls if concerns(entry)],
            "replications": [asdict(entry) for entry in self.replications if concerns(entry)],
            "checkpoints": [asdict(entry) for entry in self.checkpoints if concerns(entry)],
            "deletions": [asdict(entry) for entry in self.deletions if concerns(entry)],
            "duplicates": [one for one in self._duplicates if vault_id is None or one["vault_id"] == vault_id],
            "requests": dict(sorted(requests.items())),
            **self.machines.report(vault_id),
        }

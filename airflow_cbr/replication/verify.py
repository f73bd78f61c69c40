"""Proof on both sides: what the source says was copied, and what the destination region really holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_cbr.exceptions import CbrVerificationError
from airflow_cbr.replication.coverage import Coverage, Standing, failure_of, name_of, success_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_cbr.api.models import Backup, ReplicationRecord
    from airflow_cbr.replication.records import RecordsSeen

__all__ = ["Claim", "Finding", "Verdict", "VerificationReport", "claims_of_newest", "claims_of_records", "verify"]


class Verdict(StrEnum):
    """What the verification says of one backup."""

    VERIFIED = "verified"
    """The source says success, and the destination holds a replica that matches."""
    FAILED = "failed"
    """The copy failed, has not ended, or the replica is not what it must be."""
    MISSING = "missing"
    """There is no record, or no replica."""
    SKIPPED = "skipped"
    """Not eligible; the reason says why."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the source side says of one backup, before the destination is asked.

    :param subject: the backup, or the record whose backup is not listed, as a message names it.
    :param backup: the source backup, if it is listed.
    :param record: the record that claims a replica, if any.
    :param verdict: a verdict that stands without asking the destination, or None.
    :param reason: why.
    """

    subject: str
    backup: Backup | None = None
    record: ReplicationRecord | None = None
    verdict: Verdict | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one backup.

    :param subject: the backup as a message names it.
    :param verdict: the verdict.
    :param reason: what was found.
    :param record_id: the replication record, if there is one.
    :param replica_id: the replica in the destination region, if there is one.
    """

    subject: str
    verdict: Verdict
    reason: str
    record_id: str | None = None
    replica_id: str | None = None

    def __str__(self) -> str:
        """Return the finding as one line."""
        return f"{self.verdict.upper()} {self.subject}: {self.reason}"


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """The verdicts on all backups that were asked about."""

    findings: list[Finding]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many backups have each verdict."""
        return {str(verdict): sum(one.verdict is verdict for one in self.findings) for verdict in Verdict}

    @property
    def verdict(self) -> Verdict:
        """Return ``verified`` when something was verified or skipped for a reason and nothing is wrong, else ``failed``."""
        counts = self.counts
        good = counts[Verdict.FAILED] == counts[Verdict.MISSING] == 0
        return Verdict.VERIFIED if good else Verdict.FAILED

    @property
    def summary(self) -> dict[str, str | int]:
        """Return the small dict that goes into XCom."""
        return {"verdict": str(self.verdict), **self.counts}

    def failure(self) -> CbrVerificationError | None:
        """Return the error that says what is wrong, or None."""
        if self.verdict is Verdict.VERIFIED:
            return None
        wrong = [one for one in self.findings if one.verdict in (Verdict.FAILED, Verdict.MISSING)]
        verdicts, subjects = max(len(one.verdict) for one in wrong), max(len(one.subject) for one in wrong)
        return CbrVerificationError(
            f"{len(wrong)} of {len(self.findings)} backups have no good replica.",
            problems=[f"{one.verdict.upper():<{verdicts}} {one.subject:<{subjects}}: {one.reason}" for one in wrong],
            advice="Run the replicate task again for what is missing or failed; look at the destination vault for what does not match.",
        )


def claims_of_records(seen: RecordsSeen) -> list[Claim]:
    """Return what the source says of the given replication records.

    :param seen: the records, found in a listing of the source vault.
    """
    claims = [
        Claim(f"record {record_id}", verdict=Verdict.MISSING, reason="no backup of the source vault lists this replication record")
        for record_id in seen.unlisted
    ]
    for backup, record in seen.listed.values():
        subject = name_of(backup)
        if record.status == "success":
            claims.append(Claim(subject, backup, record))
        elif record.status == "skip" and (earlier := success_beside(backup, record)) is not None:
            claims.append(Claim(subject, backup, earlier))
        else:
            claims.append(Claim(subject, backup, record, Verdict.FAILED, _not_copied(record)))
    return claims


def claims_of_newest(coverage: Coverage) -> list[Claim]:
    """Return what the source says of the newest eligible backup of each resource; the others that are not eligible are skipped.

    :param coverage: the source vault's backups, judged for the destination.
    """
    newest: dict[str, Claim] = {}
    for one in coverage.eligible:
        backup, record = one.backup, one.record
        subject = name_of(backup)
        if one.standing is Standing.SUCCEEDED:
            claim = Claim(subject, backup, record)
        elif record is None:
            claim = Claim(subject, backup, None, Verdict.MISSING, f"it has no replication record to {coverage.destination}")
        else:
            claim = Claim(subject, backup, record, Verdict.FAILED, one.reason or _not_copied(record))
        newest[backup.resource_id or backup.id] = claim
    skipped = [
        Claim(name_of(one.backup), one.backup, None, Verdict.SKIPPED, one.reason)
        for one in coverage.of(Standing.SKIPPED, Standing.BEING_MADE)
    ]
    return [*newest.values(), *skipped]


def verify(
    claims: Iterable[Claim],
    *,
    destination_vault_id: str,
    replicas: Mapping[str, Backup],
    look_up: Callable[[str], Backup | None],
) -> VerificationReport:
    """Compare what the source claims with what the destination holds.

    :param claims: from :func:`claims_of_records` or :func:`claims_of_newest`.
    :param destination_vault_id: the vault that must hold the replicas.
    :param replicas: the replicas that this vault lists, by id.
    :param look_up: finds a backup of the destination project by id, for those that the vault does not list; None when there is none.
    :return: the report.
    """
    findings = []
    for claim in claims:
        record_id = claim.record.id if claim.record is not None else None
        if claim.verdict is not None or claim.record is None or claim.backup is None:
            findings.append(Finding(claim.subject, claim.verdict or Verdict.MISSING, claim.reason, record_id))
            continue
        replica_id = claim.record.destination_backup_id
        if not replica_id:
            reason = f"record {record_id} is success and names no replica"
            findings.append(Finding(claim.subject, Verdict.MISSING, reason, record_id))
            continue
        replica = replicas.get(replica_id) or look_up(replica_id)
        if replica is None:
            reason = f"record {record_id} is success, and replica {replica_id} does not exist in the destination region"
            findings.append(Finding(claim.subject, Verdict.MISSING, reason, record_id, replica_id))
            continue
        wrong = list(_mismatches(claim.backup, replica, destination_vault_id))
        verdict = Verdict.FAILED if wrong else Verdict.VERIFIED
        reason = f"replica {replica_id}: {'; '.join(wrong) or 'available in the destination vault'}"
        findings.append(Finding(claim.subject, verdict, reason, record_id, replica_id))
    return VerificationReport(findings)


def _mismatches(source: Backup, replica: Backup, destination_vault_id: str) -> Iterable[str]:
    if replica.image_type != "replication":
        yield f"its image_type is {replica.image_type}, not replication"
    if replica.status != "available":
        yield f"its status is {replica.status}, not available"
    if replica.vault_id != destination_vault_id:
        yield f"it is in vault {replica.vault_id}, not in {destination_vault_id}"
    if replica.resource_id != source.resource_id:
        yield f"it is of resource {replica.resource_id}, not of {source.resource_id}"
    if replica.resource_size != source.resource_size:
        yield f"its size is {replica.resource_size} GB, the source's {source.resource_size} GB"


def _not_copied(record: ReplicationRecord) -> str:
    return failure_of(record) if record.status == "fail" else f"record {record.id} is {record.status}, not success"

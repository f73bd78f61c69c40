"""What the verification says of one claim, without any service."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cbr.api.models import Backup, ReplicationRecord
from airflow_cbr.replication.coverage import Destination, assess
from airflow_cbr.replication.records import find_records
from airflow_cbr.replication.verify import Verdict, VerificationReport, claims_of_newest, claims_of_records, verify

THERE = Destination("there", "p" * 32, "v" * 32)


def record(record_id: str = "r1", status: str = "success", **fields: Any) -> ReplicationRecord:
    """Return a record to the destination."""
    values: dict[str, Any] = {
        "destination_region": THERE.region,
        "destination_project_id": THERE.project_id,
        "destination_vault_id": THERE.vault_id,
        "destination_backup_id": "replica",
        "created_at": "2026-11-24T00:00:00",
    }
    return ReplicationRecord(id=record_id, status=status, **(values | fields))


def source(*records: ReplicationRecord, **fields: Any) -> Backup:
    """Return a source backup with these records."""
    values: dict[str, Any] = {
        "id": "b1",
        "name": "db",
        "status": "available",
        "image_type": "backup",
        "resource_id": "server",
        "resource_size": 40,
        "created_at": "2026-11-23T00:00:00",
    }
    return Backup(replication_records=list(records), **(values | fields))


def replica(**fields: Any) -> Backup:
    """Return the replica that a good copy has."""
    values: dict[str, Any] = {
        "id": "replica",
        "image_type": "replication",
        "status": "available",
        "vault_id": THERE.vault_id,
        "resource_id": "server",
        "resource_size": 40,
    }
    return Backup(**(values | fields))


def report(backup: Backup, found: Backup | None, ids: list[str] | None = None, look_up: Backup | None = None) -> VerificationReport:
    """Verify one backup."""
    claims = claims_of_records(find_records([backup], ids or ["r1"]))
    replicas = {found.id: found} if found is not None else {}
    return verify(claims, destination_vault_id=THERE.vault_id, replicas=replicas, look_up=lambda backup_id: look_up)


def test_a_good_copy_is_verified() -> None:
    outcome = report(source(record()), replica())
    assert outcome.summary == {"verdict": "verified", "verified": 1, "failed": 0, "missing": 0, "skipped": 0}
    assert outcome.failure() is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"image_type": "backup"}, "image_type is backup"),
        ({"status": "error"}, "status is error"),
        ({"status": "protecting"}, "status is protecting"),
        ({"vault_id": "w" * 32}, f"in vault {'w' * 32}"),
        ({"resource_id": "another"}, "of resource another"),
        ({"resource_size": 39}, "39 GB"),
        ({"resource_size": None}, "None GB"),
    ],
)
def test_a_replica_that_does_not_match_fails(wrong: dict[str, Any], said: str) -> None:
    outcome = report(source(record()), replica(**wrong))
    assert outcome.counts["failed"] == 1
    error = outcome.failure()
    assert error is not None
    assert said in str(error)
    assert "db (b1)" in str(error)
    assert not error.permanent


def test_a_replica_that_another_vault_lists_is_found_there_and_fails() -> None:
    outcome = report(source(record()), None, look_up=replica(vault_id="w" * 32))
    assert outcome.counts["failed"] == 1


def test_a_replica_that_does_not_exist_is_missing() -> None:
    assert report(source(record()), None).counts["missing"] == 1


def test_a_success_without_a_replica_id_is_missing() -> None:
    assert report(source(record(destination_backup_id=None)), replica()).counts["missing"] == 1


@pytest.mark.parametrize("status", ["fail", "replicating", "waiting_replicate", "a new word", "skip"])
def test_a_record_that_is_no_success_fails(status: str) -> None:
    assert report(source(record(status=status)), replica()).counts["failed"] == 1


def test_a_skipped_record_is_verified_by_the_copy_that_made_it_superfluous() -> None:
    backup = source(record("r0"), record("r1", status="skip", destination_backup_id=None, created_at="2026-11-24T01:00:00"))
    assert report(backup, replica()).counts["verified"] == 1


def test_a_record_that_nobody_lists_is_missing() -> None:
    assert report(source(record()), replica(), ids=["r1", "r2"]).counts == {"verified": 1, "failed": 0, "missing": 1, "skipped": 0}


def test_the_newest_backup_of_each_resource_is_claimed() -> None:
    old = source(record("r1"), id="old", created_at="2026-11-20T00:00:00")
    new = source(id="new", name="new", created_at="2026-11-23T00:00:00")
    other = source(record("r2"), id="other", resource_id="second")
    claims = claims_of_newest(assess([old, new, other], THERE))
    assert {claim.subject: claim.verdict for claim in claims} == {"new (new)": Verdict.MISSING, "db (other)": None}

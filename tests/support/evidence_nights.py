"""Nights of evidence: contents as a verification and a drill write them, and chains of files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_cbr.evidence.chain import Written, append
from airflow_cbr.evidence.file import Evidence, Run, VaultPlace, pair_of, seal

if TYPE_CHECKING:
    from airflow_cbr.evidence.chain import Link
    from airflow_cbr.evidence.folder import EvidenceStore
    from airflow_cbr.evidence.signing import Signer

HERE = VaultPlace("cn-north-4", "project-1", "11111111-1111-4111-8111-111111111111", "nightly-web")
THERE = VaultPlace("cn-south-1", "project-2", "22222222-2222-4222-8222-222222222222", "replicas")
PAIR = pair_of(HERE, THERE)
FIRST_NIGHT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
HOUR, DAY = 3600.0, 86400.0
LEVELS = ("record", "replica", "coverage", "rpo")


def night(number: int, hours: float = 0.0) -> datetime:
    """Return the time of a night's verification.

    :param number: of the night, from 0.
    :param hours: later by so many.
    """
    return FIRST_NIGHT + timedelta(days=number, hours=hours)


def finding(
    name: str = "web-01", *, reason: str = "the replica does not exist", fault: str = "replica_missing", action: str = "fail"
) -> Any:
    """Return a finding about a backup."""
    return {
        "about": "backup",
        "id": f"backup-of-{name}",
        "name": name,
        "level": "replica",
        "action": action,
        "faults": [fault],
        "reason": reason,
        "advice": "Replicate it again.",
        "record_id": "record-1",
        "replica_id": None,
    }


def verification(
    ages: dict[str, float | None] | None = None,
    *,
    verdict: str = "verified",
    max_age: float | None = DAY,
    levels: tuple[str, ...] = LEVELS,
    findings: tuple[Any, ...] = (),
    at: datetime = FIRST_NIGHT,
    backups: int = 0,
) -> dict[str, Any]:
    """Return the content of a verification.

    :param ages: of the newest verified replica of each resource in seconds, by its name; None where it has none. Default: two of an hour.
    :param backups: how many backups it lists.
    """
    ages = {"web-01": HOUR, "db-01": HOUR / 2} if ages is None else ages
    resources = [
        {
            "id": f"id-of-{name}",
            "name": name,
            "type": "OS::Nova::Server",
            "backup_id": None if age is None else f"backup-of-{name}",
            "backup_name": None if age is None else f"nightly-{name}",
            "record_id": None if age is None else f"record-of-{name}",
            "replica_id": None if age is None else f"replica-of-{name}",
            "verified_at": None if age is None else (at - timedelta(seconds=age)).isoformat(),
            "age_seconds": age,
            "size_gb": None if age is None else 40.0,
        }
        for name, age in ages.items()
    ]
    listed: list[dict[str, Any]] = [
        {
            "id": f"7a1c0000-0000-4000-8000-{number:012d}",
            "name": f"nightly-{number}",
            "resource_id": f"id-of-{number}",
            "resource_name": f"server-{number}",
            "verdict": "verified",
            "level": None,
            "faults": [],
            "reason": "available in the destination vault",
            "record_id": f"5b2d0000-0000-4000-8000-{number:012d}",
            "replica_id": f"9c3e0000-0000-4000-8000-{number:012d}",
        }
        for number in range(backups)
    ]
    report = {
        "version": 1,
        "verdict": verdict,
        "outcome": "passed" if verdict == "verified" else "failed",
        "counts": {"verified": len(ages), "failed": len(findings), "missing": 0, "skipped": 0},
        "levels": {level: {"action": "fail", "outcome": "passed", "violations": 0} for level in levels},
        "findings_total": len(findings),
        "asked": {"scope": "newest", "max_age": max_age, "retention": None, "require_locked": False},
        "at": at.isoformat(),
        "path": None,
        "age_seconds": None,
        "resources": resources,
        "findings": list(findings),
        "backups": listed,
    }
    return {"report": report, "report_sha256": None}


def evidence(
    link: Link,
    at: datetime,
    content: dict[str, Any] | None = None,
    *,
    kind: str = "verification",
    source: VaultPlace = HERE,
    destination: VaultPlace = THERE,
    run_id: str = "scheduled__1",
) -> Evidence:
    """Return what a file says, at its place in the chain."""
    content = verification(at=at) if content is None else content
    return Evidence(
        kind=kind,
        sequence=link.sequence,
        previous=link.previous,
        repeats=link.repeats,
        source=source,
        destination=destination,
        at=at,
        written_at=at + timedelta(minutes=1),
        run=Run("cbr_audit", run_id, "verify", -1, 1),
        package="0.1.0",
        content=msgspec.Raw(msgspec.json.encode(content)),
    )


def add(
    store: EvidenceStore, at: datetime, content: dict[str, Any] | None = None, *, signer: Signer | None = None, **changes: Any
) -> Written:
    """Add a file to the chain of its vault pair."""
    pair = pair_of(changes.get("source", HERE), changes.get("destination", THERE))
    return append(store, pair, lambda link: seal(evidence(link, at, content, **changes), signer))


def add_nights(store: EvidenceStore, nights: int, *, signer: Signer | None = None, **changes: Any) -> list[Written]:
    """Add one good night after the other."""
    return [add(store, night(number), signer=signer, **changes) for number in range(nights)]

"""Which replica is of which backup, and what the operation log says of it, where no records are listed: from rows alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest

from airflow_cbr.api.models import Backup, OperationLog
from airflow_cbr.inventory.coverage import BackupCoverage, CoverageStatus, assess
from airflow_cbr.once.clock import ServiceClock
from airflow_cbr.replication.spec import ReplicationSpec
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.replication.unlisted import UnlistedCopies, find_replicas
from tests.support.hostile_service import BEGIN, DESTINATION, SOURCE_VAULT, time_text

SETTLE = 120.0
THERE = DESTINATION.vault_id
NIGHT = time_text(BEGIN)
LATER = time_text(BEGIN + 60)


def source(id: str = "a", **fields: Any) -> Backup:
    given = {
        "name": f"night-{id}", "status": "available", "image_type": "backup", "vault_id": SOURCE_VAULT, "checkpoint_id": f"c-{id}",
        "resource_id": "server", "resource_size": 40, "created_at": NIGHT,
    }  # fmt: skip
    return Backup(id=id, **{**given, **fields})


def replica(id: str = "replica", **fields: Any) -> Backup:
    """Return a replica of which nothing but its resource says whose it is."""
    given = {
        "name": "a name of its own", "status": "available", "image_type": "replication", "vault_id": THERE, "checkpoint_id": "c-there",
        "resource_id": "server", "resource_size": 40, "created_at": LATER,
    }  # fmt: skip
    return Backup(id=id, **{**given, **fields})


# --- whose replica it is ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "link",
    [{"checkpoint_id": "c-a"}, {"created_at": NIGHT}, {"protected_at": NIGHT}, {"name": "night-a"}],
    ids=lambda link: next(iter(link)),
)
def test_a_replica_is_told_by_its_resource_and_one_thing_more(link: dict[str, Any]) -> None:
    linked = replica(**link)
    assert find_replicas([source()], [linked]) == ({"a": linked}, {"server": []})
    assert find_replicas([source(resource_id="other")], [linked]) == ({}, {"server": [linked]})
    assert find_replicas([source(resource_id=None)], [replica(**{**link, "resource_id": None})])[0] == {}


def test_the_resource_alone_says_nothing() -> None:
    free = replica()
    assert find_replicas([source()], [free]) == ({}, {"server": [free]})
    nameless = replica(name=None, checkpoint_id=None, created_at=None)
    assert find_replicas([source(name=None, checkpoint_id=None, created_at=None)], [nameless])[0] == {}
    assert find_replicas([source(name="")], [replica(name="")])[0] == {}


def test_a_name_that_two_backups_of_a_resource_share_says_nothing() -> None:
    named = replica(name="nightly")
    two = [source("a", name="nightly"), source("b", name="nightly")]
    assert find_replicas(two, [named])[0] == {}
    apart = [source("a", name="nightly"), source("b", name="nightly", resource_id="other")]
    assert find_replicas(apart, [named])[0] == {"a": named}


@pytest.mark.parametrize(
    ("against", "is_linked"),
    [
        ({"resource_size": 41}, False),
        ({"resource_size": None}, True),
        ({"created_at": time_text(BEGIN - 1)}, False),
        ({"created_at": NIGHT}, True),
        ({"created_at": None}, True),
    ],
)
def test_what_speaks_against_it_counts_more(against: dict[str, Any], is_linked: bool) -> None:
    assert bool(find_replicas([source()], [replica(checkpoint_id="c-a", **against)])[0]) is is_linked
    unsaid = source(resource_size=None, created_at=None)
    assert find_replicas([unsaid], [replica(checkpoint_id="c-a", **against)])[0]


def test_an_available_replica_counts_before_one_that_is_not() -> None:
    rows = [replica("r1", status="error", name="night-a"), replica("r3", name="night-a"), replica("r2", name="night-a")]
    held, free = find_replicas([source()], rows)
    assert held["a"].id == "r2"
    assert [row.id for row in free["server"]] == ["r1", "r3"]


# --- where a backup stands ----------------------------------------------------------------------------------------------------


class Client:
    """Lists these rows, and notes what it is asked."""

    def __init__(self, backups: tuple[Backup, ...] = (), logs: tuple[OperationLog, ...] = ()) -> None:
        self.backups, self.logs = backups, logs
        self.asked: list[dict[str, Any]] = []

    def list_backups(self, **asked: Any) -> Iterator[Backup]:
        self.asked.append(asked)
        return iter(self.backups)

    def list_operation_logs(self, **asked: Any) -> Iterator[OperationLog]:
        self.asked.append(asked)
        return iter(self.logs)


def log(
    status: str, *, checkpoint_id: str = "c-a", resource_id: str = "server", progress: int | None = None, **fields: Any
) -> OperationLog:
    """Return the log of a copy of backup ``a``, as a cloud writes it that names no backup in it."""
    extra: dict[str, Any] = {"resource": {"id": resource_id}, "common": {"progress": progress}}
    given = {"id": "l", "status": status, "operation_type": "replication", "checkpoint_id": checkpoint_id, "created_at": LATER}
    return msgspec.convert({**given, "extra_info": extra, **fields}, OperationLog)


def state(**fields: Any) -> ReplicationState:
    return ReplicationState(deadline=BEGIN + 86400, **fields)


def standing(
    *there: Backup,
    logs: tuple[OperationLog, ...] = (),
    known: ReplicationState | None = None,
    now: float = BEGIN,
    sources: tuple[Backup, ...] = (),
) -> BackupCoverage:
    """Return where backup ``a`` stands."""
    return judged(*there, logs=logs, known=known, now=now, sources=sources)["a"]


def judged(
    *there: Backup,
    logs: tuple[OperationLog, ...] = (),
    known: ReplicationState | None = None,
    now: float = BEGIN,
    sources: tuple[Backup, ...] = (),
) -> dict[str, BackupCoverage]:
    here = Client(logs=logs)
    spec = ReplicationSpec(vault_id=SOURCE_VAULT, destination=DESTINATION, settle_time=SETTLE)
    clock = ServiceClock(lambda: now)
    copies = UnlistedCopies(cast("Any", here), lambda: cast("Any", Client(there)), spec, known or state(), clock)
    return dict(copies.judge(assess(sources or (source(),), DESTINATION)).by_backup)


@pytest.mark.parametrize(
    ("status", "standing_at", "said"),
    [
        ("available", CoverageStatus.SUCCEEDED, "the destination vault holds its replica"),
        ("protecting", CoverageStatus.IN_FLIGHT, "its replica is protecting"),
        ("error", CoverageStatus.UNCLEAR, "its replica is error"),
        (None, CoverageStatus.UNCLEAR, "its replica is in an unknown state"),
    ],
)
def test_a_replica_says_by_its_status_how_far_the_copy_is(status: str | None, standing_at: CoverageStatus, said: str) -> None:
    one = standing(replica(name="night-a", status=status))
    assert (one.status, one.reason, one.backup.id, one.trace) == (standing_at, said, "a", "replica replica")


@pytest.mark.parametrize(
    ("fields", "counts"),
    [({"vault_id": None}, True), ({"image_type": None}, True), ({"vault_id": "1" * 32}, False), ({"image_type": "backup"}, False)],
)
def test_only_replicas_of_the_destination_vault_count(fields: dict[str, Any], counts: bool) -> None:
    one = standing(replica(name="night-a", **fields))
    assert one.status is (CoverageStatus.SUCCEEDED if counts else CoverageStatus.UNRECORDED)


def test_the_destination_is_asked_for_the_replicas_of_its_vault_and_only_where_something_is_open() -> None:
    there, here = Client(), Client()
    spec = ReplicationSpec(vault_id=SOURCE_VAULT, destination=DESTINATION)
    copies = UnlistedCopies(cast("Any", here), lambda: cast("Any", there), spec, state(), ServiceClock(lambda: BEGIN))
    covered = assess((source(status="error"),), DESTINATION)
    assert copies.judge(covered) is covered
    assert (there.asked, here.asked) == ([], [])
    copies.judge(assess((source(),), DESTINATION))
    assert there.asked == [{"vault_id": THERE, "image_type": "replication"}]
    assert len(here.asked) == 1
    there.backups = (replica(name="night-a"),)
    copies.judge(assess((source(),), DESTINATION))
    assert len(here.asked) == 1, "every backup has its replica"


@pytest.mark.parametrize("status", ["running", "waiting"])
def test_a_copy_that_runs_by_the_log_is_followed_with_its_progress(status: str) -> None:
    one = standing(logs=(log(status, progress=40),))
    assert (one.status, one.reason) == (CoverageStatus.IN_FLIGHT, f"the operation log says {status}")
    assert one.record is not None
    assert (one.record.id, one.record.status, one.record.is_final) == ("l", "replicating", False)
    assert one.record.extra.progress == 40


def test_the_log_of_another_checkpoint_or_resource_says_nothing_of_it() -> None:
    assert standing(logs=(log("running", checkpoint_id="c-b"),)).status is CoverageStatus.UNRECORDED
    assert standing(logs=(log("running", resource_id="other"),)).status is CoverageStatus.UNRECORDED


def test_a_copy_that_has_failed_by_the_log_says_why() -> None:
    one = standing(logs=(log("failed", error_info={"code": "BackupService.1006", "message": "import failed"}),))
    assert one.status is CoverageStatus.FAILED
    assert one.reason == "the operation log says failed BackupService.1006 import failed"
    assert one.record is not None
    assert one.failed == (one.record,)
    assert (one.record.status, one.record.extra.fail_code) == ("fail", "BackupService.1006")
    assert standing(logs=(log("failed"),)).reason == "the operation log says failed"


def test_a_copy_that_has_succeeded_by_the_log_has_its_replica_among_those_that_may_be_of_it() -> None:
    assert standing(replica(), logs=(log("success"),)).status is CoverageStatus.SUCCEEDED
    assert standing(replica(resource_size=41), logs=(log("success"),)).status is CoverageStatus.IN_FLIGHT
    assert standing(replica(status="protecting"), logs=(log("success"),)).status is CoverageStatus.IN_FLIGHT


@pytest.mark.parametrize(
    ("passed", "accepted", "standing_at"),
    [
        (0.0, True, CoverageStatus.IN_FLIGHT),
        (SETTLE - 1, True, CoverageStatus.IN_FLIGHT),
        (SETTLE - 1, False, CoverageStatus.IN_FLIGHT),
        (SETTLE, True, CoverageStatus.UNCLEAR),
        (SETTLE, False, CoverageStatus.UNRECORDED),
    ],
)
def test_a_replica_that_the_log_promises_is_expected_within_settle_time(passed: float, accepted: bool, standing_at: CoverageStatus) -> None:
    known = state(accepted={"r": "a"} if accepted else {}, accepted_at=BEGIN - 1000)
    first = standing(logs=(log("success"),), known=known)
    assert (first.status, first.reason) == (CoverageStatus.IN_FLIGHT, "the operation log says success, but its replica is not listed yet")
    assert known.unseen == {"a": BEGIN}
    then = standing(logs=(log("success"),), known=known, now=BEGIN + passed)
    assert (then.backup.id, then.status) == ("a", standing_at)
    assert known.unseen == {"a": BEGIN}
    if then.status is CoverageStatus.UNCLEAR:
        assert then.reason == "the operation log says that its copy succeeded, but the destination vault lists no replica of it"


@pytest.mark.parametrize(
    ("passed", "standing_at", "said"),
    [
        (SETTLE - 1, CoverageStatus.IN_FLIGHT, "its copy was accepted and is not listed yet"),
        (SETTLE, CoverageStatus.LOST, "its copy was accepted, but neither the operation log nor the destination vault shows it"),
    ],
)
def test_a_copy_that_was_accepted_and_shows_nowhere_is_lost_after_settle_time(
    passed: float, standing_at: CoverageStatus, said: str
) -> None:
    known = state(accepted={"r": "a"}, accepted_at=BEGIN)
    one = standing(known=known, now=BEGIN + passed)
    assert (one.backup.id, one.status, one.reason) == ("a", standing_at, said)
    failed = standing(known=known, now=BEGIN + passed, logs=(log("failed"),))
    assert failed.status is (CoverageStatus.IN_FLIGHT if passed < SETTLE else CoverageStatus.FAILED), "the log may be of an earlier copy"


def test_since_the_log_showed_it_a_copy_is_young_once_more() -> None:
    known = state(accepted={"r": "a"}, accepted_at=BEGIN - 1000, unseen={"a": BEGIN})
    assert standing(known=known, now=BEGIN + SETTLE - 1).status is CoverageStatus.IN_FLIGHT
    assert standing(known=known, now=BEGIN + SETTLE).status is CoverageStatus.LOST
    other = state(accepted={"r": "a"}, accepted_at=BEGIN - 1000, unseen={"b": BEGIN})
    assert standing(known=other, now=BEGIN + 1).status is CoverageStatus.LOST


def test_a_replica_that_may_be_of_it_keeps_a_backup_from_being_copied_and_from_being_covered() -> None:
    one = standing(replica())
    assert one.status is CoverageStatus.UNCLEAR
    assert one.reason == "the destination vault holds a replica of the resource, but of which of its backups is not known"
    assert standing(replica(resource_id="other")).status is CoverageStatus.UNRECORDED
    assert standing(replica(resource_size=41)).status is CoverageStatus.UNRECORDED


def test_a_replica_of_an_unknown_resource_may_be_of_a_backup_of_an_unknown_resource() -> None:
    nobodys = source(resource_id=None)
    assert standing(replica(resource_id=None), sources=(nobodys,)).status is CoverageStatus.UNCLEAR
    assert standing(replica(resource_id=None)).status is CoverageStatus.UNRECORDED
    assert standing(replica(), sources=(nobodys,)).status is CoverageStatus.UNRECORDED


def test_each_backup_stands_for_itself() -> None:
    sources = (
        source("a"),
        source("b", resource_id="other"),
        source("c", resource_id="third"),
        source("d", status="error", resource_id="fourth"),
    )
    found = judged(replica(name="night-b", resource_id="other"), logs=(log("running"),), sources=sources, known=state(accepted={"r": "c"}))
    assert {id: one.status for id, one in found.items()} == {
        "a": CoverageStatus.IN_FLIGHT,
        "b": CoverageStatus.SUCCEEDED,
        "c": CoverageStatus.LOST,
        "d": CoverageStatus.SKIPPED,
    }


def test_a_replica_is_told_from_that_of_a_backup_which_is_covered_already() -> None:
    skipped = source("b", name="night-a", status="error")
    assert standing(replica(name="night-a"), sources=(source("a"), skipped)).status is CoverageStatus.SUCCEEDED, "a skipped one has none"


@pytest.mark.parametrize(
    ("there", "logs", "known", "trace"),
    [
        ((), ("running",), {}, "operation log l"),
        ((), ("success",), {}, "operation log l"),
        ((), ("success",), {"accepted": {"r": "a"}, "unseen": {"a": BEGIN - SETTLE}}, "operation log l"),
        ((), ("failed",), {}, "operation log l"),
        ((replica(),), (), {}, "replica replica"),
        ((replica(name="night-a"),), ("failed",), {}, "replica replica"),
        ((), (), {}, ""),
    ],
)
def test_what_a_status_rests_on_is_named(there: tuple[Backup, ...], logs: tuple[str, ...], known: dict[str, Any], trace: str) -> None:
    assert standing(*there, logs=tuple(log(status) for status in logs), known=state(**known)).trace == trace

"""What the verification says of one backup, without any service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from airflow_cbr.api.models import BackupExtendInfo, ReplicationExtra
from airflow_cbr.exceptions import CbrNotFoundError, CbrNothingToReplicateError, CbrPermissionError
from airflow_cbr.verification.faults import Fault
from airflow_cbr.verification.levels import Level, Scope
from tests.support.replication_rows import HERE, THERE, Side, copied, judged, record, replica, source, vault

if TYPE_CHECKING:
    from airflow_cbr.api.models import Backup, ReplicationRecord
    from airflow_cbr.verification.report import Entry, Report

ELSEWHERE = "w" * 32


def report(backup: Backup, *found: Backup, ids: tuple[str, ...] = ("r1",), **fields: Any) -> Report:
    """Verify one backup by its records."""
    return judged(Side([backup]), Side(found), *ids, **fields)


def entry(outcome: Report) -> Entry:
    """Return the only entry."""
    (one,) = outcome.entries
    return one


def test_a_good_copy_is_verified() -> None:
    outcome = report(source(record()), replica())
    assert outcome.summary == {"verdict": "verified", "verified": 1, "failed": 0, "missing": 0, "skipped": 0}
    assert outcome.failure() is None
    assert list(outcome.findings) == []
    one = entry(outcome)
    assert (one.id, one.name, one.resource_id, one.record_id, one.replica_id) == ("b1", "db", "server", "r1", "replica")
    assert (one.verdict, one.level, one.faults, one.reason) == ("verified", None, (), "available in the destination vault")


@pytest.mark.parametrize(
    ("wrong", "fault", "said"),
    [
        ({"image_type": "backup"}, Fault.REPLICA_KIND, "image_type is backup"),
        ({"image_type": None}, Fault.REPLICA_KIND, "image_type is None"),
        ({"status": "error"}, Fault.REPLICA_STATUS, "status is error"),
        ({"status": "deleting"}, Fault.REPLICA_STATUS, "status is deleting"),
        ({"status": None}, Fault.REPLICA_STATUS, "status is None"),
        ({"status": "protecting"}, Fault.REPLICA_UNSETTLED, "status is protecting"),
        ({"status": "a new word"}, Fault.REPLICA_UNSETTLED, "status is a new word"),
        ({"vault_id": ELSEWHERE}, Fault.REPLICA_VAULT, f"in vault {ELSEWHERE}"),
        ({"resource_id": "another"}, Fault.REPLICA_RESOURCE, "of resource another"),
        ({"resource_id": None}, Fault.REPLICA_RESOURCE, "of resource None"),
        ({"resource_size": 39}, Fault.REPLICA_SIZE, "39 GB"),
        ({"resource_size": None}, Fault.REPLICA_SIZE, "None GB"),
    ],
)
def test_a_replica_that_does_not_match_fails(wrong: dict[str, Any], fault: Fault, said: str) -> None:
    outcome = report(source(record()), replica(**wrong))
    assert outcome.counts["failed"] == 1
    assert entry(outcome).faults == (fault,)
    assert entry(outcome).level is Level.REPLICA
    error = outcome.failure()
    assert error is not None
    assert said in str(error)
    assert "backup db b1" in str(error)
    assert not error.permanent


@pytest.mark.parametrize(
    ("unsaid", "fault"),
    [
        ({"resource_size": None}, Fault.REPLICA_SIZE),
        ({"resource_id": None}, Fault.REPLICA_RESOURCE),
        ({"resource_id": ""}, Fault.REPLICA_RESOURCE),
    ],
    ids=["size", "resource", "empty resource"],
)
def test_what_neither_side_says_is_not_equal(unsaid: dict[str, Any], fault: Fault) -> None:
    assert entry(report(source(record(), **unsaid), replica(**unsaid))).faults == (fault,)


def test_a_replica_that_another_vault_lists_is_found_there_and_fails() -> None:
    assert entry(report(source(record()), replica(vault_id=ELSEWHERE))).faults == (Fault.REPLICA_VAULT,)


@pytest.mark.parametrize("turn", [False, True])
def test_a_replica_that_is_listed_twice_with_different_contents_is_wrong_for_all_that_is_wrong_with_either(turn: bool) -> None:
    def listed(*rows: Backup) -> Entry:
        return entry(judged(Side([source(record())]), Side(rows[::-1] if turn else rows), "r1"))

    assert listed(replica(), replica()).verdict == "verified"
    once = listed(replica(), replica(status="error"))
    assert once.faults == (Fault.REPLICA_TWICE, Fault.REPLICA_STATUS)
    assert sorted(once.reason.removeprefix("the replica: ").split("; ")) == [
        "its status is error, not available",
        "the replica is listed more than once, with different contents",
    ]
    both = listed(replica(resource_size=39), replica(status="error"), replica(status="error"))
    assert both.faults == (Fault.REPLICA_TWICE, Fault.REPLICA_STATUS, Fault.REPLICA_SIZE)
    assert both.reason.count("listed more than once") == both.reason.count("status is error") == both.reason.count("39 GB") == 1
    becomes_available = listed(replica(status="protecting"), replica())
    assert becomes_available.faults == (Fault.REPLICA_UNSETTLED,), "between two pages it may"


def test_a_replica_that_does_not_exist_is_missing() -> None:
    assert entry(report(source(record()))).faults == (Fault.REPLICA_MISSING,)
    assert report(source(record())).counts["missing"] == 1


def test_a_success_without_a_replica_id_is_missing() -> None:
    outcome = report(source(record(destination_backup_id=None)), replica())
    assert outcome.counts["missing"] == 1
    assert entry(outcome).faults == (Fault.REPLICA_UNNAMED,)


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        ("fail", Fault.RECORD_FAILED),
        ("replicating", Fault.RECORD_UNFINISHED),
        ("waiting_replicate", Fault.RECORD_UNFINISHED),
        ("a new word", Fault.RECORD_UNFINISHED),
        ("skip", Fault.RECORD_SKIPPED),
    ],
)
def test_a_record_that_is_no_success_fails(status: str, fault: Fault) -> None:
    outcome = report(source(record(status=status)), replica())
    assert outcome.counts["failed"] == 1
    assert entry(outcome).faults == (fault,)
    assert entry(outcome).level is Level.RECORD
    reasons = {"fail": "the service gives no reason"}
    assert entry(outcome).reason == reasons.get(status, f"its record is {status or 'without a status'}, not success")


def test_a_record_without_a_status_fails() -> None:
    assert report(source(record(status=None)), replica()).counts["failed"] == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("backup", "faults", "said", "record_id"),
    [
        (source(status="error"), (), "status is error", None),
        (source(status="protecting"), (), "status is protecting", None),
        (source(extend_info=BackupExtendInfo(contain_system_disk=False)), (), "lacks the system disk", None),
        (source(), (Fault.NO_RECORD,), THERE.vault_id, None),
        (msgspec.structs.replace(source(), replication_records=None), (Fault.NO_RECORD,), THERE.vault_id, None),
        (source(record(destination_vault_id=ELSEWHERE)), (Fault.ELSEWHERE,), ELSEWHERE, "r1"),
        (source(record(destination_vault_id=None)), (Fault.NO_RECORD,), THERE.vault_id, "r1"),
        (source(record(destination_vault_id=None)), (Fault.NO_RECORD,), "does not say where the copy goes", "r1"),
        (source(record(), record(created_at=None)), (Fault.RECORD_TWICE,), "listed more than once", "r1"),
        (source(record(status="fail")), (Fault.RECORD_FAILED,), "no reason", "r1"),
        (source(record(destination_backup_id="")), (Fault.REPLICA_UNNAMED,), "names no replica", "r1"),
        (source(record(destination_backup_id="b1")), (Fault.REPLICA_IS_SOURCE,), "names its source backup", "r1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_backup_without_a_good_record_says_what_is_wrong_and_with_which_record(
    backup: Backup, faults: tuple[Fault, ...], said: str, record_id: str | None
) -> None:
    one = entry(judged(Side([backup]), Side(), scope=Scope.ALL, allow_empty=True))
    assert (one.faults, one.record_id) == (faults, record_id)
    assert said in one.reason


def test_a_record_that_belongs_to_another_backup_fails() -> None:
    one = entry(report(source(record(source_backup_id="b2")), replica()))
    assert (one.faults, one.reason, one.resource_id) == ((Fault.RECORD_FOREIGN,), "its record says that it belongs to backup b2", "server")
    both = entry(report(source(record(source_backup_id="b2", source_checkpoint_id="c2")), replica()))
    assert both.faults == (Fault.RECORD_FOREIGN, Fault.RECORD_CHECKPOINT)
    assert both.reason.startswith(f"{one.reason}; its record says that it belongs to checkpoint c2")


def test_a_skipped_record_is_verified_by_the_copy_that_made_it_superfluous() -> None:
    backup = source(record("r0"), record("r1", status="skip", destination_backup_id=None, created_at="2026-11-24T01:00:00"))
    assert report(backup, replica()).counts["verified"] == 1


def test_the_best_of_a_backups_records_decides() -> None:
    failed, later = record("r1", status="fail"), "2026-11-24T01:00:00"
    assert report(source(failed, record("r2", created_at=later)), replica(), ids=("r1", "r2")).counts["verified"] == 1
    backup = source(record("r2"), record("r1", status="fail", created_at=later))
    assert report(backup, replica(), ids=("r1", "r2")).counts["verified"] == 1, "a success counts, whatever stands beside it"
    assert entry(report(backup, replica(), ids=("r1",))).faults == (Fault.RECORD_FAILED,), "what was asked about decides"


def test_among_records_that_are_no_success_one_that_runs_decides_and_the_newest_of_its_kind() -> None:
    later = "2026-11-24T01:00:00"
    running, failed = record("r1", status="replicating"), record("r2", status="fail", created_at=later)
    assert entry(report(source(running, failed), ids=("r1", "r2"))).faults == (Fault.RECORD_UNFINISHED,)
    newer = record("r1", status="replicating", created_at=later)
    assert report(source(newer, record("r2")), replica(), ids=("r1", "r2")).counts["verified"] == 1
    one = entry(report(source(record("r1", status="fail"), failed), ids=("r1", "r2")))
    assert (one.faults, one.record_id) == ((Fault.RECORD_FAILED,), "r2")


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"source_region": "cn-south-1"}, Fault.RECORD_REGION),
        ({"source_project_id": ELSEWHERE}, Fault.RECORD_PROJECT),
        ({"vault_id": ELSEWHERE}, Fault.RECORD_VAULT),
    ],
)
def test_a_record_that_says_that_it_comes_from_elsewhere_fails(fields: dict[str, str], fault: Fault) -> None:
    assert entry(report(source(record(**fields)), replica())).faults == (fault,)


@pytest.mark.parametrize("turn", [False, True])
def test_a_backup_that_is_listed_twice_with_different_contents_is_wrong_whichever_comes_first(turn: bool) -> None:
    def listed(*rows: Backup) -> Report:
        return judged(Side(rows[::-1] if turn else rows), Side([replica()]))

    assert listed(source(record()), source(record())).counts["verified"] == 1
    renamed = entry(listed(source(record()), source(record(), name="renamed")))
    assert renamed.faults == (Fault.BACKUP_TWICE,)
    assert "lists it more than once" in renamed.reason
    assert entry(listed(source(record()), source(record(), status="error"))).faults == (Fault.BACKUP_TWICE,)
    ended = entry(listed(source(record()), source(record(status="replicating"))))
    assert ended.faults == (Fault.RECORD_UNFINISHED,)
    assert "had not ended" in ended.reason
    older = source(id="b0", created_at="2026-11-20T00:00:00", checkpoint_id="before")
    both = listed(older, source(record()), source(record(), created_at="2026-11-19T00:00:00"))
    assert {one.id for one in both.entries} == {"b0", "b1"}, "when it was made is not known, so that each may be the newest"
    (one,) = listed(older, source(record()), msgspec.structs.replace(older, name="renamed")).entries
    assert (one.id, one.verdict) == ("b1", "verified"), "when it was made is known, and it is not the newest"


def test_a_backup_that_is_listed_twice_alike_does_not_hide_another_that_is_not() -> None:
    alike, its_replica = copied(1)
    differs, another = copied(2)
    here = Side([alike, differs, msgspec.structs.replace(alike), msgspec.structs.replace(differs, name="renamed")])
    assert {one.id: one.faults for one in judged(here, Side([its_replica, another])).entries} == {"b1": (), "b2": (Fault.BACKUP_TWICE,)}


@pytest.mark.parametrize("turn", [False, True])
def test_a_record_that_was_asked_about_is_judged_if_only_one_of_two_listings_has_it(turn: bool) -> None:
    twice = [source(record()), source()]
    outcome = judged(Side(twice[::-1] if turn else twice), Side([replica()]), "r1")
    assert entry(outcome).faults == (Fault.BACKUP_TWICE,)


@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize("asked", [("r1",), ()])
def test_a_backup_that_is_eligible_by_one_of_two_listings_must_be_covered(turn: bool, asked: tuple[str, ...]) -> None:
    old, its_replica = copied(2, resource_id="server", created_at="2026-11-20T00:00:00")
    twice = [source(), source(status="error")]
    here = Side([old, *(twice[::-1] if turn else twice)], [vault(HERE, "server")])
    (one,) = judged(here, Side([its_replica]), *asked, levels=[Level.COVERAGE]).others
    assert one.faults == (Fault.NEWEST_UNCOVERED,)


def test_backups_of_other_vaults_of_the_project_are_not_judged() -> None:
    here = Side([source(record()), source(id="b2", resource_id="other", checkpoint_id="another night", vault_id=ELSEWHERE)])
    assert [one.id for one in judged(here, Side([replica()])).entries] == ["b1"]


@pytest.mark.parametrize("ids", [("r1",), ()])
def test_a_record_that_says_two_vaults_fails_whether_it_was_asked_about_or_not(ids: tuple[str, ...]) -> None:
    two = record(extra_info=ReplicationExtra(destination_vault_id=ELSEWHERE))
    assert entry(report(source(two), replica(), ids=ids)).faults == (Fault.RECORD_DESTINATION,)


def test_a_record_that_was_asked_about_and_leads_elsewhere_is_named() -> None:
    one = entry(report(source(record(destination_vault_id=ELSEWHERE)), replica()))
    assert (one.faults, one.record_id) == ((Fault.RECORD_DESTINATION,), "r1")


def test_a_record_that_is_listed_twice_and_leads_elsewhere_by_both_is_described_alike_in_either_order() -> None:
    two = [record(destination_vault_id=ELSEWHERE), record(destination_vault_id="e" * 32)]
    assert entry(report(source(*two))) == entry(report(source(*two[::-1])))


@pytest.mark.parametrize("beside", [record("r0", destination_vault_id=ELSEWHERE), record("r0", status="fail")])
def test_a_skipped_record_is_not_verified_by_a_copy_elsewhere_or_a_failure(beside: ReplicationRecord) -> None:
    skipped = record("r1", status="skip", destination_backup_id=None)
    assert entry(report(source(beside, skipped), replica())).faults in [(Fault.RECORD_SKIPPED,), (Fault.RECORD_FAILED,)]
    if beside.status == "success":
        assert entry(report(source(beside, skipped), replica())).faults == (Fault.RECORD_SKIPPED,)


@pytest.mark.parametrize(("status", "is_newest"), [("available", True), ("error", False)])
def test_a_backup_whose_record_was_asked_about_must_be_covered_where_it_is_eligible(status: str, is_newest: bool) -> None:
    old, its_replica = copied(1, resource_id="server", created_at="2026-11-20T00:00:00")
    here = Side([old, source(record("r2", status="fail"), id="b2", status=status)], [vault(HERE, "server")])
    outcome = judged(here, Side([its_replica]), "r1", "r2", levels=[Level.COVERAGE])
    assert [one.faults for one in outcome.others] == [(Fault.NEWEST_UNCOVERED,)] * is_newest


def test_a_resource_is_named_by_the_first_of_its_backups_that_names_it() -> None:
    named = [(None, "nobody's"), ("server", None), ("server", "web"), ("server", "renamed"), ("another", "db")]
    backups = [
        source(id=f"b{number}", checkpoint_id=f"c{number}", resource_id=resource_id, resource_name=name)
        for number, (resource_id, name) in enumerate(named)
    ]
    outcome = judged(Side(backups), Side(), scope=Scope.ALL)
    assert [one.resource_name for one in outcome.entries] == [None, "web", "web", "web", "db"]


def test_a_record_that_nobody_lists_is_missing() -> None:
    outcome = report(source(record()), replica(), ids=("r1", "r2"))
    assert outcome.counts == {"verified": 1, "failed": 0, "missing": 1, "skipped": 0}
    assert [str(one) for one in outcome.findings if "record r2" in str(one)]


def test_two_backups_that_claim_one_replica_both_fail() -> None:
    other = source(record("r2"), id="b2", name=None)
    outcome = judged(Side([source(record()), other]), Side([replica()]), "r1", "r2")
    assert [one.faults for one in outcome.entries] == [(Fault.REPLICA_SHARED,)] * 2


def test_each_of_several_backups_that_claim_one_replica_names_another_and_the_rest_is_judged() -> None:
    sharing = [source(record(f"r{number}"), id=f"b{number}", name=None, checkpoint_id=f"c{number}") for number in (3, 1, 2)]
    good, its_replica = copied(4)
    outcome = judged(Side([*sharing, good]), Side([replica(), its_replica]), "r1", "r2", "r3", "r4")
    assert {one.id: one.reason for one in outcome.entries if one.faults} == {
        "b1": "the record of b2 names the same replica",
        "b2": "the record of b1 names the same replica",
        "b3": "the record of b1 names the same replica",
    }
    assert outcome.counts == {"verified": 1, "failed": 3, "missing": 0, "skipped": 0}


def test_a_record_that_names_another_source_backup_as_the_replica_fails() -> None:
    here = Side([source(record(destination_backup_id="b2")), source(id="b2", checkpoint_id="another night")])
    one = entry(judged(here, Side([replica(id="b2")]), "r1"))
    assert (one.verdict, one.faults) == ("failed", (Fault.REPLICA_IS_SOURCE,))
    assert one.reason == "its record names db (b2) as the replica, but that is a backup of the source vault"


def test_a_checkpoint_whose_replica_is_missing_for_a_day_does_not_settle() -> None:
    sibling = source(record("r2", destination_backup_id="gone", created_at="2026-11-20T00:00:00"), id="b2")
    assert entry(judged(Side([source(record()), sibling]), Side([replica()]), "r1")).faults == (Fault.CHECKPOINT_INCOMPLETE,)


def test_the_newest_backup_of_each_resource_is_judged() -> None:
    old = source(record("r1"), id="old", created_at="2026-11-20T00:00:00")
    new = source(id="new", name="new", created_at="2026-11-23T00:00:00", checkpoint_id="later")
    other = source(record("r2", destination_backup_id="second"), id="other", resource_id="second")
    there = Side([replica(), replica(id="second", resource_id="second")])
    outcome = judged(Side([new, other, old]), there)
    assert {one.id: one.verdict for one in outcome.entries} == {"new": "missing", "other": "verified"}


def test_a_backup_that_does_not_say_when_it_was_made_may_be_the_newest() -> None:
    good, its_replica = copied(1, resource_id="server")
    undated = source(id="undated", name=None, created_at=None, checkpoint_id="another")
    unreadable = source(id="unreadable", name=None, created_at="yesterday", checkpoint_id="a third")
    for order in ([good, undated, unreadable], [unreadable, undated, good]):
        here = Side(order, [vault(HERE, "server")])
        outcome = judged(here, Side([its_replica]), levels=["replica", "coverage"])
        assert outcome.counts == {"verified": 1, "failed": 0, "missing": 2, "skipped": 0}
        assert outcome.violations[Level.COVERAGE] == 1


def test_every_backup_is_judged_if_that_is_asked_for() -> None:
    old = source(record("r1"), id="old", created_at="2026-11-20T00:00:00", checkpoint_id="before")
    outcome = judged(Side([source(id="new"), old, source(id="bad", status="error")]), Side([replica()]), scope=Scope.ALL)
    assert {one.id: one.verdict for one in outcome.entries} == {"new": "missing", "old": "verified", "bad": "skipped"}


def test_a_backup_that_lacks_the_system_disk_is_skipped_unless_it_was_copied() -> None:
    lacks = BackupExtendInfo(contain_system_disk=False)
    good, its_replica = copied(1)
    outcome = judged(Side([good, source(id="b2", extend_info=lacks)]), Side([its_replica]))
    assert outcome.counts == {"verified": 1, "failed": 0, "missing": 0, "skipped": 1}
    outcome = judged(Side([source(record(status="fail"), extend_info=lacks)]), Side())
    assert outcome.counts["failed"] == 1
    with pytest.raises(CbrNothingToReplicateError):
        judged(Side([source(extend_info=lacks)]), Side())


def test_a_vault_without_an_eligible_backup_is_an_error_unless_that_is_allowed() -> None:
    here = Side([source(status="error")], [vault(HERE, "server")])
    with pytest.raises(
        CbrNothingToReplicateError, match=rf"Nothing to verify: the vault holds no eligible backup \(vault {HERE}\)"
    ) as caught:
        judged(here, Side())
    assert caught.value.advice
    assert "allow_empty=True" in caught.value.advice
    levels = [Level.RECORD, Level.REPLICA, Level.COVERAGE, Level.RPO]
    outcome = judged(here, Side(), allow_empty=True, levels=levels, max_age=3600.0)
    assert [one.faults for one in outcome.findings] == [(Fault.RESOURCE_UNCOVERED,), (Fault.AGE_UNKNOWN,)], "something is bound"
    nothing_bound = Side([source(status="error")], [vault(HERE)])
    assert judged(nothing_bound, Side(), allow_empty=True, levels=levels, max_age=3600.0).verdict == "verified"


@pytest.mark.parametrize("levels", [[Level.RECORD], [Level.RECORD, Level.REPLICA], [Level.COVERAGE]])
@pytest.mark.parametrize("scope", [Scope.NEWEST, Scope.ALL])
def test_a_vault_that_does_not_exist_is_not_an_empty_one(levels: list[Level], scope: Scope) -> None:
    here = Side([], [vault("another")])
    with pytest.raises(CbrNotFoundError, match=f"Vault {HERE} does not exist in here"):
        judged(here, Side(), allow_empty=True, levels=levels, scope=scope)
    assert here.calls["show_vault"] == 1


@pytest.mark.parametrize("levels", [[Level.RECORD], [Level.RECORD, Level.REPLICA]])
def test_an_empty_vault_that_may_not_be_looked_at_warns(levels: list[Level], caplog: pytest.LogCaptureFixture) -> None:
    here = Side([], [CbrPermissionError("ShowVault: no", http_status=403)])
    assert judged(here, Side(), allow_empty=True, levels=levels).verdict == "verified"
    assert here.calls["show_vault"] == 1
    assert "could not be checked" in caplog.text


# --- retention --------------------------------------------------------------------------------------------------------------

WEEK = 7 * 24 * 3600.0


@pytest.mark.parametrize("expired_at", [None, "2026-11-30T00:00:00", "2026-11-30T00:00:00.000+00:00"])
def test_a_replica_that_is_kept_long_enough_is_verified(expired_at: str | None) -> None:
    assert report(source(record()), replica(expired_at=expired_at), retention=WEEK).counts["verified"] == 1


@pytest.mark.parametrize("expired_at", ["2026-11-29T23:59:59", "soon"])
def test_a_replica_that_expires_too_early_fails(expired_at: str) -> None:
    outcome = report(source(record()), replica(expired_at=expired_at), retention=WEEK)
    assert entry(outcome).faults == (Fault.REPLICA_EXPIRES,)
    is_readable = expired_at != "soon"
    assert report(source(record()), replica(expired_at=expired_at)).counts["verified"] == is_readable, "nothing more is required"


def test_a_retention_that_cannot_be_told_fails() -> None:
    outcome = report(source(record(), created_at=None), replica(expired_at="2027-11-30T00:00:00"), retention=WEEK)
    assert entry(outcome).faults == (Fault.REPLICA_EXPIRES,)


# --- checkpoints ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sibling", "fault"),
    [
        (source(id="b2"), Fault.CHECKPOINT_INCOMPLETE),
        (source(record("r2", status="fail"), id="b2"), Fault.CHECKPOINT_INCOMPLETE),
        (source(record("r2", destination_backup_id="gone"), id="b2"), Fault.CHECKPOINT_UNSETTLED),
    ],
    ids=["no record", "failed", "no replica"],
)
def test_a_checkpoint_is_complete_when_all_its_backups_have_a_replica(sibling: Backup, fault: Fault) -> None:
    outcome = judged(Side([source(record()), sibling]), Side([replica()]), "r1")
    assert entry(outcome).faults == (fault,)
    assert "db (b2)" in entry(outcome).reason


@pytest.mark.parametrize("swap", [False, True])
def test_what_stays_wrong_with_a_checkpoint_decides_whatever_else_may_settle(swap: bool) -> None:
    siblings = [source(record("r2", destination_backup_id="not there yet"), id="b2"), source(record("r3", status="fail"), id="b3")]
    outcome = judged(Side([source(record()), *(siblings[::-1] if swap else siblings)]), Side([replica()]), "r1")
    assert entry(outcome).faults == (Fault.CHECKPOINT_INCOMPLETE,)
    assert outcome.settling == []


@pytest.mark.parametrize("swap", [False, True])
def test_of_several_siblings_that_stay_wrong_the_same_one_is_named_however_they_are_listed(swap: bool) -> None:
    siblings = [source(record("r2", status="fail"), id="b2"), source(record("r3", status="fail"), id="b3")]
    outcome = judged(Side([source(record()), *(siblings[::-1] if swap else siblings)]), Side([replica()]), "r1")
    assert "db (b2)" in entry(outcome).reason


def test_a_sibling_is_named_rather_than_a_row_of_the_replicas_checkpoint_that_no_backup_claims() -> None:
    here = Side([source(record()), source(record("r2", status="fail"), id="b2")])
    one = entry(judged(here, Side([replica(), replica(id="other", status="error")]), "r1"))
    assert one.faults == (Fault.CHECKPOINT_INCOMPLETE,)
    assert "db (b2)" in one.reason


def test_rows_that_name_no_checkpoint_are_no_siblings() -> None:
    alone = source(record(), checkpoint_id=None)
    for other in (None, ""):
        outcome = judged(Side([alone, source(id="b2", checkpoint_id=other)]), Side([replica()]), "r1")
        assert outcome.counts["verified"] == 1


@pytest.mark.parametrize("sibling", [source(id="b2", status="error"), source(id="b2", checkpoint_id="another night")])
def test_a_backup_that_cannot_be_copied_or_is_of_another_checkpoint_is_not_missed(sibling: Backup) -> None:
    assert judged(Side([source(record()), sibling]), Side([replica()]), "r1").counts["verified"] == 1


def test_a_checkpoint_is_judged_whatever_became_of_the_backups_listed_before() -> None:
    here = Side([source(record("r2", status="fail"), id="b0", checkpoint_id="another night"), source(record()), source(id="b2")])
    outcome = judged(here, Side([replica()]), "r1", "r2")
    assert {one.id: one.faults for one in outcome.entries} == {"b0": (Fault.RECORD_FAILED,), "b1": (Fault.CHECKPOINT_INCOMPLETE,)}


def test_a_fault_is_told_once_at_the_backup_it_belongs_to() -> None:
    outcome = judged(Side([source(record()), source(record("r2", status="fail"), id="b2")]), Side([replica()]), "r1", "r2")
    assert outcome.counts == {"verified": 1, "failed": 1, "missing": 0, "skipped": 0}


@pytest.mark.parametrize(("status", "fault"), [("error", Fault.CHECKPOINT_INCOMPLETE), ("protecting", Fault.CHECKPOINT_UNSETTLED)])
def test_a_replicas_checkpoint_is_complete_when_all_its_rows_are_available(status: str, fault: Fault) -> None:
    other = replica(id="other", status=status)
    for order in ([replica(), other], [other, replica()]):
        outcome = report(source(record()), *order)
        assert entry(outcome).faults == (fault,)
        assert "other" in entry(outcome).reason
    assert report(source(record()), replica(), replica(id="other", status=status, checkpoint_id="x")).counts["verified"] == 1


def test_a_row_of_the_replicas_checkpoint_that_gets_no_verdict_of_its_own_is_held_against_the_others() -> None:
    here = Side([source(record()), source(record("r2", destination_backup_id="other"), id="b2", checkpoint_id="another night")])
    there = Side([replica(), replica(id="other", status="protecting")])
    assert entry(judged(here, there, "r1")).faults == (Fault.CHECKPOINT_UNSETTLED,)
    both = {one.id: one.faults for one in judged(here, there, "r1", "r2").entries}
    assert both == {"b1": (), "b2": (Fault.REPLICA_UNSETTLED,)}, "it is told once, where it belongs"


@pytest.mark.parametrize("turn", [False, True])
def test_a_row_of_the_replicas_checkpoint_that_is_listed_again_is_held_against_it_if_it_is_not_available_once(turn: bool) -> None:
    other, wrong = replica(id="other"), replica(id="other", status="error")
    twice = [wrong, other] if turn else [other, wrong]
    assert report(source(record()), replica(), other, replica(id="other")).counts["verified"] == 1
    assert entry(report(source(record()), replica(), *twice)).faults == (Fault.CHECKPOINT_INCOMPLETE,)
    here = Side([source(record()), source(record("r2", destination_backup_id="other"), id="b2", checkpoint_id="another night")])
    outcome = judged(here, Side([replica(), *twice]), "r1", "r2")
    assert {one.id: one.verdict for one in outcome.entries} == {"b1": "verified", "b2": "failed"}, "it is told once, where it belongs"


def test_what_is_wrong_at_a_level_that_is_not_asked_for_is_no_fault() -> None:
    here = Side([source(record(status="fail"))], [vault(HERE)])
    one = entry(judged(here, Side(), levels=[Level.COVERAGE]))
    assert (one.verdict, one.level, one.faults) == ("skipped", None, ())
    assert one.reason.startswith("not judged: levels does not name record (")


# --- what is asked of the service -------------------------------------------------------------------------------------------


def many_unlisted(count: int, vault_id: str | None) -> tuple[Side, list[Backup]]:
    pairs = [copied(number) for number in range(count)]
    found = [replica(id=one.id, resource_id=one.resource_id, vault_id=vault_id) for _, one in pairs] if vault_id else []
    return Side([backup for backup, _ in pairs]), found


@pytest.mark.parametrize("vault_id", [ELSEWHERE, None])
def test_a_few_unlisted_replicas_are_looked_up_one_by_one(vault_id: str | None) -> None:
    here, found = many_unlisted(5, vault_id)
    there = Side(found, [vault(THERE.vault_id), vault(ELSEWHERE)])
    outcome = judged(here, there)
    assert outcome.counts["failed" if vault_id else "missing"] == 5
    assert there.calls == {"list_backups": 1, "show_backup": 5, "show_vault": 1}


@pytest.mark.parametrize("vault_id", [ELSEWHERE, None])
def test_many_unlisted_replicas_are_looked_up_in_bulk(vault_id: str | None) -> None:
    here, found = many_unlisted(6, vault_id)
    there = Side(found, [vault(THERE.vault_id), vault(ELSEWHERE)])
    outcome = judged(here, there)
    assert outcome.counts["failed" if vault_id else "missing"] == 6
    assert there.calls == {"list_backups": 2, "list_vaults": 1, "show_vault": 1}


def test_a_replica_that_another_vault_lists_twice_with_different_contents_is_told_as_such() -> None:
    here, found = many_unlisted(6, ELSEWHERE)
    again = [*found, replica(id=found[0].id, resource_id=found[0].resource_id, vault_id=ELSEWHERE, status="error")]
    outcome = judged(here, Side(again, [vault(THERE.vault_id), vault(ELSEWHERE)]))
    twice = [one.id for one in outcome.entries if Fault.REPLICA_TWICE in one.faults]
    assert twice == ["b0"]


def test_where_there_is_no_other_vault_nothing_can_be_in_one() -> None:
    here, _ = many_unlisted(6, None)
    there = Side([], [vault(THERE.vault_id)])
    assert judged(here, there).counts["missing"] == 6
    assert there.calls == {"list_backups": 1, "list_vaults": 1, "show_vault": 1}


def test_where_vaults_may_not_be_listed_the_project_is() -> None:
    here, found = many_unlisted(6, ELSEWHERE)
    there = Side(found, [CbrPermissionError("no")])
    assert judged(here, there).counts["failed"] == 6


def test_replicas_of_backups_without_a_verdict_are_not_looked_up() -> None:
    old = [source(record(f"r{n}", destination_backup_id=f"gone-{n}"), id=f"b{n}", created_at="2026-01-01T00:00:00") for n in range(9)]
    good, its_replica = copied(9, resource_id="server")
    there = Side([its_replica])
    assert judged(Side([good, *old]), there).counts["verified"] == 1
    assert there.calls == {"list_backups": 1, "show_vault": 1}

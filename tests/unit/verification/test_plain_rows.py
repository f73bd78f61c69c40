"""Plain rows are passed at a glance: only what the whole table of comparisons passes, and the order of what is listed changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_cbr.api.models import Backup, BackupExtendInfo, ReplicationExtra, ReplicationRecord
from airflow_cbr.verification.comparisons import ReplicaCase, wrongs_of_replica
from airflow_cbr.verification.levels import Level, Scope, Source, VerificationSpec
from airflow_cbr.verification.reading import Reader
from airflow_cbr.verification.replica_check import ReplicaCheck
from airflow_cbr.verification.rules import LARGEST_GB
from tests.support.replication_rows import HERE, NOW, SERVERS, THERE, Side, judged, record, replica, source, vault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_cbr.verification.report import Report
    from airflow_cbr.verification.source_inventory import BackupRow

PLACE: Final = Source("here", "d" * 32, HERE)
OTHER: Final = "0e984725-c51c-4bf4-9960-e1c80e27aba0"
DAY: Final = 86400.0

TIMES: Final[Sequence[str]] = (
    "2026-11-23T00:00:00",
    "2026-11-23T00:00:00Z",
    "2026-11-22T23:57:00",
    "2026-11-22T23:54:59",
    "2026-11-23T09:00:00+09:00",
    "2026-11-23T00:00:00+09:00",
    "2026-11-24T11:59:59",
    "2026-11-24T12:00:00",
    "2026-11-24T12:00:01",
    "2026-12-24",
    "0001-01-01T00:00:00+10:00",
    "9999-12-31T23:59:59-10:00",
    "9999-12-31T23:59:59",
    "2026-11-24T00:00:00+25:00",
    "soon",
    "",
)
TEXTS: Final[Sequence[str]] = (
    "",
    OTHER,
    OTHER.upper(),
    "backup",
    "replication",
    "available",
    "error",
    "protecting",
    "replica",
    "b1",
    "night",
)


def others(field: str, now: Any) -> list[Any]:
    """Return what a field may be instead: nothing, odd, in capitals, or as it is."""
    if field == "resource_size":
        return [0, -1, 39, 40.0, LARGEST_GB, LARGEST_GB + 1, 10**30, float("nan"), float("inf"), float("-inf"), 1e-9, None]
    if field == "extend_info":
        return [None, BackupExtendInfo(), *(BackupExtendInfo(contain_system_disk=one) for one in (True, False))]
    if field == "extra_info":
        extras = [ReplicationExtra(), ReplicationExtra(destination_vault_id=OTHER), ReplicationExtra(destination_vault_id=THERE.vault_id)]
        return [None, *extras, *(msgspec.json.encode(one).decode() for one in extras), "", "{", "[]"]
    if field.endswith("_at"):
        return [None, *TIMES]
    as_it_is = [now, str(now).upper(), f" {now}"] if isinstance(now, str) else []
    return [None, *as_it_is, *TEXTS]


@st.composite
def mutated(draw: st.DrawFn, row: Any, fields: Sequence[str], most: int = 2) -> Any:
    """Return the row with up to so many fields that are something else."""
    chosen = draw(st.lists(st.sampled_from(fields), max_size=most, unique=True))
    return msgspec.structs.replace(row, **{field: draw(st.sampled_from(others(field, getattr(row, field)))) for field in chosen})


RECORD_FIELDS: Final = [field for field in ReplicationRecord.__struct_fields__ if field != "id"]
BACKUP_FIELDS: Final = [
    "status",
    "image_type",
    "checkpoint_id",
    "vault_id",
    "project_id",
    "provider_id",
    "resource_id",
    "resource_type",
    "resource_size",
    "created_at",
    "extend_info",
]
FIELDS_OF_BOTH: Final = ["provider_id", "resource_id", "resource_type", "resource_size", "extend_info"]
"""What a replica must say as its source says it."""
REPLICA_FIELDS: Final = [*BACKUP_FIELDS, "parent_id", "expired_at", "updated_at", "incremental"]


def full_record(record_id: str = "r1", **fields: Any) -> ReplicationRecord:
    """Return a good record that leaves nothing out."""
    said: dict[str, Any] = {
        "vault_id": HERE,
        "source_backup_id": "b1",
        "source_checkpoint_id": "night",
        "source_project_id": PLACE.project_id,
        "source_region": PLACE.region,
        "destination_checkpoint_id": "night there",
    }
    return record(record_id, **said | fields)


def full_source(*records: ReplicationRecord, **fields: Any) -> Backup:
    """Return a good source backup that leaves nothing out."""
    said: dict[str, Any] = {
        "vault_id": HERE,
        "project_id": PLACE.project_id,
        "provider_id": SERVERS,
        "extend_info": BackupExtendInfo(contain_system_disk=True),
    }
    return source(*records, **said | fields)


WAYS_TO_NAME_THE_VAULT: Final[Sequence[dict[str, Any]]] = (
    {},
    {"destination_vault_id": None, "extra_info": ReplicationExtra(destination_vault_id=THERE.vault_id)},
)
GOOD_REPLICA: Final = replica(extend_info=BackupExtendInfo(contain_system_disk=True), expired_at="2027-01-01T00:00:00")


@st.composite
def backups(draw: st.DrawFn) -> Backup:
    """Return a source backup that is nearly always nearly right."""
    records = draw(st.lists(mutated(full_record(), RECORD_FIELDS), min_size=0, max_size=2)) if draw(st.integers(0, 5)) == 0 else None
    if records is None:
        records = [draw(mutated(full_record(), RECORD_FIELDS))]
    backup: Backup = draw(mutated(full_source(*records), BACKUP_FIELDS))
    return backup


@given(st.lists(backups(), min_size=1, max_size=4), st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_plain_backup_is_read_as_it_is_line_by_line(rows: list[Backup], by_records: bool) -> None:
    scope: dict[str, Any] = {"scope": Scope.RECORDS, "record_ids": ("r1",)} if by_records else {"scope": Scope.ALL}
    spec = VerificationSpec(HERE, THERE, **scope)
    reader = Reader(spec, PLACE)
    for backup in [full_source(full_record()), *rows]:
        # The one before has decided what is plain; a reader of its own has nothing to go by.
        mine = [one for one in backup.replication_records or () if one.id == "r1"]
        if by_records and mine:
            assert reader.row_by_records(backup, mine) == Reader(spec, PLACE).row_by_records(backup, mine)
        else:
            assert reader.row_by_status(backup) == Reader(spec, PLACE).judged_row(backup)


def each_changed(row: Any, fields: Sequence[str]) -> Iterator[Any]:
    """Yield the row with each single field as everything that it may be instead."""
    for field in fields:
        for value in others(field, getattr(row, field)):
            yield msgspec.structs.replace(row, **{field: value})


@pytest.mark.parametrize("vault_named_by", WAYS_TO_NAME_THE_VAULT, ids=["the record", "its extra_info"])
def test_a_backup_of_which_one_field_is_odd_is_read_as_it_is_line_by_line(vault_named_by: dict[str, Any]) -> None:
    good_record = full_record(**vault_named_by)
    spec, good = VerificationSpec(HERE, THERE, scope=Scope.ALL), full_source(good_record)
    odd = [full_source(one) for one in each_changed(good_record, RECORD_FIELDS)]
    for backup in [*odd, *each_changed(good, BACKUP_FIELDS)]:
        reader = Reader(spec, PLACE)
        reader.row_by_status(good)
        assert reader.row_by_status(backup) == Reader(spec, PLACE).judged_row(backup), backup


@pytest.mark.parametrize("vault_named_by", WAYS_TO_NAME_THE_VAULT, ids=["the record", "its extra_info"])
def test_what_is_plain_is_learnt_from_a_good_row_and_used_for_the_next(vault_named_by: dict[str, Any]) -> None:
    reader = Reader(VerificationSpec(HERE, THERE, scope=Scope.ALL), PLACE)
    first = full_source(full_record(**vault_named_by))
    second = full_source(full_record("r2", source_backup_id="b2", **vault_named_by), id="b2")
    assert reader.plain_row(first) is None
    reader.row_by_status(first)
    assert reader.plain_row(second) == Reader(VerificationSpec(HERE, THERE, scope=Scope.ALL), PLACE).judged_row(second)


def test_the_backups_of_a_resource_share_what_they_have_in_common() -> None:
    reader = Reader(VerificationSpec(HERE, THERE, scope=Scope.ALL), PLACE)
    backups = [full_source(full_record(f"r{one}", source_backup_id=f"b{one}"), id=f"b{one}") for one in range(3)]
    diskless = msgspec.structs.replace(backups[1], extend_info=BackupExtendInfo(contain_system_disk=False))
    first, second, other, third = [reader.row_by_status(one) for one in (*backups[:2], diskless, backups[2])]
    assert first.kind is second.kind
    assert second.kind is third.kind
    assert (second.kind.has_system_disk, other.kind.has_system_disk) == (True, False)


def test_what_records_were_asked_about_teaches_nothing_that_only_they_may_leave_out() -> None:
    reader = Reader(VerificationSpec(HERE, THERE, scope=Scope.RECORDS, record_ids=("r1",)), PLACE)
    silent = full_record(destination_region=None, destination_vault_id=None)
    assert reader.row_by_records(full_source(silent), [silent]).verdict is None, "it was asked about, and says nothing against it"
    other = full_source(full_record("r2", source_backup_id="b2", destination_region=None, destination_vault_id=None), id="b2")
    assert reader.row_by_status(other).verdict == "missing"


@given(
    mutated(full_source(full_record()), BACKUP_FIELDS),
    mutated(full_record(), RECORD_FIELDS),
    mutated(GOOD_REPLICA, REPLICA_FIELDS),
    st.sampled_from([None, DAY, 30 * DAY]),
)
@settings(max_examples=300, deadline=None)
def test_a_replica_that_is_right_at_a_glance_is_right_line_by_line(
    backup: Backup, its_record: ReplicationRecord, its_replica: Backup, retention: float | None
) -> None:
    judge_at_a_glance_and_line_by_line(msgspec.structs.replace(backup, replication_records=[its_record]), its_replica, retention)


@pytest.mark.parametrize("retention", [None, DAY])
def test_a_replica_of_which_one_field_is_odd_is_judged_alike_at_a_glance(retention: float | None) -> None:
    backup = full_source(full_record())
    for one in each_changed(GOOD_REPLICA, REPLICA_FIELDS):
        judge_at_a_glance_and_line_by_line(backup, one, retention)
    for one in each_changed(backup, BACKUP_FIELDS):
        judge_at_a_glance_and_line_by_line(one, GOOD_REPLICA, retention)
    for one, its_replica in zip(each_changed(backup, FIELDS_OF_BOTH), each_changed(GOOD_REPLICA, FIELDS_OF_BOTH), strict=True):
        judge_at_a_glance_and_line_by_line(one, its_replica, retention)


def judge_at_a_glance_and_line_by_line(backup: Backup, its_replica: Backup, retention: float | None) -> None:
    row = Reader(VerificationSpec(HERE, THERE), PLACE).judged_row(backup)
    wrong = wrongs_of_replica(ReplicaCase(row, its_replica, THERE, NOW, retention))
    check = ReplicaCheck(THERE, NOW, retention)
    check.judge(Reader(VerificationSpec(HERE, THERE), PLACE).judged_row(full_source(full_record())), GOOD_REPLICA)
    if check.is_plainly_right(row, its_replica):
        assert wrong == []
    row.verdict, row.faults = None, ()
    check.judge(row, its_replica)
    assert (row.verdict == "verified") is (wrong == [])
    check.judge(row, its_replica)
    assert (row.verdict == "verified") is (wrong == []), "the same once more is the same"


def test_a_replica_like_a_good_one_is_right_at_a_glance() -> None:
    row = Reader(VerificationSpec(HERE, THERE), PLACE).judged_row(full_source(full_record()))
    check = ReplicaCheck(THERE, NOW)
    assert not check.is_plainly_right(row, GOOD_REPLICA), "it has seen none yet"
    check.judge(row, GOOD_REPLICA)
    assert check.is_plainly_right(row, GOOD_REPLICA)


@pytest.mark.parametrize(
    ("both", "its_replica"),
    [
        ({"resource_size": 1}, {}),
        ({"resource_size": LARGEST_GB}, {}),
        ({}, {"created_at": source().created_at}),
        ({}, {"expired_at": "2026-11-25T00:00:00"}),
    ],
    ids=["the smallest", "the largest", "made at once", "kept just long enough"],
)
def test_what_is_only_just_right_is_right_at_a_glance(both: dict[str, Any], its_replica: dict[str, Any]) -> None:
    check = ReplicaCheck(THERE, NOW, 2 * DAY)
    spec, good = VerificationSpec(HERE, THERE), full_source(full_record())
    check.judge(Reader(spec, PLACE).judged_row(good), GOOD_REPLICA)
    row = Reader(spec, PLACE).judged_row(msgspec.structs.replace(good, **both))
    assert check.is_plainly_right(row, msgspec.structs.replace(GOOD_REPLICA, **both | its_replica))


# --- order ------------------------------------------------------------------------------------------------------------------

LEVELS: Final = [str(level) for level in Level if level is not Level.VAULT]


def told(outcome: Report) -> Any:
    """Return what was found, apart from its wording and its order."""
    entries = sorted((one.id or "", one.record_id or "", one.verdict, sorted(one.faults)) for one in outcome.entries)
    others = sorted((one.id or "", sorted(one.faults)) for one in outcome.others)
    return entries, others, outcome.counts, outcome.verdict, sorted(row.id for row in outcome.settling)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Backup], list[Backup]]:
    """Return some backups of a few resources and checkpoints with records and replicas, most of them nearly right."""
    here, there = [], []
    for number in range(draw(st.integers(2, 4))):
        checkpoint, resource = draw(st.sampled_from(["night", "another night"])), draw(st.sampled_from(["server", "db"]))
        records = [
            draw(
                mutated(
                    full_record(f"r{number}{one}", source_backup_id=f"b{number}", source_checkpoint_id=checkpoint, **fields),
                    RECORD_FIELDS,
                    1,
                )
            )
            for one, fields in enumerate(
                draw(
                    st.lists(
                        st.fixed_dictionaries(
                            {
                                "status": st.sampled_from(["success", "success", "fail", "skip", "replicating", None]),
                                "destination_backup_id": st.sampled_from([f"replica{number}", f"replica{number}", "replica0", None]),
                                "created_at": st.sampled_from(["2026-11-24T00:00:00", "2026-11-24T01:00:00", None]),
                            }
                        ),
                        max_size=3,
                    )
                )
            )
        ]
        made = {"id": f"b{number}", "checkpoint_id": checkpoint, "resource_id": resource}
        when = draw(st.sampled_from(["2026-11-23T00:00:00", "2026-11-23T00:00:00", "2026-11-22T00:00:00", None]))
        rows = draw(st.lists(mutated(full_source(*records, created_at=when, **made), BACKUP_FIELDS, 1), min_size=1, max_size=2))
        here += rows if draw(st.integers(0, 5)) == 0 else rows[:1]
        good = replica(id=f"replica{number}", resource_id=resource, extend_info=BackupExtendInfo(contain_system_disk=True))
        copies = draw(st.lists(mutated(good, REPLICA_FIELDS, 1), max_size=3))
        there += copies if draw(st.integers(0, 3)) == 0 else copies[:1]
    return here, there


@given(
    st.lists(st.sampled_from(["r1", "r2"]).flatmap(lambda id: mutated(full_record(id), RECORD_FIELDS)), min_size=2, max_size=4),
    st.randoms(use_true_random=False),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_the_order_of_its_records_changes_nothing_in_a_backups_row(records: list[ReplicationRecord], random: Any, by_records: bool) -> None:
    def read(listed: list[ReplicationRecord]) -> BackupRow:
        reader, backup = Reader(VerificationSpec(HERE, THERE), PLACE), full_source(*listed)
        return reader.row_by_records(backup, listed[1:] + listed[:1]) if by_records else reader.judged_row(backup)

    assert read(random.sample(records, len(records))) == read(records)


@pytest.mark.campaign
@given(
    worlds(), st.randoms(use_true_random=False), st.sampled_from([(), ("r00", "r10", "r11")]), st.sampled_from([Scope.ALL, Scope.NEWEST])
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_the_order_of_rows_records_and_replicas_changes_no_verdict(
    world: tuple[list[Backup], list[Backup]], random: Any, record_ids: tuple[str, ...], scope: Scope
) -> None:
    bound = [vault(HERE, "server", "db")]
    question: dict[str, Any] = {"levels": LEVELS, "max_age": 3 * DAY, "allow_empty": True, "retention": DAY, "scope": scope}
    if record_ids:
        question.pop("scope")
    here, there = world
    first = told(judged(Side(here, bound), Side(there, [vault(THERE.vault_id)]), *record_ids, **question))
    for _ in range(3):
        shuffled = [
            msgspec.structs.replace(
                one, replication_records=random.sample(one.replication_records or [], len(one.replication_records or []))
            )
            for one in here
        ]
        random.shuffle(shuffled)
        copies = random.sample(there, len(there))
        assert told(judged(Side(shuffled, bound), Side(copies, [vault(THERE.vault_id)]), *record_ids, **question)) == first


@pytest.mark.parametrize("swap", [False, True])
def test_of_two_backups_made_at_the_same_moment_each_may_be_the_newest(swap: bool) -> None:
    rows = [full_source(full_record()), full_source(id="b2", checkpoint_id="another")]
    outcome = judged(Side(rows[::-1] if swap else rows), Side([replica(extend_info=BackupExtendInfo(contain_system_disk=True))]))
    assert outcome.counts == {"verified": 1, "failed": 0, "missing": 1, "skipped": 0}


# --- clocks -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [timedelta(days=-46000), timedelta(days=-3), timedelta(minutes=10), timedelta(days=400)], ids=str)
@pytest.mark.parametrize("which", ["source", "destination", "machine"])
def test_one_clock_that_is_wrong_changes_no_verdict(which: str, off: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {which: NOW + off}
    monkeypatch.setattr("airflow_cbr.verification.clocks.time.time", wrong.get("machine", NOW).timestamp)
    for made, expired_at, age, good in (
        ("2026-11-23T00:00:00", "2026-11-25T00:00:00", 2 * DAY, True),
        ("2026-11-23T00:00:00", "2026-11-24T11:00:00", 2 * DAY, False),
        ("2026-11-23T00:00:00", "2026-11-25T00:00:00", DAY, False),
        ("2026-11-24T13:00:00", "2026-11-25T00:00:00", DAY, False),
    ):
        its_replica = replica(expired_at=expired_at, created_at="2026-11-24T13:00:00")
        here = Side([source(record(), created_at=made)], [vault(HERE, "server")], now=wrong.get("source", NOW))
        there = Side([its_replica], now=wrong.get("destination", NOW))
        outcome = judged(here, there, levels=LEVELS, max_age=age)
        assert (outcome.verdict == "verified") is good, [str(one) for one in outcome.findings]
        assert any("The clocks differ" in line for _, line in outcome.lines()) is (abs(off) > timedelta(hours=1))


def test_a_clock_from_1900_on_both_sides_is_told_by_the_backups(monkeypatch: pytest.MonkeyPatch) -> None:
    past = NOW - timedelta(days=46000)
    here = Side([source(record())], [vault(HERE, "server")], now=past)
    outcome = judged(here, Side([replica()], now=past), levels=LEVELS, max_age=DAY)
    assert [[str(fault) for fault in one.faults] for one in outcome.findings] == [["from_the_future"]]

"""What a report says of each bound resource: its newest verified replica, how old it is, and which resource is worst off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from airflow_cbr.api.models import VaultResource
from airflow_cbr.exceptions import CbrPermissionError
from airflow_cbr.verification.document import beginning, whole
from airflow_cbr.verification.levels import Level
from airflow_cbr.verification.rules import CLOCK_MARGIN
from tests.support.replication_rows import HERE, NOW, Side, copied, judged, record, replica, source, vault

if TYPE_CHECKING:
    from airflow_cbr.api.models import Backup
    from airflow_cbr.verification.report import Report

RECORD_ONLY = [Level.RECORD]
BOTH = [Level.RECORD, Level.REPLICA]


def report(backups: list[Backup], replicas: list[Backup], *bound: str, levels: list[Level] = BOTH, **fields: Any) -> Report:
    return judged(Side(backups, [vault(HERE, *bound)]), Side(replicas), levels=levels, **fields)


def test_the_newest_verified_replica_of_a_resource_is_named_with_its_age() -> None:
    (one,) = report([source(record())], [replica()], "server").resources
    made = source().created_at
    assert made is not None
    assert one.verified_at == datetime.fromisoformat(made).replace(tzinfo=UTC)
    assert one.age_seconds == (NOW - one.verified_at).total_seconds()
    assert (one.id, one.name, one.backup_id, one.record_id, one.replica_id) == ("server", "name of server", "b1", "r1", "replica")
    assert one.size_gb == 40


def test_a_resource_and_its_newest_verified_replica_are_described_as_the_service_describes_them() -> None:
    bound = [
        VaultResource(id="never", name="idle", type="OS::Nova::Server"),
        VaultResource(id="server", name="web", type="OS::Nova::Server"),
    ]
    found = judged(Side([source(record())], [vault(HERE, resources=bound)]), Side([replica()]), levels=[*BOTH, Level.COVERAGE])
    assert [(one.name, one.type, one.backup_name) for one in found.resources] == [
        ("idle", "OS::Nova::Server", None),
        ("web", "OS::Nova::Server", "db"),
    ]
    assert [one.resource_name for one in found.others] == ["idle"]


def test_resources_that_are_equally_badly_off_come_in_the_order_of_their_ids() -> None:
    for order in (["b", None, "a", "9"], ["9", "a", None, "b"]):
        bound = [VaultResource(id=one) for one in order]
        found = judged(Side([source(record())], [vault(HERE, resources=bound)]), Side([replica()]), levels=BOTH)
        assert [one.id for one in found.resources] == [None, "9", "a", "b"]


def test_a_backup_that_is_not_eligible_is_newest_only_where_no_newest_eligible_one_is_verified() -> None:
    def newest(**eligible: Any) -> str | None:
        good, its_replica = copied(2, resource_id="server", created_at="2026-11-20T00:00:00", **eligible)
        broken = source(record(), status="error")
        (one,) = judged(Side([good, broken], [vault(HERE, "server")]), Side([its_replica, replica()]), "r1", "r2", levels=BOTH).resources
        return one.backup_id

    assert newest() == "b2"
    assert newest(resource_size=39) == "b1", "the replica of b2 has another size"


def test_a_vault_is_as_old_as_its_worst_resource() -> None:
    found = report([source(record())], [replica()], "server", "forgotten")
    assert [one.id for one in found.resources] == ["forgotten", "server"]
    worst = found.resources[0]
    assert (worst.verified_at, worst.age_seconds, worst.backup_id) == (None, None, None)
    assert (found.verified_at, found.age_seconds) == (None, None)
    assert found.size_gb == 40


def test_the_word_of_the_source_alone_verifies_no_resource() -> None:
    found = report([source(record())], [replica()], "server", levels=RECORD_ONLY)
    assert found.counts["verified"] == 1
    assert found.resources == []
    assert found.verified_at is None
    assert found.size_gb == 0


def test_a_replica_that_is_wrong_protects_nothing() -> None:
    (one,) = report([source(record())], [replica(resource_size=39)], "server").resources
    assert (one.verified_at, one.replica_id) == (None, None)


def test_a_backup_from_the_future_or_without_a_time_has_no_age() -> None:
    for created in ((NOW + timedelta(days=1)).isoformat(), None):
        backup = source(record(), created_at=created)
        (one,) = report([backup], [replica(created_at=created or replica().created_at)], "server").resources
        assert (one.verified_at, one.age_seconds) == (None, None)


def test_a_backup_that_is_ahead_by_no_more_than_clocks_may_differ_was_made_just_now() -> None:
    made = NOW + CLOCK_MARGIN
    backup = source(record(), created_at=made.isoformat())
    (one,) = report([backup], [replica(created_at=made.isoformat())], "server").resources
    assert (one.verified_at, one.age_seconds) == (made, 0.0)


def test_resources_that_cannot_be_read_are_not_made_up() -> None:
    refused = CbrPermissionError("ShowVault: not allowed.", request_id="0f9e")
    found = judged(Side([source(record())], [refused]), Side([replica()]), levels=BOTH)
    assert (found.resources, found.verified_at, found.counts["verified"]) == ([], None, 1)
    assert found.others == [], "nobody asked for the resources, so nothing is violated"


def test_the_document_lists_them() -> None:
    found = report([source(record())], [replica()], "server")
    for document in (whole(found, None), beginning(found, "elsewhere")):
        assert document["resources"][0]["age_seconds"] == document["age_seconds"] == found.age_seconds
        assert document["verified_at"] == document["resources"][0]["verified_at"]
        assert document["size_gb"] == 40


@given(ages=st.lists(st.one_of(st.none(), st.integers(0, 10**6)), min_size=1, max_size=6), seed=st.randoms())
def test_no_resource_is_older_than_what_the_vault_is_said_to_be(ages: list[int | None], seed: Any) -> None:
    backups, replicas = [], []
    for number, age in enumerate(ages):
        if age is not None:
            made = (NOW - timedelta(seconds=age)).isoformat()
            backup, there = copied(number, created_at=made)
            backups.append(backup)
            replicas.append(structs.replace(there, created_at=made))
    names = [f"server-{number}" for number in range(len(ages))]
    seed.shuffle(names)
    found = report(backups, replicas, *names, allow_empty=True)
    if None in ages:
        assert (found.verified_at, found.age_seconds) == (None, None)
    else:
        assert found.age_seconds == max(age for age in ages if age is not None)
    assert {one.id for one in found.resources} == set(names)

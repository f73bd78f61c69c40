"""The levels that look at resources and vaults: coverage, rpo and vault, without any service."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.exceptions import CbrPermissionError
from airflow_cbr.verification.destination_vault import next_night_gb
from airflow_cbr.verification.faults import Fault
from airflow_cbr.verification.levels import Action, Level, VerificationSpec
from airflow_cbr.verification.reading import read_source
from airflow_cbr.verification.report import About
from tests.support.replication_rows import HERE, NOW, THERE, Side, copied, judged, record, replica, source, vault

if TYPE_CHECKING:
    from airflow_cbr.api.models import Backup, Vault
    from airflow_cbr.exceptions import CbrError
    from airflow_cbr.verification.report import Finding

REFUSED = CbrPermissionError("ShowVault: not allowed.", request_id="0f9e")


def findings(
    level: Level,
    backups: list[Backup],
    replicas: list[Backup],
    here: Vault | CbrError,
    there: Vault | CbrError | None = None,
    **fields: Any,
) -> list[Finding]:
    """Judge one level, and return what it finds about resources and vaults."""
    side = Side(replicas, [] if there is None else [there])
    return judged(Side(backups, [here]), side, levels=[level], **fields).others


# --- coverage -----------------------------------------------------------------------------------------------------------------


def test_a_bound_resource_without_any_eligible_backup_is_uncovered() -> None:
    (one,) = findings(Level.COVERAGE, [source(record())], [replica()], vault(HERE, "server", "forgotten"))
    assert (one.about, one.id, one.name, one.faults) == (About.RESOURCE, "forgotten", "name of forgotten", (Fault.RESOURCE_UNCOVERED,))
    assert one.reason == "the source vault holds no eligible backup of it"


def test_a_resource_whose_backups_have_no_verified_replica_is_uncovered() -> None:
    (one,) = findings(Level.COVERAGE, [source(record())], [replica(resource_size=39)], vault(HERE, "server"))
    assert one.faults == (Fault.RESOURCE_UNCOVERED,)
    assert one.reason.startswith(
        "no backup of it has a verified replica; its newest is db (b1): the replica: its size is 39 GB, the source's 40 GB"
    )


def old_and_new(**new: Any) -> list[Backup]:
    """Return an old backup that has a good replica, and a newer one of the same resource that has none."""
    old = source(record("r1"), id="old", name="old", created_at="2026-11-22T00:00:00", checkpoint_id="before")
    return [source(**{"id": "new", "name": "new", "created_at": "2026-11-23T00:00:00"} | new), old]


def test_a_resource_whose_newest_backup_has_no_replica_names_both() -> None:
    (one,) = findings(Level.COVERAGE, old_and_new(), [replica(created_at="2026-11-22T00:10:00")], vault(HERE, "server"))
    assert one.faults == (Fault.NEWEST_UNCOVERED,)
    assert one.reason.startswith("its newest eligible backup has no verified replica: new (new): ")
    assert one.reason.endswith("; the newest that has one is old (old)")
    (one,) = findings(Level.COVERAGE, old_and_new(created_at=None), [replica(created_at="2026-11-22T00:10:00")], vault(HERE, "server"))
    assert one.faults == (Fault.NEWEST_UNCOVERED,)
    assert one.reason.startswith("a backup without a creation time has no verified replica: new (new): ")


def test_a_resource_is_covered_by_its_newest_backup() -> None:
    assert findings(Level.COVERAGE, [source(record())], [replica()], vault(HERE, "server")) == []
    assert findings(Level.COVERAGE, [source(record())], [replica()], vault(HERE)) == []


@pytest.mark.parametrize(("level", "fault"), [(Level.COVERAGE, Fault.BOUND_RESOURCES_UNKNOWN), (Level.RPO, Fault.AGE_UNKNOWN)])
def test_where_nobody_says_what_is_bound_the_source_vault_is_the_finding(level: Level, fault: Fault) -> None:
    (one,) = findings(level, [source(record())], [replica()], REFUSED, max_age=60.0)
    assert (one.about, one.id, one.name, one.faults) == (About.VAULT, None, "source vault", (fault,))
    assert "ShowVault: not allowed" in one.reason
    assert "0f9e" in one.reason
    (one,) = findings(level, [source(record())], [replica()], vault(HERE, resources=None, name="nightly"), max_age=60.0)
    assert (one.about, one.id, one.name, one.vault_name, one.faults) == (About.VAULT, HERE, "source vault", "nightly", (fault,))
    assert one.reason == "the service does not return its resources"


# --- rpo ----------------------------------------------------------------------------------------------------------------------

AGE = 36 * 3600.0
"""The source backup was made so many seconds before NOW."""


def age(max_age: float, *, here: Vault | None = None, **fields: Any) -> list[Finding]:
    bound = here if here is not None else vault(HERE, "server")
    return findings(Level.RPO, [source(record(), **fields)], [replica()], bound, max_age=max_age)


def test_the_newest_verified_replica_may_be_as_old_as_is_allowed() -> None:
    assert age(AGE) == []
    (one,) = age(AGE - 1)
    assert (one.about, one.id, one.name, one.faults) == (About.RESOURCE, "server", "name of server", (Fault.TOO_OLD,))
    assert (one.record_id, one.replica_id) == ("r1", "replica")
    said = "129600 s ago (1 d 12 h), more than 129599 s (1 d 11 h)"
    assert one.reason == f"its newest verified replica is of db (b1), made 2026-11-23T00:00:00+00:00: {said}"


def test_an_older_backup_counts_where_the_newest_has_no_verified_replica() -> None:
    replicas = [replica(created_at="2026-11-22T00:10:00")]
    (one,) = findings(Level.RPO, old_and_new(), replicas, vault(HERE, "server"), max_age=AGE)
    assert "old (old)" in one.reason
    assert findings(Level.RPO, old_and_new(), replicas, vault(HERE, "server"), max_age=AGE + 86400) == []


def test_of_several_older_backups_the_newest_counts() -> None:
    first, its_replica = copied(1, resource_id="server", created_at="2026-11-20T00:00:00")
    second, another = copied(2, resource_id="server", created_at="2026-11-21T00:00:00")
    new = source(id="new", name="new")
    for order in ([new, first, second], [second, first, new]):
        (one,) = findings(Level.RPO, order, [its_replica, another], vault(HERE, "server"), max_age=60.0)
        assert "b2" in one.reason


def test_a_resource_without_a_verified_replica_has_no_age() -> None:
    (one,) = age(60.0, here=vault(HERE, "another"))
    assert (one.id, one.faults, one.record_id, one.replica_id) == ("another", (Fault.AGE_UNKNOWN,), None, None)
    assert "nothing of it could be restored" in one.reason


def test_a_time_that_nobody_says_is_no_age() -> None:
    side = Side([source(record())], [vault(HERE, "server")], now=None)
    (one,) = judged(side, Side([replica()], now=None), levels=[Level.RPO], max_age=AGE).others
    assert (one.faults, one.replica_id) == ((Fault.AGE_UNKNOWN,), "replica")
    assert one.reason == "the service does not return when db (b1) was made, or its current time"


@pytest.mark.parametrize(("ahead", "found"), [(timedelta(minutes=5), False), (timedelta(minutes=5, seconds=1), True)])
def test_a_backup_from_the_future_has_no_age(ahead: timedelta, found: bool) -> None:
    made = NOW + ahead
    backup = source(record(), created_at=made.isoformat())
    there = replica(created_at=made.isoformat())
    here = vault(HERE, "server")
    others = findings(Level.RPO, [backup], [there], here, max_age=AGE)
    assert [one.faults for one in others] == [(Fault.FROM_THE_FUTURE,)] * found
    if found:
        assert "db (b1), made 2026-11-24T12:05:01+00:00, but the service's time is 2026-11-24T12:00:00+00:00" in others[0].reason
        assert others[0].replica_id == "replica"


# --- the destination vault ----------------------------------------------------------------------------------------------------


def at_destination(there: Vault | CbrError, *, here: Vault | CbrError | None = None, **fields: Any) -> list[Finding]:
    found = findings(Level.VAULT, [source(record())], [replica()], vault(HERE) if here is None else here, there, **fields)
    assert all((one.about, one.id, one.name) == (About.VAULT, THERE.vault_id, "destination vault") for one in found)
    return found


def destination(**fields: Any) -> Vault:
    return vault(THERE.vault_id, **{"protect_type": "replication"} | fields)


def test_a_destination_vault_in_order_is_no_finding() -> None:
    assert at_destination(destination()) == []
    assert at_destination(destination(locked=True), require_locked=True) == []


@pytest.mark.parametrize(
    ("there", "fault", "reason"),
    [
        (destination(protect_type="backup"), Fault.VAULT_KIND, "its protect_type is backup, not replication"),
        (destination(status="lock"), Fault.VAULT_STATUS, "its status is lock, not available"),
        (
            destination(object_type="disk"),
            Fault.VAULT_OBJECT_TYPE,
            "it is for resources of the kind disk, but the source vault is for server",
        ),
        (destination(billing=None), Fault.VAULT_UNREADABLE, "the service does not return its kind"),
        (destination(size=None), Fault.VAULT_ROOM, "whether the next night fits is not known"),
        (destination(size=39), Fault.VAULT_ROOM, "the next night may add 40 GB (1 resource in full)"),
        (REFUSED, Fault.VAULT_UNREADABLE, "it cannot be read: ShowVault: not allowed"),
    ],
    ids=["kind", "status", "object type", "billing", "room not said", "room", "refused"],
)
def test_what_is_wrong_with_a_destination_vault_is_said(there: Vault | CbrError, fault: Fault, reason: str) -> None:
    (one,) = at_destination(there)
    assert one.faults == (fault,)
    assert reason in one.reason


def test_room_is_enough_when_the_next_night_just_fits_or_the_vault_expands() -> None:
    assert at_destination(destination(size=40)) == []
    assert at_destination(destination(size=39, auto_expand=True)) == []
    assert at_destination(destination(size=None, auto_expand=True)) == []
    (one,) = at_destination(destination(size=39, auto_expand=False))
    assert one.faults == (Fault.VAULT_ROOM,)


@pytest.mark.parametrize("level", [Level.VAULT, Level.REPLICA])
@pytest.mark.parametrize(
    ("there", "ratio"),
    [
        (destination(size=100, used=93 * 1024), 0.93),
        (destination(size=100, used=93 * 1024, auto_expand=True), 0.93),
        (destination(size=100, used=0), None),
        (destination(size=None, used=1024), None),
        (destination(size=100, used=float("nan")), None),
        (destination(size=100, used=10**400), None),
        (destination(billing=None), None),
        (REFUSED, None),
    ],
    ids=["used", "it expands", "used 0", "no size", "nan", "too large for a float", "no billing", "refused"],
)
def test_how_full_the_destination_is_is_known_where_it_was_read(level: Level, there: Vault | CbrError, ratio: float | None) -> None:
    report = judged(Side([source(record())], [vault(HERE)]), Side([replica()], [there]), levels=[level])
    assert report.destination_used_ratio == ratio


def test_how_full_it_is_is_not_known_where_no_level_reads_it() -> None:
    there = Side([replica()], [destination(size=100, used=93 * 1024)])
    assert judged(Side([source(record())], [vault(HERE)]), there, levels=[Level.RECORD]).destination_used_ratio is None


@pytest.mark.parametrize("locked", [False, None])
def test_a_lock_is_missed_only_where_it_is_asked_for(locked: bool | None) -> None:
    assert at_destination(destination(locked=locked)) == []
    (one,) = at_destination(destination(locked=locked), require_locked=True)
    assert one.faults == (Fault.VAULT_UNLOCKED,)
    assert one.reason.startswith("it is not locked")


def test_a_source_vault_whose_kind_nobody_says_is_no_match() -> None:
    (one,) = at_destination(destination(), here=REFUSED)
    assert one.faults == (Fault.VAULT_OBJECT_TYPE,)
    assert "ShowVault: not allowed" in one.reason
    (one,) = at_destination(destination(object_type=None), here=vault(HERE, object_type=None))
    assert one.faults == (Fault.VAULT_OBJECT_TYPE,)
    (one,) = at_destination(destination(), here=vault(HERE, billing=None))
    assert one.faults == (Fault.VAULT_OBJECT_TYPE,)


@pytest.mark.parametrize(
    ("sizes", "gb"),
    [([40], 40.0), ([40, 0.5], 40.5), ([40, None], None), ([40, 0], None), ([40, -1], None), ([float("inf")], None), ([], 0.0)],
)
def test_the_next_night_may_add_all_resources_in_full(sizes: list[float | None], gb: float | None) -> None:
    backups = [copied(number, resource_size=size)[0] for number, size in enumerate(sizes)]
    inventory = read_source(Side(backups).client, VerificationSpec(HERE, THERE, levels={Level.VAULT: Action.FAIL}))
    assert next_night_gb(inventory) == gb


def test_of_backups_that_may_all_be_the_newest_the_largest_counts() -> None:
    backups = [source(id=f"b{number}", checkpoint_id=f"c{number}", created_at=None, resource_size=number) for number in (3, 7, 5)]
    inventory = read_source(Side(backups).client, VerificationSpec(HERE, THERE, levels={Level.VAULT: Action.FAIL}))
    assert next_night_gb(inventory) == 7.0

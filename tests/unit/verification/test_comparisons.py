"""The table of comparisons, line by line: what is wrong with a record and with a replica, and in which words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from airflow_cbr.api.models import Backup, BackupExtendInfo, ReplicationExtra, parse_time
from airflow_cbr.verification.comparisons import RecordCase, ReplicaCase, where_it_leads, wrongs_of_record, wrongs_of_replica
from airflow_cbr.verification.faults import Fault
from airflow_cbr.verification.levels import Source
from tests.support.backup_rows import backup_row
from tests.support.replication_rows import HERE, NOW, SERVERS, THERE, record, replica, source

PLACE = Source("cn-north-4", "d" * 32, HERE)
OTHER = "w" * 32
MADE = "2026-11-23T00:00:00"
RETENTION = 7 * 86400.0
DISKS = [BackupExtendInfo(contain_system_disk=has_it) for has_it in (True, False)]


def case(backup: dict[str, Any] | None = None, **fields: Any) -> RecordCase:
    """Return a record that leaves nothing out, with what is compared; of its backup, what differs."""
    said: dict[str, Any] = {
        "vault_id": HERE,
        "source_backup_id": "b1",
        "source_checkpoint_id": "night",
        "source_project_id": PLACE.project_id,
        "source_region": PLACE.region,
        "extra_info": ReplicationExtra(destination_vault_id=THERE.vault_id),
    }
    one = record(**said | fields)
    return RecordCase(source(one, **{"vault_id": HERE, "project_id": PLACE.project_id} | (backup or {})), one, PLACE, THERE)


LEADS = [
    ({"destination_region": "elsewhere"}, f"its record leads to region elsewhere, not to {THERE.region}"),
    ({"destination_project_id": OTHER}, f"its record leads to project {OTHER}, not to {THERE.project_id}"),
    ({"destination_vault_id": OTHER}, f"its record leads to vault {OTHER}, not to {THERE.vault_id}"),
    (
        {"extra_info": ReplicationExtra(destination_vault_id=OTHER)},
        f"the extra_info of its record leads to vault {OTHER}, not to {THERE.vault_id}",
    ),
]


@pytest.mark.parametrize(("fields", "said"), LEADS)
def test_a_record_that_leads_elsewhere_is_wrong_whatever_its_status(fields: dict[str, Any], said: str) -> None:
    assert where_it_leads(case(**fields)) == wrongs_of_record(case(**fields)) == [(Fault.RECORD_DESTINATION, said)]
    assert where_it_leads(case(source_backup_id="b2", **fields)) == [(Fault.RECORD_DESTINATION, said)]


@pytest.mark.parametrize(
    ("fields", "fault", "said"),
    [
        ({"source_backup_id": "b2"}, Fault.RECORD_FOREIGN, "its record says that it belongs to backup b2"),
        (
            {"source_checkpoint_id": "day"},
            Fault.RECORD_CHECKPOINT,
            "its record says that it belongs to checkpoint day, but its backup belongs to night",
        ),
        ({"vault_id": OTHER}, Fault.RECORD_VAULT, f"its record says that it comes from vault {OTHER}, not from {HERE}"),
        (
            {"source_project_id": OTHER},
            Fault.RECORD_PROJECT,
            f"its record says that it comes from project {OTHER}, not from {PLACE.project_id}",
        ),
        (
            {"source_region": "cn-south-1"},
            Fault.RECORD_REGION,
            "its record says that it comes from region cn-south-1, not from cn-north-4",
        ),
        (
            {"backup": {"vault_id": OTHER}},
            Fault.BACKUP_FOREIGN,
            f"the source vault {HERE} lists it, but its row says that it is in vault {OTHER}",
        ),
        (
            {"backup": {"project_id": OTHER}},
            Fault.BACKUP_FOREIGN,
            f"the source project {PLACE.project_id} lists it, but its row says that it is in project {OTHER}",
        ),
        ({"backup": {"image_type": "replication"}}, Fault.BACKUP_FOREIGN, "its image_type is replication, not backup"),
    ],
)
def test_a_record_that_contradicts_the_backup_that_lists_it_is_wrong(fields: dict[str, Any], fault: Fault, said: str) -> None:
    assert wrongs_of_record(case(**fields)) == [(fault, said)]
    assert where_it_leads(case(**fields)) == []


def test_a_record_that_says_nothing_or_the_same_is_right() -> None:
    assert wrongs_of_record(case()) == []
    silent = record(destination_region=None, destination_project_id=None, destination_vault_id=None)
    assert wrongs_of_record(RecordCase(source(silent, image_type=None), silent, PLACE, THERE)) == []
    assert wrongs_of_record(case(source_region="northchina")) == []


def test_all_that_is_wrong_is_said_in_the_order_of_the_table() -> None:
    both = case(destination_region="elsewhere", source_backup_id="b2", vault_id=OTHER)
    assert [fault for fault, _ in wrongs_of_record(both)] == [Fault.RECORD_DESTINATION, Fault.RECORD_FOREIGN, Fault.RECORD_VAULT]


# --- replicas -----------------------------------------------------------------------------------------------------------------


def wrongs(row: dict[str, Any] | None = None, *, retention: float | None = RETENTION, **fields: Any) -> list[tuple[Fault, str]]:
    """Compare a replica that leaves nothing out with its row; what differs of each."""
    given: dict[str, Any] = {
        "id": "b1",
        "name": "db",
        "resource_id": "server",
        "checkpoint_id": "night",
        "size": 40,
        "created": parse_time(MADE),
        "provider_id": SERVERS,
        "resource_type": "OS::Nova::Server",
        "has_system_disk": True,
        "replica_checkpoint_id": "night there",
    }
    one: Backup = replica(extend_info=DISKS[0], expired_at="2027-01-01T00:00:00", parent_id="b1")
    return wrongs_of_replica(ReplicaCase(backup_row(**given | (row or {})), msgspec.structs.replace(one, **fields), THERE, NOW, retention))


@pytest.mark.parametrize(
    ("fields", "fault", "said"),
    [
        ({"image_type": "backup"}, Fault.REPLICA_KIND, "its image_type is backup, not replication"),
        ({"parent_id": "replica"}, Fault.REPLICA_KIND, "it names itself as its parent"),
        ({"status": "error"}, Fault.REPLICA_STATUS, "its status is error, not available"),
        ({"status": "waiting_delete"}, Fault.REPLICA_STATUS, "its status is waiting_delete, not available"),
        ({"status": "restoring"}, Fault.REPLICA_UNSETTLED, "its status is restoring, not available"),
        ({"vault_id": OTHER}, Fault.REPLICA_VAULT, f"it is in vault {OTHER}, not in {THERE.vault_id}"),
        ({"project_id": None}, Fault.REPLICA_PROJECT, f"it is in project None, not in {THERE.project_id}"),
        ({"checkpoint_id": "x"}, Fault.REPLICA_CHECKPOINT, "it belongs to checkpoint x, but its record names checkpoint night there"),
        ({"checkpoint_id": None}, Fault.REPLICA_CHECKPOINT, "it belongs to checkpoint None, but its record names checkpoint night there"),
        ({"resource_id": "db"}, Fault.REPLICA_RESOURCE, "it is of resource db, not of server"),
        ({"resource_type": "disk"}, Fault.REPLICA_TYPE, "its resource_type is disk, the source's OS::Nova::Server"),
        ({"provider_id": OTHER}, Fault.REPLICA_PROVIDER, f"its provider_id is {OTHER}, the source's {SERVERS}"),
        ({"extend_info": DISKS[1]}, Fault.REPLICA_DISKS, "its contain_system_disk is False, the source's True"),
        ({"resource_size": 39}, Fault.REPLICA_SIZE, "its size is 39 GB, the source's 40 GB"),
        ({"row": {"size": 0}, "resource_size": 0}, Fault.SIZE_IMPLAUSIBLE, "its size is 0 GB, which is not a possible size"),
        (
            {"created_at": "2026-11-22T23:54:59"},
            Fault.REPLICA_TOO_EARLY,
            "it was made at 2026-11-22T23:54:59, but its source at 2026-11-23 00:00:00+00:00",
        ),
        (
            {"expired_at": "2026-11-24T12:00:00", "retention": None},
            Fault.REPLICA_EXPIRED,
            "it expired at 2026-11-24T12:00:00; the time now is 2026-11-24T12:00:00+0000",
        ),
        ({"expired_at": "soon"}, Fault.REPLICA_EXPIRES, "its expiry time cannot be read: 'soon'"),
        (
            {"expired_at": "2026-11-29T23:59:59"},
            Fault.REPLICA_EXPIRES,
            "it expires at 2026-11-29T23:59:59, less than 604800 s after its source was made",
        ),
        (
            {"row": {"created": None}},
            Fault.REPLICA_EXPIRES,
            "it expires at 2027-01-01T00:00:00, but the service does not return when its source was made",
        ),
    ],
)
def test_a_replica_that_is_not_what_it_must_be_is_wrong(fields: dict[str, Any], fault: Fault, said: str) -> None:
    assert wrongs(**fields) == [(fault, said)]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"parent_id": None, "extend_info": None, "expired_at": None},
        {"extend_info": BackupExtendInfo()},
        {"row": {"has_system_disk": None, "provider_id": None, "resource_type": None, "replica_checkpoint_id": None}},
        {"row": {"created": parse_time(MADE)}, "created_at": "2026-11-22T23:55:00"},
        {"row": {"created": None}, "retention": None, "created_at": None},
        {"row": {"created": NOW - timedelta(seconds=RETENTION)}, "expired_at": "2026-11-24T12:00:01"},
        {"status": "available"},
    ],
)
def test_what_is_not_said_is_wrong_only_where_it_must_be_said(fields: dict[str, Any]) -> None:
    assert wrongs(**fields) == []

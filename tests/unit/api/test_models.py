"""Rows are read tolerantly: unknown fields and words, nulls, numbers as text, JSON in a string, five notations of time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.api import models
from airflow_cbr.api.models import Backup, OperationLog, Replication, ReplicationRecord, Vault, parse_time
from tests.unit.api.service import BACKUP, RECORD


def read(model: type[Any], content: object) -> Any:
    return msgspec.json.decode(json.dumps(content).encode(), type=model, strict=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-03-25T06:32:07.951164", datetime(2025, 3, 25, 6, 32, 7, 951164, UTC)),
        ("2020-02-21T07:00:54.065+00:00", datetime(2020, 2, 21, 7, 0, 54, 65000, UTC)),
        ("2020-02-21T09:00:54+02:00", datetime(2020, 2, 21, 7, 0, 54, tzinfo=UTC)),
        ("2020-01-04T09:08:49.965000Z", datetime(2020, 1, 4, 9, 8, 49, 965000, UTC)),
        ("2019-05-10T07:59:12Z", datetime(2019, 5, 10, 7, 59, 12, tzinfo=UTC)),
        ("2020-02-21T09:00:54.5+0200", datetime(2020, 2, 21, 7, 0, 54, 500000, UTC)),
        ("2020-02-21T09:00:54.50000Z", datetime(2020, 2, 21, 9, 0, 54, 500000, UTC)),
        ("2020-01-08 09:59:49", datetime(2020, 1, 8, 9, 59, 49, tzinfo=UTC)),
        ("2020-01-08", datetime(2020, 1, 8, tzinfo=UTC)),
        (None, None),
        ("", None),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_notations_of_time(text: str | None, expected: datetime | None) -> None:
    assert parse_time(text) == expected


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_times(text: str) -> None:
    moment = parse_time(text)
    assert moment is None or moment.utcoffset() is not None


@pytest.mark.parametrize(
    ("extra_info", "progress"),
    [
        ({"progress": 41}, 41),
        ({"progress": "41"}, 41),
        ({"progress": 41.5}, 41.5),
        ({"progress": None}, None),
        ('{"progress": 41, "fail_code": "BackupService.1006"}', 41),
        ("", None),
        ("not JSON", None),
        ("[1]", None),
        ('{"x":' + "[" * 100_000, None),
        ("null", None),
        (None, None),
    ],
)
def test_extra_info_as_object_text_or_nothing(extra_info: object, progress: float | None) -> None:
    record = read(ReplicationRecord, {"id": "r", "extra_info": extra_info})
    assert record.extra.progress == progress


def test_unknown_fields_words_and_nulls() -> None:
    backup = read(
        Backup,
        {
            "id": "b",
            "status": "teleporting",
            "children": [{"id": "c"}],
            "resource_size": "40",
            "expired_at": None,
            "extend_info": {"bootable": "true", "supported_restore_mode": None},
            "replication_records": [{"id": "r", "status": "dreaming", "extra_info": None}],
            "brand_new": {"deep": [1]},
        },
    )
    assert backup.status == "teleporting"
    assert backup.resource_size == 40
    assert backup.extend_info.bootable is True
    assert backup.replication_records[0].status == "dreaming"
    assert not backup.replication_records[0].is_final


@pytest.mark.parametrize(
    ("status", "final"),
    [("success", True), ("fail", True), ("skip", True), ("waiting_replicate", False), ("replicating", False), (None, False)],
)
def test_final_statuses(status: str | None, final: bool) -> None:
    assert ReplicationRecord(id="r", status=status).is_final is final


def test_creation_times() -> None:
    moment = datetime(2025, 3, 25, 6, 32, 7, 951164, UTC)
    for row in (Backup, ReplicationRecord, OperationLog):
        assert row(id="x", created_at="2025-03-25T06:32:07.951164").created == moment
        assert row(id="x").created is None


def test_references_of_both_replicate_calls() -> None:
    many = read(Replication, {"backups": [{"backup_id": BACKUP, "replication_record_id": RECORD}], "provider_id": "p"})
    one = read(Replication, {"backup_id": BACKUP, "replication_record_id": RECORD})
    assert [(pair.backup_id, pair.replication_record_id) for pair in many.references] == [(BACKUP, RECORD)]
    assert one.references == many.references
    assert Replication(backups=[]).references == []


@pytest.mark.parametrize("bad", ["", "b", "../../x", f"{RECORD}\n", f" {RECORD}", "$(id)", RECORD[:-1], "\u0661" * 32])
def test_what_is_no_id_is_no_reference(bad: str) -> None:
    for pair in ({"backup_id": bad, "replication_record_id": RECORD}, {"backup_id": BACKUP, "replication_record_id": bad}):
        assert read(Replication, {"backups": [pair]}).references == []
        assert len(read(Replication, {"backups": [pair]}).pairs) == 1


@pytest.mark.parametrize("as_text", [False, True])
def test_the_replication_of_an_operation_log(as_text: bool) -> None:
    extra: object = {"common": {"progress": 3}, "replication": {"source_backup_id": "b", "destination_region": "x"}}
    log = read(OperationLog, {"id": "l", "extra_info": json.dumps(extra) if as_text else extra})
    assert log.replication.source_backup_id == "b"


@pytest.mark.parametrize("extra", [None, "", "nonsense", '{"x":' + "[" * 100_000, {"backup": {"backup_id": "b"}}, {"replication": None}])
def test_an_operation_log_of_another_kind(extra: object) -> None:
    assert read(OperationLog, {"id": "l", "extra_info": extra}).replication == models.OperationReplication()


def test_sizes_as_text_and_as_numbers() -> None:
    vault = read(Vault, {"id": "v", "billing": {"size": "100", "used": 5}, "resources": [{"id": "s", "size": 40, "backup_size": "7"}]})
    assert (vault.billing.size, vault.billing.used, vault.resources[0].backup_size) == (100, 5, 7)

"""What a backup's own row says: its name, and whether it can be replicated at all."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cbr.api.models import BackupExtendInfo
from airflow_cbr.inventory.backups import (
    NOT_REPLICABLE_PROVIDERS,
    NOT_REPLICABLE_RESOURCES,
    lacks_system_disk,
    name_of,
    reason_not_eligible,
    reason_of_kind,
)
from tests.support.replication_rows import source


@pytest.mark.parametrize("name", ["nightly", None])
def test_a_backup_is_always_named_with_its_id(name: str | None) -> None:
    assert name_of(source(name=name)) == ("nightly (b1)" if name else "b1")


def test_a_name_is_one_short_line() -> None:
    named = name_of(source(name="two\nlines " + 1000 * "x"))
    assert "\n" not in named
    assert len(named) < 400
    assert named.endswith("(b1)")


@pytest.mark.parametrize(
    "fields", [{}, {"image_type": None}, {"provider_id": None, "resource_type": None}, {"resource_type": "OS::New::Kind"}], ids=str
)
def test_an_available_backup_is_eligible_and_a_kind_that_nobody_knows_is_left_to_the_service(fields: dict[str, Any]) -> None:
    assert reason_not_eligible(source(**fields)) is None


@pytest.mark.parametrize("status", ["error", "deleting", "restoring", "image_deleting", None])
def test_a_backup_that_is_not_available_is_not_eligible(status: str | None) -> None:
    assert reason_not_eligible(source(status=status)) == f"its status is {status or 'unknown'}, not available"
    assert reason_of_kind(source(status=status)) is None, "that may change; its kind does not"


def test_a_replica_is_not_replicated_once_more() -> None:
    assert reason_not_eligible(source(image_type="replication")) == "it is itself a replication"


@pytest.mark.parametrize(
    "fields",
    [{"provider_id": one} for one in NOT_REPLICABLE_PROVIDERS]
    + [{"provider_id": None, "resource_type": one} for one in NOT_REPLICABLE_RESOURCES],
    ids=str,
)
def test_kinds_that_cbr_does_not_replicate_are_told_by_provider_or_by_resource(fields: dict[str, Any]) -> None:
    kind = (NOT_REPLICABLE_PROVIDERS | NOT_REPLICABLE_RESOURCES)[next(value for value in fields.values() if value)]
    assert reason_not_eligible(source(**fields)) == f"CBR does not replicate {kind} backups"


@pytest.mark.parametrize(
    ("resource_type", "contains", "lacks"),
    [
        ("OS::Nova::Server", False, True),
        ("OS::Nova::Server", True, False),
        ("OS::Nova::Server", None, False),
        ("OS::Sfs::Turbo", False, False),
    ],
)
def test_only_a_server_can_lack_its_system_disk_and_only_where_the_row_says_so(
    resource_type: str, contains: bool | None, lacks: bool
) -> None:
    assert lacks_system_disk(source(resource_type=resource_type, extend_info=BackupExtendInfo(contain_system_disk=contains))) is lacks
    assert not lacks_system_disk(source(resource_type=resource_type))

"""What a vault's row says of its part in a replication."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cbr.api.models import Billing, Vault
from airflow_cbr.replication.vaults import Objection, Room, objections_to_destination, objections_to_source, room_of

GOOD = {"protect_type": "backup", "object_type": "server", "status": "available", "size": 100, "used": 10240}
REPLICA = {**GOOD, "protect_type": "replication"}


def vault(billing: dict[str, Any] | None, **fields: Any) -> Vault:
    return Vault(id="v", billing=None if billing is None else Billing(**billing), **fields)


def codes(found: list[Objection]) -> list[str]:
    return [one.code.removeprefix("BackupService.") for one in found]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"object_type": "turbo"}, []),
        ({"protect_type": "hybrid", "object_type": "vmware"}, []),
        ({"object_type": "a kind of next year"}, []),
        ({"protect_type": "replication"}, ["6128"]),
        ({"object_type": "disk"}, ["6122"]),
        ({"object_type": "workspace"}, ["6122"]),
        ({"status": "frozen"}, ["6112"]),
        ({"status": "lock", "object_type": "disk"}, ["6122", "6112"]),
        ({"status": None, "object_type": None, "protect_type": None}, []),
    ],
)
def test_what_the_service_holds_against_a_source(changes: dict[str, Any], expected: list[str]) -> None:
    assert codes(objections_to_source(vault({**GOOD, **changes}))) == expected


@pytest.mark.parametrize(
    ("changes", "object_type", "expected"),
    [
        ({}, "server", []),
        ({}, None, []),
        ({"protect_type": "backup"}, "server", ["6119"]),
        ({"protect_type": "hybrid"}, "server", ["6119"]),
        ({}, "turbo", ["6119"]),
        ({"protect_type": "backup"}, "turbo", ["6119", "6119"]),
        ({"status": "error"}, "server", ["6112"]),
        ({"status": None, "object_type": None, "protect_type": None}, "server", []),
    ],
)
def test_what_the_service_holds_against_a_destination(changes: dict[str, Any], object_type: str | None, expected: list[str]) -> None:
    assert codes(objections_to_destination(vault({**REPLICA, **changes}), object_type=object_type)) == expected


def test_a_vault_without_billing_is_put_to_the_service() -> None:
    assert objections_to_source(vault(None)) == objections_to_destination(vault(None), object_type="server") == []
    assert room_of(vault(None)) is None


def test_an_objection_says_what_and_by_which_code() -> None:
    (found,) = objections_to_source(vault({**GOOD, "status": "frozen"}))
    assert str(found) == "its status is frozen, not available [BackupService.6112]"


@pytest.mark.parametrize("missing", ["size", "used"])
def test_the_room_is_unknown_where_the_row_does_not_say(missing: str) -> None:
    assert room_of(vault({**GOOD, missing: None})) is None


def test_the_room_is_reckoned_in_gb() -> None:
    room = room_of(vault(GOOD))
    assert room == Room(100, 10)
    assert str(room) == "90 of 100 GB free"
    assert room.holds(90)
    assert not room.holds(90.5)
    assert not room.is_full


def test_a_vault_that_is_used_beyond_its_size_is_full() -> None:
    room = room_of(vault({**GOOD, "used": 101 * 1024}))
    assert room is not None
    assert room.is_full
    assert not room.holds(1)
    assert str(room) == "0 of 100 GB free"


def test_a_vault_that_expands_by_itself_holds_anything() -> None:
    room = room_of(vault({**GOOD, "used": 101 * 1024}, auto_expand=True))
    assert room is not None
    assert room.holds(1000)

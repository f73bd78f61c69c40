"""What a vault's row says of its part in a replication."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_cbr.api.decoding import UNREADABLE, decode_json
from airflow_cbr.api.models import Billing, Vault
from airflow_cbr.inventory.vaults import Capacity, Objection, capacity_of, objections_to_destination, objections_to_source

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
    assert capacity_of(vault(None)) is None


def test_an_objection_says_what_and_by_which_code() -> None:
    (found,) = objections_to_source(vault({**GOOD, "status": "frozen"}))
    assert str(found) == "its status is frozen, not available [BackupService.6112]"


@pytest.mark.parametrize("missing", ["size", "used"])
def test_the_room_is_unknown_where_the_row_does_not_say(missing: str) -> None:
    assert capacity_of(vault({**GOOD, missing: None})) is None


def test_the_room_is_reckoned_in_gb() -> None:
    capacity = capacity_of(vault(GOOD))
    assert capacity == Capacity(100, 10)
    assert str(capacity) == "90 of 100 GB free"
    assert capacity.holds(90)
    assert not capacity.holds(90.5)
    assert not capacity.is_full


def test_a_vault_that_is_used_beyond_its_size_is_full() -> None:
    capacity = capacity_of(vault({**GOOD, "used": 101 * 1024}))
    assert capacity is not None
    assert capacity.is_full
    assert not capacity.holds(1)
    assert str(capacity) == "0 of 100 GB free"


def test_a_vault_that_expands_by_itself_holds_anything() -> None:
    capacity = capacity_of(vault({**GOOD, "used": 101 * 1024}, auto_expand=True))
    assert capacity is not None
    assert capacity.holds(1000)


hostile = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.sampled_from([10**400, -(10**400), 5e-324, 1e308, -0.0, math.inf, math.nan, "NaN", "-inf", "Infinity", "12", "", "a lot", [], {}]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 1e9),
)


@given(size=hostile, used=hostile)
@example(size=100, used=10**400)
@example(size="Infinity", used=1024)
@example(size=5e-324, used=10**12)
@example(size=100, used=0)
@example(size=100, used=-1)
@example(size=0, used=1024)
def test_which_part_is_used_is_reckoned_from_numbers_that_a_vault_can_have_alone(size: Any, used: Any) -> None:
    try:
        row = decode_json(json.dumps({"id": "v", "billing": {"size": size, "used": used}}).encode(), Vault)
    except UNREADABLE:
        return
    capacity = capacity_of(row)
    billing = row.billing
    assert billing is not None
    size, used = billing.size, billing.used
    can_be = size is not None and used is not None and 0 <= size <= 10**9 and 0 <= used <= 10**9 * 1024
    assert (capacity is not None) == can_be
    if capacity is None or (ratio := capacity.used_ratio) is None:
        # A size that is next to nothing divides to infinity.
        assert not (can_be and size >= 1 and used >= 1)
    else:
        assert 0 <= ratio < math.inf
        assert ratio == used / 1024 / size
        assert 0 not in (size, used)


def test_which_part_of_a_vault_is_used() -> None:
    assert [one and one.used_ratio for one in (capacity_of(vault({**GOOD, "used": gb * 1024})) for gb in (10, 93, 101))] == [
        0.1,
        0.93,
        1.01,
    ]

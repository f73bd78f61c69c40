from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.store import WorldError
from airflow_cbr.emulator.world import (
    DESTINATION_PROJECT,
    DESTINATION_VAULT,
    SOURCE_PROJECT,
    SOURCE_VAULT,
    default_world,
    load_world,
    read_world,
)
from tests.support.emulator import ControlError, InProcessAdapter
from tests.support.plain_client import Plain

if TYPE_CHECKING:
    from pathlib import Path


def changed(**changes: Any) -> dict[str, Any]:
    return default_world().model_dump(mode="json") | changes


def served(world: dict[str, Any]) -> Plain:
    return Plain.in_process(InProcessAdapter(Emulator(read_world(world), Clock(speed=0))))


def test_the_default_world_is_the_published_one() -> None:
    world = default_world()
    user = world.users[0]
    assert (world.account, user.name, user.password) == ("acme", "backup-bot", "emulator-password")
    assert (user.access_key, user.secret_key) == ("EMULATORACCESSKEY001", "emulator-secret-key-for-local-use-only")
    assert [(project.id, project.region) for project in world.projects] == [
        ("4229d7a45436489f8c3dc2b1d35d4987", "cn-north-4"),
        ("68589cac08274b82b4e254268a3862d8", "cn-shenzhen-1"),
    ]
    assert [vault.id for vault in world.vaults] == ["3b5816b5-f29c-4172-9d9a-76c719a659ce", "0ca3eb86-8800-46da-9c37-9d657a825274"]
    assert [backup.id for backup in world.vaults[0].backups] == [
        "7558e1a3-7046-4787-95cd-14b0ad0642a8",
        "6df2b54c-dd62-4059-a07c-1b8f24f2725d",
        "aa00034d-ef40-443d-ab7a-dc846d988cdf",
    ]


def test_a_world_written_down_is_read_back() -> None:
    assert read_world(default_world().model_dump(mode="json")) == default_world()


@pytest.mark.parametrize(
    ("world", "message"),
    [
        ({}, "users: Field required"),
        (changed(colour=1), "colour: Extra inputs are not permitted"),
        (changed(vaults=[{"project_id": SOURCE_PROJECT, "siez": 1}]), "vaults.0.siez: Extra inputs are not permitted"),
        (changed(vaults=[{"project_id": "0" * 32}]), "unknown project"),
        (changed(projects=[{"id": SOURCE_PROJECT, "region": "moon"}]), "unknown region: moon"),
        (changed(vaults=[{"project_id": SOURCE_PROJECT, "id": SOURCE_VAULT}] * 2), f"vault {SOURCE_VAULT} is listed twice"),
        (changed(vaults=[{"project_id": SOURCE_PROJECT, "generate": {"count": 0}}]), "vaults.0.generate.count"),
        (
            changed(vaults=[{"project_id": SOURCE_PROJECT, "backups": [{"created_at": "2026-01-01T00:00:00Z", "age_seconds": 1}]}]),
            "created_at and age_seconds exclude each other",
        ),
        (changed(switches={"careles": True}), "switches.careles: Extra inputs are not permitted"),
        (changed(faults=[{"kind": "reset", "call": "ListBackups", "chance": 2}]), "faults.0.reset.chance"),
        ([], "world: Input should be"),
    ],
)
def test_what_is_no_world(world: Any, message: str) -> None:
    with pytest.raises(WorldError, match=message):
        read_world(world)


def test_a_replica_must_lie_in_a_replication_vault() -> None:
    world = read_world(changed(vaults=[{"project_id": SOURCE_PROJECT, "backups": [{"replicated_to": [SOURCE_VAULT]}]}]))
    with pytest.raises(WorldError, match="not a replication vault"):
        Emulator(world)


def test_a_message_holds_no_secret() -> None:
    world = changed()
    world["users"][0] |= {"secret_key": ["do-not-print"]}
    with pytest.raises(WorldError) as caught:
        read_world(world)
    assert "do-not-print" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="cannot read the world file"):
        load_world(tmp_path / "missing.json")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(WorldError, match=r"broken\.json: world: Invalid JSON"):
        load_world(broken)
    good = tmp_path / "good.json"
    good.write_text(json.dumps(changed(account="other")))
    assert load_world(good).account == "other"


def test_generated_backups_may_have_replicas_already() -> None:
    world = changed(
        vaults=[
            {
                "id": SOURCE_VAULT,
                "project_id": SOURCE_PROJECT,
                "generate": {"count": 30, "resources": 4, "size": 10, "every_seconds": 3600, "replicated_to": [DESTINATION_VAULT]},
            },
            {"id": DESTINATION_VAULT, "project_id": DESTINATION_PROJECT, "protect_type": "replication"},
        ]
    )
    cbr = served(world)
    rows = cbr.get("/backups", show_replication="true")["backups"]
    assert len(rows) == 30
    assert {record["status"] for row in rows for record in row["replication_records"]} == {"success"}
    assert cbr.get("/backups", project_id=DESTINATION_PROJECT, image_type="replication")["count"] == 30
    record = rows[0]["replication_records"][0]
    replica = cbr.get(f"/backups/{record['destination_backup_id']}", project_id=DESTINATION_PROJECT)["backup"]
    assert replica["resource_id"] == rows[0]["resource_id"]
    assert cbr.replicate().json()["error_code"] == "BackupService.1009"


def of(count: int, **part: Any) -> dict[str, Any]:
    """A source vault with that many backups, and an empty destination."""
    source = {"id": SOURCE_VAULT, "project_id": SOURCE_PROJECT, "size": 10_000_000, "generate": {"count": count} | part}
    destination = {"id": DESTINATION_VAULT, "project_id": DESTINATION_PROJECT, "protect_type": "replication", "size": 10_000_000}
    return changed(vaults=[source, destination])


@pytest.mark.campaign
def test_a_world_file_may_be_larger_than_a_control_call(tmp_path: Path) -> None:
    """Who starts an emulator has the time; one control call must not hold it up for long."""
    file = tmp_path / "large.json"
    file.write_text(json.dumps(of(100_000)))
    cbr = Plain.in_process(InProcessAdapter(Emulator(load_world(file), Clock(speed=0))))
    assert cbr.get("/backups", vault_id=SOURCE_VAULT, limit=1, offset=99_999)["count"] == 100_000
    with pytest.raises(ControlError, match="one call adds at most 50000 backups and replicas"):
        cbr.control.add_vault(project_id=SOURCE_PROJECT, generate={"count": 50_001})
    with pytest.raises(ControlError, match="a world holds at most 50000 backups and replicas"):
        cbr.control.world(of(50_001))
    assert cbr.get("/backups", limit=1)["count"] == 100_000


def test_control_calls_together_make_no_larger_world_than_one() -> None:
    cbr = served(of(1))
    cbr.control.world(of(30_000))
    with pytest.raises(ControlError, match="a world holds at most 50000 backups and replicas"):
        cbr.control.add_vault(project_id=SOURCE_PROJECT, generate={"count": 20_001})


@pytest.mark.campaign
def test_a_large_world_can_be_started_anew() -> None:
    cbr = served(of(50_001))
    cbr.control.reset()
    assert cbr.get("/backups", limit=1)["count"] == 50_001


@pytest.mark.parametrize(("count", "replicated"), [(200_001, []), (100_001, [DESTINATION_VAULT])])
def test_a_world_file_has_its_limit_too(count: int, replicated: list[str]) -> None:
    with pytest.raises(WorldError, match=r"at most 200000|less than or equal to 200000"):
        Emulator(read_world(of(count, replicated_to=replicated)))


def test_there_is_room_for_a_replica_of_every_backup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_cbr.emulator.populate.MOST_BACKUPS", 4)
    cbr = served(of(10))
    assert len(cbr.accepted()) == 10
    cbr.control.advance(60)
    assert set(cbr.statuses()) == {"success"}
    with pytest.raises(ControlError, match="a world holds at most 20 backups and replicas"):
        cbr.control.add_backup(SOURCE_VAULT)
    cbr.control.remove_vault(DESTINATION_VAULT)
    with pytest.raises(ControlError, match="one call adds at most 4 backups and replicas"):
        cbr.control.add_vault(project_id=SOURCE_PROJECT, generate={"count": 5})
    cbr.control.add_vault(project_id=SOURCE_PROJECT, generate={"count": 4})


def test_ids_repeat_under_a_seed() -> None:
    def ids(seed: int | None) -> list[str]:
        world = changed(seed=seed, vaults=[{"project_id": SOURCE_PROJECT, "generate": {"count": 3}}])
        return [row["id"] for row in served(world).get("/backups")["backups"]]

    assert ids(5) == ids(5) != ids(6)
    assert ids(None) != ids(None)


def test_a_row_may_be_anything() -> None:
    world = changed(vaults=[{"project_id": SOURCE_PROJECT, "backups": [{"row": {"description": None}}], "used": 7}])
    cbr = served(world)
    assert cbr.get("/backups")["backups"][0]["description"] is None
    assert cbr.get("/vaults")["vaults"][0]["billing"]["used"] == 7

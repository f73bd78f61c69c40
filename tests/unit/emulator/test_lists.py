from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.vault_parts import BackupPart, GeneratePart, ResourcePart, VaultPart
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT, default_world
from tests.support.emulator import InProcessAdapter
from tests.support.plain_client import Plain, code_of

if TYPE_CHECKING:
    from tests.support.emulator import ControlClient


def ids(page: dict[str, Any]) -> list[str]:
    return [row["id"] for row in page["backups"]]


@pytest.fixture(scope="module")
def many() -> Plain:
    """A vault of 25 backups a minute apart, the newest first, and an odd one."""
    world = default_world()
    world.vaults = [
        VaultPart(id=SOURCE_VAULT, name="big", project_id=SOURCE_PROJECT, size=5000, generate=GeneratePart(count=25, resources=5)),
        VaultPart(
            project_id=SOURCE_PROJECT,
            name="odd",
            status="frozen",
            object_type="disk",
            resources=[ResourcePart(id="1a503932-ee8f-4dd5-8248-8dfb57e584c5", name="disk-1", size=10)],
            backups=[
                BackupPart(
                    name="odd-one", status="error", incremental=False, image_type="backup", created_at=datetime(2024, 5, 1, tzinfo=UTC)
                )
            ],
        ),
        VaultPart(id=DESTINATION_VAULT, project_id=DESTINATION_PROJECT, protect_type="replication"),
    ]
    return Plain.in_process(InProcessAdapter(Emulator(world, Clock(speed=0))))


def test_pages_follow_the_offset_and_echo_it(many: Plain) -> None:
    pages = [many.get("/backups", vault_id=SOURCE_VAULT, limit=10, offset=offset) for offset in (0, 10, 20, 30)]
    assert [len(page["backups"]) for page in pages] == [10, 10, 5, 0]
    assert [(page["count"], page["offset"], page["limit"]) for page in pages][1] == (25, 10, 10)
    assert len({row for page in pages for row in ids(page)}) == 25


def test_newest_first(many: Plain) -> None:
    created = [row["created_at"] for row in many.get("/backups", vault_id=SOURCE_VAULT)["backups"]]
    assert created == sorted(created, reverse=True)


def test_the_marker_is_the_last_row_of_the_page_before(many: Plain) -> None:
    first = many.get("/backups", vault_id=SOURCE_VAULT, limit=10)
    second = many.get("/backups", vault_id=SOURCE_VAULT, limit=10, marker=ids(first)[-1])
    assert ids(second) == ids(many.get("/backups", vault_id=SOURCE_VAULT, limit=10, offset=10))


def test_sorting(many: Plain) -> None:
    names = [row["name"] for row in many.get("/backups", sort="name:asc")["backups"]]
    assert names == sorted(names)
    by_status = [row["status"] for row in many.get("/backups", sort="status:desc,created_at:asc")["backups"]]
    assert by_status[0] == "error"


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ({}, 26),
        ({"vault_id": SOURCE_VAULT}, 25),
        ({"status": "error"}, 1),
        ({"status": ["error", "available"]}, 26),
        ({"image_type": "replication"}, 0),
        ({"incremental": "false"}, 1),
        ({"resource_type": "OS::Cinder::Volume"}, 1),
        ({"resource_id": "1a503932-ee8f-4dd5-8248-8dfb57e584c5"}, 1),
        ({"resource_name": "disk-1"}, 1),
        ({"name": "odd-one"}, 1),
        ({"start_time": "2024-05-02T00:00:00Z"}, 25),
        ({"end_time": "2024-05-02T00:00:00Z"}, 1),
        ({"own_type": "shared"}, 0),
        ({"own_type": "private"}, 26),
        ({"member_status": "pending"}, 0),
        ({"parent_id": SOURCE_VAULT}, 0),
        ({"dec": "true"}, 0),
        ({"used_percent": "19"}, 25),
        ({"used_percent": "20"}, 0),
        ({"resource_az": "elsewhere"}, 0),
        ({"enterprise_project_id": "all_granted_eps"}, 26),
    ],
)
def test_filters_of_backups(many: Plain, query: dict[str, Any], matches: int) -> None:
    page = many.get("/backups", **query)
    assert (page["count"], len(page["backups"])) == (matches, matches)


def test_a_filter_by_checkpoint(cbr: Plain) -> None:
    checkpoint = cbr.get(f"/backups/{BACKUPS[0]}")["backup"]["checkpoint_id"]
    assert cbr.get("/backups", checkpoint_id=checkpoint)["count"] == 3


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "ten"},
        {"offset": -1},
        {"status": "well"},
        {"image_type": "copy"},
        {"show_replication": "yes"},
        {"start_time": "2024-05-02T00:00:00.000000Z"},
        {"sort": "colour"},
        {"marker": SOURCE_VAULT},
        {"used_percent": "101"},
    ],
)
def test_a_query_that_is_not_as_documented(many: Plain, query: dict[str, Any]) -> None:
    assert code_of(many.send("GET", "/backups", query=query)) == (400, "BackupService.9900")


def test_records_only_on_request(cbr: Plain) -> None:
    cbr.accepted()
    assert all(row["replication_records"] is None for row in cbr.get("/backups")["backups"])
    assert all(row["replication_records"] is None for row in cbr.get("/backups", show_replication="false")["backups"])
    assert all(len(row["replication_records"]) == 1 for row in cbr.get("/backups", show_replication="true")["backups"])
    assert len(cbr.records(BACKUPS[0])) == 1


def test_not_found(cbr: Plain) -> None:
    unknown = "11111111-2222-4333-8444-555555555555"
    assert code_of(cbr.send("GET", f"/backups/{unknown}")) == (404, "BackupService.6200")
    assert code_of(cbr.send("GET", f"/vaults/{unknown}")) == (404, "BackupService.6105")
    assert code_of(cbr.send("GET", f"/checkpoints/{unknown}")) == (404, "BackupService.6217")
    assert code_of(cbr.send("GET", f"/operation-logs/{unknown}")) == (404, "BackupService.6500")
    assert code_of(cbr.send("DELETE", f"/backups/{unknown}")) == (404, "BackupService.6200")


def test_things_of_another_project_are_not_found(cbr: Plain) -> None:
    assert cbr.send("GET", f"/backups/{BACKUPS[0]}", project_id=DESTINATION_PROJECT).status_code == 404
    assert cbr.get("/backups", project_id=DESTINATION_PROJECT)["count"] == 0


def test_headers_of_an_answer(cbr: Plain, adapter: InProcessAdapter) -> None:
    answer = cbr.send("GET", "/backups")
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])
    assert answer.headers["Server"] == "api-gateway"
    assert parsedate_to_datetime(answer.headers["Date"]).timestamp() == int(adapter.clock.now())
    assert answer.headers["Content-Type"] == "application/json"


def test_times_are_naive_with_microseconds(cbr: Plain) -> None:
    created = cbr.get(f"/backups/{BACKUPS[0]}")["backup"]["created_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", created)


# --- vaults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["big", "odd"]),
        ({"name": "odd"}, ["odd"]),
        ({"id": [SOURCE_VAULT, DESTINATION_VAULT]}, ["big"]),
        ({"protect_type": "replication"}, []),
        ({"object_type": "disk"}, ["odd"]),
        ({"status": "frozen"}, ["odd"]),
        ({"cloud_type": "public", "limit": 1, "offset": 1}, ["odd"]),
        ({"resource_ids": "1a503932-ee8f-4dd5-8248-8dfb57e584c5,x"}, ["odd"]),
        ({"policy_id": SOURCE_VAULT}, []),
    ],
)
def test_filters_of_vaults(many: Plain, query: dict[str, Any], names: list[str]) -> None:
    assert [vault["name"] for vault in many.get("/vaults", **query)["vaults"]] == names


def test_a_vault_sums_up_its_backups(many: Plain) -> None:
    vault = many.get(f"/vaults/{SOURCE_VAULT}")["vault"]
    assert vault["billing"]["used"] == 25 * 40 * 1024
    assert [(one["backup_count"], one["backup_size"]) for one in vault["resources"]] == [(5, 5 * 40 * 1024)] * 5


def test_vaults_of_another_region(cbr: Plain) -> None:
    where = {"external_project_id": DESTINATION_PROJECT, "region_id": "cn-shenzhen-1"}
    assert [one["id"] for one in cbr.get("/vaults/external", **where)["vaults"]] == [DESTINATION_VAULT]
    assert cbr.get("/vaults/external", **where, protect_type="backup")["count"] == 0
    assert cbr.get("/vaults/external", **where, vault_id=DESTINATION_VAULT, protect_type="backup")["count"] == 1
    assert cbr.get("/vaults/external", **where, objcet_type="disk")["count"] == 0
    assert code_of(cbr.send("GET", "/vaults/external")) == (400, "BackupService.9900")
    elsewhere = {"external_project_id": DESTINATION_PROJECT, "region_id": "cn-north-4"}
    assert code_of(cbr.send("GET", "/vaults/external", query=elsewhere)) == (400, "BackupService.1011")


def test_capabilities(cbr: Plain) -> None:
    regions = cbr.get("/replication-capabilities")["regions"]
    assert {"name": "cn-north-4", "replication_destinations": ["cn-shenzhen-1"]} in regions


# --- operation logs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ({}, 6),
        ({"operation_type": "replication"}, 3),
        ({"operation_type": "delete"}, 0),
        ({"status": "success"}, 3),
        ({"status": "running"}, 3),
        ({"vault_id": SOURCE_VAULT}, 6),
        ({"vault_id": DESTINATION_VAULT}, 0),
        ({"vault_name": "vault-nightly"}, 6),
        ({"resource_name": "ecs-db-01"}, 2),
        ({"provider_id": "d1603440-187d-4516-af25-121250c7cc97"}, 0),
        ({"start_time": "2100-01-01T00:00:00Z"}, 0),
        ({"end_time": "2100-01-01T00:00:00Z"}, 3),
        ({"limit": 2, "offset": 5}, 6),
    ],
)
def test_filters_of_operation_logs(cbr: Plain, adapter: InProcessAdapter, query: dict[str, Any], matches: int) -> None:
    cbr.accepted()
    adapter.clock.advance(60)
    cbr.send("POST", "/checkpoints", body={"checkpoint": {"vault_id": SOURCE_VAULT}})
    page = cbr.get("/operation-logs", **query)
    assert page["count"] == matches
    assert len(page["operation_logs"]) == (1 if "limit" in query else matches)


def test_a_replication_log_names_the_backups_and_no_record(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    cbr.accepted()
    adapter.clock.advance(60)
    log = next(
        row
        for row in cbr.get("/operation-logs", operation_type="replication")["operation_logs"]
        if row["extra_info"]["replication"]["source_backup_id"] == BACKUPS[0]
    )
    assert cbr.get(f"/operation-logs/{log['id']}")["operation_log"] == log
    assert log["extra_info"]["replication"]["destination_backup_id"] == cbr.records(BACKUPS[0])[0]["destination_backup_id"]
    assert (log["vault_id"], log["extra_info"]["common"]["progress"]) == (None, 100)
    control.switch(operation_log_vault_id=True)
    assert cbr.get(f"/operation-logs/{log['id']}")["operation_log"]["vault_id"] == SOURCE_VAULT


def test_a_project_that_is_closed_to_replication_shows_no_vaults_to_other_regions(cbr: Plain, control: ControlClient) -> None:
    world = default_world()
    world.projects[1].replication = False
    control.world(world)
    where = {"external_project_id": DESTINATION_PROJECT, "region_id": "cn-shenzhen-1"}
    cbr.forget_tokens()
    assert code_of(cbr.send("GET", "/vaults/external", query=where)) == (400, "BackupService.1011")


def test_a_user_sees_no_vaults_of_a_project_that_is_not_theirs(cbr: Plain, control: ControlClient) -> None:
    control.change_user("backup-bot", projects=[SOURCE_PROJECT])
    where = {"external_project_id": DESTINATION_PROJECT, "region_id": "cn-shenzhen-1"}
    assert code_of(cbr.send("GET", "/vaults/external", query=where)) == (403, "APIG.0302")


@pytest.mark.parametrize("path", ["/backups", "/vaults", "/operation-logs"])
@pytest.mark.parametrize("number", ["2147483648", "9" * 18, "9" * 19, "9" * 5000, "1e3", "-1", "\u0663", "0x1", "1_0", " 1", ""])
def test_a_number_that_is_none_or_too_large(cbr: Plain, path: str, number: str) -> None:
    for name in ("offset", "limit"):
        assert code_of(cbr.send("GET", path, query={name: number})) == (400, "BackupService.9900")
    assert cbr.get(path, offset=2147483647)["offset"] == 2147483647

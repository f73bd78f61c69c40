"""Each call of the API: the request it makes, the answer it returns, and what is refused before anything is sent."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.exceptions import (
    CbrBusyError,
    CbrConfigurationError,
    CbrError,
    CbrNotFoundError,
    CbrOutcomeUnknownError,
    CbrParameterError,
    CbrRefusedError,
    CbrThrottledError,
)
from tests.unit.api.service import BACKUP, DESTINATION, PROJECT, RECORD, RESET, VAULT, Reply, Service, error, raw, replication, reply

if TYPE_CHECKING:
    from tests.unit.api.conftest import MakeClient

CHECKPOINT = "dbd12ab0-b4f1-4a3c-8f3b-1c5c7b0a2c11"
SERVER = "1b5a0c9f-66c2-4a43-ae3f-8ff8f8a2dbb1"
NIGHT = datetime(2026, 1, 1, 2, 30, 15, 999999, tzinfo=timezone(timedelta(hours=8)))
NIGHT_TEXT = "2025-12-31T18:30:15Z"
ONE_RECORD = reply({"replication": {"backup_id": BACKUP, "replication_record_id": RECORD}})
CHECKPOINT_ANSWER = reply(
    {"checkpoint": {"id": CHECKPOINT, "status": "protecting", "vault": {"resources": [{"id": SERVER, "backup_size": "7"}]}}}
)


def path(rest: str) -> str:
    return f"/v3/{PROJECT}{rest}"


# --- what is sent -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "answer", "target", "body"),
    [
        pytest.param(
            lambda client: client.replicate_checkpoint(vault_id=VAULT, **DESTINATION),
            replication(RECORD),
            "/checkpoints/replicate",
            {"replicate": {"vault_id": VAULT, **DESTINATION, "auto_trigger": False}},
            id="CopyCheckpoint",
        ),
        pytest.param(
            lambda client: client.replicate_checkpoint(vault_id=VAULT, **DESTINATION, auto_trigger=True, enable_acceleration=True),
            replication(RECORD),
            "/checkpoints/replicate",
            {"replicate": {"vault_id": VAULT, **DESTINATION, "auto_trigger": True, "enable_acceleration": True}},
            id="CopyCheckpoint with flags",
        ),
        pytest.param(
            lambda client: client.replicate_backup(BACKUP, **DESTINATION),
            ONE_RECORD,
            f"/backups/{BACKUP}/replicate",
            {"replicate": DESTINATION},
            id="CopyBackup",
        ),
        pytest.param(
            lambda client: client.replicate_backup(
                BACKUP, **DESTINATION, name="\u590d\u5236_copy-1", description="why & how", enable_acceleration=True
            ),
            ONE_RECORD,
            f"/backups/{BACKUP}/replicate",
            {"replicate": {**DESTINATION, "name": "\u590d\u5236_copy-1", "description": "why & how", "enable_acceleration": True}},
            id="CopyBackup with texts",
        ),
        pytest.param(
            lambda client: client.create_checkpoint(vault_id=VAULT),
            CHECKPOINT_ANSWER,
            "/checkpoints",
            {"checkpoint": {"vault_id": VAULT, "parameters": {}}},
            id="CreateCheckpoint",
        ),
        pytest.param(
            lambda client: client.create_checkpoint(
                vault_id=VAULT, name="nightly", description="", incremental=False, auto_trigger=True, resources=[SERVER]
            ),
            CHECKPOINT_ANSWER,
            "/checkpoints",
            {
                "checkpoint": {
                    "vault_id": VAULT,
                    "parameters": {"name": "nightly", "description": "", "incremental": False, "auto_trigger": True, "resources": [SERVER]},
                }
            },
            id="CreateCheckpoint with parameters",
        ),
    ],
)
def test_calls_that_change_something(
    service: Service, make_client: MakeClient, call: Callable[[CbrClient], Any], answer: Reply, target: str, body: object
) -> None:
    service.answers(answer)
    call(make_client())
    (request,) = service.requests
    assert (request.method, request.target) == ("POST", path(target))
    assert request.json == body


def test_a_backup_is_deleted(service: Service, make_client: MakeClient) -> None:
    service.answers(Reply(status=204))
    make_client().delete_backup(BACKUP)
    (request,) = service.requests
    assert (request.method, request.target, request.body) == ("DELETE", path(f"/backups/{BACKUP}"), b"")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (RESET, CbrOutcomeUnknownError),
        (reply({}, 504), CbrOutcomeUnknownError),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>"), CbrOutcomeUnknownError),
        (error("APIG.0308", status=429), CbrThrottledError),
        (error("BackupService.6216"), CbrBusyError),
        (error("BackupService.6204"), CbrRefusedError),
        (error("BackupService.6200", status=404), CbrNotFoundError),
    ],
    ids=["reset", "504", "a page", "throttled", "in use", "image", "gone"],
)
def test_a_deletion_is_sent_once_whatever_is_answered(
    service: Service, make_client: MakeClient, answer: Reply, kind: type[CbrError]
) -> None:
    service.answers(answer, Reply(status=204))
    with pytest.raises(kind) as caught:
        make_client().delete_backup(BACKUP)
    assert len(service.requests) == 1
    if kind is CbrOutcomeUnknownError:
        assert "still exists" in str(caught.value)


@pytest.mark.parametrize(
    ("call", "answer", "target"),
    [
        (lambda client: client.show_backup(BACKUP), {"backup": {"id": BACKUP}}, f"/backups/{BACKUP}"),
        (lambda client: client.show_vault(VAULT), {"vault": {"id": VAULT}}, f"/vaults/{VAULT}"),
        (lambda client: client.show_checkpoint(CHECKPOINT), {"checkpoint": {"id": CHECKPOINT}}, f"/checkpoints/{CHECKPOINT}"),
        (lambda client: client.show_operation_log(RECORD), {"operation_log": {"id": RECORD}}, f"/operation-logs/{RECORD}"),
        (lambda client: client.list_replication_capabilities(), {"regions": []}, "/replication-capabilities"),
    ],
)
def test_calls_that_show_something(
    service: Service, make_client: MakeClient, call: Callable[[CbrClient], Any], answer: object, target: str
) -> None:
    service.answers(reply(answer))
    call(make_client())
    (request,) = service.requests
    assert (request.method, request.target, request.body) == ("GET", path(target), b"")


LISTS: list[Any] = [
    pytest.param(
        "list_backups",
        {},
        "backups",
        "/backups",
        [],
        id="ListBackups",
    ),
    pytest.param(
        "list_backups",
        {
            "show_replication": True,
            "vault_id": VAULT,
            "checkpoint_id": CHECKPOINT,
            "resource_id": SERVER,
            "resource_name": "web & db/1",
            "resource_type": "OS::Nova::Server",
            "resource_az": "az1",
            "name": "nightly #1",
            "parent_id": BACKUP,
            "image_type": "backup",
            "status": ["available", "error"],
            "incremental": False,
            "dec": True,
            "own_type": "all_granted",
            "member_status": "accepted",
            "used_percent": 80,
            "start_time": NIGHT,
            "end_time": datetime(2026, 1, 2, tzinfo=UTC),
            "enterprise_project_id": "all_granted_eps",
            "sort": "created_at:asc,id:asc",
        },
        "backups",
        "/backups",
        [
            ("show_replication", "true"),
            ("vault_id", VAULT),
            ("checkpoint_id", CHECKPOINT),
            ("resource_id", SERVER),
            ("resource_name", "web & db/1"),
            ("resource_type", "OS::Nova::Server"),
            ("resource_az", "az1"),
            ("name", "nightly #1"),
            ("parent_id", BACKUP),
            ("image_type", "backup"),
            ("status", "available"),
            ("status", "error"),
            ("incremental", "false"),
            ("dec", "true"),
            ("own_type", "all_granted"),
            ("member_status", "accepted"),
            ("used_percent", "80"),
            ("start_time", NIGHT_TEXT),
            ("end_time", "2026-01-02T00:00:00Z"),
            ("enterprise_project_id", "all_granted_eps"),
            ("sort", "created_at:asc,id:asc"),
        ],
        id="ListBackups with every filter",
    ),
    pytest.param(
        "list_operation_logs",
        {
            "operation_type": "replication",
            "status": "running",
            "vault_id": VAULT,
            "vault_name": "v",
            "resource_id": SERVER,
            "resource_name": "r",
            "provider_id": "0daac4c5-6707-4851-97ba-169e36266b66",
            "start_time": NIGHT,
            "end_time": NIGHT,
            "enterprise_project_id": "0",
        },
        "operation_logs",
        "/operation-logs",
        [
            ("operation_type", "replication"),
            ("status", "running"),
            ("vault_id", VAULT),
            ("vault_name", "v"),
            ("resource_id", SERVER),
            ("resource_name", "r"),
            ("provider_id", "0daac4c5-6707-4851-97ba-169e36266b66"),
            ("start_time", NIGHT_TEXT),
            ("end_time", NIGHT_TEXT),
            ("enterprise_project_id", "0"),
        ],
        id="ListOpLogs with every filter",
    ),
    pytest.param(
        "list_vaults",
        {
            "name": "v",
            "vault_ids": [VAULT, BACKUP],
            "protect_type": "replication",
            "object_type": "server",
            "cloud_type": "public",
            "policy_id": RECORD,
            "resource_ids": [SERVER, BACKUP],
            "status": "available",
            "enterprise_project_id": "0",
        },
        "vaults",
        "/vaults",
        [
            ("name", "v"),
            ("id", VAULT),
            ("id", BACKUP),
            ("protect_type", "replication"),
            ("object_type", "server"),
            ("cloud_type", "public"),
            ("policy_id", RECORD),
            ("resource_ids", f"{SERVER},{BACKUP}"),
            ("status", "available"),
            ("enterprise_project_id", "0"),
        ],
        id="ListVault with every filter",
    ),
    pytest.param(
        "list_external_vaults",
        {
            "external_project_id": PROJECT,
            "region_id": "cn-shenzhen-1",
            "vault_id": VAULT,
            "protect_type": "replication",
            "object_type": "server",
            "cloud_type": "public",
        },
        "vaults",
        "/vaults/external",
        [
            ("external_project_id", PROJECT),
            ("region_id", "cn-shenzhen-1"),
            ("vault_id", VAULT),
            ("protect_type", "replication"),
            ("objcet_type", "server"),
            ("cloud_type", "public"),
        ],
        id="ListExternalVault with every filter",
    ),
]


@pytest.mark.parametrize(("method", "filters", "key", "target", "query"), LISTS)
def test_lists_send_their_filters(
    service: Service, make_client: MakeClient, method: str, filters: dict[str, Any], key: str, target: str, query: list[tuple[str, str]]
) -> None:
    service.answers(reply({key: [{"id": "x"}], "count": 1}))
    assert [row.id for row in getattr(make_client(), method)(**filters)] == ["x"]
    (request,) = service.requests
    assert (request.method, request.path, request.body) == ("GET", path(target), b"")
    assert request.query == [*query, ("limit", "1000"), ("offset", "0")]


@pytest.mark.parametrize("method", ["list_backups", "list_operation_logs", "list_vaults", "list_external_vaults"])
def test_the_filters_above_are_all_there_are(method: str) -> None:
    accepted = set(inspect.signature(getattr(CbrClient, method)).parameters) - {"self", "page_size", "on_repeat"}
    tested = max((parameters.values[1] for parameters in LISTS if parameters.values[0] == method), key=len)
    assert set(tested) == accepted


@pytest.mark.parametrize("method", ["list_backups", "list_operation_logs", "list_vaults"])
def test_lists_go_on_to_the_last_page(service: Service, make_client: MakeClient, method: str) -> None:
    key = method.removeprefix("list_")
    rows = [{"id": f"row-{number}"} for number in range(25)]

    def answer(request: Any) -> Reply:
        query = dict(request.query)
        limit, offset = int(query["limit"]), int(query["offset"])
        return reply({key: rows[offset : offset + limit], "count": len(rows)})

    service.answers(answer)
    assert [row.id for row in getattr(make_client(), method)(page_size=10)] == [row["id"] for row in rows]
    assert [dict(request.query)["offset"] for request in service.requests] == ["0", "9", "18"]


def test_a_list_is_asked_for_when_it_is_walked(service: Service, make_client: MakeClient) -> None:
    service.answers(reply({"backups": [], "count": 0}))
    listing = make_client().list_backups()
    assert service.requests == []
    assert list(listing) == []
    assert len(service.requests) == 1


# --- what is returned -------------------------------------------------------------------------------------------------


def test_accepted_backups_with_their_records(service: Service, make_client: MakeClient) -> None:
    service.answers(
        reply(
            {
                "replication": {
                    "backups": [{"backup_id": BACKUP, "replication_record_id": RECORD}],
                    "source_region": "southchina",
                    "project_id": "someone-elses",
                }
            }
        )
    )
    found = make_client().replicate_checkpoint(vault_id=VAULT, **DESTINATION)
    assert [(pair.backup_id, pair.replication_record_id) for pair in found.references] == [(BACKUP, RECORD)]


def test_an_empty_list_of_backups_is_an_answer(service: Service, make_client: MakeClient) -> None:
    service.answers(replication())
    assert make_client().replicate_checkpoint(vault_id=VAULT, **DESTINATION).references == []


def test_one_backup_with_its_record(service: Service, make_client: MakeClient) -> None:
    service.answers(ONE_RECORD)
    (pair,) = make_client().replicate_backup(BACKUP, **DESTINATION).references
    assert (pair.backup_id, pair.replication_record_id) == (BACKUP, RECORD)


def test_capabilities(service: Service, make_client: MakeClient) -> None:
    service.answers(reply({"regions": [{"name": "cn-north-4", "replication_destinations": ["cn-shenzhen-1"]}]}))
    (row,) = make_client().list_replication_capabilities()
    assert (row.name, row.replication_destinations) == ("cn-north-4", ["cn-shenzhen-1"])
    service.answers(reply({"regions": None}))
    assert make_client().list_replication_capabilities() == []


def test_a_checkpoint_with_sizes_as_text(service: Service, make_client: MakeClient) -> None:
    service.answers(CHECKPOINT_ANSWER)
    checkpoint = make_client().create_checkpoint(vault_id=VAULT)
    assert checkpoint.vault is not None
    assert checkpoint.vault.resources is not None
    assert (checkpoint.id, checkpoint.status, checkpoint.vault.resources[0].backup_size) == (CHECKPOINT, "protecting", 7)


@pytest.mark.parametrize("code", ["BackupService.6200", "BackupService.6105"])
def test_what_does_not_exist(service: Service, make_client: MakeClient, code: str) -> None:
    service.answers(error(code, "not there", 404, X_Request_Id="req-1"))
    with pytest.raises(CbrNotFoundError, match="ShowBackup: not there") as caught:
        make_client().show_backup(BACKUP)
    assert (caught.value.error_code, caught.value.request_id, caught.value.http_status) == (code, "req-1", 404)


# --- what is refused --------------------------------------------------------------------------------------------------

CRAFTED = ["evil/", "x@evil/", "#", "..", "a b", "", f"{BACKUP}/../x", f"{BACKUP}?x=1", f"{BACKUP}\n", "\uff11" * 32, None, 5]


@pytest.mark.parametrize(
    ("parameter", "call"),
    [
        ("vault_id", lambda client, value: client.replicate_checkpoint(**{"vault_id": value, **DESTINATION})),
        (
            "destination_vault_id",
            lambda client, value: client.replicate_checkpoint(**{"vault_id": VAULT, **DESTINATION, "destination_vault_id": value}),
        ),
        (
            "destination_project_id",
            lambda client, value: client.replicate_checkpoint(**{"vault_id": VAULT, **DESTINATION, "destination_project_id": value}),
        ),
        (
            "destination_region",
            lambda client, value: client.replicate_backup(BACKUP, **{**DESTINATION, "destination_region": value}),
        ),
        ("backup_id", lambda client, value: client.replicate_backup(value, **DESTINATION)),
        ("backup_id", lambda client, value: client.show_backup(value)),
        ("backup_id", lambda client, value: client.delete_backup(value)),
        ("vault_id", lambda client, value: client.show_vault(value)),
        ("checkpoint_id", lambda client, value: client.show_checkpoint(value)),
        ("operation_log_id", lambda client, value: client.show_operation_log(value)),
        ("vault_id", lambda client, value: client.create_checkpoint(vault_id=value)),
        ("resources", lambda client, value: client.create_checkpoint(vault_id=VAULT, resources=[value])),
        ("external_project_id", lambda client, value: client.list_external_vaults(external_project_id=value, region_id="a")),
        ("region_id", lambda client, value: client.list_external_vaults(external_project_id=PROJECT, region_id=value)),
        ("vault_ids", lambda client, value: client.list_vaults(vault_ids=[value])),
        ("resource_ids", lambda client, value: client.list_vaults(resource_ids=[value])),
        ("vault_id", lambda client, value: client.list_backups(vault_id=value or "")),
    ],
)
def test_crafted_ids_are_refused_by_name(
    service: Service, make_client: MakeClient, parameter: str, call: Callable[[CbrClient, Any], Any]
) -> None:
    client = make_client()
    blamed: dict[str, str | None] = {}
    for value in CRAFTED:
        try:
            blamed[repr(value)] = f"taken: {call(client, value)}"
        except CbrParameterError as refusal:
            blamed[repr(value)] = refusal.parameter
        except CbrError as other:
            blamed[repr(value)] = f"not refused as a parameter: {other!r}"
    assert {value: blame for value, blame in blamed.items() if blame != parameter} == {}
    assert service.requests == []


@pytest.mark.parametrize(
    ("parameter", "call"),
    [
        ("name", lambda client: client.replicate_backup(BACKUP, **DESTINATION, name="")),
        ("name", lambda client: client.replicate_backup(BACKUP, **DESTINATION, name="x" * 65)),
        ("name", lambda client: client.replicate_backup(BACKUP, **DESTINATION, name="two words")),
        ("name", lambda client: client.create_checkpoint(vault_id=VAULT, name=5)),
        ("description", lambda client: client.replicate_backup(BACKUP, **DESTINATION, description="<b>")),
        ("description", lambda client: client.replicate_backup(BACKUP, **DESTINATION, description="x" * 256)),
        ("resources", lambda client: client.create_checkpoint(vault_id=VAULT, resources=SERVER)),
        ("resources", lambda client: client.create_checkpoint(vault_id=VAULT, resources=[])),
        ("vault_ids", lambda client: client.list_vaults(vault_ids=VAULT)),
        ("start_time", lambda client: client.list_backups(start_time=datetime(2026, 1, 1))),
        ("end_time", lambda client: client.list_operation_logs(end_time=datetime(2026, 1, 1))),
        ("page_size", lambda client: client.list_backups(page_size=0)),
        ("page_size", lambda client: client.list_backups(page_size=1001)),
        ("page_size", lambda client: client.list_backups(page_size=True)),
        ("page_size", lambda client: client.list_backups(page_size="10")),
    ],
)
def test_other_parameters_are_refused_by_name(
    service: Service, make_client: MakeClient, parameter: str, call: Callable[[CbrClient], Any]
) -> None:
    with pytest.raises(CbrParameterError) as caught:
        call(make_client())
    assert caught.value.parameter == parameter
    assert service.requests == []


def test_ids_are_sent_in_the_services_notation(service: Service, make_client: MakeClient) -> None:
    service.answers(reply({"backup": {"id": BACKUP}}))
    make_client(project_id=PROJECT.upper()).show_backup(BACKUP.upper())
    assert service.requests[0].target == path(f"/backups/{BACKUP}")


@pytest.mark.parametrize("value", ["evil/", "x@evil/", "#", "..", "", "x" * 64])
def test_a_client_is_not_made_for_a_crafted_region_or_project(make_client: MakeClient, value: str) -> None:
    for option in ("region", "home_region", "project_id"):
        with pytest.raises(CbrParameterError) as caught:
            make_client(**{option: value})
        assert caught.value.parameter == option


def test_a_client_is_not_made_for_another_region_than_its_endpoint(make_client: MakeClient) -> None:
    endpoints = Endpoints(cbr="https://cbr.example.com", iam="https://iam.example.com")
    make_client(region="eu-de", endpoints=endpoints)
    with pytest.raises(CbrConfigurationError, match="cbr_endpoint"):
        make_client(region="eu-nl", home_region="eu-de", endpoints=endpoints)


def test_public_endpoints_are_the_default(make_client: MakeClient) -> None:
    client = make_client(endpoints=Endpoints())
    assert client._calls._base == "https://cbr.cn-north-4.myhuaweicloud.com/v3"

"""The client against the emulator: two readings of the same documentation, over real connections."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api.auth import AkSkCredentials, PasswordCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT
from airflow_cbr.exceptions import (
    CbrAlreadyReplicatedError,
    CbrApiError,
    CbrAuthenticationError,
    CbrBusyError,
    CbrConfigurationError,
    CbrNotFoundError,
    CbrOutcomeUnknownError,
    CbrPermissionError,
    CbrRefusedError,
    CbrUnavailableError,
    CbrVaultReplicatingError,
)
from tests.support.answer_schemas import check_every_answer
from tests.support.emulator import EmulatorServer
from tests.support.fresh_machine import new_machine
from tests.support.plain_client import TO_DESTINATION

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_cbr.api import auth
    from airflow_cbr.api.models import Backup, ReplicationRecord

KEYS = AkSkCredentials("EMULATORACCESSKEY001", "emulator-secret-key-for-local-use-only")
USER = PasswordCredentials("backup-bot", "emulator-password", "acme")
COPY = dataclasses.replace  # a credential with another field


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    new_machine()
    check_every_answer(monkeypatch)


@pytest.fixture
def server() -> Generator[EmulatorServer]:
    with EmulatorServer(clock=Clock(speed=0)) as server:
        yield server


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture(params=["aksk", "password"])
def credentials(request: pytest.FixtureRequest) -> auth.Credentials:
    return KEYS if request.param == "aksk" else USER


@pytest.fixture
def make(server: EmulatorServer, pauses: list[float]) -> Generator[Callable[..., CbrClient]]:
    clients: list[CbrClient] = []

    def make(credentials: auth.Credentials = KEYS, **options: Any) -> CbrClient:
        settings: dict[str, Any] = {
            "region": "cn-north-4",
            "endpoints": Endpoints(cbr=server.url, iam=server.url),
            "sleep": pauses.append,
            "read_timeout": 5,
        } | options
        client = CbrClient(credentials, **settings)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


def copy_vault(client: CbrClient) -> list[str]:
    found = client.replicate_checkpoint(vault_id=SOURCE_VAULT, **TO_DESTINATION)
    return [pair.replication_record_id for pair in found.references]


def records(client: CbrClient) -> list[ReplicationRecord]:
    return [record for backup in source(client) for record in backup.replication_records or ()]


def source(client: CbrClient, **filters: Any) -> list[Backup]:
    return list(client.list_backups(vault_id=SOURCE_VAULT, show_replication=True, **filters))


# --- every call -------------------------------------------------------------------------------------------------------


def test_a_vault_is_replicated_and_followed_to_the_replicas(
    server: EmulatorServer, make: Callable[..., CbrClient], credentials: auth.Credentials
) -> None:
    client = make(credentials)
    assert client.project_id == SOURCE_PROJECT
    accepted = copy_vault(client)
    assert len(accepted) == len(BACKUPS)
    assert {record.id: record.status for record in records(client)} == dict.fromkeys(accepted, "waiting_replicate")

    server.control.advance(3600)
    done = {record.id: record for record in records(client)}
    assert set(done) == set(accepted)
    assert {record.status for record in done.values()} == {"success"}
    assert {record.extra.progress for record in done.values()} == {100}

    there = make(credentials, region="cn-shenzhen-1", home_region="cn-north-4")
    assert there.project_id == DESTINATION_PROJECT
    for record in done.values():
        replica = there.show_backup(str(record.destination_backup_id))
        assert (replica.image_type, replica.status, replica.vault_id) == ("replication", "available", DESTINATION_VAULT)
    assert {replica.id for replica in there.list_backups(vault_id=DESTINATION_VAULT, image_type="replication")} == {
        record.destination_backup_id for record in done.values()
    }


def test_one_backup_is_replicated(server: EmulatorServer, make: Callable[..., CbrClient], credentials: auth.Credentials) -> None:
    client = make(credentials)
    (pair,) = client.replicate_backup(BACKUPS[0], **TO_DESTINATION, name="copy-1", description="one").references
    assert pair.backup_id == BACKUPS[0]
    (record,) = client.show_backup(BACKUPS[0]).replication_records or []
    assert record.id == pair.replication_record_id
    assert record.created is not None
    server.control.advance(3600)
    with pytest.raises(CbrAlreadyReplicatedError, match="1009"):
        client.replicate_backup(BACKUPS[0], **TO_DESTINATION)


def test_vaults(make: Callable[..., CbrClient], credentials: auth.Credentials) -> None:
    client = make(credentials)
    assert client.show_vault(SOURCE_VAULT).id == SOURCE_VAULT
    assert SOURCE_VAULT in {vault.id for vault in client.list_vaults()}
    assert [vault.id for vault in client.list_vaults(vault_ids=[SOURCE_VAULT], status="available")] == [SOURCE_VAULT]
    (vault,) = client.list_external_vaults(
        external_project_id=DESTINATION_PROJECT, region_id="cn-shenzhen-1", protect_type="replication", object_type="server"
    )
    assert vault.id == DESTINATION_VAULT
    assert vault.billing is not None
    assert (vault.billing.protect_type, vault.billing.object_type) == ("replication", "server")


def test_operation_logs(server: EmulatorServer, make: Callable[..., CbrClient], credentials: auth.Credentials) -> None:
    client = make(credentials)
    client.show_vault(SOURCE_VAULT)
    assert client.server_time is not None
    start = client.server_time - timedelta(minutes=2)
    copy_vault(client)
    logs = list(client.list_operation_logs(operation_type="replication", vault_id=SOURCE_VAULT, start_time=start))
    assert {log.replication.source_backup_id for log in logs} == set(BACKUPS)
    assert {log.replication.destination_region for log in logs} == {"cn-shenzhen-1"}
    assert client.show_operation_log(logs[0].id).id == logs[0].id
    assert list(client.list_operation_logs(operation_type="restore")) == []


def test_checkpoints(server: EmulatorServer, make: Callable[..., CbrClient], credentials: auth.Credentials) -> None:
    client = make(credentials)
    made = client.create_checkpoint(vault_id=SOURCE_VAULT, name="nightly", description="made by a test", incremental=True)
    assert made.status == "protecting"
    with pytest.raises(CbrBusyError, match="6125"):
        client.create_checkpoint(vault_id=SOURCE_VAULT)
    server.control.advance(3600)
    assert client.show_checkpoint(made.id).status == "available"
    assert len(list(client.list_backups(checkpoint_id=made.id))) > 0


def test_capabilities(make: Callable[..., CbrClient], credentials: auth.Credentials) -> None:
    found = {row.name: row.replication_destinations for row in make(credentials).list_replication_capabilities()}
    assert "cn-shenzhen-1" in (found["cn-north-4"] or ())


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 3),
        ({"image_type": "backup"}, 3),
        ({"image_type": "replication"}, 0),
        ({"status": "available"}, 3),
        ({"status": ["error", "available"]}, 3),
        ({"status": "error"}, 0),
        ({"start_time": datetime(2000, 1, 1, tzinfo=UTC)}, 3),
        ({"end_time": datetime(2000, 1, 1, tzinfo=UTC)}, 0),
        ({"name": "no such & name/#"}, 0),
        ({"resource_type": "OS::Nova::Server"}, 3),
    ],
)
def test_filters(make: Callable[..., CbrClient], filters: dict[str, Any], count: int) -> None:
    assert len(source(make(), **filters)) == count


# --- refusals ---------------------------------------------------------------------------------------------------------

NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("call", "kind", "code"),
    [
        (lambda client: client.show_backup(NOWHERE), CbrNotFoundError, "BackupService.6200"),
        (lambda client: client.show_vault(NOWHERE), CbrNotFoundError, "BackupService.6105"),
        (lambda client: client.show_checkpoint(NOWHERE), CbrNotFoundError, "BackupService.6217"),
        (lambda client: client.show_operation_log(NOWHERE), CbrNotFoundError, "BackupService.6500"),
        (
            lambda client: client.replicate_checkpoint(**{"vault_id": SOURCE_VAULT, **TO_DESTINATION, "destination_vault_id": NOWHERE}),
            CbrNotFoundError,
            "BackupService.6120",
        ),
        (
            lambda client: client.replicate_checkpoint(
                **{"vault_id": SOURCE_VAULT, **TO_DESTINATION, "destination_region": "cn-nowhere-1"}
            ),
            CbrRefusedError,
            "BackupService.1005",
        ),
    ],
)
def test_refusals_have_class_code_and_request_id(
    make: Callable[..., CbrClient], call: Callable[[CbrClient], Any], kind: type[CbrApiError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        call(make())
    assert caught.value.error_code == code
    assert caught.value.request_id


@pytest.mark.parametrize("status", [None, 500])
def test_a_vault_that_replicates_already(server: EmulatorServer, make: Callable[..., CbrClient], status: int | None) -> None:
    if status:
        server.control.switch(code_status={"6130": status})
    copy_vault(make())
    with pytest.raises(CbrVaultReplicatingError) as caught:
        copy_vault(make())
    assert caught.value.http_status == (status or 400)


@pytest.mark.parametrize("answer", ["1009", "0001", "empty", "skip"])
def test_a_vault_of_which_all_is_copied(server: EmulatorServer, make: Callable[..., CbrClient], answer: str) -> None:
    server.control.switch(when_all_copied=answer)
    client = make()
    copy_vault(client)
    server.control.advance(3600)
    if answer == "1009":
        with pytest.raises(CbrAlreadyReplicatedError):
            copy_vault(client)
    elif answer == "0001":
        with pytest.raises(CbrRefusedError, match="0001"):
            copy_vault(client)
    else:
        assert len(copy_vault(client)) == (0 if answer == "empty" else 3)


def test_acceleration_is_sent_only_when_wanted_and_its_gate_is_named(server: EmulatorServer, make: Callable[..., CbrClient]) -> None:
    server.control.switch(refuse_acceleration=True)
    with pytest.raises(CbrRefusedError, match="OP_GATED_CSBS_REP_ACCELERATION"):
        make().replicate_checkpoint(vault_id=SOURCE_VAULT, **TO_DESTINATION, enable_acceleration=True)
    copy_vault(make())


def test_a_call_that_the_user_may_not_make(server: EmulatorServer, make: Callable[..., CbrClient], credentials: auth.Credentials) -> None:
    server.control.change_user("backup-bot", denied_calls=["CopyCheckpoint"])
    with pytest.raises(CbrPermissionError):
        copy_vault(make(credentials))
    assert server.control.ledger()["replications"] == []


def test_a_project_that_does_not_exist_is_no_failed_login(server: EmulatorServer, make: Callable[..., CbrClient]) -> None:
    with pytest.raises(CbrNotFoundError):
        make(KEYS, project_id="f" * 32).show_vault(SOURCE_VAULT)


# --- credentials ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [COPY(KEYS, secret_key="wrong"), COPY(KEYS, access_key="NOBODY"), COPY(USER, password="wrong"), COPY(USER, domain_name="nobody")],
)
@pytest.mark.parametrize("project_id", [None, SOURCE_PROJECT])
def test_wrong_credentials_are_tried_once(
    server: EmulatorServer, make: Callable[..., CbrClient], pauses: list[float], wrong: auth.Credentials, project_id: str | None
) -> None:
    with pytest.raises(CbrAuthenticationError) as caught:
        copy_vault(make(wrong, project_id=project_id))
    assert caught.value.permanent
    assert caught.value.advice
    assert sum(server.control.requests().values()) == 1
    assert pauses == []


def test_temporary_keys_are_signed_with_their_token(server: EmulatorServer, make: Callable[..., CbrClient]) -> None:
    server.control.change_user("backup-bot", security_token="temporary-token")
    with pytest.raises(CbrAuthenticationError):
        copy_vault(make(KEYS, project_id=SOURCE_PROJECT))
    assert len(copy_vault(make(COPY(KEYS, security_token="temporary-token")))) == 3


def test_an_unknown_region_has_no_project(make: Callable[..., CbrClient]) -> None:
    with pytest.raises(CbrConfigurationError, match="no project named 'cn-nowhere-1'"):
        _ = make(region="cn-nowhere-1").project_id


@pytest.mark.parametrize("how", ["expire", "revoke"])
@pytest.mark.parametrize("call", [copy_vault, records])
def test_a_token_that_ends_in_the_middle_is_replaced(
    server: EmulatorServer, make: Callable[..., CbrClient], how: str, call: Callable[[CbrClient], Any]
) -> None:
    told: list[str] = []
    client = make(USER, on_secret=told.append)
    client.show_vault(SOURCE_VAULT)
    assert server.control.end_tokens(how=how) == 1
    call(client)
    assert len(set(told)) == len(told) == 2
    assert server.control.requests()["KeystoneCreateUserTokenByPassword"] == 2
    assert len(server.control.ledger()["replications"]) == (3 if call is copy_vault else 0)


def test_a_rotated_password_ends_it_at_once(server: EmulatorServer, make: Callable[..., CbrClient]) -> None:
    client = make(USER)
    client.show_vault(SOURCE_VAULT)
    server.control.change_user("backup-bot", password="another-password")
    server.control.end_tokens()
    with pytest.raises(CbrAuthenticationError):
        client.show_vault(SOURCE_VAULT)
    assert server.control.requests()["KeystoneCreateUserTokenByPassword"] == 2


# --- faults -----------------------------------------------------------------------------------------------------------

BEFORE_AND_AFTER = [
    {"kind": "reset"},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 502},
    {"kind": "status", "status": 504},
    {"kind": "html"},
    {"kind": "not_json"},
    {"kind": "code", "code": "9910"},
]


@pytest.mark.parametrize("fault", [*BEFORE_AND_AFTER, {"kind": "truncated"}], ids=lambda fault: str(fault.get("status", fault["kind"])))
def test_reads_survive(server: EmulatorServer, make: Callable[..., CbrClient], pauses: list[float], fault: dict[str, Any]) -> None:
    server.control.fault(**fault, call="ListBackups", count=2)
    assert len(source(make())) == 3
    assert len(pauses) == 2


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fault", BEFORE_AND_AFTER, ids=lambda fault: str(fault.get("status", fault["kind"])))
def test_a_lost_answer_to_a_replicate_call_is_said_and_never_sent_twice(
    server: EmulatorServer, make: Callable[..., CbrClient], pauses: list[float], when: str, fault: dict[str, Any]
) -> None:
    server.control.fault(**fault, call="CopyCheckpoint", when=when, count=None)
    client = make()
    with pytest.raises(CbrOutcomeUnknownError):
        copy_vault(client)
    assert server.control.requests()["CopyCheckpoint"] == 1
    assert len(records(client)) == (3 if when == "after" else 0)
    assert pauses == []


def test_a_truncated_answer_to_a_replicate_call(server: EmulatorServer, make: Callable[..., CbrClient]) -> None:
    server.control.fault("truncated", call="CopyCheckpoint")
    with pytest.raises(CbrOutcomeUnknownError):
        copy_vault(make())
    assert server.control.requests()["CopyCheckpoint"] == 1


@pytest.mark.parametrize("call", ["CopyCheckpoint", "ListBackups"])
def test_silence(server: EmulatorServer, make: Callable[..., CbrClient], call: str) -> None:
    server.control.fault("timeout", call=call)
    client = make(read_timeout=0.5)
    if call == "ListBackups":
        assert len(source(client)) == 3
    else:
        with pytest.raises(CbrOutcomeUnknownError, match="did not answer in time"):
            copy_vault(client)
        assert len(records(client)) == 3


@pytest.mark.parametrize(
    ("hint", "least", "most"), [({}, 2.5, 5), ({"retry_after": 20}, 20, 21), ({"retry_after": 20, "as_date": True}, 18, 21)]
)
@pytest.mark.parametrize("call", ["CopyCheckpoint", "ListBackups"])
def test_throttling(
    server: EmulatorServer, make: Callable[..., CbrClient], pauses: list[float], hint: dict[str, Any], least: float, most: float, call: str
) -> None:
    server.control.fault("throttle", call=call, **hint)
    client = make()
    assert len(copy_vault(client)) == 3
    assert len(source(client)) == 3
    assert len(pauses) == 1
    assert least <= pauses[0] <= most
    assert len(server.control.ledger()["replications"]) == 3


@pytest.mark.parametrize("kind", ["token_expired", "token_revoked"])
@pytest.mark.parametrize("call", ["CopyCheckpoint", "ListBackups"])
def test_a_token_that_ends_as_the_call_arrives(server: EmulatorServer, make: Callable[..., CbrClient], kind: str, call: str) -> None:
    server.control.fault(kind, call=call)
    client = make(USER)
    assert len(copy_vault(client)) == 3
    assert len(source(client)) == 3
    assert len(server.control.ledger()["replications"]) == 3


def test_a_malformed_url_is_a_wrong_id(server: EmulatorServer, make: Callable[..., CbrClient], credentials: auth.Credentials) -> None:
    client = make(credentials)
    client.show_vault(SOURCE_VAULT)
    asked = sum(server.control.requests().values())
    server.control.fault("malformed_url", call="CopyCheckpoint")
    with pytest.raises(CbrNotFoundError):
        copy_vault(client)
    assert sum(server.control.requests().values()) == asked + 1


def test_a_known_code_is_certain(server: EmulatorServer, make: Callable[..., CbrClient]) -> None:
    server.control.fault("code", call="CopyCheckpoint", code="1007", status=500, when="before")
    with pytest.raises(CbrUnavailableError, match="1007"):
        copy_vault(make())


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("notation", ["naive", "offset", "zulu"])
def test_notations_of_time(server: EmulatorServer, make: Callable[..., CbrClient], notation: str) -> None:
    server.control.switch(time_notation=notation)
    created = {backup.created for backup in source(make())}
    assert all(moment is not None and moment.utcoffset() == timedelta(0) for moment in created)


def test_extra_info_as_text_and_unknown_words(
    server: EmulatorServer, make: Callable[..., CbrClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither is in the newest documentation, which every other answer here is checked by.
    monkeypatch.undo()
    server.control.switch(extra_info_as_text=True)
    server.control.fault("unknown_status", status="archiving", at_end=True, count=None)
    client = make()
    copy_vault(client)
    server.control.advance(3600)
    found = records(client)
    assert {record.status for record in found} == {"archiving"}
    assert not any(record.is_final for record in found)
    assert all(isinstance(record.extra_info, str) and record.extra.progress is not None for record in found)


@pytest.mark.parametrize("kind", ["rows_inserted", "rows_deleted"])
@pytest.mark.parametrize("rows", [1, 7, 25])
def test_rows_that_move_while_they_are_read(server: EmulatorServer, make: Callable[..., CbrClient], kind: str, rows: int) -> None:
    vault = server.control.add_vault(project_id=SOURCE_PROJECT, generate={"count": 100})["id"]
    before = [backup.id for backup in make().list_backups(vault_id=vault)]
    assert len(before) == 100
    server.control.fault(kind, call="ListBackups", rows=rows, nth=2, count=2)
    found = [backup.id for backup in make().list_backups(vault_id=vault, page_size=10)]
    assert len(found) == len(set(found))
    after = {backup.id for backup in make().list_backups(vault_id=vault)}
    assert set(before) & after <= set(found)


def test_a_vault_of_one_page_costs_one_request(server: EmulatorServer, make: Callable[..., CbrClient]) -> None:
    vault = server.control.add_vault(project_id=SOURCE_PROJECT, generate={"count": 999})["id"]
    client = make()
    assert len(list(client.list_backups(vault_id=vault))) == 999
    assert server.control.requests()["ListBackups"] == 1


def test_a_list_of_many_pages(server: EmulatorServer, make: Callable[..., CbrClient]) -> None:
    vault = server.control.add_vault(project_id=SOURCE_PROJECT, generate={"count": 2500})["id"]
    found = [backup.id for backup in make().list_backups(vault_id=vault)]
    assert len(found) == len(set(found)) == 2500
    assert server.control.requests()["ListBackups"] == 3

"""The official SDK, which knows nothing of this project, as a client of the emulator: both must read the documentation alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from huaweicloudsdkcbr.v1 import (
    BackupReplicateReq,
    BackupReplicateReqBody,
    CbrClient,
    CheckpointParam,
    CheckpointReplicateParam,
    CheckpointReplicateReq,
    CopyBackupRequest,
    CopyCheckpointRequest,
    CreateCheckpointRequest,
    DeleteBackupRequest,
    ListBackupsRequest,
    ListExternalVaultRequest,
    ListOpLogsRequest,
    ListVaultRequest,
    ShowBackupRequest,
    ShowCheckpointRequest,
    ShowOpLogRequest,
    ShowReplicationCapabilitiesRequest,
    ShowVaultRequest,
    VaultBackup,
    VaultBackupReq,
)
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.region.region import Region

from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT, default_world
from tests.support.answer_schemas import check_every_answer
from tests.support.emulator import EmulatorServer
from tests.support.plain_client import token_body

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

ACCESS_KEY, SECRET_KEY = "EMULATORACCESSKEY001", "emulator-secret-key-for-local-use-only"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the SDK a home of its own: it leaves a file there. And check every answer that it gets."""
    monkeypatch.setenv("HOME", str(tmp_path))
    check_every_answer(monkeypatch)


@pytest.fixture
def server() -> Generator[EmulatorServer]:
    with EmulatorServer(clock=Clock(speed=0)) as server:
        yield server


def client(server: EmulatorServer, credentials: Any = None) -> Any:
    return (
        CbrClient.new_builder()
        .with_http_config(HttpConfig(timeout=(5, 20)))
        .with_credentials(credentials or BasicCredentials(ACCESS_KEY, SECRET_KEY, SOURCE_PROJECT))
        .with_endpoint(server.url)
        .build()
    )


def token_client(server: EmulatorServer) -> Any:
    answer = requests.post(f"{server.url}/v3/auth/tokens", json=token_body({"project": {"id": SOURCE_PROJECT}}), timeout=20)
    made = client(server, BasicCredentials("unused", "unused", SOURCE_PROJECT))
    # Any Authorization header switches the SDK's signing off.
    made.preset_headers = {"X-Auth-Token": answer.headers["X-Subject-Token"], "Authorization": "none"}
    return made


def destination(kind: type, **more: Any) -> Any:
    return kind(
        destination_project_id=DESTINATION_PROJECT, destination_region="cn-shenzhen-1", destination_vault_id=DESTINATION_VAULT, **more
    )


def copy_checkpoint(sdk: Any) -> Any:
    body = CheckpointReplicateReq(replicate=destination(CheckpointReplicateParam, vault_id=SOURCE_VAULT))
    return sdk.copy_checkpoint(CopyCheckpointRequest(body=body)).replication


@pytest.mark.parametrize("make", [client, token_client], ids=["signed", "by token"])
def test_a_vault_is_replicated_and_followed_to_the_end(server: EmulatorServer, make: Any) -> None:
    sdk = make(server)
    replication = copy_checkpoint(sdk)
    assert [pair.backup_id for pair in replication.backups] == list(BACKUPS)

    server.control.advance(3)
    listed = sdk.list_backups(ListBackupsRequest(vault_id=SOURCE_VAULT, show_replication=True, limit=50, offset=0))
    assert (listed.count, {row.replication_records[0].status for row in listed.backups}) == (3, {"replicating"})

    server.control.advance(10)
    pair = replication.backups[0]
    backup = sdk.show_backup(ShowBackupRequest(backup_id=pair.backup_id)).backup
    record = next(one for one in backup.replication_records if one.id == pair.replication_record_id)
    assert (record.status, record.extra_info.progress) == ("success", 100)

    logs = sdk.list_op_logs(ListOpLogsRequest(vault_id=SOURCE_VAULT, operation_type="replication", limit=100, offset=0)).operation_logs
    assert {log.status for log in logs} == {"success"}
    log = next(one for one in logs if one.extra_info.replication.source_backup_id == pair.backup_id)
    assert log.extra_info.replication.destination_backup_id == record.destination_backup_id
    assert sdk.show_op_log(ShowOpLogRequest(operation_log_id=log.id)).operation_log.id == log.id

    there = client(server, BasicCredentials(ACCESS_KEY, SECRET_KEY, DESTINATION_PROJECT))
    replica = there.show_backup(ShowBackupRequest(backup_id=record.destination_backup_id)).backup
    assert (replica.image_type, replica.status, replica.vault_id) == ("replication", "available", DESTINATION_VAULT)
    assert (replica.resource_id, replica.resource_size) == (backup.resource_id, backup.resource_size)


def test_one_backup_is_replicated(server: EmulatorServer) -> None:
    sdk = client(server)
    body = BackupReplicateReq(replicate=destination(BackupReplicateReqBody, name="copy-1", description="by hand"))
    request = CopyBackupRequest(backup_id=BACKUPS[0], body=body)
    replication = sdk.copy_backup(request).replication
    assert replication.backup_id == BACKUPS[0]
    with pytest.raises(ClientRequestException) as refused:
        sdk.copy_backup(request)
    assert (refused.value.status_code, refused.value.error_code) == (400, "BackupService.1009")


def test_a_second_call_meets_a_busy_vault(server: EmulatorServer) -> None:
    sdk = client(server)
    copy_checkpoint(sdk)
    with pytest.raises(ClientRequestException) as refused:
        copy_checkpoint(sdk)
    assert refused.value.error_code == "BackupService.6130"
    assert refused.value.request_id


def test_vaults_here_and_there(server: EmulatorServer) -> None:
    sdk = client(server)
    assert sdk.show_vault(ShowVaultRequest(vault_id=SOURCE_VAULT)).vault.billing.object_type == "server"
    assert [vault.id for vault in sdk.list_vault(ListVaultRequest()).vaults] == [SOURCE_VAULT]
    external = sdk.list_external_vault(
        ListExternalVaultRequest(external_project_id=DESTINATION_PROJECT, region_id="cn-shenzhen-1", limit=10, offset=0)
    )
    assert [(vault.id, vault.billing.protect_type) for vault in external.vaults] == [(DESTINATION_VAULT, "replication")]
    regions = sdk.show_replication_capabilities(ShowReplicationCapabilitiesRequest()).regions
    assert ("cn-north-4", ["cn-shenzhen-1"]) in [(one.name, one.replication_destinations) for one in regions]


def test_checkpoints(server: EmulatorServer) -> None:
    sdk = client(server)
    parameters = CheckpointParam(name="before-upgrade", incremental=True, auto_trigger=False)
    body = VaultBackupReq(checkpoint=VaultBackup(vault_id=SOURCE_VAULT, parameters=parameters))
    made = sdk.create_checkpoint(CreateCheckpointRequest(body=body)).checkpoint
    assert made.status == "protecting"
    server.control.advance(10)
    assert sdk.show_checkpoint(ShowCheckpointRequest(checkpoint_id=made.id)).checkpoint.status == "available"
    assert sdk.list_backups(ListBackupsRequest(checkpoint_id=made.id)).count == 3


def test_a_backup_is_deleted(server: EmulatorServer) -> None:
    sdk = client(server)
    sdk.delete_backup(DeleteBackupRequest(backup_id=BACKUPS[0]))
    with pytest.raises(ClientRequestException) as gone:
        sdk.show_backup(ShowBackupRequest(backup_id=BACKUPS[0]))
    assert (gone.value.status_code, gone.value.error_code) == (404, "BackupService.6200")


def test_what_cannot_be_deleted_is_refused(server: EmulatorServer) -> None:
    """The refusals of DeleteBackup as the SDK reads them; a replica is deleted in its own project."""
    sdk = client(server)
    server.control.change_backup(BACKUPS[0], images=[BACKUPS[1]])
    copy_checkpoint(sdk)
    server.control.change_vault(SOURCE_VAULT, locked=True)
    refused = {}
    for backup_id in BACKUPS[:2]:
        with pytest.raises(ClientRequestException) as caught:
            sdk.delete_backup(DeleteBackupRequest(backup_id=backup_id))
        refused[caught.value.error_code] = caught.value.status_code
        server.control.change_vault(SOURCE_VAULT, locked=False)
    assert refused == {"BackupService.6220": 400, "BackupService.6216": 400}
    with pytest.raises(ClientRequestException) as used:
        sdk.delete_backup(DeleteBackupRequest(backup_id=BACKUPS[0]))
    assert used.value.error_code == "BackupService.6204"
    assert [image.image_id for image in sdk.show_backup(ShowBackupRequest(backup_id=BACKUPS[0])).backup.extend_info.os_images_data] == [
        BACKUPS[1]
    ]
    server.control.advance(10)
    there = client(server, BasicCredentials(ACCESS_KEY, SECRET_KEY, DESTINATION_PROJECT))
    replica = there.list_backups(ListBackupsRequest(limit=1)).backups[0]
    there.delete_backup(DeleteBackupRequest(backup_id=replica.id))
    logs = there.list_op_logs(ListOpLogsRequest(operation_type="delete", limit=10, offset=0)).operation_logs
    assert [log.extra_info.delete.backup_id for log in logs] == [replica.id]


def test_filters_with_characters_that_must_be_encoded(server: EmulatorServer) -> None:
    copy_checkpoint(client(server))
    request = ListOpLogsRequest(start_time="2020-01-01T00:00:00Z", vault_name="a b&c=d+e~f/ä", limit=10, offset=0)
    assert client(server).list_op_logs(request).count == 0
    assert client(server).list_op_logs(ListOpLogsRequest(start_time="2020-01-01T00:00:00Z", limit=10, offset=0)).count == 3


def test_the_project_is_looked_up_by_region(server: EmulatorServer) -> None:
    sdk = (
        CbrClient.new_builder()
        .with_http_config(HttpConfig(timeout=(5, 20)))
        .with_credentials(BasicCredentials(ACCESS_KEY, SECRET_KEY).with_iam_endpoint(server.url))
        .with_region(Region("cn-north-4", server.url))
        .build()
    )
    assert sdk.list_backups(ListBackupsRequest(limit=1)).count == 3
    assert server.control.requests()["KeystoneListProjects"] == 1


def test_a_wrong_key_is_refused(server: EmulatorServer) -> None:
    with pytest.raises(ClientRequestException) as refused:
        client(server, BasicCredentials(ACCESS_KEY, "wrong", SOURCE_PROJECT)).list_backups(ListBackupsRequest())
    assert (refused.value.status_code, refused.value.error_code) == (401, "APIG.0301")


def test_temporary_keys() -> None:
    world = default_world()
    world.users[0].security_token = "temporary-token"
    with EmulatorServer(world, Clock(speed=0)) as server:
        credentials = BasicCredentials(ACCESS_KEY, SECRET_KEY, SOURCE_PROJECT).with_security_token("temporary-token")
        assert client(server, credentials).list_backups(ListBackupsRequest()).count == 3
        with pytest.raises(ClientRequestException, match="security token"):
            client(server).list_backups(ListBackupsRequest())

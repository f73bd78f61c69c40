"""The official SDKs of IMS and ECS as clients of the emulator: a replica becomes an image, a server, and nothing again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkecs.v2 import (
    CreatePostPaidServersRequest,
    CreatePostPaidServersRequestBody,
    DeleteServersRequest,
    DeleteServersRequestBody,
    EcsClient,
    ListFlavorsRequest,
    ListServersDetailsRequest,
    PostPaidServer,
    PostPaidServerNic,
    PostPaidServerRootVolume,
    PostPaidServerSecurityGroup,
    PostPaidServerTag,
    ServerId,
    ShowServerLimitsRequest,
    ShowServerRequest,
)
from huaweicloudsdkecs.v2 import ShowJobRequest as ShowServerJobRequest
from huaweicloudsdkims.v2 import (
    CreateWholeImageRequest,
    CreateWholeImageRequestBody,
    GlanceDeleteImageRequest,
    GlanceDeleteImageRequestBody,
    ImsClient,
    ListImagesRequest,
    ShowImageQuotaRequest,
    ShowJobRequest,
    TagKeyValue,
)

from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.world import (
    BACKUPS,
    DESTINATION_PROJECT,
    DESTINATION_VAULT,
    DRILL_SECURITY_GROUP,
    DRILL_SUBNET,
    DRILL_VPC,
    default_world,
)
from tests.support.answer_schemas import check_every_answer
from tests.support.emulator import EmulatorServer

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
    world = default_world()
    world.vaults[0].backups[0].replicated_to = [DESTINATION_VAULT]
    with EmulatorServer(world, Clock(speed=0)) as server:
        yield server


def client(kind: Any, server: EmulatorServer) -> Any:
    return (
        kind.new_builder()
        .with_http_config(HttpConfig(timeout=(5, 20)))
        .with_credentials(BasicCredentials(ACCESS_KEY, SECRET_KEY, DESTINATION_PROJECT))
        .with_endpoint(server.url)
        .build()
    )


def replica(server: EmulatorServer) -> str:
    found: str = server.control.state(DESTINATION_VAULT)["backups"][0]["id"]
    return found


def whole_image(server: EmulatorServer, **changes: Any) -> Any:
    fields = {"name": "drill-1", "backup_id": replica(server), "whole_image_type": "CBR"} | changes
    return client(ImsClient, server).create_whole_image(CreateWholeImageRequest(body=CreateWholeImageRequestBody(**fields)))


def start(server: EmulatorServer, image_id: str, *, dry_run: bool = False, **changes: Any) -> Any:
    asked = {
        "name": "drill-1",
        "image_ref": image_id,
        "flavor_ref": "s6.large.2",
        "vpcid": DRILL_VPC,
        "nics": [PostPaidServerNic(subnet_id=DRILL_SUBNET)],
        "security_groups": [PostPaidServerSecurityGroup(id=DRILL_SECURITY_GROUP)],
        "root_volume": PostPaidServerRootVolume(volumetype="SSD"),
        "server_tags": [PostPaidServerTag(key="mark", value="m1")],
    } | changes
    body = CreatePostPaidServersRequestBody(server=PostPaidServer(**asked), dry_run=dry_run)
    return client(EcsClient, server).create_post_paid_servers(CreatePostPaidServersRequest(body=body))


def image_of(server: EmulatorServer, **changes: Any) -> str:
    ims = client(ImsClient, server)
    job = whole_image(server, **changes).job_id
    server.control.advance(60)
    found: str = ims.show_job(ShowJobRequest(job_id=job)).entities.image_id
    return found


def test_a_replica_becomes_an_image_and_a_server_and_nothing_again(server: EmulatorServer) -> None:
    ims, ecs = client(ImsClient, server), client(EcsClient, server)
    job = whole_image(server, image_tags=[TagKeyValue(key="mark", value="m1")]).job_id
    assert ims.show_job(ShowJobRequest(job_id=job)).status == "RUNNING"
    (image,) = ims.list_images(ListImagesRequest(name="drill-1")).images
    assert (image.status, image.data_origin, image.tags) == ("queued", f"server_backup,{replica(server)}", ["mark.m1"])
    server.control.advance(60)
    done = ims.show_job(ShowJobRequest(job_id=job))
    assert (done.status, done.entities.image_id) == ("SUCCESS", image.id)

    started = start(server, image.id)
    (server_id,) = started.server_ids
    assert ecs.show_server(ShowServerRequest(server_id=server_id)).server.status == "BUILD"
    server.control.advance(60)
    done = ecs.show_job(ShowServerJobRequest(job_id=started.job_id))
    assert (done.status, done.entities.sub_jobs[0].entities.server_id) == ("SUCCESS", server_id)
    shown = ecs.show_server(ShowServerRequest(server_id=server_id)).server
    assert (shown.status, shown.tags, len(shown.os_extended_volumesvolumes_attached)) == ("ACTIVE", ["mark=m1"], 2)
    assert shown.addresses[DRILL_VPC][0].addr.startswith("192.168.")
    assert [one.id for one in ecs.list_servers_details(ListServersDetailsRequest(name="drill")).servers] == [server_id]

    ecs.delete_servers(DeleteServersRequest(body=DeleteServersRequestBody(servers=[ServerId(id=server_id)], delete_volume=True)))
    ims.glance_delete_image(GlanceDeleteImageRequest(image_id=image.id, body=GlanceDeleteImageRequestBody(delete_backup=False)))
    server.control.advance(60)
    assert ims.list_images(ListImagesRequest(name="drill-1")).images == []
    with pytest.raises(ClientRequestException) as gone:
        ecs.show_server(ShowServerRequest(server_id=server_id))
    assert (gone.value.status_code, gone.value.error_code) == (404, "Ecs.0114")
    ledger = server.control.ledger()
    assert {one["state"] for kind in ("images", "servers", "disks") for one in ledger[kind]} == {"deleted"}
    assert ledger["lost_replicas"] == []


def test_a_dry_run_starts_nothing_and_says_what_is_wrong(server: EmulatorServer) -> None:
    image_id = image_of(server)
    start(server, image_id, dry_run=True)
    with pytest.raises(ClientRequestException) as refused:
        start(server, image_id, dry_run=True, nics=[PostPaidServerNic(subnet_id=BACKUPS[0])])
    assert (refused.value.status_code, refused.value.error_code) == (400, "Ecs.0005")
    assert server.control.ledger()["servers"] == []


def test_without_delete_volume_a_data_disk_stays(server: EmulatorServer) -> None:
    started = start(server, image_of(server))
    body = DeleteServersRequestBody(servers=[ServerId(id=started.server_ids[0])])
    client(EcsClient, server).delete_servers(DeleteServersRequest(body=body))
    server.control.advance(60)
    assert sorted(disk["state"] for disk in server.control.ledger()["disks"]) == ["alive", "deleted"]


def test_the_service_deletes_a_server_at_its_time(server: EmulatorServer) -> None:
    image_id = image_of(server)
    now = float(server.control.state()["clock"]["seconds"])
    start(server, image_id, auto_terminate_time=datetime.fromtimestamp(now + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    server.control.advance(3500)
    assert server.control.ledger()["servers"][0]["state"] == "alive"
    server.control.advance(200)
    (entry,) = server.control.ledger()["servers"]
    assert (entry["state"], entry["ended_by"]) == ("deleted", "auto_terminate_time")
    with pytest.raises(ClientRequestException):
        start(server, image_id, auto_terminate_time="2020-01-01T00:00:00Z")


def test_delete_backup_takes_the_replica_with_the_image(server: EmulatorServer) -> None:
    lost = replica(server)
    image_id = image_of(server)
    body = GlanceDeleteImageRequestBody(delete_backup=True)
    client(ImsClient, server).glance_delete_image(GlanceDeleteImageRequest(image_id=image_id, body=body))
    assert [one["backup_id"] for one in server.control.ledger()["lost_replicas"]] == [lost]
    assert server.control.state(DESTINATION_VAULT)["backups"] == []


def test_quotas_and_flavors(server: EmulatorServer) -> None:
    server.control.switch(image_quota=1, core_quota=3)
    ims, ecs = client(ImsClient, server), client(EcsClient, server)
    image_id = image_of(server)
    (quota,) = ims.show_image_quota(ShowImageQuotaRequest()).quotas.resources
    assert (quota.used, quota.quota) == (1, 1)
    with pytest.raises(ClientRequestException, match="quota"):
        whole_image(server)
    start(server, image_id)
    limits = ecs.show_server_limits(ShowServerLimitsRequest()).absolute
    assert (limits.total_cores_used, limits.max_total_cores) == (2, 3)
    with pytest.raises(ClientRequestException, match="quota"):
        start(server, image_id)
    assert [one.id for one in ecs.list_flavors(ListFlavorsRequest(flavor_id="s6.large.2")).flavors] == ["s6.large.2"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "a/b"}, "IMG.0002"),
        ({"description": "<b>"}, "IMG.0004"),
        ({"whole_image_type": "CSBS"}, "IMG.0024"),
        ({"backup_id": BACKUPS[0]}, "IMG.0001"),
    ],
)
def test_what_no_image_can_be_made_of(server: EmulatorServer, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientRequestException) as refused:
        whole_image(server, **changes)
    assert (refused.value.status_code, refused.value.error_code) == (400, code)


def test_what_fails_says_why(server: EmulatorServer) -> None:
    server.control.fault("image_fails")
    server.control.fault("server_fails")
    ims, ecs = client(ImsClient, server), client(EcsClient, server)
    job = whole_image(server).job_id
    server.control.advance(60)
    shown = ims.show_job(ShowJobRequest(job_id=job))
    assert (shown.status, shown.error_code) == ("FAIL", "IMG.1026")
    started = start(server, image_of(server, name="drill-2"))
    server.control.advance(60)
    assert ecs.show_job(ShowServerJobRequest(job_id=started.job_id)).status == "FAIL"
    assert ecs.show_server(ShowServerRequest(server_id=started.server_ids[0])).server.status == "ERROR"

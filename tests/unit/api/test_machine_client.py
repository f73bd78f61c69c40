"""The calls of IMS and ECS as the client sends them, and what it makes of odd answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api.auth import AkSkCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.api.machine_models import Image, Server
from airflow_cbr.api.responses import decode
from airflow_cbr.api.secret import Secret
from airflow_cbr.emulator.world import DESTINATION_PROJECT, DRILL_SECURITY_GROUP, DRILL_SUBNET, DRILL_VPC
from airflow_cbr.exceptions import CbrConfigurationError, CbrNotFoundError, CbrOutcomeUnknownError, CbrParameterError, CbrProtocolError
from tests.support.drill_night import PLACEMENT, DrillNight
from tests.support.emulator import IN_PROCESS_URL

if TYPE_CHECKING:
    from airflow_cbr.api.machine_client import MachineClient


@pytest.fixture
def night() -> DrillNight:
    return DrillNight()


@pytest.fixture
def machines(night: DrillNight) -> MachineClient:
    return night.client().machines


def last_call(night: DrillNight, name: str) -> Any:
    return [call for call in night.control.ledger()["calls"] if call["call"] == name][-1]["request"]


def test_a_whole_image_is_asked_for_as_documented(night: DrillNight, machines: MachineClient) -> None:
    replica = night.choose().replica_id
    machines.create_whole_image(backup_id=replica, name="n", description="d", tags={"k": "v"})
    assert last_call(night, "CreateWholeImage") == {
        "name": "n",
        "backup_id": replica,
        "whole_image_type": "CBR",
        "description": "d",
        "image_tags": [{"key": "k", "value": "v"}],
    }


def test_a_server_has_no_public_address_and_an_end(night: DrillNight, machines: MachineClient) -> None:
    (image,) = machines.list_images(kind="gold")
    server = PLACEMENT.server(image.id, name="n", terminate_at="2028-01-01T00:00:00Z", tags={"k": "v"})
    with pytest.raises(CbrNotFoundError):
        machines.show_server("0" * 32)
    machines.check_server(server)
    assert list(machines.list_servers()) == []
    assert last_call(night, "CreatePostPaidServers") == {
        "dry_run": True,
        "server": {
            "name": "n",
            "imageRef": image.id,
            "flavorRef": "s6.large.2",
            "vpcid": DRILL_VPC,
            "nics": [{"subnet_id": DRILL_SUBNET}],
            "security_groups": [{"id": DRILL_SECURITY_GROUP}],
            "root_volume": {"volumetype": "SSD"},
            "count": 1,
            "auto_terminate_time": "2028-01-01T00:00:00Z",
            "server_tags": [{"key": "k", "value": "v"}],
        },
    }


def test_a_server_is_deleted_with_its_disks(night: DrillNight) -> None:
    restored = night.start()
    night.client().machines.delete_server(restored.server_id)
    asked = {"servers": [{"id": restored.server_id}], "delete_publicip": True, "delete_volume": True}
    assert last_call(night, "DeleteServers") == asked


def test_a_signed_request_names_its_project_where_the_path_does_not(night: DrillNight) -> None:
    key = AkSkCredentials("EMULATORACCESSKEY001", Secret("emulator-secret-key-for-local-use-only"))
    here = dict.fromkeys(("cbr", "iam", "sts", "ims", "ecs"), IN_PROCESS_URL)
    client = CbrClient(key, region="cn-shenzhen-1", project_id=DESTINATION_PROJECT, endpoints=Endpoints(**here))
    client._transport._session.mount(IN_PROCESS_URL, night.adapter)
    assert client.machines.show_image_quota() == (0, 50)
    assert [image.name for image in client.machines.list_images()] == ["CentOS 7.9 64bit"]


def test_an_endpoint_of_one_region_serves_no_other() -> None:
    client = CbrClient(
        AkSkCredentials("A", Secret("S")),
        region="cn-shenzhen-1",
        home_region="cn-north-4",
        endpoints=Endpoints(ims="https://ims.example.com", ecs="https://ecs.{region}.example.com"),
    )
    with pytest.raises(CbrConfigurationError, match="ims_endpoint"):
        _ = client.machines


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b"},
        {"name": ""},
        {"backup_id": "../x"},
        {"description": "<b>"},
        {"description": "a\nb"},
    ],
)
def test_what_cannot_be_right_is_not_sent(night: DrillNight, machines: MachineClient, wrong: dict[str, str]) -> None:
    asked = {"name": "n", "backup_id": "0" * 32} | wrong
    with pytest.raises(CbrParameterError):
        machines.create_whole_image(**asked)  # type: ignore[arg-type]
    assert night.control.ledger()["calls"] == []


@pytest.mark.parametrize("kind", [{"kind": "reset"}, {"kind": "status", "status": 504}, {"kind": "not_json"}, {"kind": "truncated"}])
def test_a_lost_answer_to_what_makes_something_is_not_known(night: DrillNight, machines: MachineClient, kind: dict[str, Any]) -> None:
    night.control.fault(call="CreateWholeImage", **kind)
    with pytest.raises(CbrOutcomeUnknownError):
        machines.create_whole_image(backup_id=night.choose().replica_id, name="n")
    assert night.control.requests()["CreateWholeImage"] == 1


def test_a_lost_answer_to_what_deletes_is_asked_for_again(night: DrillNight) -> None:
    restored = night.start()
    for call in ("DeleteServers", "GlanceDeleteImage"):
        night.control.fault("reset", call=call)
    machines = night.client().machines
    machines.delete_server(restored.server_id)
    machines.delete_image(restored.image_id)
    assert night.left() == []


def test_rows_say_what_they_say() -> None:
    image = decode_row(Image, b'{"id":"i","__data_origin":"server_backup,b1","min_disk":"40","tags":null,"new":1}')
    assert (image.backup_id, image.min_disk, image.created) == ("b1", 40, None)
    assert decode_row(Image, b'{"id":"i","__data_origin":"instance,b1"}').backup_id is None
    server = decode_row(
        Server,
        b'{"id":"s","addresses":{"v":[{"addr":"fe80::1","version":6,"OS-EXT-IPS:type":"fixed"},'
        b'{"addr":"10.0.0.9","version":"4","OS-EXT-IPS:type":"floating"},{"addr":"10.0.0.2","version":4}]},"image":"","fault":null}',
    )
    assert (server.private_ip, server.image_id, server.why_it_failed) == ("10.0.0.2", None, "the service does not say why")
    with pytest.raises(CbrProtocolError):
        decode_row(Server, b"{}")


def decode_row(model: Any, body: bytes) -> Any:
    from airflow_cbr.api.responses import ServiceResponse

    return decode(ServiceResponse(200, {}, body), model, call="Show")

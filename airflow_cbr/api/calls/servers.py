"""The calls of ECS about servers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_cbr.api.call_parameters import query_of, segment
from airflow_cbr.api.calls.identified import unreadable
from airflow_cbr.api.calls.images import check_job_id
from airflow_cbr.api.ids import check_id, is_id
from airflow_cbr.api.machine_models import Flavor, Server, ServerLimits
from airflow_cbr.api.responses import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_cbr.api.caller import Caller
    from airflow_cbr.api.responses import ServiceResponse

__all__ = ["NewServer", "ServerCalls"]

_PAGE: Final = 100
_WITH_ITS_DISKS: Final = {"delete_publicip": True, "delete_volume": True}
"""Without ``delete_volume`` the data disks stay, and are billed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewServer:
    """A server without a public address, of one image.

    :param name: its name.
    :param image_id: the image.
    :param flavor: flavor id.
    :param vpc_id: the VPC.
    :param subnet_id: subnet in it.
    :param security_group_ids: security groups.
    :param terminate_at: when the service deletes it by itself, ``YYYY-MM-DDTHH:MM:SSZ``.
    :param root_volume_type: type of the system disk. Default: ``SSD``.
    :param root_volume_size: GB of the system disk. Default: the image's.
    :param data_volumes: data disks, as the API takes them. Default: those of the image.
    :param availability_zone: Default: the service's choice.
    :param key_name: SSH key pair. Default: none, the credentials are those inside the image.
    :param user_data: base64 text that the server runs at its first boot. Default: none.
    :param enterprise_project_id: Default: none.
    :param tags: tags of the server.
    """

    name: str
    image_id: str
    flavor: str
    vpc_id: str
    subnet_id: str
    security_group_ids: Sequence[str]
    terminate_at: str
    root_volume_type: str = "SSD"
    root_volume_size: int | None = None
    data_volumes: Sequence[Mapping[str, Any]] = ()
    availability_zone: str | None = None
    key_name: str | None = None
    user_data: str | None = field(default=None, repr=False)
    enterprise_project_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return it as a request has it.

        :raises CbrParameterError: an id cannot be right.
        """
        root: dict[str, Any] = {"volumetype": self.root_volume_type}
        if self.root_volume_size is not None:
            root["size"] = self.root_volume_size
        server: dict[str, Any] = {
            "name": self.name,
            "imageRef": check_id(self.image_id, "image_id"),
            "flavorRef": self.flavor,
            "vpcid": check_id(self.vpc_id, "vpc_id"),
            "nics": [{"subnet_id": check_id(self.subnet_id, "subnet_id")}],
            "security_groups": [{"id": check_id(one, "security_group_ids")} for one in self.security_group_ids],
            "root_volume": root,
            "count": 1,
            "auto_terminate_time": self.terminate_at,
            "server_tags": [{"key": key, "value": value} for key, value in self.tags.items()],
        }
        optional = {
            "data_volumes": [dict(one) for one in self.data_volumes],
            "availability_zone": self.availability_zone,
            "key_name": self.key_name,
            "user_data": self.user_data,
            "extendparam": {"enterprise_project_id": self.enterprise_project_id} if self.enterprise_project_id else None,
        }
        return server | {name: value for name, value in optional.items() if value}


class _Started(msgspec.Struct, frozen=True, kw_only=True):
    job_id: str
    server_ids: list[str] | None = msgspec.field(default=None, name="serverIds")


class _Servers(msgspec.Struct, frozen=True, kw_only=True):
    servers: list[Server] | None


class _Server(msgspec.Struct, frozen=True, kw_only=True):
    server: Server


class _Flavors(msgspec.Struct, frozen=True, kw_only=True):
    flavors: list[Flavor] | None


class _Limits(msgspec.Struct, frozen=True, kw_only=True):
    absolute: ServerLimits


class ServerCalls:
    """CreatePostPaidServers, ListServersDetails, ShowServer, DeleteServers, ListFlavors and ShowServerLimits of ECS."""

    _servers: Caller

    def create_server(self, server: NewServer) -> str | None:
        """Begin to start a server (CreatePostPaidServers).

        :param server: the server.
        :return: its id, if the answer says it.
        :raises CbrOutcomeUnknownError: the service may have accepted the call.
        """

        def read(answer: ServiceResponse) -> str | None:
            started = decode(answer, _Started, call="CreatePostPaidServers")
            check_job_id(started.job_id, answer, "CreatePostPaidServers")
            return next((one for one in started.server_ids or () if is_id(one)), None)

        return self._servers.change("CreatePostPaidServers", "/cloudservers", {"dry_run": False, "server": server.body()}, read)

    def check_server(self, server: NewServer) -> None:
        """Let the service check a server without starting it: ``dry_run`` (CreatePostPaidServers).

        :param server: the server.
        :raises CbrApiError: the service would refuse it.
        """
        body = {"dry_run": True, "server": server.body()}
        self._servers.ask("CreatePostPaidServers", "/cloudservers", body, lambda answer: None)

    def list_servers(self, *, name: str | None = None) -> Iterator[Server]:
        """Yield servers, page by page (ListServersDetails).

        :param name: part of the name.
        """
        filters, page_number, seen = query_of({"name": name}), 1, set[str]()
        while True:
            path = f"/cloudservers/detail?{filters}limit={_PAGE}&offset={page_number}"
            page = self._servers.send("ListServersDetails", "GET", path, _read_servers)
            fresh = [server for server in page if server.id not in seen]
            yield from fresh
            seen.update(server.id for server in fresh)
            if len(page) < _PAGE or not fresh:
                return
            page_number += 1

    def show_server(self, server_id: str) -> Server:
        """Return one server (ShowServer).

        :param server_id: the server.
        :raises CbrNotFoundError: there is no such server in this project.
        """
        return self._servers.get("ShowServer", f"/cloudservers/{segment(server_id, 'server_id')}", _Server).server

    def delete_server(self, server_id: str) -> None:
        """Begin to delete a server with all its disks (DeleteServers).

        :param server_id: the server.
        :raises CbrNotFoundError: there is no such server in this project.
        """
        body = {"servers": [{"id": check_id(server_id, "server_id")}], **_WITH_ITS_DISKS}
        self._servers.repeat("DeleteServers", "POST", "/cloudservers/delete", body, lambda answer: None)

    def show_flavor(self, flavor: str) -> Flavor | None:
        """Return a flavor, or None when the region does not offer it (ListFlavors).

        :param flavor: its id.
        """
        path = f"/cloudservers/flavors?{query_of({'flavor_id': flavor})}".rstrip("&")
        found = self._servers.send("ListFlavors", "GET", path, lambda answer: decode(answer, _Flavors, call="ListFlavors"))
        return next((one for one in found.flavors or () if one.id == flavor), None)

    def show_server_limits(self) -> ServerLimits:
        """Return the project's quotas of servers, cores and memory (ShowServerLimits)."""
        return self._servers.get("ShowServerLimits", "/cloudservers/limits", _Limits).absolute


def _read_servers(answer: ServiceResponse) -> list[Server]:
    servers = decode(answer, _Servers, call="ListServersDetails").servers or []
    if not all(is_id(server.id) for server in servers):
        raise unreadable(answer, "ListServersDetails", "the id of a server is not valid")
    return servers

"""What a drill is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_cbr.api.calls.servers import NewServer

if TYPE_CHECKING:
    from airflow_cbr.drills.marks import DrillMark, Owner

__all__ = ["CleanupSpec", "DrillSpec", "Placement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What server is made, and in which network. The network is the user's: isolation is theirs to give.

    :param flavor: flavor id.
    :param vpc_id: the VPC.
    :param subnet_id: a subnet in it.
    :param security_group_ids: security groups.
    :param root_volume_type: type of the system disk.
    :param data_volumes: data disks, where a cloud wants them listed.
    :param availability_zone: Default: the service's choice.
    :param key_name: SSH key pair. Default: none.
    :param user_data: base64 text for the first boot. Default: none.
    :param enterprise_project_id: Default: none.
    """

    flavor: str
    vpc_id: str
    subnet_id: str
    security_group_ids: tuple[str, ...]
    root_volume_type: str = "SSD"
    data_volumes: tuple[Mapping[str, Any], ...] = ()
    availability_zone: str | None = None
    key_name: str | None = None
    user_data: str | None = field(default=None, repr=False)
    enterprise_project_id: str | None = None

    def server(self, image_id: str, *, name: str, terminate_at: str, tags: Mapping[str, str]) -> NewServer:
        """Return the server of an image. It never has a public address, and always an end.

        :param image_id: the image.
        :param name: its name.
        :param terminate_at: when the service deletes it by itself.
        :param tags: its tags.
        """
        return NewServer(
            name=name,
            image_id=image_id,
            flavor=self.flavor,
            vpc_id=self.vpc_id,
            subnet_id=self.subnet_id,
            security_group_ids=self.security_group_ids,
            terminate_at=terminate_at,
            root_volume_type=self.root_volume_type,
            data_volumes=self.data_volumes,
            availability_zone=self.availability_zone,
            key_name=self.key_name,
            user_data=self.user_data,
            enterprise_project_id=self.enterprise_project_id,
            tags=tags,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillSpec:
    """What the Dag author asked for. Times are seconds.

    :param mark: by which its image and its server are known.
    :param vault_id: the destination vault, for messages.
    :param placement: what server, and where.
    :param terminate_after: when the service deletes the server by itself, counted from the call that starts it.
    :param timeout: for the whole task, over all attempts since the last clear.
    :param poll_interval: shortest gap between two looks.
    :param max_poll_interval: longest gap between two looks.
    :param settle_time: the delay within which the service shows an image or a server that it accepted.
    """

    mark: DrillMark
    vault_id: str
    placement: Placement
    terminate_after: float = 21600.0
    timeout: float = 10800.0
    poll_interval: float = 15.0
    max_poll_interval: float = 60.0
    settle_time: float = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupSpec:
    """What is to be removed. Times are seconds.

    :param owner: whose images and servers.
    :param unsettled_until: until when a call whose outcome is not known may still make something, Unix time by the local clock.
    :param server_id: the server, where it is known: it is asked for by its id, too. Default: not known.
    :param image_id: the same of the image. Default: not known.
    :param before: only what was made before this moment, Unix time. Default: all.
    :param timeout: for the whole task, over all attempts since the last clear.
    :param poll_interval: shortest gap between two looks.
    :param max_poll_interval: longest gap between two looks.
    """

    owner: Owner
    unsettled_until: float = 0.0
    server_id: str | None = None
    image_id: str | None = None
    before: float | None = None
    timeout: float = 7200.0
    poll_interval: float = 10.0
    max_poll_interval: float = 60.0

    @property
    def vault_id(self) -> str:
        """Return nothing: no vault is looked at."""
        return ""

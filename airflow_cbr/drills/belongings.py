"""What drills have made: images and servers, found by their mark and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_cbr.exceptions import CbrNotFoundError

if TYPE_CHECKING:
    from airflow_cbr.api.machine_client import MachineClient
    from airflow_cbr.api.machine_models import Image, Server
    from airflow_cbr.drills.marks import Owner

__all__ = ["Belongings", "show_owned_images", "show_owned_server"]

_GONE: Final = frozenset({"DELETED", "SOFT_DELETED"})
_NO_IMAGE: Final = frozenset({"deleted", "pending_delete"})


@dataclass(frozen=True, slots=True)
class Belongings:
    """What is there, oldest first.

    :param images: images that carry the mark, in whatever status.
    :param servers: servers that carry it.
    """

    images: list[Image]
    servers: list[Server]

    @classmethod
    def find(cls, machines: MachineClient, owner: Owner) -> Belongings:
        """Look for them.

        :param machines: a client of the drill's region and project.
        :param owner: whose they are.
        """
        servers = [one for one in machines.list_servers(name=owner.search) if owner.owns(one) and one.status not in _GONE]
        kind = None if owner.image_name is not None else "private"
        images = [one for one in machines.list_images(name=owner.image_name, kind=kind) if owner.owns(one) and one.status not in _NO_IMAGE]
        images.sort(key=lambda one: (one.created_at or "", one.id))
        servers.sort(key=lambda one: (one.created or "", one.id))
        return cls(images, servers)

    def made_before(self, moment: float) -> Belongings:
        """Return those that were made before a moment; one that does not say when it was made is not among them.

        :param moment: Unix time.
        """
        return Belongings(
            [one for one in self.images if one.created is not None and one.created.timestamp() < moment],
            [one for one in self.servers if one.created_at is not None and one.created_at.timestamp() < moment],
        )

    @property
    def usable_images(self) -> list[Image]:
        """Return the images that are made, or being made."""
        return [one for one in self.images if one.status != "killed"]

    @property
    def lines(self) -> list[str]:
        """Return one line for each thing."""
        return [
            *(f"server {one.name} ({one.id}), {one.status or 'of unknown status'}" for one in self.servers),
            *(f"image {one.name} ({one.id}), {one.status or 'of unknown status'}" for one in self.images),
        ]

    def __bool__(self) -> bool:
        """Return whether anything is there."""
        return bool(self.images or self.servers)


def show_owned_server(machines: MachineClient, owner: Owner, server_id: str) -> Server | None:
    """Return a server as it is now, or None when it is gone or does not carry the mark.

    :param machines: a client of the drill's region and project.
    :param owner: whose it must be.
    :param server_id: the server.
    """
    try:
        server = machines.show_server(server_id)
    except CbrNotFoundError:
        return None
    return server if owner.owns(server) and server.status not in _GONE else None


def show_owned_images(machines: MachineClient, owner: Owner, image_id: str) -> list[Image]:
    """Return an image as it is now; none when it is gone or does not carry the mark.

    :param machines: a client of the drill's region and project.
    :param owner: whose it must be.
    :param image_id: the image.
    """
    shown = machines.list_images(image_id=image_id)
    return [one for one in shown if one.id == image_id and owner.owns(one) and one.status not in _NO_IMAGE]

"""Typed, tolerant records of what IMS and ECS answer, as :mod:`airflow_cbr.api.models` has those of CBR."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from airflow_cbr.api.models import parse_time

__all__ = ["Flavor", "Image", "Job", "Server", "ServerAddress", "ServerLimits"]

_ORIGIN: Final = "server_backup"


class _MachineRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of the rows: immutable, keyword-only."""


class Job(_MachineRow, frozen=True):
    """A job of IMS or ECS. ``status`` is ``INIT``, ``RUNNING``, ``SUCCESS`` or ``FAIL``."""

    status: str | None = None
    error_code: str | None = None
    fail_reason: str | None = None
    entities: dict[str, Any] | None = None

    @property
    def image_id(self) -> str | None:
        """Return the image that the job has made, once it says so."""
        found = (self.entities or {}).get("image_id")
        return found if isinstance(found, str) and found else None


class Image(_MachineRow, frozen=True, rename={"data_origin": "__data_origin", "description": "__description"}):
    """An image. ``status`` is ``queued``, ``saving``, ``active``, ``killed`` or ``deleted``; ``min_disk`` in GB."""

    id: str
    name: str | None = None
    status: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    min_disk: int | None = None
    data_origin: str | None = None
    description: str | None = None
    tags: list[str] | None = None

    @property
    def created(self) -> datetime | None:
        """Return when its making began."""
        return parse_time(self.created_at)

    @property
    def backup_id(self) -> str | None:
        """Return the backup that it was made of, where the service says so."""
        kind, _, backup_id = (self.data_origin or "").partition(",")
        return backup_id.strip() or None if kind.strip() == _ORIGIN else None


class ServerAddress(_MachineRow, frozen=True, rename={"type": "OS-EXT-IPS:type"}):
    """An address of a server; ``type`` is ``fixed`` or ``floating``."""

    addr: str | None = None
    version: str | int | None = None
    type: str | None = None


class Server(_MachineRow, frozen=True, rename={"task_state": "OS-EXT-STS:task_state"}):
    """A server. ``status`` is ``BUILD``, ``ACTIVE``, ``ERROR``, ``DELETED`` and others."""

    id: str
    name: str | None = None
    status: str | None = None
    created: str | None = None
    auto_terminate_time: str | None = None
    addresses: dict[str, list[ServerAddress]] | None = None
    image: Any = None
    fault: Any = None
    task_state: str | None = None
    tags: list[str] | None = None

    @property
    def created_at(self) -> datetime | None:
        """Return when it was made."""
        return parse_time(self.created)

    @property
    def private_ip(self) -> str | None:
        """Return its first private address, an IPv4 one if there is any."""
        found = [one for group in (self.addresses or {}).values() for one in group if one.addr and one.type in (None, "fixed")]
        found.sort(key=lambda one: str(one.version) != "4")
        return found[0].addr if found else None

    @property
    def image_id(self) -> str | None:
        """Return the image that it was made of, where the service says so."""
        found = self.image.get("id") if isinstance(self.image, dict) else None
        return found if isinstance(found, str) and found else None

    @property
    def why_it_failed(self) -> str:
        """Return what the service says of its failure."""
        said = self.fault.get("message") if isinstance(self.fault, dict) else None
        return str(said) if said else "the service does not say why"


class Flavor(_MachineRow, frozen=True):
    """A flavor; ``ram`` in MB."""

    id: str
    vcpus: int | None = None
    ram: int | None = None
    os_extra_specs: dict[str, Any] | None = None

    @property
    def status(self) -> str | None:
        """Return whether it is offered: ``normal``, ``sellout``, ``abandon`` and others."""
        found = (self.os_extra_specs or {}).get("cond:operation:status")
        return found if isinstance(found, str) else None


class ServerLimits(
    _MachineRow,
    frozen=True,
    rename={
        "instances": "maxTotalInstances",
        "cores": "maxTotalCores",
        "ram": "maxTotalRAMSize",
        "instances_used": "totalInstancesUsed",
        "cores_used": "totalCoresUsed",
        "ram_used": "totalRAMUsed",
    },
):
    """The quotas of a project, and what is used of them; memory in MB. -1 is no limit."""

    instances: int | None = None
    cores: int | None = None
    ram: int | None = None
    instances_used: int | None = None
    cores_used: int | None = None
    ram_used: int | None = None

"""What IMS and ECS know, in memory: images, servers with their disks, and jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_cbr.emulator.machine_parts import FlavorPart, NetworkPart

PUBLIC_IMAGE: Final = "67f433d8-ed0e-4321-a8a2-a71838539e09"
"""The one public image, which every region has."""


@dataclass(slots=True)
class Image:
    """A private image; ``size`` in GB. ``status`` is ``queued``, ``saving``, ``active`` or ``killed``."""

    id: str
    name: str
    project_id: str
    backup_id: str
    description: str
    tags: list[str]
    size: int
    created_at: float
    updated_at: float
    visible_at: float
    status: str = "queued"
    leaves_at: float | None = None


@dataclass(slots=True)
class Disk:
    """A disk of a server, in GB."""

    id: str
    size: int
    is_root: bool


@dataclass(slots=True)
class Server:
    """A server; ``status`` is ``BUILD``, ``ACTIVE``, ``ERROR`` or ``DELETED``."""

    id: str
    name: str
    project_id: str
    image_id: str
    flavor: FlavorPart
    network: NetworkPart
    address: str
    tags: dict[str, str]
    metadata: dict[str, str]
    created_at: float
    updated_at: float
    visible_at: float
    auto_terminate_time: str
    disks: list[Disk] = field(default_factory=list)
    status: str = "BUILD"
    task_state: str | None = "spawning"
    is_leaving: bool = False


@dataclass(slots=True)
class Job:
    """What IMS or ECS does at length; ``status`` is ``INIT``, ``RUNNING``, ``SUCCESS`` or ``FAIL``."""

    id: str
    project_id: str
    type: str
    begin: float
    entities: dict[str, Any]
    end: float | None = None
    status: str = "RUNNING"
    code: str | None = None
    reason: str | None = None


class Machines:
    """Images, servers and jobs of all projects.

    :param flavors: the flavors that there are.
    :param networks: the networks that there are.
    """

    def __init__(self, flavors: Sequence[FlavorPart], networks: Sequence[NetworkPart]) -> None:
        self.flavors = {flavor.id: flavor for flavor in flavors}
        self.networks = networks
        self.images: dict[str, Image] = {}
        self.servers: dict[str, Server] = {}
        self.jobs: dict[str, Job] = {}
        self._addresses = 0

    def address(self) -> str:
        """Return a private address that no other server has had."""
        self._addresses += 1
        return f"192.168.{self._addresses // 200 % 250}.{self._addresses % 200 + 10}"

    def uses(self, backup_id: str) -> bool:
        """Return whether an image is made of a backup, or being made.

        :param backup_id: the backup.
        """
        return any(image.backup_id == backup_id and image.status != "killed" for image in self.images.values())

    def finish(self, job: Job, now: float, code: str | None = None, reason: str | None = None) -> None:
        """End a job.

        :param job: the job.
        :param now: simulated time.
        :param code: why it failed. Default: it has not.
        :param reason: the same in words. Default: none.
        """
        job.end, job.status, job.code, job.reason = now, "FAIL" if code else "SUCCESS", code, reason
        for sub in job.entities.get("sub_jobs", ()):
            sub |= {"status": job.status, "error_code": code, "fail_reason": reason}

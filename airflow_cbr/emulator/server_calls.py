"""What each call of ECS does: servers of images, their jobs, their lists, their quota, and their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from airflow_cbr.emulator.clock import moment_text
from airflow_cbr.emulator.exchange import Answer, Refusal
from airflow_cbr.emulator.machine_ledger import DiskEntry, ServerEntry
from airflow_cbr.emulator.machines import PUBLIC_IMAGE, Disk, Job, Server
from airflow_cbr.emulator.server_bodies import CreateServersBody, DeleteServersBody, NewServer, termination_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.emulator.cbr_calls import Visit
    from airflow_cbr.emulator.clock import Timeline
    from airflow_cbr.emulator.faults import FaultsInForce, ServerFault
    from airflow_cbr.emulator.ids import Ids
    from airflow_cbr.emulator.ledger import Ledger
    from airflow_cbr.emulator.machine_parts import FlavorPart, NetworkPart
    from airflow_cbr.emulator.machines import Machines
    from airflow_cbr.emulator.switches import Switches

SERVER_ROUTES: Final = (
    ("CreatePostPaidServers", "POST", "/v1/{project_id}/cloudservers"),
    ("DeleteServers", "POST", "/v1/{project_id}/cloudservers/delete"),
    ("ShowServerLimits", "GET", "/v1/{project_id}/cloudservers/limits"),
    ("ListServersDetails", "GET", "/v1/{project_id}/cloudservers/detail"),
    ("ListFlavors", "GET", "/v1/{project_id}/cloudservers/flavors"),
    ("ShowServer", "GET", "/v1/{project_id}/cloudservers/{server_id}"),
)
"""Name, method and path of the calls of ECS; a fixed path stands before the one with an id in the same place."""

SERVER_WRITES: Final = frozenset({"CreatePostPaidServers", "DeleteServers"})

_SOONEST: Final = 1800.0
"""Seconds after which ``auto_terminate_time`` may be, at the soonest."""
_LATEST: Final = 3 * 366 * 86400.0
_Body = TypeVar("_Body", bound=BaseModel)


def ecs(code: str, message: str, status: int = 400) -> Refusal:
    """Return a refusal of ECS.

    :param code: such as ``Ecs.0005``.
    :param message: the text.
    :param status: HTTP status. Default: 400.
    """
    return Refusal(status, {"error": {"message": message, "code": code}})


class ServerCalls:
    """The calls of ECS, by their published names."""

    def __init__(
        self, *, machines: Machines, timeline: Timeline, switches: Switches, faults: FaultsInForce, ids: Ids, ledger: Ledger
    ) -> None:
        self._machines = machines
        self._timeline = timeline
        self._switches = switches
        self._faults = faults
        self._ids = ids
        self._ledger = ledger
        self.by_name: dict[str, Callable[[Visit], Answer]] = {
            "CreatePostPaidServers": self.create_servers,
            "DeleteServers": self.delete_servers,
            "ShowServerLimits": self.show_limits,
            "ListServersDetails": self.list_servers,
            "ListFlavors": self.list_flavors,
            "ShowServer": self.show_server,
        }

    # --- starting ---------------------------------------------------------------------------------------------------

    def create_servers(self, visit: Visit) -> Answer:
        """Begin to start servers; with ``dry_run`` only check."""
        body = _read(visit, CreateServersBody)
        asked = body.server
        network, flavor = self._check(visit, asked)
        self._check_quota(visit.project.id, flavor, asked.count)
        if body.dry_run:
            return Answer.of({}, 202)
        servers = [self._start(visit, asked, network, flavor) for _ in range(asked.count)]
        sub_jobs = [
            {"job_id": self._ids.hex32(), "job_type": "createSingleServer", "status": "RUNNING", "entities": {"server_id": server.id}}
            for server in servers
        ]
        job = Job(self._ids.hex32(), visit.project.id, "createServer", visit.now, {"sub_jobs_total": len(servers), "sub_jobs": sub_jobs})
        self._machines.jobs[job.id] = job
        image = self._machines.images.get(asked.imageRef)
        fault = self._faults.on_server(self._vault_of(asked.imageRef), image.backup_id if image is not None else "")
        self._timeline.at(visit.now + self._switches.server_seconds, lambda moment: self._end(servers, job, moment, fault))
        return Answer.of({"job_id": job.id, "serverIds": [server.id for server in servers]})

    def _check(self, visit: Visit, asked: NewServer) -> tuple[NetworkPart, FlavorPart]:
        project_id = visit.project.id
        flavor = self._machines.flavors.get(asked.flavorRef)
        if flavor is None or flavor.status in ("abandon", "sellout"):
            raise ecs("Ecs.0005", f"The flavor {asked.flavorRef[:64]} is not available.")
        image = self._machines.images.get(asked.imageRef)
        if asked.imageRef != PUBLIC_IMAGE and (image is None or image.project_id != project_id or image.status != "active"):
            raise ecs("Ecs.0005", f"The image {asked.imageRef[:64]} is not active.")
        network = next((one for one in self._machines.networks if (one.project_id, one.vpc_id) == (project_id, asked.vpcid)), None)
        if network is None:
            raise ecs("Ecs.0005", f"The VPC {asked.vpcid[:64]} does not exist.")
        if any(nic.subnet_id not in network.subnet_ids for nic in asked.nics):
            raise ecs("Ecs.0005", "The subnet does not exist in the VPC.")
        if any(group.id not in network.security_group_ids for group in asked.security_groups):
            raise ecs("Ecs.0005", "The security group does not exist.")
        if asked.auto_terminate_time is not None:
            moment = termination_of(asked.auto_terminate_time)
            if moment is None or not _SOONEST - 60 <= moment - visit.now <= _LATEST:
                raise ecs("Ecs.0005", "auto_terminate_time is invalid.")
        needed = self._switches.data_disks if self._switches.data_volumes == "listed" and asked.imageRef != PUBLIC_IMAGE else 0
        if len(asked.data_volumes) < needed:
            raise ecs("Ecs.0005", f"data_volumes must list the {needed} data disks of the image.")
        return network, flavor

    def _check_quota(self, project_id: str, flavor: FlavorPart, count: int) -> None:
        used, switches = self._used(project_id), self._switches
        if (
            used[0] + count > switches.server_quota
            or used[1] + count * flavor.vcpus > switches.core_quota
            or used[2] + count * flavor.ram > switches.ram_quota
        ):
            raise ecs("Ecs.0001", "The quota of servers, cores or memory is used up.")

    def _used(self, project_id: str) -> tuple[int, int, int]:
        own = [server for server in self._machines.servers.values() if server.project_id == project_id]
        return len(own), sum(server.flavor.vcpus for server in own), sum(server.flavor.ram for server in own)

    def _vault_of(self, image_id: str) -> str:
        entry = self._ledger.machines.images.get(image_id)
        return entry.vault_id if entry is not None else ""

    def _start(self, visit: Visit, asked: NewServer, network: NetworkPart, flavor: FlavorPart) -> Server:
        now, image = visit.now, self._machines.images.get(asked.imageRef)
        server = Server(
            id=self._ids.uuid(),
            name=asked.name,
            project_id=visit.project.id,
            image_id=asked.imageRef,
            flavor=flavor,
            network=network,
            address=self._machines.address(),
            tags={tag.key: tag.value for tag in asked.server_tags},
            metadata=dict(asked.metadata),
            created_at=now,
            updated_at=now,
            visible_at=now + self._switches.server_delay,
            auto_terminate_time=asked.auto_terminate_time or "",
        )
        size = asked.root_volume.size or (image.size if image is not None else 40)
        server.disks.append(Disk(self._ids.uuid(), size, is_root=True))
        sizes = [volume.size or 10 for volume in asked.data_volumes] or [10] * (self._switches.data_disks if image is not None else 0)
        server.disks += [Disk(self._ids.uuid(), size, is_root=False) for size in sizes]
        self._machines.servers[server.id] = server
        self._enter(visit, asked, server)
        termination = termination_of(server.auto_terminate_time)
        if termination is not None:
            self._timeline.at(termination, lambda moment: self._terminate(server, moment))
        return server

    def _enter(self, visit: Visit, asked: NewServer, server: Server) -> None:
        vault_id = self._vault_of(server.image_id) or None
        self._ledger.machines.servers[server.id] = ServerEntry(
            server.id,
            server.name,
            dict(server.tags),
            server.image_id,
            vault_id,
            server.auto_terminate_time,
            asked.publicip is not None,
            moment_text(visit.now),
            visit.caller.name,
            visit.entry.number if visit.entry else None,
        )
        for disk in server.disks:
            self._ledger.machines.disks[disk.id] = DiskEntry(disk.id, server.id, server.name, vault_id, disk.size)

    def _end(self, servers: list[Server], job: Job, now: float, fault: ServerFault) -> None:
        ending = fault.on_end(servers[0])
        for server in servers:
            server.updated_at, server.task_state = now, None
            if server.status == "BUILD":
                server.status = "ERROR" if ending.outcome != "success" else "ACTIVE"
                self._ledger.machines.servers[server.id].state = "failed" if ending.outcome != "success" else "alive"
        if ending.outcome == "success":
            self._machines.finish(job, now)
        else:
            self._machines.finish(job, now, ending.code, ending.reason)

    # --- reading ----------------------------------------------------------------------------------------------------

    def list_servers(self, visit: Visit) -> Answer:
        """List the project's servers with all their fields; the name is searched for, and ``offset`` is the number of the page."""
        call = visit.call
        name, status, tags = call.asked("name"), call.asked("status"), call.asked("tags")
        rows = [
            server
            for server in self._machines.servers.values()
            if server.project_id == visit.project.id
            and server.visible_at <= visit.now
            and (name is None or name in server.name)
            and (status is None or server.status == status)
            and (tags is None or all(tag in _tags(server) for tag in tags.split(",")))
        ]
        rows.sort(key=lambda server: (server.created_at, server.id), reverse=True)
        limit, page = _number(call.asked("limit"), "limit", 25), _number(call.asked("offset"), "offset", 1)
        shown = rows[max(page - 1, 0) * limit : max(page, 1) * limit]
        return Answer.of({"count": len(rows), "servers": [_row(server, self._switches) for server in shown]})

    def show_server(self, visit: Visit) -> Answer:
        """Show one server."""
        server = self._machines.servers.get(visit.call.path["server_id"])
        if server is None or server.project_id != visit.project.id or server.visible_at > visit.now:
            raise _no_server(visit.call.path["server_id"])
        return Answer.of({"server": _row(server, self._switches)})

    def list_flavors(self, visit: Visit) -> Answer:
        """List the flavors, or one."""
        wanted = visit.call.asked("flavor_id")
        rows = [
            {
                "id": one.id,
                "name": one.id,
                "vcpus": str(one.vcpus),
                "ram": one.ram,
                "disk": "0",
                "os_extra_specs": {"cond:operation:status": one.status, "ecs:performancetype": "normal"},
            }
            for one in self._machines.flavors.values()
            if wanted in (None, one.id)
        ]
        return Answer.of({"flavors": rows})

    def show_limits(self, visit: Visit) -> Answer:
        """Show the quota of servers, cores and memory, and what is used of it."""
        used = self._used(visit.project.id)
        return Answer.of(
            {
                "absolute": {
                    "maxTotalInstances": self._switches.server_quota,
                    "maxTotalCores": self._switches.core_quota,
                    "maxTotalRAMSize": self._switches.ram_quota,
                    "totalInstancesUsed": used[0],
                    "totalCoresUsed": used[1],
                    "totalRAMUsed": used[2],
                }
            }
        )

    # --- deleting ---------------------------------------------------------------------------------------------------

    def delete_servers(self, visit: Visit) -> Answer:
        """Delete servers; data disks stay unless ``delete_volume`` says otherwise."""
        asked = _read(visit, DeleteServersBody)
        servers = []
        for one in asked.servers:
            server = self._machines.servers.get(one.id)
            if server is None or server.project_id != visit.project.id:
                raise _no_server(one.id)
            servers.append(server)
        job = Job(self._ids.hex32(), visit.project.id, "deleteServer", visit.now, {"sub_jobs_total": len(servers), "sub_jobs": []})
        self._machines.jobs[job.id] = job
        for server in servers:
            server.task_state = "deleting"
            server.is_leaving = True
        self._timeline.at(
            visit.now + self._switches.server_delete_seconds,
            lambda moment: self._deleted(servers, job, moment, with_disks=asked.delete_volume),
        )
        return Answer.of({"job_id": job.id})

    def _deleted(self, servers: list[Server], job: Job, now: float, *, with_disks: bool) -> None:
        for server in servers:
            self._remove(server, now, "call", with_disks=with_disks)
        self._machines.finish(job, now)

    def _terminate(self, server: Server, now: float) -> None:
        self._remove(server, now, "auto_terminate_time", with_disks=self._switches.auto_terminate_disks == "deleted")

    def _remove(self, server: Server, now: float, by: str, *, with_disks: bool) -> None:
        if self._machines.servers.pop(server.id, None) is None:
            return
        server.status = "DELETED"
        self._ledger.machines.end_server(server.id, by, now)
        for disk in server.disks:
            if disk.is_root or with_disks:
                self._ledger.machines.disks[disk.id].state = "deleted"


def _read(visit: Visit, body: type[_Body]) -> _Body:
    if not isinstance(visit.call.json, dict):
        raise ecs("Ecs.0005", "The request body is not valid JSON.")
    try:
        return body.model_validate(visit.call.json)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ecs("Ecs.0005", f"Invalid parameter {where}: {first['msg']}.") from None


def _no_server(server_id: str) -> Refusal:
    return ecs("Ecs.0114", f"Instance[{server_id[:64]}] could not be found.", 404)


def _number(text: str | None, name: str, default: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise ecs("Ecs.0005", f"{name} is invalid.")
    return min(int(text), 1000) if name == "limit" else int(text)


def _tags(server: Server) -> list[str]:
    return [f"{key}={value}" for key, value in server.tags.items()]


def _row(server: Server, switches: Switches) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": server.id,
        "name": server.name,
        "status": server.status,
        "tenant_id": server.project_id,
        "created": moment_text(server.created_at, "zulu"),
        "updated": moment_text(server.updated_at, "zulu"),
        "auto_terminate_time": server.auto_terminate_time,
        "flavor": {"id": server.flavor.id, "name": server.flavor.id, "vcpus": str(server.flavor.vcpus), "ram": str(server.flavor.ram)},
        "image": {"id": server.image_id},
        "addresses": {server.network.vpc_id: [{"version": "4", "addr": server.address, "OS-EXT-IPS:type": "fixed", "primary": True}]},
        "metadata": dict(server.metadata),
        "OS-EXT-STS:task_state": server.task_state,
        "os-extended-volumes:volumes_attached": [
            {"id": disk.id, "delete_on_termination": "true" if disk.is_root else "false", "bootIndex": "0" if disk.is_root else None}
            for disk in server.disks
        ],
        "fault": {"code": 500, "message": "No valid host was found."} if server.status == "ERROR" else None,
    }
    if switches.server_tags == "listed":
        row["tags"] = _tags(server)
    return row

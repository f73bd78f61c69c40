"""What each call of IMS does: whole images of replicas, their list, their quota, and their end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr, ValidationError

from airflow_cbr.emulator.bodies import Body
from airflow_cbr.emulator.clock import moment_text
from airflow_cbr.emulator.exchange import Answer, Refusal
from airflow_cbr.emulator.machine_ledger import ImageEntry
from airflow_cbr.emulator.machines import PUBLIC_IMAGE, Image, Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.emulator.cbr_calls import Visit
    from airflow_cbr.emulator.clock import Timeline
    from airflow_cbr.emulator.exchange import Call
    from airflow_cbr.emulator.faults import FaultsInForce, ImageFault
    from airflow_cbr.emulator.ids import Ids
    from airflow_cbr.emulator.ledger import Ledger
    from airflow_cbr.emulator.machines import Machines
    from airflow_cbr.emulator.populate import Populator
    from airflow_cbr.emulator.store import Backup, Store
    from airflow_cbr.emulator.switches import Switches

IMAGE_ROUTES: Final = (
    ("CreateWholeImage", "POST", "/v1/cloudimages/wholeimages/action"),
    ("ListImages", "GET", "/v2/cloudimages"),
    ("GlanceDeleteImage", "DELETE", "/v2/images/{image_id}"),
    ("ShowImageQuota", "GET", "/v1/cloudimages/quota"),
    ("ShowJob", "GET", "/v1/{project_id}/jobs/{job_id}"),
)
"""Name, method and path of the calls of IMS. ShowJob is also the one of ECS: both have the same path, and share this port."""

IMAGE_WRITES: Final = frozenset({"CreateWholeImage", "GlanceDeleteImage"})

_NAME: Final = re.compile(r"[A-Za-z0-9\u4e00-\u9fa5._ -]{1,128}")


class _ImageTag(Body):
    key: StrictStr = Field(min_length=1, max_length=127)
    value: StrictStr = Field(max_length=255)


class _WholeImage(Body):
    name: StrictStr
    backup_id: StrictStr
    whole_image_type: StrictStr | None = None
    description: StrictStr = ""
    enterprise_project_id: StrictStr | None = None
    image_tags: list[_ImageTag] | None = Field(default=None, max_length=20)
    tags: list[StrictStr] | None = Field(default=None, max_length=20)
    min_ram: StrictInt | None = None
    max_ram: StrictInt | None = None
    vault_id: StrictStr | None = None


class _Deletion(Body):
    delete_backup: StrictBool = False


def ims(code: str, message: str, status: int = 400) -> Refusal:
    """Return a refusal of IMS.

    :param code: such as ``IMG.0001``.
    :param message: the text.
    :param status: HTTP status. Default: 400.
    """
    return Refusal(status, {"error": {"message": message, "code": code}})


class ImageCalls:
    """The calls of IMS, by their published names."""

    def __init__(
        self,
        *,
        store: Store,
        machines: Machines,
        timeline: Timeline,
        switches: Switches,
        faults: FaultsInForce,
        ids: Ids,
        ledger: Ledger,
        populator: Populator,
    ) -> None:
        self._store = store
        self._machines = machines
        self._timeline = timeline
        self._switches = switches
        self._faults = faults
        self._ids = ids
        self._ledger = ledger
        self._populator = populator
        self.by_name: dict[str, Callable[[Visit], Answer]] = {
            "CreateWholeImage": self.create_whole_image,
            "ListImages": self.list_images,
            "GlanceDeleteImage": self.delete_image,
            "ShowImageQuota": self.show_quota,
            "ShowJob": self.show_job,
        }

    # --- making -----------------------------------------------------------------------------------------------------

    def create_whole_image(self, visit: Visit) -> Answer:
        """Begin to make a whole image of a backup or a replica."""
        asked = _read(visit.call)
        backup = self._usable(visit, asked)
        if self._used(visit.project.id) >= self._switches.image_quota:
            raise ims("IMG.0015", "The quota of private images is used up.")
        now, seconds = visit.now, self._switches.image_seconds + self._switches.image_seconds_per_gb * backup.resource_size
        image = Image(
            id=self._ids.uuid(),
            name=asked.name,
            project_id=visit.project.id,
            backup_id=backup.id,
            description=asked.description,
            tags=[f"{tag.key}.{tag.value}" for tag in asked.image_tags or ()] + list(asked.tags or ()),
            size=backup.resource_size,
            created_at=now,
            updated_at=now,
            visible_at=now + (seconds if self._switches.image_listed_at == "end" else 0.0) + self._switches.image_delay,
        )
        self._machines.images[image.id] = image
        backup.images.append(image.id)
        backup.forget_row()
        job = Job(self._ids.hex32(), visit.project.id, "imsCreateWholeImage", now, {"current_task": "ImageTransformTask"})
        self._machines.jobs[job.id] = job
        self._ledger.machines.images[image.id] = ImageEntry(
            image.id,
            image.name,
            list(image.tags),
            backup.id,
            backup.vault_id,
            moment_text(now),
            visit.caller.name,
            visit.entry.number if visit.entry else None,
        )
        fault = self._faults.on_image(backup.vault_id, backup.id)
        self._timeline.at(now + seconds / 10, lambda _: self._save(image))
        self._timeline.at(now + seconds, lambda moment: self._end(image, job, moment, fault))
        return Answer.of({"job_id": job.id})

    def _usable(self, visit: Visit, asked: _WholeImage) -> Backup:
        backup = self._store.backups.get(asked.backup_id)
        if backup is None or backup.project_id != visit.project.id:
            raise ims("IMG.0001", f"The backup {asked.backup_id[:64]} does not exist.")
        if backup.status != "available":
            raise ims("IMG.0001", f"The backup {backup.id} is {backup.status}.")
        if backup.resource_type != "OS::Nova::Server" or not backup.contain_system_disk:
            raise ims("IMG.0001", f"The backup {backup.id} is not one of a server with its system disk.")
        return backup

    def _save(self, image: Image) -> None:
        if image.status == "queued":
            image.status = "saving"

    def _end(self, image: Image, job: Job, now: float, fault: ImageFault) -> None:
        if image.id not in self._machines.images:
            self._machines.finish(job, now, "IMG.1023", "The image was deleted while it was made.")
            return
        ending = fault.on_end(image)
        image.updated_at = now
        if ending.outcome == "success":
            image.status = "active"
            job.entities = {"image_id": image.id, "image_name": image.name, "process_percent": 1.0, "current_task": "AddImageTask"}
            self._machines.finish(job, now)
            self._ledger.machines.end_image(image.id, "alive", now)
            return
        image.status = "killed"
        self._machines.finish(job, now, ending.code, ending.reason)
        self._ledger.machines.end_image(image.id, "failed", now)

    # --- reading ----------------------------------------------------------------------------------------------------

    def list_images(self, visit: Visit) -> Answer:
        """List the project's images and the public one."""
        call = visit.call
        own = [
            _row(image, self._switches)
            for image in self._machines.images.values()
            if image.project_id == visit.project.id and image.visible_at <= visit.now
        ]
        rows = sorted([*own, _public_row()], key=lambda row: (row["created_at"], row["id"]), reverse=True)
        for name in ("id", "name", "status", "__imagetype", "visibility", "__os_type"):
            wanted = call.asked(name)
            if wanted is not None:
                rows = [row for row in rows if row.get(name) == wanted]
        tag = call.asked("tag")
        if tag is not None:
            rows = [row for row in rows if tag in row["tags"]]
        marker = call.asked("marker")
        if marker is not None:
            ids = [row["id"] for row in rows]
            rows = rows[ids.index(marker) + 1 :] if marker in ids else []
        limit = call.asked("limit")
        if limit is not None and not (limit.isascii() and limit.isdigit() and len(limit) < 6):
            raise ims("IMG.0001", "limit is invalid.")
        return Answer.of({"images": rows[: int(limit)] if limit is not None else rows})

    def show_quota(self, visit: Visit) -> Answer:
        """Show how many private images there are and may be."""
        quota = {"type": "image", "used": self._used(visit.project.id), "quota": self._switches.image_quota, "min": 0, "max": 1000}
        return Answer.of({"quotas": {"resources": [quota]}})

    def _used(self, project_id: str) -> int:
        return sum(image.project_id == project_id and image.status != "killed" for image in self._machines.images.values())

    def show_job(self, visit: Visit) -> Answer:
        """Show a job of IMS or ECS."""
        job = self._machines.jobs.get(visit.call.path["job_id"])
        if job is None or job.project_id != visit.project.id:
            raise ims("IMG.0027", "The job does not exist.", 404)
        return Answer.of(
            {
                "job_id": job.id,
                "job_type": job.type,
                "status": job.status,
                "begin_time": moment_text(job.begin, "zulu"),
                "end_time": moment_text(job.end, "zulu"),
                "error_code": job.code,
                "fail_reason": job.reason,
                "entities": job.entities,
            }
        )

    # --- deleting ---------------------------------------------------------------------------------------------------

    def delete_image(self, visit: Visit) -> Answer:
        """Delete an image. The answer is the same whether there is one or not; what is gone is no longer listed."""
        body = visit.call.json
        if visit.call.body and not isinstance(body, dict):
            raise ims("IMG.0001", "The request body is invalid.")
        try:
            asked = _Deletion.model_validate(body or {})
        except ValidationError:
            raise ims("IMG.0001", "The request body is invalid.") from None
        image = self._machines.images.get(visit.call.path["image_id"])
        if image is None or image.project_id != visit.project.id:
            return Answer(204)
        if image.status in ("queued", "saving") and self._switches.deleting_unfinished_image == "ignored":
            return Answer(204)
        if image.leaves_at is None:
            image.leaves_at = visit.now + self._switches.image_delete_seconds
            self._timeline.at(image.leaves_at, lambda moment: self._remove(image, moment))
        if asked.delete_backup:
            self._lose(image)
        return Answer(204)

    def _remove(self, image: Image, now: float) -> None:
        self._machines.images.pop(image.id, None)
        backup = self._store.backups.get(image.backup_id)
        if backup is not None and image.id in backup.images:
            backup.images.remove(image.id)
            backup.forget_row()
        if self._ledger.machines.images[image.id].state != "failed":
            self._ledger.machines.end_image(image.id, "deleted", now)

    def _lose(self, image: Image) -> None:
        backup = self._store.backups.get(image.backup_id)
        if backup is not None:
            self._ledger.machines.lost_replicas.append({"backup_id": backup.id, "vault_id": backup.vault_id, "image_id": image.id})
            self._populator.remove_backups([backup])


def _read(call: Call) -> _WholeImage:
    if not isinstance(call.json, dict):
        raise ims("IMG.0007", "The request body is empty or no JSON object.")
    try:
        asked = _WholeImage.model_validate(call.json)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ims("IMG.0001", f"The request body is invalid: {where}: {first['msg']}.") from None
    if _NAME.fullmatch(asked.name) is None or asked.name != asked.name.strip(" "):
        raise ims("IMG.0002", "The name is invalid.")
    if len(asked.description) > 1024 or any(character in asked.description for character in "\r<>"):
        raise ims("IMG.0004", "The description is invalid.")
    if asked.image_tags and asked.tags:
        raise ims("IMG.0001", "image_tags and tags exclude each other.")
    if asked.whole_image_type != "CBR":
        raise ims("IMG.0024", "whole_image_type must be CBR for a backup of CBR.")
    return asked


_Kind = Literal["gold", "private"]


def _base_row(image_id: str, name: str, kind: _Kind, created_at: float, updated_at: float) -> dict[str, Any]:
    return {
        "id": image_id,
        "name": name,
        "__imagetype": kind,
        "visibility": "public" if kind == "gold" else "private",
        "__os_type": "Linux",
        "__os_bit": "64",
        "__platform": "CentOS",
        "__isregistered": "true",
        "virtual_env_type": "FusionCompute",
        "container_format": "bare",
        "disk_format": "zvhd2",
        "protected": False,
        "created_at": moment_text(created_at, "zulu"),
        "updated_at": moment_text(updated_at, "zulu"),
        "schema": "/v2/schemas/image",
        "self": f"/v2/images/{image_id}",
        "file": f"/v2/images/{image_id}/file",
    }


def _row(image: Image, switches: Switches) -> dict[str, Any]:
    row = _base_row(image.id, image.name, "private", image.created_at, image.updated_at) | {
        "status": image.status,
        "owner": image.project_id,
        "tags": list(image.tags),
        "min_disk": image.size,
        "min_ram": 0,
        "size": 0,
        "__description": image.description,
        "__whole_image": "true",
        "__image_size": str(image.size << 30),
    }
    if switches.image_data_origin == "filled":
        row["__data_origin"] = f"server_backup,{image.backup_id}"
    return row


def _public_row() -> dict[str, Any]:
    return _base_row(PUBLIC_IMAGE, "CentOS 7.9 64bit", "gold", 1_600_000_000.0, 1_600_000_000.0) | {
        "status": "active",
        "owner": "1bed856811654c1cb661a6ca845ebc77",
        "tags": [],
        "min_disk": 40,
        "min_ram": 0,
        "size": 0,
    }

"""Schemas of the answers of IMS and ECS: the project's own reading of the documentation and of the SDK's models."""

from __future__ import annotations

from typing import Any, Final


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "properties": required | optional, "required": list(required), "additionalProperties": False}


def _list(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


_TEXT, _WHOLE = {"type": "string"}, {"type": "integer"}
_MAYBE = {"type": ["string", "null"]}
_ANY = {"type": "object"}
_UUID = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
_HEX = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
_MAYBE_TIME = {"anyOf": [_TIME, {"type": "null"}]}

_IMAGE = _object(
    {
        "id": _UUID,
        "name": _TEXT,
        "status": {"enum": ["queued", "saving", "active", "killed"]},
        "__imagetype": {"enum": ["gold", "private"]},
        "visibility": {"enum": ["public", "private"]},
        "owner": _HEX,
        "tags": _list(_TEXT),
        "min_disk": _WHOLE,
        "min_ram": _WHOLE,
        "size": _WHOLE,
        "__os_type": _TEXT,
        "__os_bit": _TEXT,
        "__platform": _TEXT,
        "__isregistered": _TEXT,
        "virtual_env_type": _TEXT,
        "container_format": _TEXT,
        "disk_format": _TEXT,
        "protected": {"type": "boolean"},
        "created_at": _TIME,
        "updated_at": _TIME,
        "schema": _TEXT,
        "self": _TEXT,
        "file": _TEXT,
    },
    __description=_TEXT,
    __whole_image=_TEXT,
    __image_size=_TEXT,
    __data_origin={"type": "string", "pattern": "^server_backup,"},
)
_SERVER = _object(
    {
        "id": _UUID,
        "name": _TEXT,
        "status": {"enum": ["BUILD", "ACTIVE", "ERROR"]},
        "tenant_id": _HEX,
        "created": _TIME,
        "updated": _TIME,
        "auto_terminate_time": _TEXT,
        "flavor": _object({"id": _TEXT, "name": _TEXT, "vcpus": _TEXT, "ram": _TEXT}),
        "image": _object({"id": _UUID}),
        "addresses": {
            "type": "object",
            "additionalProperties": _list(
                _object({"version": _TEXT, "addr": _TEXT, "OS-EXT-IPS:type": {"enum": ["fixed"]}, "primary": {"type": "boolean"}})
            ),
        },
        "metadata": _ANY,
        "OS-EXT-STS:task_state": _MAYBE,
        "os-extended-volumes:volumes_attached": _list(_object({"id": _UUID, "delete_on_termination": _TEXT, "bootIndex": _MAYBE})),
        "fault": {"type": ["object", "null"]},
    },
    tags=_list(_TEXT),
)
_SUB_JOB = _object(
    {"job_id": _HEX, "job_type": _TEXT, "status": {"enum": ["RUNNING", "SUCCESS", "FAIL"]}, "entities": _object({"server_id": _UUID})},
    error_code=_MAYBE,
    fail_reason=_MAYBE,
)

MACHINE_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "CreateWholeImage": _object({"job_id": _HEX}),
    "ListImages": _object({"images": _list(_IMAGE)}),
    "ShowImageQuota": _object(
        {"quotas": _object({"resources": _list(_object({"type": _TEXT, "used": _WHOLE, "quota": _WHOLE, "min": _WHOLE, "max": _WHOLE}))})}
    ),
    "ShowJob": _object(
        {
            "job_id": _HEX,
            "job_type": _TEXT,
            "status": {"enum": ["INIT", "RUNNING", "SUCCESS", "FAIL"]},
            "begin_time": _TIME,
            "end_time": _MAYBE_TIME,
            "error_code": _MAYBE,
            "fail_reason": _MAYBE,
            "entities": _object(
                {},
                image_id=_UUID,
                image_name=_TEXT,
                process_percent={"type": "number"},
                current_task=_TEXT,
                sub_jobs_total=_WHOLE,
                sub_jobs=_list(_SUB_JOB),
            ),
        }
    ),
    "CreatePostPaidServers": {"anyOf": [_object({"job_id": _HEX, "serverIds": _list(_UUID)}), _object({})]},
    "DeleteServers": _object({"job_id": _HEX}),
    "ListServersDetails": _object({"count": _WHOLE, "servers": _list(_SERVER)}),
    "ShowServer": _object({"server": _SERVER}),
    "ListFlavors": _object(
        {"flavors": _list(_object({"id": _TEXT, "name": _TEXT, "vcpus": _TEXT, "ram": _WHOLE, "disk": _TEXT, "os_extra_specs": _ANY}))}
    ),
    "ShowServerLimits": _object(
        {
            "absolute": _object(
                {
                    "maxTotalInstances": _WHOLE,
                    "maxTotalCores": _WHOLE,
                    "maxTotalRAMSize": _WHOLE,
                    "totalInstancesUsed": _WHOLE,
                    "totalCoresUsed": _WHOLE,
                    "totalRAMUsed": _WHOLE,
                }
            )
        }
    ),
}
"""By call; the answer that deletes an image has no body."""

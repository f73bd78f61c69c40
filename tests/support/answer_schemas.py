"""Schemas of every answer: the project's own, and the published definitions where they are at hand.

The published definitions are Swagger 2 documents, one for each call. They are looked for in the folder that ``CBR_OPENAPI_DIR`` names,
or beside the repository. What they leave out is known from real answers: any field may be null.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft4Validator

from airflow_cbr.emulator.service import Service
from tests.support.key_schemas import KEY_ANSWERS, published_key_validator
from tests.support.machine_schemas import MACHINE_ANSWERS

if TYPE_CHECKING:
    import pytest

    from airflow_cbr.emulator.exchange import Answer, Call

REPOSITORY = Path(__file__).resolve().parent.parent.parent
_ROWS_CHECKED = 20


def published_folder() -> Path | None:
    """Return the folder of the published definitions, or None where they are not at hand."""
    named = os.environ.get("CBR_OPENAPI_DIR")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "cbr-api" / "openapi"
    return folder if (folder / "CBR.CopyCheckpoint.json").is_file() else None


@cache
def published_validator(call: str) -> Draft4Validator | None:
    """Return a validator of a call's answer, made of the published definition, or None."""
    folder = published_folder()
    if call in KEY_ANSWERS:
        return published_key_validator(call, folder)
    if folder is None:
        return None
    path = folder / f"{'IAM' if call.startswith('Keystone') else 'CBR'}.{call}.json"
    if not path.is_file():
        return None
    document = json.loads(path.read_text(encoding="utf-8"))
    operation = next(iter(next(iter(document["paths"].values())).values()))
    answers = operation["responses"]
    schema = next(answers[status]["schema"] for status in ("200", "201") if status in answers)
    return Draft4Validator(schema | {"definitions": {name: _nullable(one) for name, one in document["definitions"].items()}})


def _nullable(schema: Any) -> Any:
    """Return a Swagger 2 schema as JSON schema in which every field may be null."""
    if not isinstance(schema, dict):
        return schema
    schema = {key: value for key, value in schema.items() if key not in ("format", "default", "description") and not key.startswith("x-")}
    if "enum" in schema:
        # Two words are published with quotation marks around them.
        schema["enum"] = [word.strip('"') if isinstance(word, str) else word for word in schema["enum"]]
    if "properties" in schema:
        schema["properties"] = {name: {"anyOf": [_nullable(one), {"type": "null"}]} for name, one in schema["properties"].items()}
    if "items" in schema:
        schema["items"] = _nullable(schema["items"])
    return {"$ref": schema["$ref"]} if "$ref" in schema else schema


def _any_of(*types: str) -> dict[str, Any]:
    return {"type": list(types)}


def _one(*words: str) -> dict[str, Any]:
    return {"enum": list(words)}


def _row(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _rows(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def _maybe(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_TEXT, _WHOLE, _TRUTH, _TEXT_OR_NOT = _any_of("string"), _any_of("integer"), _any_of("boolean"), _any_of("string", "null")
_UUID = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
_PROJECT = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6}|\.\d{3}\+00:00|Z)$"}
_PERCENT = {"type": ["integer", "null"], "minimum": 0, "maximum": 100}
_RESOURCE_TYPE = _one(
    "OS::Nova::Server",
    "OS::Cinder::Volume",
    "OS::Ironic::BareMetalServer",
    "OS::Native::Server",
    "OS::Sfs::Turbo",
    "OS::Workspace::DesktopV2",
)

_RECORD = _row(
    {
        "id": _UUID,
        "status": _one("waiting_replicate", "replicating", "success", "fail", "skip"),
        "created_at": _TIME,
        "vault_id": _UUID,
        "source_backup_id": _UUID,
        "source_checkpoint_id": _UUID,
        "source_project_id": _PROJECT,
        "source_region": _TEXT,
        "destination_backup_id": _maybe(_UUID),
        "destination_checkpoint_id": _maybe(_UUID),
        "destination_project_id": _PROJECT,
        "destination_region": _TEXT,
        "destination_vault_id": _UUID,
        "extra_info": {
            "anyOf": [
                _row(
                    {
                        "progress": _PERCENT,
                        "fail_code": _TEXT,
                        "fail_reason": _TEXT,
                        "auto_trigger": _TRUTH,
                        "destination_vault_id": _UUID,
                    }
                ),
                _TEXT,
            ]
        },
    }
)
_BACKUP = _row(
    {
        "id": _UUID,
        "name": _TEXT,
        "description": _TEXT_OR_NOT,
        "status": _one("available", "protecting", "deleting", "restoring", "error", "waiting_protect", "waiting_delete", "waiting_restore"),
        "image_type": _one("backup", "replication"),
        "checkpoint_id": _UUID,
        "vault_id": _UUID,
        "project_id": _PROJECT,
        "provider_id": _UUID,
        "parent_id": _TEXT_OR_NOT,
        "children": _any_of("array"),
        "resource_id": _UUID,
        "resource_name": _TEXT,
        "resource_type": _RESOURCE_TYPE,
        "resource_az": _TEXT,
        "resource_size": _WHOLE,
        "created_at": _TIME,
        "updated_at": _TIME,
        "expired_at": _maybe(_TIME),
        "protected_at": _maybe(_TIME),
        "incremental": _TRUTH,
        "version": _WHOLE,
        "enterprise_project_id": _TEXT,
        "extend_info": _any_of("object"),
        "replication_records": _maybe(_rows(_RECORD)),
    }
)
_BACKUP["required"].remove("replication_records")
_VAULT_RESOURCE = _row(
    {
        "id": _UUID,
        "name": _TEXT,
        "type": _RESOURCE_TYPE,
        "protect_status": _TEXT,
        "size": _WHOLE,
        "backup_size": _WHOLE,
        "backup_count": _WHOLE,
        "extra_info": _any_of("object"),
        "auto_protect": _TRUTH,
    }
)
_BILLING = _row(
    {
        "protect_type": _one("backup", "replication", "hybrid"),
        "object_type": _one("server", "disk", "turbo", "workspace", "vmware", "rds", "file"),
        "status": _one("available", "lock", "frozen", "deleting", "error"),
        "size": _WHOLE,
        "used": _WHOLE,
        "allocated": _WHOLE,
        "charging_mode": _one("pre_paid", "post_paid"),
        "cloud_type": _one("public", "hybrid"),
        "consistent_level": _one("app_consistent", "crash_consistent"),
        "spec_code": _TEXT,
        "frozen_scene": _TEXT_OR_NOT,
        "order_id": _TEXT_OR_NOT,
        "product_id": _TEXT_OR_NOT,
        "storage_unit": _TEXT_OR_NOT,
        "is_multi_az": _TRUTH,
    }
)
_VAULT = _row(
    {
        "id": _UUID,
        "name": _TEXT,
        "description": _TEXT_OR_NOT,
        "project_id": _PROJECT,
        "provider_id": _UUID,
        "resources": _rows(_VAULT_RESOURCE),
        "billing": _BILLING,
        "tags": _any_of("array"),
        "bind_rules": _any_of("object"),
        "auto_bind": _TRUTH,
        "auto_expand": _TRUTH,
        "smn_notify": _TRUTH,
        "threshold": _WHOLE,
        "user_id": _TEXT_OR_NOT,
        "locked": _TRUTH,
        "availability_zone": _TEXT_OR_NOT,
        "sys_lock_source_service": _TEXT_OR_NOT,
        "enterprise_project_id": _TEXT,
        "created_at": _TIME,
    }
)
_LOG = _row(
    {
        "id": _UUID,
        "project_id": _PROJECT,
        "operation_type": _one("backup", "replication", "delete"),
        "status": _one("success", "skipped", "failed", "running", "timeout", "waiting"),
        "provider_id": _UUID,
        "checkpoint_id": _maybe(_UUID),
        "policy_id": _TEXT_OR_NOT,
        "vault_id": _maybe(_UUID),
        "vault_name": _TEXT_OR_NOT,
        "created_at": _TIME,
        "started_at": _maybe(_TIME),
        "ended_at": _maybe(_TIME),
        "updated_at": _maybe(_TIME),
        "error_info": _row({"code": _TEXT, "message": _TEXT}),
        "extra_info": {
            "type": "object",
            "required": ["common", "resource"],
            "properties": {
                "common": _row({"progress": _PERCENT, "request_id": {"type": "string", "pattern": "^req-"}, "task_id": _UUID}),
                "resource": _row({"id": _UUID, "name": _TEXT, "type": _RESOURCE_TYPE, "extra_info": _any_of("object")}),
                "replication": _row(
                    {
                        "source_backup_id": _UUID,
                        "source_backup_name": _TEXT,
                        "source_checkpoint_id": _UUID,
                        "source_project_id": _PROJECT,
                        "source_region": _TEXT,
                        "destination_backup_id": _maybe(_UUID),
                        "destination_backup_name": _TEXT_OR_NOT,
                        "destination_checkpoint_id": _maybe(_UUID),
                        "destination_project_id": _PROJECT,
                        "destination_region": _TEXT,
                    }
                ),
                "backup": _any_of("object"),
                "delete": _row({"backup_id": _UUID, "backup_name": _TEXT}),
            },
            "additionalProperties": False,
        },
    }
)
_CHECKPOINT = _row(
    {
        "id": _UUID,
        "project_id": _PROJECT,
        "status": _one("available", "protecting", "error", "deleting", "deleted", "error-deleting"),
        "created_at": _TIME,
        "vault": _row(
            {
                "id": _UUID,
                "name": _TEXT,
                "resources": _rows(
                    _row(
                        {
                            "id": _UUID,
                            "name": _TEXT,
                            "type": _RESOURCE_TYPE,
                            "protect_status": _TEXT,
                            "resource_size": {"type": "string", "pattern": r"^\d+$"},
                            "extra_info": _TEXT_OR_NOT,
                        }
                    )
                ),
                "skipped_resources": _rows(_row({"id": _UUID, "name": _TEXT, "type": _RESOURCE_TYPE, "code": _TEXT, "reason": _TEXT})),
            }
        ),
        "extra_info": _any_of("object", "null"),
    }
)
_ECHO = {
    "provider_id": _UUID,
    "project_id": _PROJECT,
    "source_region": _TEXT,
    "destination_project_id": _PROJECT,
    "destination_region": _TEXT,
    "destination_vault_id": _UUID,
}
_PAIR = {"backup_id": _UUID, "replication_record_id": _UUID}
_PAGE = {"count": _WHOLE, "offset": _WHOLE, "limit": _WHOLE}
_DOMAIN = _row({"id": _PROJECT, "name": _TEXT})
_TOKEN = {
    "type": "object",
    "required": ["methods", "issued_at", "expires_at", "user", "roles"],
    "properties": {
        "methods": {"enum": [["password"]]},
        "issued_at": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"},
        "expires_at": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"},
        "user": _row({"id": _PROJECT, "name": _TEXT, "domain": _DOMAIN, "password_expires_at": _TEXT}),
        "roles": _rows(_row({"id": _TEXT, "name": _TEXT})),
        "project": _row({"id": _PROJECT, "name": _TEXT, "domain": _DOMAIN}),
        "domain": _DOMAIN,
        "catalog": _rows(
            _row(
                {
                    "id": _TEXT,
                    "name": _TEXT,
                    "type": _TEXT,
                    "endpoints": _rows(_row({"id": _TEXT, "interface": _TEXT, "region": _TEXT, "region_id": _TEXT, "url": _TEXT})),
                }
            )
        ),
    },
    "additionalProperties": False,
}
_LINKS = _row({"self": _TEXT, "next": _TEXT_OR_NOT, "previous": _TEXT_OR_NOT})
OWN: dict[str, dict[str, Any]] = {
    "CopyCheckpoint": _row({"replication": _row({"backups": _rows(_row(_PAIR)), "vault_id": _UUID} | _ECHO)}),
    "CopyBackup": _row({"replication": _row(_PAIR | _ECHO)}),
    "ListBackups": _row({"backups": _rows(_BACKUP)} | _PAGE),
    "ShowBackup": _row({"backup": _BACKUP}),
    "ListOpLogs": _row({"operation_logs": _rows(_LOG)} | _PAGE),
    "ShowOpLog": _row({"operation_log": _LOG}),
    "ListVault": _row({"vaults": _rows(_VAULT)} | _PAGE),
    "ListExternalVault": _row({"vaults": _rows(_VAULT)} | _PAGE),
    "ShowVault": _row({"vault": _VAULT}),
    "ShowReplicationCapabilities": _row({"regions": _rows(_row({"name": _TEXT, "replication_destinations": _rows(_TEXT)}))}),
    "CreateCheckpoint": _row({"checkpoint": _CHECKPOINT}),
    "ShowCheckpoint": _row({"checkpoint": _CHECKPOINT}),
    "KeystoneShowVersion": _row({"version": _any_of("object")}),
    "KeystoneCreateUserTokenByPassword": _row({"token": _TOKEN}),
    "KeystoneValidateToken": _row({"token": _TOKEN}),
    "KeystoneListProjects": _row(
        {
            "projects": _rows(
                _row(
                    {
                        "id": _PROJECT,
                        "name": _TEXT,
                        "description": _TEXT,
                        "domain_id": _PROJECT,
                        "parent_id": _PROJECT,
                        "enabled": _TRUTH,
                        "is_domain": _TRUTH,
                        "links": _LINKS,
                    }
                )
            ),
            "links": _LINKS,
        }
    ),
}
"""The project's own reading of the documentation: every field that the emulator writes, and no other."""


@cache
def own_validator(call: str) -> Draft4Validator:
    """Return a validator of a call's answer by the project's own schema."""
    return Draft4Validator((OWN | KEY_ANSWERS | MACHINE_ANSWERS)[call])


def check_answer(call: str, status: int, body: bytes) -> None:
    """Check a successful answer by both readings; of a long list the first rows.

    :param call: published name of the call.
    :param status: HTTP status.
    :param body: what was sent.
    :raises AssertionError: it is not as documented.
    """
    if status == 204:
        assert body == b"", "a 204 has no body"
        return
    if call == "GetMetadataToken":
        assert body.isalnum(), "a token of the metadata service is text"
        return
    content = json.loads(body)
    for name, value in content.items():
        if isinstance(value, list):
            content[name] = value[:_ROWS_CHECKED]
    published = published_validator(call)
    if published is not None and "catalog" not in content.get("token", {"catalog": []}):
        published = None  # ?nocatalog leaves out a field that the definition requires
    for whose, validator in (("own schema", own_validator(call)), ("published definition", published)):
        if validator is not None:
            errors = [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in validator.iter_errors(content)]
            assert not errors, f"{call} is not as the {whose} says: {errors}"


def check_every_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check every successful answer of every emulator in this process; a fault that replaces or spoils one comes after the check.

    :param monkeypatch: undoes it.
    """
    carry_out = Service.carry_out

    def checked(self: Service, call: Call, *rest: Any) -> tuple[Answer, str]:
        answer, outcome = carry_out(self, call, *rest)
        if answer.status < 300:
            check_answer(call.name, answer.status, answer.body)
        return answer, outcome

    monkeypatch.setattr(Service, "carry_out", checked)

"""Schemas of the answers that hand out keys: the project's own reading, and the published definitions where they are at hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft4Validator

if TYPE_CHECKING:
    from pathlib import Path


def _object(**fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _text(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern}


_MOMENT = _text(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
_CREDENTIAL = _object(
    credential=_object(access=_text("^[A-Z0-9]{20}$"), secret=_text("^.{40}$"), securitytoken=_text("^.{100,}$"), expires_at=_MOMENT)
)
_STS: dict[str, dict[str, Any]] = {
    "assumed_agency": _object(urn=_text("^sts::"), id=_text("^.+:.+$")),
    "credentials": _object(
        access_key_id=_text("^[A-Z0-9]{20}$"), secret_access_key=_text("^.{40}$"), security_token=_text("^.{100,}$"), expiration=_MOMENT
    ),
}

KEY_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "CreateTemporaryAccessKey": _CREDENTIAL,
    "AssumeAgency": _object(**_STS),
    "AssumeAgencyWithOIDC": _object(**_STS, subject={"type": "string"}),
    "GetSecurityKey": _CREDENTIAL,
    "GetPodIdentityCredentials": _CREDENTIAL,
}
"""By call; a token of the metadata service is plain text and has none."""

_PUBLISHED: Final = {"CreateTemporaryAccessKey": "IAM.CreateTemporaryAccessKeyByAgency.json", "AssumeAgency": "STS.AssumeAgency.json"}


def published_key_validator(call: str, folder: Path | None) -> Draft4Validator | None:
    """Return a validator by the published definition, Swagger 2 of IAM or OpenAPI 3 of STS, or None where it is not at hand.

    :param call: the call.
    :param folder: where the definitions are.
    """
    if folder is None or call not in _PUBLISHED:
        return None
    document = json.loads((folder / _PUBLISHED[call]).read_text(encoding="utf-8"))
    operation = next(iter(next(iter(document["paths"].values())).values()))
    answer = next(operation["responses"][status] for status in ("200", "201") if status in operation["responses"])
    if "schema" in answer:
        return Draft4Validator(answer["schema"] | {"definitions": document["definitions"]})
    schema = json.loads(json.dumps(answer["content"]["application/json"]["schema"]))
    return Draft4Validator(schema | {"components": document["components"]})

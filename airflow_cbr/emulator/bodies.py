"""The bodies of requests, as strict as the documentation: an unknown key, a wrong type or a bad name is refused with 9900."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, StringConstraints, ValidationError

from airflow_cbr.emulator.error_responses import cbr

if TYPE_CHECKING:
    from airflow_cbr.emulator.exchange import Call

Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64, pattern=r"^[一-龥豈-龥a-zA-Z0-9_\-]*$")]
Description = Annotated[str, StringConstraints(strict=True, max_length=255, pattern=r"^[^<>]*$")]
Region = Annotated[str, StringConstraints(strict=True, max_length=255, pattern=r"^[a-zA-Z0-9._\-]*$")]


class Body(BaseModel):
    """A body, or an object in one; it may hold no key that is not documented."""

    model_config = ConfigDict(extra="forbid")


class DestinationFields(Body):
    """What both replicate calls say about the destination."""

    destination_region: Region
    destination_project_id: StrictStr
    destination_vault_id: StrictStr
    enable_acceleration: StrictBool = False


class CopyCheckpoint(DestinationFields):
    """``replicate`` of CopyCheckpoint."""

    vault_id: StrictStr
    auto_trigger: StrictBool = False


class CopyBackup(DestinationFields):
    """``replicate`` of CopyBackup."""

    name: Name | None = None
    description: Description | None = None


class CopyCheckpointBody(Body):
    """Body of CopyCheckpoint."""

    replicate: CopyCheckpoint


class CopyBackupBody(Body):
    """Body of CopyBackup."""

    replicate: CopyBackup


class ResourceDetail(Body):
    """One of ``resource_details``."""

    id: StrictStr
    type: StrictStr
    name: StrictStr | None = None
    extra_info: dict[str, Any] | None = None


class CheckpointParameters(Body):
    """``parameters`` of CreateCheckpoint."""

    name: Name | None = None
    description: Description | None = None
    auto_trigger: StrictBool = False
    incremental: StrictBool = True
    resources: list[StrictStr] | None = None
    resource_details: list[ResourceDetail] | None = Field(default=None, max_length=256)


class NewCheckpoint(Body):
    """``checkpoint`` of CreateCheckpoint."""

    vault_id: StrictStr
    parameters: CheckpointParameters = CheckpointParameters()


class CreateCheckpointBody(Body):
    """Body of CreateCheckpoint."""

    checkpoint: NewCheckpoint


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")


class NamedDomain(_Loose):
    """An account by name or id."""

    name: str | None = None
    id: str | None = None


class PasswordUser(_Loose):
    """Who asks for a token."""

    name: str
    password: str
    domain: NamedDomain


class PasswordMethod(_Loose):
    """The password method."""

    user: PasswordUser


class Identity(_Loose):
    """How the asker shows who they are; only the password method is known here."""

    methods: list[str] = Field(min_length=1)
    password: PasswordMethod


class ScopedProject(_Loose):
    """A project by id, by name, or by name and account."""

    id: str | None = None
    name: str | None = None
    domain: NamedDomain | None = None


class TokenScope(_Loose):
    """What the token is for; a project goes before an account."""

    project: ScopedProject | None = None
    domain: NamedDomain | None = None


class Auth(_Loose):
    """``auth`` of a request for a token."""

    identity: Identity
    scope: TokenScope = TokenScope()


class TokenRequest(_Loose):
    """Body of a request for a token."""

    auth: Auth


_T = TypeVar("_T", bound=Body)


def read_body(call: Call, body: type[_T]) -> _T:
    """Check the body of a call to CBR.

    :param call: the call.
    :param body: its documented form.
    :raises Refusal: 9900, naming the first key that is wrong.
    """
    if not isinstance(call.json, dict):
        raise cbr("9900", "The request body is not valid JSON.")
    try:
        return body.model_validate(call.json)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise cbr("9900", f"Parameter check failed: invalid key {where}.") from None
        raise cbr("9900", f"Parameter check failed: {where}: {first['msg']}.") from None

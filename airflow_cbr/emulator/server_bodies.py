"""The bodies of ECS, with the keys as they are on the wire; an unknown key or a wrong type is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import Field, StrictBool, StrictInt, StrictStr

from airflow_cbr.emulator.bodies import Body

__all__ = ["CreateServersBody", "DeleteServersBody", "NewServer", "termination_of"]


class _Nic(Body):
    subnet_id: StrictStr
    ip_address: StrictStr | None = None
    ipv6_enable: StrictBool = False


class _Volume(Body):
    volumetype: StrictStr = Field(min_length=1)
    size: StrictInt | None = Field(default=None, ge=1, le=32768)
    delete_on_termination: StrictBool | None = None
    data_image_id: StrictStr | None = None
    shareable: StrictBool = False


class _Group(Body):
    id: StrictStr


class _ServerTag(Body):
    key: StrictStr = Field(min_length=1, max_length=128)
    value: StrictStr = Field(max_length=255)


class NewServer(Body):
    """``server`` of CreatePostPaidServers."""

    name: StrictStr = Field(min_length=1, max_length=128, pattern=r"^[\u4e00-\u9fa5a-zA-Z0-9._-]+$")
    imageRef: StrictStr  # noqa: N815 (as it is on the wire)
    flavorRef: StrictStr  # noqa: N815
    vpcid: StrictStr
    nics: list[_Nic] = Field(min_length=1, max_length=12)
    root_volume: _Volume
    data_volumes: list[_Volume] = Field(default_factory=list, max_length=23)
    security_groups: list[_Group] = Field(default_factory=list)
    availability_zone: StrictStr | None = None
    key_name: StrictStr | None = None
    adminPass: StrictStr | None = None  # noqa: N815
    count: StrictInt = Field(default=1, ge=1, le=500)
    server_tags: list[_ServerTag] = Field(default_factory=list, max_length=20)
    metadata: dict[str, StrictStr] = Field(default_factory=dict)
    user_data: StrictStr | None = None
    description: StrictStr | None = None
    auto_terminate_time: StrictStr | None = None
    publicip: dict[str, Any] | None = None
    extendparam: dict[str, Any] = Field(default_factory=dict)


class CreateServersBody(Body):
    """Body of CreatePostPaidServers."""

    server: NewServer
    dry_run: StrictBool = False


class _ServerId(Body):
    id: StrictStr


class DeleteServersBody(Body):
    """Body of DeleteServers."""

    servers: list[_ServerId] = Field(min_length=1, max_length=1000)
    delete_publicip: StrictBool = False
    delete_volume: StrictBool = False


def termination_of(text: str) -> float | None:
    """Return the moment of an ``auto_terminate_time``, or None when it is none: ``YYYY-MM-DDTHH:MM:SSZ``; seconds count as 0.

    :param text: the text.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(second=0, tzinfo=UTC).timestamp()
    except ValueError:
        return None

"""What is protected of a resource that is bound to the source vault."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["ResourceState"]


class ResourceState(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What is protected of a resource that is bound to the source vault.

    :param verified_at: when the source backup of its newest verified replica was made.
    :param age_seconds: how long ago that was, by the service's time.
    :param size_gb: size of that backup in GB.
    """

    id: str | None
    name: str | None
    type: str | None
    backup_id: Annotated[str | None, Meta(description="The source backup of its newest verified replica; null when there is none.")]
    backup_name: str | None
    record_id: str | None
    replica_id: str | None
    verified_at: Annotated[
        datetime | None,
        Meta(description="When that backup was made; null when there is none, or when its time is not known or lies in the future."),
    ]
    age_seconds: Annotated[float | None, Meta(description="How old it is by the service's time; null when verified_at is.")]
    size_gb: Annotated[float | None, Meta(description="Its size in GB, when the service returns one.")]

"""The steps of a drill and of its end, and their results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["CleanupStep", "DrillStep", "Removed", "Restored"]


class DrillStep(StrEnum):
    """The steps of the start; being killed before or after any of them makes no second image and no second server."""

    RECORD_INTENT = "record the intent"
    LOOK = "look"
    PICK = "pick a replica"
    LOOK_AT_JOB = "look at the job of the image"
    CREATE_IMAGE = "create the image"
    CHECK_SERVER = "check the server"
    CREATE_SERVER = "create the server"
    PUBLISH = "publish the drill"
    CONCLUDE = "conclude"


class CleanupStep(StrEnum):
    """The steps of the end; being killed before or after any of them leaves nothing behind in the next attempt."""

    RECORD_INTENT = "record the intent"
    LOOK = "look"
    LOOK_AT_SERVER = "look at a server"
    DELETE_SERVER = "delete a server"
    DELETE_IMAGE = "delete an image"
    CONCLUDE = "conclude"


@dataclass(frozen=True, slots=True)
class Restored:
    """The server is active.

    :param server_id: the server.
    :param private_ip: its private address.
    :param image_id: its image.
    """

    server_id: str
    private_ip: str | None
    image_id: str


@dataclass(frozen=True, slots=True)
class Removed:
    """Nothing is left.

    :param servers: ids of the servers that were deleted.
    :param images: ids of the images that were deleted.
    """

    servers: tuple[str, ...]
    images: tuple[str, ...]

"""The client of IMS and ECS: whole images of replicas, and servers of these, for restore drills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cbr.api.caller import Caller, PlainCaller
from airflow_cbr.api.calls.images import ImageCalls
from airflow_cbr.api.calls.servers import ServerCalls

if TYPE_CHECKING:
    from airflow_cbr.api.auth import Authenticator
    from airflow_cbr.api.transport import Transport

__all__ = ["MachineClient"]


class MachineClient(ImageCalls, ServerCalls):
    """Calls IMS and ECS in one region and project; made by :attr:`airflow_cbr.api.client.CbrClient.machines`.

    The calls that make something (CreateWholeImage, CreatePostPaidServers) are sent again only when they were certainly not processed.
    Reads, a dry run and the calls that delete are repeated, since twice is the same as once.

    :param transport: sends requests.
    :param authenticator: knows the project and makes requests acceptable.
    :param ims_url: address of IMS.
    :param ecs_url: address of ECS.
    """

    def __init__(self, transport: Transport, authenticator: Authenticator, *, ims_url: str, ecs_url: str) -> None:
        self._images = PlainCaller(transport, authenticator, ims_url)
        self._image_jobs = Caller(transport, authenticator, f"{ims_url}/v1")
        self._servers = Caller(transport, authenticator, f"{ecs_url}/v1")

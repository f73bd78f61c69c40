"""What a drill remembers: inside an attempt, over a deferral, and from attempt to attempt. Ids, texts and numbers only."""

from __future__ import annotations

from airflow_cbr.drills.pick import Restorable  # noqa: TC001 (msgspec reads annotations at run time)
from airflow_cbr.once.state import AttemptState

__all__ = ["CleanupState", "DrillState"]


class DrillState(AttemptState, kw_only=True):
    """What one attempt knows, and a deferral carries. Times are Unix times of this machine's clock; 0 where there is none.

    :param begun_at: when the drill began: its first attempt's first look, as far as that is known.
    :param has_looked: whether a look has succeeded.
    :param replica: what is restored, once it is picked; None for an adopted image whose replica nobody names.
    :param image_job_id: the job of the newest accepted call for an image.
    :param image_id: the image, once it was seen.
    :param image_seen_at: when it was last seen.
    :param image_ready_at: when it was first seen to be active.
    :param image_unsettled_until: until when a call for an image may still make one that was not seen yet.
    :param image_unknown: how many calls of this attempt for an image ended without a known outcome.
    :param is_checked: whether the service has checked the server's body without starting it.
    :param server_id: the server, once it was named or seen.
    :param server_seen_at: when it was last seen.
    :param server_ready_at: when it was first seen to be active.
    :param server_unsettled_until: until when a call for a server may still start one that was not seen yet.
    :param server_unknown: how many calls of this attempt for a server ended without a known outcome.
    :param private_ip: the server's private address.
    :param terminate_at: when the service deletes the server by itself.
    """

    begun_at: float = 0.0
    has_looked: bool = False
    replica: Restorable | None = None
    image_job_id: str | None = None
    image_id: str | None = None
    image_seen_at: float = 0.0
    image_ready_at: float = 0.0
    image_unsettled_until: float = 0.0
    image_unknown: int = 0
    is_checked: bool = False
    server_id: str | None = None
    server_seen_at: float = 0.0
    server_ready_at: float = 0.0
    server_unsettled_until: float = 0.0
    server_unknown: int = 0
    private_ip: str | None = None
    terminate_at: str | None = None

    @property
    def unsettled_until(self) -> float:
        """Return until when something may still appear that was not seen yet; 0 when nothing may."""
        return max(self.image_unsettled_until, self.server_unsettled_until)


class CleanupState(AttemptState, kw_only=True):
    """What the end of a drill knows. Times are Unix times of this machine's clock.

    :param has_looked: whether a look has succeeded.
    :param begun_at: when this task's first attempt began, as far as that is known.
    :param saw_server: whether a server was there at one of its looks.
    :param asked: when the deletion of each thing was last asked for, by its id.
    :param found: one line for each thing that a sweep found at first.
    :param servers: ids of servers that were deleted.
    :param images: ids of images that were deleted.
    """

    has_looked: bool = False
    begun_at: float = 0.0
    saw_server: bool = False
    asked: dict[str, float] = {}
    found: list[str] = []
    servers: list[str] = []
    images: list[str] = []

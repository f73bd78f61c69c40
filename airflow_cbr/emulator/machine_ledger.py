"""What IMS and ECS made, and what has become of it, for the ledger."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from airflow_cbr.emulator.clock import moment_text


@dataclass(slots=True)
class ImageEntry:
    """An image that was made, or is being made; ``state`` is ``making``, ``alive``, ``failed`` or ``deleted``."""

    image_id: str
    name: str
    tags: list[str]
    backup_id: str
    vault_id: str
    at: str | None
    by: str | None
    call_number: int | None
    state: str = "making"
    ended_at: str | None = None


@dataclass(slots=True)
class ServerEntry:
    """A server that was started; ``state`` is ``making``, ``alive``, ``failed`` or ``deleted``, and ``ended_by`` says what deleted it."""

    server_id: str
    name: str
    tags: dict[str, str]
    image_id: str
    vault_id: str | None
    auto_terminate_time: str
    has_public_ip: bool
    at: str | None
    by: str | None
    call_number: int | None
    state: str = "making"
    ended_by: str | None = None
    ended_at: str | None = None


@dataclass(slots=True)
class DiskEntry:
    """A disk that was made with a server; ``state`` is ``alive`` or ``deleted``."""

    disk_id: str
    server_id: str
    server_name: str
    vault_id: str | None
    size: int
    state: str = "alive"


class MachineLedger:
    """The part of the book about images, servers and disks."""

    def __init__(self) -> None:
        self.images: dict[str, ImageEntry] = {}
        self.servers: dict[str, ServerEntry] = {}
        self.disks: dict[str, DiskEntry] = {}
        self.lost_replicas: list[dict[str, str]] = []

    def end_image(self, image_id: str, state: str, now: float) -> None:
        """Enter what has become of an image.

        :param image_id: the image.
        :param state: ``alive``, ``failed`` or ``deleted``.
        :param now: simulated time.
        """
        entry = self.images[image_id]
        entry.state = state
        entry.ended_at = moment_text(now) if state != "alive" else None

    def end_server(self, server_id: str, by: str, now: float) -> None:
        """Enter that a server was deleted.

        :param server_id: the server.
        :param by: ``call`` or ``auto_terminate_time``.
        :param now: simulated time.
        """
        entry = self.servers[server_id]
        entry.state, entry.ended_by, entry.ended_at = "deleted", by, moment_text(now)

    def report(self, vault_id: str | None = None) -> dict[str, Any]:
        """Return the part of the book.

        :param vault_id: only what came of replicas in this vault. Default: None, everything.
        """

        def rows(entries: dict[str, Any]) -> list[dict[str, Any]]:
            return [asdict(entry) for entry in entries.values() if vault_id in (None, entry.vault_id)]

        lost = [one for one in self.lost_replicas if vault_id in (None, one["vault_id"])]
        return {"images": rows(self.images), "servers": rows(self.servers), "disks": rows(self.disks), "lost_replicas": lost}

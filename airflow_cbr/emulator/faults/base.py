"""What every fault has: which calls or copies it meets, and the moments at which it may act. A kind overrides the moments that it needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from airflow_cbr.emulator.bounds import LONGEST_TEXT
from airflow_cbr.emulator.exchange import WHOLE, Answer, Delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.emulator.clock import Timeline
    from airflow_cbr.emulator.exchange import Call
    from airflow_cbr.emulator.iam import Iam
    from airflow_cbr.emulator.machines import Image, Server
    from airflow_cbr.emulator.populate import Populator
    from airflow_cbr.emulator.store import Backup, Checkpoint, Record, Store


@dataclass(frozen=True)
class Arrival:
    """A call that a fault meets, and what the fault has at hand. ``carry_out`` lets the service do the call at a simulated time."""

    call: Call
    now: float
    store: Store
    iam: Iam
    populator: Populator
    timeline: Timeline
    carry_out: Callable[[float], Answer]


@dataclass
class Copy:
    """A copy on its way, and what a fault of it has at hand. ``middle`` is the simulated time at which half of it is done, once it runs."""

    source: Backup
    record: Record
    store: Store
    timeline: Timeline
    middle: float = field(default=0.0, init=False)


@dataclass(frozen=True)
class Ending:
    """How a copy, or the backup of a resource, ends: ``success``, ``fail`` or ``skip``, and why."""

    outcome: Literal["success", "fail", "skip"] = "success"
    code: str = ""
    reason: str = ""


class InjectedFault(BaseModel):
    """Which calls or copies a fault meets."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=LONGEST_TEXT)

    kind: str = ""
    vault_id: str | None = Field(default=None, description="Only calls about, or copies from, this source vault.")
    nth: int = Field(default=1, ge=1, le=1_000_000_000, description="The first match that is hit; those before it pass.")
    count: int | None = Field(default=1, ge=1, le=1_000_000_000, description="How many matches are hit from there on; null: all.")
    chance: float = Field(default=1.0, gt=0, le=1, description="Probability of each hit, drawn under the world's seed.")


class CallFault(InjectedFault):
    """A fault of calls. As it stands here it does nothing."""

    call: str | None = Field(default=None, description="Name of the call, such as `CopyCheckpoint`.")
    method: str | None = Field(default=None, description="HTTP method; with `path` instead of `call`.")
    path: str | None = Field(default=None, max_length=1000, description="Pattern of the path, such as `/v3/*/backups/*`.")
    when: Literal["before", "after"] = Field(default="after", description="Before the service does anything, or after it has done it.")

    def meets(self, call: Call, vault_id: str | None) -> bool:
        """Return whether a call is one of those that the fault is about.

        :param call: the call.
        :param vault_id: the vault that it is about, if any.
        """
        return (
            self.call in (None, call.name)
            and (self.method is None or self.method.upper() == call.method)
            and (self.path is None or fnmatchcase(call.raw_path, self.path))
            and self.vault_id in (None, vault_id)
        )

    def on_call(self, arrival: Arrival) -> Answer:
        """Answer a call in the service's place, or let the service do so; ``before`` it does nothing.

        :param arrival: the call as it arrives.
        :raises Refusal: is the answer.
        """
        return arrival.carry_out(arrival.now) if self.when == "after" else Answer(200)

    def on_sending(self, answer: Answer, now: float) -> Delivery:
        """Change the headers of an answer that is about to leave, and say how it reaches the client.

        :param answer: the answer, complete.
        :param now: the time of the service's region.
        """
        return WHOLE


class CopyFault(InjectedFault):
    """A fault of copies. As it stands here it does nothing."""

    backup_id: str | None = Field(default=None, description="Only copies of this backup.")

    def meets(self, vault_id: str, backup_id: str) -> bool:
        """Return whether a copy is one of those that the fault is about.

        :param vault_id: the source vault.
        :param backup_id: the backup.
        """
        return self.vault_id in (None, vault_id) and self.backup_id in (None, backup_id)

    def on_queue(self, seconds: float) -> float | None:
        """Return how many simulated seconds a copy waits, at least; None: for ever.

        :param seconds: as the switch says.
        """
        return seconds

    def on_start(self, copy: Copy) -> None:
        """Act as a copy begins to run.

        :param copy: the copy.
        """

    def on_end(self, copy: Copy) -> Ending | None:
        """Return how a copy ends; None: as it would.

        :param copy: the copy.
        """
        return None

    def on_replica(self, copy: Copy, make: Callable[[], Backup]) -> Backup | None:
        """Return the replica of a copy that succeeds; None: there is none.

        :param copy: the copy.
        :param make: makes the replica as it should be.
        """
        return make()


class CheckpointFault(InjectedFault):
    """A fault of new checkpoints. As it stands here it does nothing."""

    backup_id: str | None = Field(default=None, description="Only copies of this backup.")

    def meets(self, vault_id: str) -> bool:
        """Return whether a checkpoint is one of those that the fault is about.

        :param vault_id: the vault that is backed up.
        """
        return self.vault_id in (None, vault_id)

    def on_backup(self, backup: Backup) -> Ending:
        """Return how one backup of the checkpoint ends.

        :param backup: the backup.
        """
        return Ending()

    def on_end(self, checkpoint: Checkpoint) -> None:
        """Act as a checkpoint has ended.

        :param checkpoint: the checkpoint, which says ``available``.
        """


class _MachineFault(InjectedFault):
    backup_id: str | None = Field(default=None, description="Only what comes of this backup or replica.")

    def meets(self, vault_id: str, backup_id: str) -> bool:
        """Return whether an image or a server is one of those that the fault is about.

        :param vault_id: the vault that holds the backup; empty when there is none.
        :param backup_id: the backup; empty when there is none.
        """
        return self.vault_id in (None, vault_id) and self.backup_id in (None, backup_id)


class ImageFault(_MachineFault):
    """A fault of new images. As it stands here it does nothing."""

    def on_end(self, image: Image) -> Ending:
        """Return how the making of an image ends.

        :param image: the image.
        """
        return Ending()


class ServerFault(_MachineFault):
    """A fault of new servers. As it stands here it does nothing."""

    def on_end(self, server: Server) -> Ending:
        """Return how the start of a server ends.

        :param server: the server.
        """
        return Ending()

"""Random nights of drills under a seed: what may go wrong goes wrong, and the ledger is read at the end."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_cbr.drills.cleanup import Cleanup
from airflow_cbr.drills.marks import DagMark
from airflow_cbr.drills.spec import CleanupSpec
from airflow_cbr.exceptions import CbrError
from airflow_cbr.once.attempt import Attempt
from airflow_cbr.once.steps import Pause
from tests.support.drill_night import IDENTITY, SETTLE, DrillNight
from tests.support.replication_night import Killed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import ControlClient

ATTEMPTS = 12
"""Of the end: more than any schedule needs."""
LOST_ANSWERS: list[dict[str, Any]] = [
    {"kind": "reset"},
    {"kind": "timeout"},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 502},
    {"kind": "status", "status": 504},
    {"kind": "html"},
    {"kind": "not_json"},
]
READ_FAULTS: list[dict[str, Any]] = [
    {"kind": "reset"},
    {"kind": "timeout"},
    {"kind": "status", "status": 503},
    {"kind": "throttle", "retry_after": 20},
    {"kind": "truncated"},
    {"kind": "html"},
    {"kind": "token_revoked"},
    {"kind": "token_expired"},
]
READS = ["ListImages", "ListServersDetails", "ShowServer", "ShowJob", "ListBackups"]
WRITES = ["CreateWholeImage", "CreatePostPaidServers", "DeleteServers", "GlanceDeleteImage"]


@dataclass
class Outcome:
    """What became of a night.

    :param left: what is still there after the end, or after the sweep where no end came back; and replicas that are lost.
    :param most_images: images of the drill at the same time. The same of servers.
    :param foreign: what did not belong to the drill and is gone.
    :param started: whether the start ended with a server.
    :param ended: whether the end ended.
    """

    left: list[str] = field(default_factory=list)
    images: int = 0
    servers: int = 0
    foreign: list[str] = field(default_factory=list)
    started: bool = False
    ended: bool = False

    @property
    def is_good(self) -> bool:
        """Return whether nothing was leaked, doubled or wrongly deleted."""
        return self.ended and not self.left and not self.foreign and self.images <= 1 and self.servers <= 1


def play(seed: int) -> Outcome:
    """Play one random night: a start with its retries, kills and faults, an end with the same, and the ledger.

    :param seed: of all that is random.
    """
    chance = random.Random(seed)
    night = DrillNight(durable_store=chance.random() < 0.6)
    bystander = _bystander(night)
    _arrange(night, chance)
    outcome = Outcome()
    retries, deferred = chance.randrange(4), chance.random() < 0.5
    for _ in range(1 + retries):
        try:
            night.start(deferred=deferred, observe=_killer(chance, 60))
        except (Killed, CbrError):
            night.clock.advance(chance.choice([1, 30, 300]))
        else:
            outcome.started = True
            break
    outcome.images = len([one for one in night.made("images") if one["name"] == night.mark.name])
    outcome.servers = len([one for one in night.made("servers") if one["name"] == night.mark.name])
    if chance.random() < 0.1:
        # Airflow's own trouble: what the start has told is lost.
        night.xcom = None
    night.clock.advance(chance.choice([0, 60, 3600, 8 * 3600]))
    for attempt in range(ATTEMPTS):
        if attempt == 6:
            night.control.clear_faults()
        try:
            night.end(deferred=deferred, observe=_killer(chance, 40) if attempt < 6 else None)
        except (Killed, CbrError):
            night.clock.advance(chance.choice([1, 30, 300]))
        else:
            outcome.ended = True
            break
    night.control.clear_faults()
    outcome.left = [one for one in things_left(night) if one not in bystander]
    outcome.foreign = [one for one in bystander if one not in things_left(night)]
    return outcome


def _bystander(night: DrillNight) -> list[str]:
    """Start another drill, of the same Dag, which nobody ends; return what there is of it."""
    other = DrillNight(identity=(*IDENTITY[:2], "another", -1), adapter=night.adapter, spec={"terminate_after": 7 * 86400.0})
    other.start()
    return things_left(other)


def things_left(night: DrillNight) -> list[str]:
    """Return what is there, by name, and replicas that are lost."""
    night.clock.advance(SETTLE)
    ledger = night.control.ledger()
    there = [
        f"{kind}: {one.get('name') or one['server_name']} {one.get('image_id') or one.get('disk_id') or ''}"
        for kind in ("images", "servers", "disks")
        for one in ledger[kind]
        if one["state"] not in ("deleted", "failed") or (kind == "servers" and one["state"] == "failed")
    ]
    listed = [f"killed image {one.name}" for one in night.client().machines.list_images(kind="private") if one.status == "killed"]
    return [*there, *listed, *(f"lost replica {one['backup_id']}" for one in ledger["lost_replicas"])]


def arrange_machines(control: ControlClient, chance: random.Random) -> None:
    """Let IMS and ECS behave in one of the ways that are not confirmed.

    :param control: control calls of the emulator.
    :param chance: decides.
    """
    # Within settle_time together with the making of an image that shows only at its end.
    control.switch(
        image_seconds=chance.choice([10, 120, 300]),
        image_delay=chance.choice([0, 0, 30, 100]),
        image_listed_at=chance.choice(["start", "end"]),
        image_data_origin=chance.choice(["filled", "absent"]),
        deleting_unfinished_image=chance.choice(["ignored", "deleted"]),
        server_seconds=chance.choice([5, 120]),
        server_delay=chance.choice([0, 0, 60, 300]),
        server_tags=chance.choice(["listed", "absent"]),
        server_delete_seconds=chance.choice([1, 60]),
        image_delete_seconds=chance.choice([1, 60]),
        data_disks=chance.randrange(3),
        checkpoint_seconds=1,
    )


def _arrange(night: DrillNight, chance: random.Random) -> None:
    control = night.control
    arrange_machines(control, chance)
    for call in WRITES:
        if chance.random() < 0.4:
            control.fault(
                call=call,
                when=chance.choice(["before", "after"]),
                nth=chance.randrange(1, 4),
                count=chance.choice([1, 1, 2]),
                **chance.choice(LOST_ANSWERS),
            )
    if chance.random() < 0.2:
        control.fault("late", call=chance.choice(WRITES[:2]), nth=chance.randrange(1, 3), seconds=1 + 150 * chance.random())
    for _ in range(chance.randrange(4)):
        fault = dict(chance.choice(READ_FAULTS))
        most = {"token_revoked": 1, "token_expired": 1, "html": 2, "truncated": 2}.get(fault["kind"], 20)
        control.fault(call=chance.choice(READS), nth=chance.randrange(1, 12), count=min(chance.choice([1, 2, 20]), most), **fault)
    if chance.random() < 0.15:
        control.fault("image_fails")
    if chance.random() < 0.15:
        control.fault("server_fails")


def _killer(chance: random.Random, most: int) -> Callable[[Any, str], None]:
    kill_at = chance.randrange(1, most) if chance.random() < 0.5 else None
    seen = 0

    def observe(step: Any, moment: str) -> None:
        nonlocal seen
        seen += 1
        if seen == kill_at:
            raise Killed

    return observe


def sweep(night: DrillNight) -> list[str]:
    """Remove whatever drills of the Dag have left, as the sweep does; return what is left after it."""
    sweeping = Cleanup(
        night.client(),
        CleanupSpec(owner=DagMark.of(IDENTITY[0]), before=night.clock.now() + 1),
        attempt=Attempt(),
        intents=None,
        now=night.clock.now,
    )
    while isinstance(step := sweeping.advance(), Pause):
        night.clock.advance(step.seconds)
    return things_left(night)

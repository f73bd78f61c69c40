"""Random nights in which drills, a sweep and prunings work on the same two vaults at the same time, under a seed.

All of them share one service in virtual time. Between any two steps of one, another may take its turn; each may be killed there and tried
again; calls fail as they do in the nights of each alone. At the end the ledger is read, and each deletion of a backup has been judged when
it was carried out, by what the service held then.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from airflow_cbr.drills.cleanup import Cleanup
from airflow_cbr.drills.marks import DagMark
from airflow_cbr.drills.pick import Pick
from airflow_cbr.drills.spec import CleanupSpec
from airflow_cbr.drills.state import CleanupState, DrillState
from airflow_cbr.emulator.vault_parts import BackupPart
from airflow_cbr.emulator.world import DESTINATION_VAULT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrDrillError, CbrError
from airflow_cbr.once.attempt import Attempt
from airflow_cbr.once.steps import Pause
from airflow_cbr.pruning.keep_rules import KeepRules
from tests.support.cleared_attempts import Intents
from tests.support.drill_night import IDENTITY, DrillNight
from tests.support.drill_nights import LOST_ANSWERS, READ_FAULTS, READS, WRITES, arrange_machines, things_left
from tests.support.prune_world import DAY, PruneWorld, prune_world
from tests.support.replication_night import Killed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Outcome", "play"]

TURNS = 400
"""More than any schedule needs, whose attempts are limited."""
ATTEMPTS = 5
"""Of each task, after which the faults are over."""
_RESOURCES = ("94eba8b2-acc9-4d82-badc-127144cc5526", "1a503932-ee8f-4dd5-8248-8dfb57e584c5")


@dataclass
class Outcome:
    """What became of a night.

    :param left: images, servers and disks that are still there, and replicas that an image has taken with it.
    :param wrong: deletions of backups that had to stay.
    :param doubled: drills with more than one image or server at a time.
    :param foreign: what did not belong to the drills of this Dag, and is gone.
    :param started: how many drills had a server.
    :param deleted: how many backups and replicas were pruned.
    :param unfinished: tasks that did not come to an end.
    """

    left: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    started: int = 0
    deleted: int = 0
    unfinished: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Return whether nothing was leaked, lost, doubled or left undone."""
        return not (self.left or self.wrong or self.doubled or self.foreign or self.unfinished)


class Actor(Protocol):
    """A task of the night, over its attempts."""

    due: float
    is_over: bool

    def turn(self) -> None:
        """Do what can be done now; a task that was killed, or has failed, is tried again at its next turn."""


class Night:
    """A service, and those who work on it.

    :param seed: of all that is random.
    """

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.world = PruneWorld(
            prune_world(_backups(chance), seed=seed % 1000),
            rules=KeepRules(last=chance.choice([1, 1, 2]), weekly=chance.choice([0, 0, 1])),
            min_age=1.0,
            settle_timeout=600.0,
        )
        self.clock = self.world.clock
        self.has_faults = True
        self._depth = 0
        self.actors: list[Actor] = []

    def drill(self, task_id: str, dag_id: str = IDENTITY[0], **spec: Any) -> DrillNight:
        """Return a drill of this night's service.

        :param task_id: the task that starts it.
        :param dag_id: its Dag.
        :param spec: fields of its order.
        """
        resource = self.chance.choice(_RESOURCES)
        pick = Pick(resource_id=resource)
        if self.chance.random() < 0.4:
            # An old one, perhaps, that is to be pruned.
            replicas = [one for one in self.world.store.in_vault(DESTINATION_VAULT) if one.resource_id == resource]
            pick = Pick(replica_id=self.chance.choice(replicas).id) if replicas else pick
        durable = self.chance.random() < 0.6
        identity = (dag_id, IDENTITY[1], task_id, -1)
        return DrillNight(durable_store=durable, identity=identity, adapter=self.world.adapter, pick=pick, spec=spec)

    def observer(self) -> Callable[[Any, str], None]:
        """Return what is called at each step of an attempt: it may kill the attempt, and may let another task take a turn."""
        kill_at = self.chance.randrange(1, 60) if self.has_faults and self.chance.random() < 0.5 else None
        seen = 0

        def observe(step: Any, moment: str) -> None:
            nonlocal seen
            seen += 1
            if seen == kill_at:
                raise Killed
            if not self._depth and self.chance.random() < 0.15:
                self._depth += 1
                try:
                    self.take_turn()
                finally:
                    self._depth -= 1

        return observe

    def take_turn(self) -> None:
        """Let a task that is due take its turn; where none is, let the time pass until one is."""
        waiting = [one for one in self.actors if not one.is_over and one is not self._acting]
        if not waiting:
            return
        due = [one for one in waiting if one.due <= self.clock.now()]
        if not due:
            if self._depth:
                # Time passes between the steps of a task only as far as its calls take.
                return
            first = min(waiting, key=lambda one: one.due)
            self.clock.advance(first.due - self.clock.now())
            due = [first]
        before, self._acting = self._acting, self.chance.choice(due)
        try:
            self._acting.turn()
        finally:
            self._acting = before

    _acting: Actor | None = None

    def play(self) -> None:
        """Let all of them come to their ends."""
        for number in range(TURNS):
            if all(one.is_over for one in self.actors):
                return
            if number == TURNS // 2 and self.has_faults:
                self.has_faults = False
                self.world.control.clear_faults()
            self.take_turn()


class Drilling:
    """A drill: its start with its retries, its checks, and its end.

    :param night: the night.
    :param drill: the drill.
    """

    def __init__(self, night: Night, drill: DrillNight) -> None:
        self.night = night
        self.drill = drill
        self.due = night.clock.now() + night.chance.choice([0, 0, 60, 600])
        self.is_over = self.has_started = False
        self._retries = night.chance.randrange(3)
        self._deferred = night.chance.random() < 0.5
        self._work: Any = None
        self._is_ending = False
        self._most = {"images": 0, "servers": 0}

    def turn(self) -> None:
        """Take the next step of the start or of the end."""
        night, drill = self.night, self.drill
        try:
            if self._work is None:
                self._work = self._begin()
            step = self._work.advance()
        except (Killed, CbrError) as error:
            self._work = None
            self.due = night.clock.now() + night.chance.choice([1, 30, 300])
            if not self._is_ending:
                self._retries -= 1
                if self._retries < 0 or (isinstance(error, CbrDrillError) and error.permanent):
                    self._go_to_end()
            elif drill.ends >= ATTEMPTS:
                night.has_faults = False
                night.world.control.clear_faults()
            return
        finally:
            self._count()
        if isinstance(step, Pause):
            self.due = night.clock.now() + step.seconds
            if self._deferred:
                # The next leg begins in another process, with nothing but what went through the trigger.
                self._work = self._resume(self._work.state.dump())
        elif self._is_ending:
            self.is_over = True
        else:
            self.has_started = True
            self._go_to_end()

    def _begin(self) -> Any:
        drill = self.drill
        if self._is_ending:
            if not drill.ends:
                drill.end_began = self.night.clock.now()
            drill.ends += 1
            return drill.ending(observe=self.night.observer())
        drill.number += 1
        drill.xcom = None
        return drill.starting(observe=self.night.observer())

    def _resume(self, dumped: Any) -> Any:
        observe = self.night.observer()
        if self._is_ending:
            return self.drill.ending(state=CleanupState.load(dumped), observe=observe)
        return self.drill.starting(state=DrillState.load(dumped), observe=observe)

    def _go_to_end(self) -> None:
        self._is_ending, self._work = True, None
        # What the user's checks take; now and then longer than the server lives.
        self.due = self.night.clock.now() + self.night.chance.choice([0, 60, 1800, 8 * 3600])
        if self.night.chance.random() < 0.1:
            self.drill.xcom = None

    def _count(self) -> None:
        ledger = self.night.world.service.ledger.machines
        for kind, entries in (("images", ledger.images), ("servers", ledger.servers)):
            alive = [one for one in entries.values() if one.name == self.drill.mark.name and one.state in ("making", "alive")]
            self._most[kind] = max(self._most[kind], len(alive))

    @property
    def doubled(self) -> list[str]:
        """Return of what it had more than one at a time."""
        return [f"{kind} of {self.drill.identity[2]}" for kind, most in self._most.items() if most > 1]

    def __str__(self) -> str:
        """Return its name."""
        return self.drill.identity[2]


class Pruner:
    """A task that prunes, with its retries, and once more after it has ended.

    :param night: the night.
    """

    def __init__(self, night: Night) -> None:
        self.night = night
        self.due = night.clock.now() + night.chance.choice([0, 30, 300, 1800])
        self.is_over = False
        self._intents = Intents() if night.chance.random() < 0.5 else None
        self._runs = 2
        self._attempts = 0

    def turn(self) -> None:
        """Run one attempt to its end."""
        night = self.night
        self._attempts += 1
        try:
            night.world.run(observe=night.observer(), intents=self._intents)
        except (Killed, CbrError):
            self.due = night.clock.now() + night.chance.choice([1, 60, 900])
            self.is_over = self._attempts >= 4 * ATTEMPTS
        else:
            self._runs -= 1
            self.is_over = not self._runs
            self.due = night.clock.now() + night.chance.choice([60, 1800, 4 * 3600])

    def __str__(self) -> str:
        """Return its name."""
        return "prune"


class Sweeper:
    """The sweep of what drills of the Dag left behind the day before.

    :param night: the night.
    """

    def __init__(self, night: Night) -> None:
        self.night = night
        self.due = night.clock.now() + night.chance.choice([0, 300, 1800])
        self.is_over = False
        self._before = night.clock.now() - DAY / 2
        self._attempts = 0
        self._work: Cleanup | None = None

    def turn(self) -> None:
        """Take its next step."""
        night = self.night
        try:
            if self._work is None:
                self._attempts += 1
                spec = CleanupSpec(owner=DagMark.of(IDENTITY[0]), before=self._before)
                client = DrillNight(adapter=night.world.adapter).client()
                attempt = Attempt(number=self._attempts)
                self._work = Cleanup(client, spec, attempt=attempt, intents=None, observe=night.observer(), now=night.clock.now)
            step = self._work.advance()
        except (Killed, CbrError):
            self._work = None
            self.due = night.clock.now() + night.chance.choice([1, 30, 300])
            return
        if isinstance(step, Pause):
            self.due = night.clock.now() + step.seconds
        else:
            self.is_over = True

    def __str__(self) -> str:
        """Return its name."""
        return "sweep"


def _backups(chance: random.Random) -> list[BackupPart]:
    """Return some backups of two servers, a day apart or so; most with a replica, of some the source is gone later."""
    return [
        BackupPart(
            id=f"b0b0b0b0-0000-4000-8000-{number:012}",
            checkpoint_id=f"c0c0c0c0-0000-4000-8000-{number:012}",
            resource_id=resource,
            age_seconds=(number // 2 + 1) * DAY + 600 * number,
            replicated_to=[DESTINATION_VAULT] if chance.random() < 0.9 else [],
        )
        for number, resource in enumerate(_RESOURCES * chance.randrange(2, 5))
    ]


def _forget_some_sources(night: Night) -> None:
    """Let retention remove source backups: their replicas may be pruned at once."""
    for backup in list(night.world.store.in_vault(SOURCE_VAULT)):
        if night.chance.random() < 0.2:
            night.world.store.remove_backup(backup)
    night.world.store.forget_listings()


def _leave_a_drill(night: Night, task_id: str, dag_id: str) -> list[str]:
    """Start a drill that nobody ends; return what there is of it."""
    other = night.drill(task_id, dag_id, terminate_after=7 * DAY)
    try:
        other.start()
    except CbrDrillError:
        return []
    return [one for one in things_left(other) if other.mark.name in one]


def _arrange(night: Night) -> None:
    chance, control = night.chance, night.world.control
    arrange_machines(control, chance)
    control.switch(delete_seconds=chance.choice([0.0, 0.0, 15.0, 100.0]), delete_while_deleting=chance.choice(["6201", "204"]))
    for call in [*WRITES, "DeleteBackup"]:
        if chance.random() < 0.3:
            when, nth = chance.choice(["before", "after"]), chance.randrange(1, 4)
            control.fault(call=call, when=when, nth=nth, count=chance.choice([1, 1, 2]), **chance.choice(LOST_ANSWERS))
    for _ in range(chance.randrange(4)):
        fault = dict(chance.choice(READ_FAULTS))
        most = {"token_revoked": 1, "token_expired": 1, "html": 2, "truncated": 2}.get(fault["kind"], 8)
        call, count = chance.choice([*READS, "ShowBackup"]), min(chance.choice([1, 2, 8]), most)
        control.fault(call=call, nth=chance.randrange(1, 20), count=count, **fault)
    for kind in ("image_fails", "server_fails"):
        if chance.random() < 0.1:
            control.fault(kind)


def play(seed: int) -> Outcome:
    """Play one night, and read the ledger.

    :param seed: of all that is random.
    """
    night = Night(seed)
    with night.world.time_is_virtual():
        bystander = _leave_a_drill(night, "start", "another_dag")
        _leave_a_drill(night, "forgotten", IDENTITY[0])
        night.clock.advance(DAY)
        if night.chance.random() < 0.5:
            _forget_some_sources(night)
        night.world.take_reference()
        _arrange(night)
        drills = [Drilling(night, night.drill(f"drill_{number}")) for number in range(night.chance.choice([1, 1, 2]))]
        night.actors = [*drills, Sweeper(night), *(Pruner(night) for _ in range(night.chance.choice([1, 1, 2])))]
        night.play()
        night.world.control.clear_faults()
        left = things_left(drills[0].drill)
        return Outcome(
            left=[one for one in left if one not in bystander],
            wrong=night.world.violations,
            doubled=[one for drill in drills for one in drill.doubled],
            foreign=[one for one in bystander if one not in left],
            started=sum(drill.has_started for drill in drills),
            deleted=len(night.world.deleted),
            unfinished=[str(one) for one in night.actors if not one.is_over],
        )

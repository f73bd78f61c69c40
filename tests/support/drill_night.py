"""A restore drill in virtual time: its start and its end, a service that may misbehave, and attempts that may be killed at any step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_cbr.api.auth import PasswordCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.drills.cleanup import Cleanup
from airflow_cbr.drills.document import DrillProgress, progress
from airflow_cbr.drills.marks import DrillMark
from airflow_cbr.drills.pick import Pick, Restorable, find_restorable, pick_replica
from airflow_cbr.drills.spec import CleanupSpec, DrillSpec, Placement
from airflow_cbr.drills.start import Start
from airflow_cbr.drills.state import CleanupState, DrillState
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.world import (
    DESTINATION_PROJECT,
    DESTINATION_VAULT,
    DRILL_SECURITY_GROUP,
    DRILL_SUBNET,
    DRILL_VPC,
    SOURCE_PROJECT,
    SOURCE_VAULT,
    default_world,
)
from airflow_cbr.inventory.destination import Destination
from airflow_cbr.once.attempt import Attempt
from airflow_cbr.once.steps import Pause
from tests.support.cleared_attempts import ClearedAttempts, Intents
from tests.support.emulator import IN_PROCESS_URL, InProcessAdapter
from tests.support.fresh_machine import new_machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.drills.steps import Removed, Restored

IDENTITY = ("a_dag", "a_run", "start", -1)
THERE = Destination(region="cn-shenzhen-1", project_id=DESTINATION_PROJECT, vault_id=DESTINATION_VAULT)
PLACEMENT = Placement(flavor="s6.large.2", vpc_id=DRILL_VPC, subnet_id=DRILL_SUBNET, security_group_ids=(DRILL_SECURITY_GROUP,))
SETTLE = 600.0
ORDER: dict[str, Any] = {"vault_id": DESTINATION_VAULT, "placement": PLACEMENT, "settle_time": SETTLE, "poll_interval": 45.0}
_HERE = {f"{service}": IN_PROCESS_URL for service in ("cbr", "iam", "sts", "ims", "ecs")}


def replicated_world() -> Any:
    """Return the default world, with a replica of each of its backups."""
    world = default_world()
    for backup in world.vaults[0].backups:
        backup.replicated_to = [DESTINATION_VAULT]
    return world


@dataclass
class DrillNight(ClearedAttempts):
    """One drill, from the first attempt of its start to the last of its end.

    :param durable_store: whether intents outlive an attempt, as on Airflow 3.3; None before that.
    :param spec: fields of the order that differ from the defaults.
    :param pick: which replica is meant.
    :param identity: of the task that starts the drill.
    :param adapter: the emulator. Default: a new one.
    """

    durable_store: bool = True
    spec: dict[str, Any] = field(default_factory=dict)
    pick: Pick | None = None
    identity: tuple[str, str, str, int] = IDENTITY
    adapter: Any = None

    def __post_init__(self) -> None:
        if self.adapter is None:
            new_machine()
            self.adapter = InProcessAdapter(Emulator(replicated_world(), Clock(speed=0)), latency=0.05)
            self.adapter.control().switch(image_seconds=300, server_seconds=120)
        self.control = self.adapter.control()
        self.clock = self.adapter.clock
        self.intents = Intents() if self.durable_store else None
        self.end_intents = Intents() if self.durable_store else None
        self.run_after = self.clock.now()
        self.mark = DrillMark.of(*self.identity)
        self.xcom: dict[str, Any] | None = None
        self.pauses: list[Pause] = []
        self.steps: list[tuple[Any, str]] = []
        self.ends = 0
        if self.pick is None:
            self.pick = Pick(resource_id=next(iter(self.adapter.emulator.service.store.vaults[SOURCE_VAULT].resources)))

    def _sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def client(self, *, source: bool = False) -> CbrClient:
        """Return a client whose requests end in this night's emulator and whose sleeps pass virtual time."""
        client = CbrClient(
            PasswordCredentials("backup-bot", "emulator-password", "acme"),
            region="cn-north-4" if source else "cn-shenzhen-1",
            project_id=SOURCE_PROJECT if source else DESTINATION_PROJECT,
            endpoints=Endpoints(**_HERE),
            sleep=self._sleep,
        )
        client._transport._session.mount(IN_PROCESS_URL, self.adapter)
        client._authenticator._brake._clock = self.clock.now  # type: ignore[attr-defined]
        return client

    def choose(self) -> Restorable:
        """Verify, and return the replica that is meant."""
        found = find_restorable(self.client(source=True), self.client(), vault_id=SOURCE_VAULT, there=THERE)
        assert self.pick is not None
        return pick_replica(found, self.pick)

    def _watch(self, observe: Callable[[Any, str], None] | None) -> Callable[[Any, str], None]:
        def watch(step: Any, moment: str) -> None:
            self.steps.append((step, moment))
            if observe is not None:
                observe(step, moment)

        return watch

    def starting(self, *, state: DrillState | None = None, observe: Callable[[Any, str], None] | None = None) -> Start:
        """Return the start of the current attempt."""
        place = {"region": THERE.region, "project_id": THERE.project_id, "vault_id": THERE.vault_id}

        def publish(known: DrillState) -> None:
            self.xcom = progress(known, place, name=self.mark.name, flavor="s6.large.2")

        order: dict[str, Any] = {"mark": self.mark, **ORDER} | self.spec
        return Start(
            self.client(),
            DrillSpec(**order),
            pick=self.choose,
            attempt=Attempt(number=self.number, generation=self.generation, run_after=self.run_after),
            intents=self.intents,
            publish=publish,
            state=state,
            observe=self._watch(observe),
            now=self.clock.now,
        )

    def start(self, *, deferred: bool = False, observe: Callable[[Any, str], None] | None = None) -> Restored:
        """Run one attempt of the start to its end; each pause passes virtual time.

        :param deferred: whether each pause ends the process and the next leg begins with nothing but the state.
        :param observe: called at each step; may raise :class:`~tests.support.replication_night.Killed`.
        """
        self.number += 1
        self.xcom = None
        start = self.starting(observe=observe)
        while isinstance(step := start.advance(), Pause):
            self.pauses.append(step)
            self.clock.advance(step.seconds)
            if deferred:
                start = self.starting(state=DrillState.load(start.state.dump()), observe=observe)
        return step

    def ending(self, *, state: CleanupState | None = None, observe: Callable[[Any, str], None] | None = None, **changes: Any) -> Cleanup:
        """Return the end of the current attempt, as the operator makes it of what the start has published."""
        known = DrillProgress.read(self.xcom, self.mark.name)
        spec: dict[str, Any] = {
            "owner": self.mark,
            "poll_interval": 45.0,
            "unsettled_until": self.end_began + SETTLE if known is None else known.unsettled_until,
            "server_id": None if known is None else known.server_id,
            "image_id": None if known is None else known.image_id,
        }
        return Cleanup(
            self.client(),
            CleanupSpec(**spec | changes),
            attempt=Attempt(number=self.ends, generation=0, run_after=self.run_after),
            intents=self.end_intents,
            state=state,
            observe=self._watch(observe),
            now=self.clock.now,
        )

    def end(self, *, deferred: bool = False, observe: Callable[[Any, str], None] | None = None, **changes: Any) -> Removed:
        """Run one attempt of the end, as :meth:`start` runs one of the start."""
        if not self.ends:
            self.end_began = self.clock.now()
        self.ends += 1
        end = self.ending(observe=observe, **changes)
        while isinstance(step := end.advance(), Pause):
            self.pauses.append(step)
            self.clock.advance(step.seconds)
            if deferred:
                end = self.ending(state=CleanupState.load(end.state.dump()), observe=observe, **changes)
        return step

    # --- what the service did -------------------------------------------------------------------------------------------

    def made(self, kind: str) -> list[dict[str, Any]]:
        """Return the images, servers or disks that the service made, in order; an image whose making failed was not made."""
        found: list[dict[str, Any]] = self.control.ledger()[kind]
        return [one for one in found if kind != "images" or one["state"] != "failed"]

    def left(self) -> list[str]:
        """Return what is still there, and replicas that are not."""
        self.clock.advance(60)
        ledger = self.control.ledger()
        there = [f"{kind}: {one['state']}" for kind in ("images", "servers", "disks") for one in ledger[kind]]
        listed = list(self.client().machines.list_images(kind="private"))
        return [one for one in there if not one.endswith(("deleted", "images: failed"))] + [
            *(f"lost replica {one['backup_id']}" for one in ledger["lost_replicas"]),
            *(f"listed: {one.name} {one.status}" for one in listed),
        ]

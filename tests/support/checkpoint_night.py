"""The making of a checkpoint in virtual time: one vault, a service that may misbehave, and attempts that may be killed at any step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

from airflow_cbr.checkpoints.creation import Creation
from airflow_cbr.checkpoints.spec import CheckpointSpec, mark_of
from airflow_cbr.checkpoints.state import CheckpointState
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.world import SOURCE_VAULT, default_world
from airflow_cbr.once.attempt import Attempt
from airflow_cbr.once.steps import Pause
from tests.support.cleared_attempts import ClearedAttempts, Intents
from tests.support.emulator import IN_PROCESS_URL, InProcessAdapter
from tests.support.fresh_machine import new_machine
from tests.support.plain_client import Plain
from tests.support.replication_night import client_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.checkpoints.steps import CheckpointResult, CheckpointStep

MARK = mark_of("a_dag", "a_run", "a_task", -1)


@dataclass
class CheckpointNight(ClearedAttempts):
    """One order, from its first attempt to its last. The vault has room for many checkpoints; one takes ten minutes.

    :param durable_store: whether intents outlive an attempt, as on Airflow 3.3; None before that.
    :param spec: fields of the order that differ from the defaults.
    """

    durable_store: bool = True
    spec: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        new_machine()
        self.adapter = InProcessAdapter(Emulator(default_world(), Clock(speed=0)), latency=0.05)
        self.control = self.adapter.control()
        self.control.change_vault(SOURCE_VAULT, size=100_000)
        self.control.switch(checkpoint_seconds=600)
        self.clock = self.adapter.clock
        self.intents = Intents() if self.durable_store else None
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.run_after = self.clock.now()
        self.pauses: list[Pause] = []
        self.steps: list[tuple[CheckpointStep, str]] = []
        self.resources = list(self.adapter.emulator.service.store.vaults[SOURCE_VAULT].resources)
        self.spec.setdefault("vault_id", SOURCE_VAULT)
        self.spec.setdefault("mark", MARK)

    def _sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def client(self) -> CbrClient:
        """Return a client whose requests end in this night's emulator and whose sleeps pass virtual time."""
        return client_of(self.adapter, self._sleep)

    def creation(self, *, state: CheckpointState | None = None, observe: Callable[[CheckpointStep, str], None] | None = None) -> Creation:
        """Return the making of the current attempt."""

        def watch(step: CheckpointStep, moment: str) -> None:
            self.steps.append((step, moment))
            if observe is not None:
                observe(step, moment)

        return Creation(
            self.client(),
            CheckpointSpec(**self.spec),
            attempt=Attempt(number=self.number, generation=self.generation, run_after=self.run_after),
            intents=self.intents,
            publish=lambda checkpoint_id, summary: self.published.append((checkpoint_id, summary)),
            state=state,
            observe=watch,
            now=self.clock.now,
        )

    def attempt(self, *, deferred: bool = False, observe: Callable[[CheckpointStep, str], None] | None = None) -> CheckpointResult:
        """Run one attempt to its end; each pause passes virtual time.

        :param deferred: whether each pause ends the process and the next leg begins with nothing but the state.
        :param observe: called at each step; may raise :class:`~tests.support.replication_night.Killed`.
        """
        self.number += 1
        self.published = []
        creation = self.creation(observe=observe)
        while isinstance(step := creation.advance(), Pause):
            self.pauses.append(step)
            self.clock.advance(step.seconds)
            if deferred:
                creation = self.creation(state=CheckpointState.load(creation.state.dump()), observe=observe)
        return step

    def back_up_by_hand(self, **parameters: Any) -> requests.Response:
        """Let somebody else back up the vault."""
        with requests.Session() as session:
            session.trust_env = False
            session.mount(IN_PROCESS_URL, self.adapter)
            other = Plain(session, IN_PROCESS_URL, self.control)
            return other.send("POST", "/checkpoints", body={"checkpoint": {"vault_id": SOURCE_VAULT, "parameters": parameters}})

    @property
    def made(self) -> list[str]:
        """Return the ids of the checkpoints that the service started, in order."""
        return [entry["checkpoint_id"] for entry in self.control.ledger(SOURCE_VAULT)["checkpoints"]]

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Return the calls for a checkpoint that the service received, in order."""
        return [call for call in self.control.ledger(SOURCE_VAULT)["calls"] if call["call"] == "CreateCheckpoint"]

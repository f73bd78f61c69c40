"""A night of replication in virtual time: one vault, a service that may misbehave, and attempts that may be killed at any step.

The real client, the real state machine and the real emulator, without sockets and without a second of waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_cbr.api.auth import PasswordCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.world import DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT, default_world
from airflow_cbr.inventory.destination import Destination
from airflow_cbr.once.attempt import Attempt
from airflow_cbr.once.steps import Pause
from airflow_cbr.replication.spec import ReplicationSpec
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.replication.submission import Submission
from tests.support.cleared_attempts import ClearedAttempts, Intents
from tests.support.emulator import IN_PROCESS_URL, InProcessAdapter
from tests.support.fresh_machine import new_machine

if TYPE_CHECKING:
    from airflow_cbr.replication.steps import Result, Step

DESTINATION = Destination("cn-shenzhen-1", DESTINATION_PROJECT, DESTINATION_VAULT)
ENDPOINTS = Endpoints(cbr=IN_PROCESS_URL, iam=IN_PROCESS_URL)


class Killed(BaseException):
    """The process is gone: nothing of the package may catch this."""


def client_of(adapter: InProcessAdapter, sleep: Callable[[float], None], **options: Any) -> CbrClient:
    """Return a client of the default source project whose requests end in an emulator of this process.

    :param adapter: the emulator.
    :param sleep: how the client sleeps.
    :param options: further ones of the client.
    """
    credentials = PasswordCredentials("backup-bot", "emulator-password", "acme")
    client = CbrClient(credentials, region="cn-north-4", project_id=SOURCE_PROJECT, endpoints=ENDPOINTS, sleep=sleep, **options)
    client._transport._session.mount(IN_PROCESS_URL, adapter)
    client._authenticator._brake._clock = adapter.clock.now  # type: ignore[attr-defined]
    return client


@dataclass
class Night(ClearedAttempts):
    """One order, from its first attempt to its last.

    :param durable_store: whether intents outlive an attempt, as on Airflow 3.3; None before that.
    :param spec: fields of the order that differ from the defaults.
    """

    durable_store: bool = True
    spec: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Tokens are cached in the process; those of another night's service are worth nothing here.
        new_machine()
        self.adapter = InProcessAdapter(Emulator(default_world(), Clock(speed=0)), latency=0.05)
        self.control = self.adapter.control()
        self.clock = self.adapter.clock
        self.intents = Intents() if self.durable_store else None
        self.published: list[tuple[list[str], dict[str, int]]] = []
        self.run_after = self.clock.now()
        self.pauses: list[Pause] = []
        self.steps: list[tuple[Step, str]] = []
        self.spec.setdefault("vault_id", SOURCE_VAULT)
        self.spec.setdefault("destination", DESTINATION)

    def _sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def client(self, **options: Any) -> CbrClient:
        """Return a client whose requests end in this night's emulator and whose sleeps pass virtual time."""
        return client_of(self.adapter, self._sleep, **options)

    def destination_client(self) -> CbrClient:
        """Return a client of the destination in the same emulator."""
        credentials = PasswordCredentials("backup-bot", "emulator-password", "acme")
        client = CbrClient(
            credentials,
            region=DESTINATION.region,
            project_id=DESTINATION.project_id,
            home_region="cn-north-4",
            endpoints=ENDPOINTS,
            sleep=self._sleep,
        )
        client._transport._session.mount(IN_PROCESS_URL, self.adapter)
        return client

    def submission(self, *, state: ReplicationState | None = None, observe: Callable[[Step, str], None] | None = None) -> Submission:
        """Return a submission of the current attempt."""

        def watch(step: Step, moment: str) -> None:
            self.steps.append((step, moment))
            if observe is not None:
                observe(step, moment)

        return Submission(
            self.client(),
            ReplicationSpec(**self.spec),
            attempt=Attempt(number=self.number, generation=self.generation, run_after=self.run_after),
            intents=self.intents,
            publish=lambda record_ids, counts: self.published.append((record_ids, counts)),
            destination=self.destination_client,
            state=state,
            observe=watch,
            now=self.clock.now,
        )

    def attempt(self, *, deferred: bool = False, observe: Callable[[Step, str], None] | None = None) -> Result:
        """Run one attempt to its end; each pause passes virtual time.

        :param deferred: whether each pause ends the process and the next leg begins with nothing but the state.
        :param observe: called at each step; may raise :class:`Killed`.
        """
        self.number += 1
        self.published = []
        submission = self.submission(observe=observe)
        while isinstance(step := submission.advance(), Pause):
            self.pauses.append(step)
            self.clock.advance(step.seconds)
            if deferred:
                submission = self.submission(state=ReplicationState.load(submission.state.dump()), observe=observe)
        return step

    @property
    def ledger(self) -> dict[str, Any]:
        """Return what the service did with the vault."""
        return self.control.ledger(self.spec["vault_id"])

    @property
    def calls(self) -> list[str]:
        """Return the replicate calls that the service received, in order."""
        return [call["call"] for call in self.ledger["calls"] if call["call"] in ("CopyCheckpoint", "CopyBackup")]

    @property
    def copies(self) -> list[str]:
        """Return the ids of the backups whose copies the service started, in order."""
        return [started["backup_id"] for started in self.ledger["replications"]]

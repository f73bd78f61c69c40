"""Many vaults in virtual time, with copies that run: what the deferred waits are tested and measured on."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_cbr.api.auth import PasswordCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.switches import Switches
from airflow_cbr.emulator.vault_parts import BackupPart, VaultPart
from airflow_cbr.emulator.world import DESTINATION_PROJECT, SOURCE_PROJECT, default_world
from airflow_cbr.waiting import watch
from airflow_cbr.waiting.access import Opened
from airflow_cbr.waiting.waiter import Waiter
from airflow_cbr.waiting.watch import join
from tests.support.emulator import IN_PROCESS_URL, InProcessAdapter
from tests.support.fresh_machine import new_machine
from tests.support.virtual_time import START, VirtualLoop

if TYPE_CHECKING:
    import contextlib

    from airflow_cbr.api.auth import Credentials

REGION = "cn-north-4"
ENDPOINTS = Endpoints(cbr=IN_PROCESS_URL, iam=IN_PROCESS_URL)


@dataclass
class Vault:
    """A source vault whose backups are being copied.

    :param id: its id.
    :param records: record ids, in the order of the backups.
    :param backups: backup id by record id.
    """

    id: str
    records: list[str] = field(default_factory=list)
    backups: dict[str, str] = field(default_factory=dict)


class Service:
    """An emulator on a virtual loop's clock.

    :param loop: the loop.
    :param vaults: for each source vault, the length of each backup's copy in minutes.
    :param switches: of the emulator.
    """

    def __init__(self, loop: VirtualLoop, vaults: Sequence[Sequence[int]] = ((60,),), **switches: Any) -> None:
        # Tokens are cached in the process; those of another service are worth nothing here.
        new_machine()
        self.loop = loop
        world = default_world()
        number = itertools.count()
        self.vaults = [Vault(_uuid(next(number))) for _ in vaults]
        destination = VaultPart(id=_uuid(next(number)), project_id=DESTINATION_PROJECT, protect_type="replication", size=10_000_000)
        parts = [
            VaultPart(
                id=vault.id,
                project_id=SOURCE_PROJECT,
                size=10_000_000,
                backups=[BackupPart(id=_uuid(next(number)), resource_size=minutes) for minutes in lengths],
            )
            for vault, lengths in zip(self.vaults, vaults, strict=True)
        ]
        world.vaults = [*parts, destination]
        quick = {"queue_seconds": 0.0, "copy_seconds": 0.0, "copy_seconds_per_gb": 60.0, "copies_at_once": None}
        world.switches = Switches(**{**quick, **switches})
        clock = Clock(real=loop.time, start=START)
        self.emulator = Emulator(world, clock)
        self.adapter = InProcessAdapter(self.emulator)
        self.control = self.adapter.control()
        self.opened = 0
        self.hidden: list[str] = []
        self.clients: list[CbrClient] = []
        self.closed: list[CbrClient] = []
        self.credentials: Credentials = PasswordCredentials("backup-bot", "emulator-password", "acme")
        self._destination = str(destination.id)

    def start_copies(self) -> None:
        """Replicate every vault."""
        client = self.client()
        for vault in self.vaults:
            references = client.replicate_checkpoint(
                vault_id=vault.id,
                destination_region="cn-shenzhen-1",
                destination_project_id=DESTINATION_PROJECT,
                destination_vault_id=self._destination,
            ).references
            vault.backups = {pair.replication_record_id: pair.backup_id for pair in references}
            vault.records = list(vault.backups)
        client.close()

    def client(self, on_secret: Callable[[str], None] | None = None) -> CbrClient:
        """Return a client whose requests end in this emulator, without retries of its own."""
        client = CbrClient(
            self.credentials,
            region=REGION,
            project_id=SOURCE_PROJECT,
            endpoints=ENDPOINTS,
            retry_budget=0.0,
            on_secret=on_secret,
        )
        client._transport._session.mount(IN_PROCESS_URL, self.adapter)
        client._authenticator._brake._clock = self.loop.unix_time  # type: ignore[attr-defined]
        close = client.close

        def note_close() -> None:
            self.closed.append(client)
            close()

        client.close = note_close  # type: ignore[method-assign]
        self.clients.append(client)
        return client

    def requests(self, vault: Vault | None = None) -> Counter[str]:
        """Return the number of requests by call name; from the book itself, since a control call would carry it over whole."""
        ledger = self.emulator.service.ledger
        return ledger._requests.copy() if vault is None else ledger._requests_of.get(vault.id, Counter()).copy()

    def looks(self, vault: Vault | None = None) -> int:
        """Return the number of requests that look at backups."""
        counts = self.requests(vault)
        return counts["ListBackups"] + counts["ShowBackup"]

    # --- what a watch is given ----------------------------------------------------------------------------------------

    account: Hashable = "acme"
    project: Hashable = SOURCE_PROJECT

    async def open(self) -> Opened:
        """Resolve the connection."""
        self.opened += 1
        return Opened(self.account, self.credentials, self.project, self.client)

    async def hide(self, secret: str) -> None:
        """Mask a secret."""
        self.hidden.append(secret)

    def wait(
        self, vault: Vault, records: Sequence[str] | None = None, *, connection: str = "cbr", **waiter: Any
    ) -> contextlib.AbstractContextManager[Waiter]:
        """Return a wait for records of a vault, to be entered."""
        intervals = {"shortest": 30.0, "longest": 600.0} | waiter
        return join(
            Waiter(vault.records if records is None else records, **intervals),
            connection=connection,
            region=REGION,
            project_id=SOURCE_PROJECT,
            vault_id=vault.id,
            access=self,
        )


def registered() -> int:
    """Return the number of watches that are in any loop's register."""
    return sum(len(here.watches) for here in watch._loops.values())


def _uuid(number: int) -> str:
    return str(uuid.UUID(int=(0xC0FFEE << 80) + number, version=4))

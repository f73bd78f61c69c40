"""Two nights of backups with their replicas, in virtual time: the world in which single copies are made wrong.

The nights are a day apart. Last night's copies are good, and tonight's backups are made when a case begins. So what is wrong with tonight
alone leaves an older good replica of every resource.
"""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Self

from airflow_cbr.api.auth import PasswordCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.key_parts import UserPart
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT, World, default_world
from airflow_cbr.inventory.destination import Destination
from airflow_cbr.verification.levels import Action, Level, Scope, VerificationSpec
from airflow_cbr.verification.verify import verify
from tests.support.emulator import IN_PROCESS_URL, EmulatorServer, InProcessAdapter
from tests.support.fresh_machine import new_machine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_cbr.verification.report import Report

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
MAX_AGE: Final = 36 * HOUR
"""Between the age of last night's backups and that of the night before."""
RETENTION: Final = 7 * DAY
DESTINATION: Final = Destination("cn-shenzhen-1", DESTINATION_PROJECT, DESTINATION_VAULT)
HERE, THERE = "backup-bot", "auditor"
"""The users that look at the two sides."""


def two_nights_world() -> World:
    """Return the default world with a user for each side, one whose policy copies, and a locked destination vault."""
    world = default_world()
    world.users[0].projects = [SOURCE_PROJECT]
    world.users += [
        UserPart(name=THERE, password="another password", access_key="THERE", secret_key="another-secret", projects=[DESTINATION_PROJECT]),
        UserPart(name="policy", password="a third password", access_key="POLICY", secret_key="a-third-secret"),
    ]
    world.vaults[1].locked = True
    return world


@cache
def _adapter() -> InProcessAdapter:
    """Return the emulator in this process. Each case puts a new world into it, which is quicker than a new emulator."""
    return InProcessAdapter(Emulator(two_nights_world(), Clock(speed=0)))


class TwoNights:
    """The world, and the clients of both sides.

    :param server: a served emulator whose clock stands; it gets this world. Default: one in this process.
    """

    def __init__(self, server: EmulatorServer | None = None) -> None:
        # Tokens are cached in the process; those of another service are worth nothing here.
        new_machine()
        self._url = server.url if server else IN_PROCESS_URL
        self._open = ExitStack()
        self.control = server.control if server else _adapter().control()
        self.control.world(two_nights_world())
        self.here = self.client(HERE, "emulator-password", "cn-north-4", SOURCE_PROJECT)
        self.there = self.client(THERE, "another password", "cn-shenzhen-1", DESTINATION_PROJECT)
        self.resources = [{"id": one.id, "name": one.name} for one in two_nights_world().vaults[0].resources]
        self.last_night = list(BACKUPS)
        self.copy()
        self.last_records = self.record_ids
        self.control.advance(DAY - HOUR)
        self.tonight = self.back_up()
        self.record_ids: list[str] = []

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the clients."""
        self._open.close()

    def client(self, user: str, password: str, region: str, project_id: str) -> CbrClient:
        """Return a client of one side."""
        endpoints = Endpoints(cbr=self._url, iam=self._url)
        client = CbrClient(PasswordCredentials(user, password, "acme"), region=region, project_id=project_id, endpoints=endpoints)
        if self._url == IN_PROCESS_URL:
            client._transport._session.mount(IN_PROCESS_URL, _adapter())
        self._open.callback(client.close)
        return client

    # --- what happens -----------------------------------------------------------------------------------------------------

    def back_up(self, **changes: Any) -> list[str]:
        """Let every resource have a backup of one new checkpoint; return their ids."""
        checkpoint_id = str(uuid.uuid4())
        made = {"checkpoint_id": checkpoint_id, "auto_trigger": True} | changes
        return [
            self.control.add_backup(SOURCE_VAULT, resource_id=one["id"], name=f"tonight-{one['name']}", **made)["id"]
            for one in self.resources
        ]

    def copy(self, *, client: CbrClient | None = None, vault_id: str = SOURCE_VAULT, auto_trigger: bool = False) -> None:
        """Replicate a vault, let an hour pass, and ask for these records from now on.

        :param client: who replicates. Default: the client of this side.
        """
        answer = (client or self.here).replicate_checkpoint(vault_id=vault_id, auto_trigger=auto_trigger, **self._there())
        self.record_ids = [one.replication_record_id for one in answer.references]
        self.control.advance(HOUR)

    def copy_individually(self, *backup_ids: str, vault_id: str = DESTINATION_VAULT) -> None:
        """Replicate backups one by one, let time pass, and ask for their records too."""
        for backup_id in backup_ids:
            answer = self.here.replicate_backup(backup_id, **self._there() | {"destination_vault_id": vault_id})
            self.record_ids += [one.replication_record_id for one in answer.references]
        self.control.advance(HOUR)

    def _there(self) -> dict[str, Any]:
        return {
            "destination_region": DESTINATION.region,
            "destination_project_id": DESTINATION.project_id,
            "destination_vault_id": DESTINATION.vault_id,
        }

    def record(self, backup_id: str) -> dict[str, Any]:
        """Return the newest record of a backup, as the emulator knows it."""
        (backup,) = [one for one in self.control.state(SOURCE_VAULT)["backups"] if one["id"] == backup_id]
        record: dict[str, Any] = backup["records"][-1]
        return record

    def replica(self, backup_id: str) -> str:
        """Return the id of the newest replica of a backup."""
        return str(self.record(backup_id)["destination_backup_id"])

    def change_record(self, backup_id: str, **changes: Any) -> None:
        """Change the newest record of a backup."""
        self.control.change_record(self.record(backup_id)["id"], **changes)

    def change_replica(self, backup_id: str, **changes: Any) -> None:
        """Change the newest replica of a backup."""
        self.control.change_backup(self.replica(backup_id), **changes)

    @property
    def emulator(self) -> Emulator:
        """Return the emulator of this process."""
        return _adapter().emulator

    # --- what is asked ----------------------------------------------------------------------------------------------------

    def judge(
        self, levels: Iterable[Level] = Level, *, by_records: bool = False, scope: Scope = Scope.NEWEST, vault_id: str = SOURCE_VAULT
    ) -> Report:
        """Verify.

        :param levels: the levels that are judged. Default: all.
        :param by_records: whether the records of the newest copies are asked for, and not the vaults alone.
        """
        assignment = VerificationSpec(
            vault_id,
            DESTINATION,
            levels=dict.fromkeys(levels, Action.FAIL),
            scope=Scope.RECORDS if by_records else scope,
            record_ids=tuple(self.record_ids) if by_records else (),
            max_age=MAX_AGE,
            retention=RETENTION,
            require_locked=True,
        )
        return verify(self.here, self.there, assignment)

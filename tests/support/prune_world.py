"""Two vaults to be pruned, in this process and in virtual time, and a judge that stands at the service's door.

Each deletion is judged at the moment at which the service carries it out, by what the emulator's world holds then. The judge shares nothing
with the code that is tested: neither its rules, nor its look, nor its arithmetic of days and months.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.credentials import PasswordCredentials
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.ledger import DeletionEntry
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.world import DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT, World, default_world
from airflow_cbr.inventory.destination import Destination
from airflow_cbr.pruning.keep_rules import KeepRules
from airflow_cbr.pruning.notes import Notes
from airflow_cbr.pruning.pruning import Pruning
from airflow_cbr.pruning.spec import PruneSpec, Side
from airflow_cbr.verification import clocks
from tests.support.emulator import IN_PROCESS_URL, InProcessAdapter
from tests.support.fresh_machine import new_machine
from tests.support.replication_night import ENDPOINTS, Killed

if TYPE_CHECKING:
    from airflow_cbr.emulator.store import Backup, Record, Store
    from airflow_cbr.emulator.vault_parts import BackupPart, VaultPart
    from airflow_cbr.pruning.steps import PruneStep
    from tests.support.cleared_attempts import Intents

__all__ = ["DAY", "Killed", "PruneJudge", "PruneWorld", "prune_world"]

DAY = 86400.0
DESTINATION = Destination("cn-shenzhen-1", DESTINATION_PROJECT, DESTINATION_VAULT)
_MARGIN = 300.0
_LOG = logging.getLogger("tests.prune")


def prune_world(backups: list[BackupPart], *, switches: dict[str, Any] | None = None, seed: int = 1) -> World:
    """Return the default world with other backups in its source vault.

    :param backups: the backups, with ``replicated_to`` where they are copied.
    :param switches: of the world.
    :param seed: of its ids.
    """
    world = default_world()
    source, destination = world.vaults
    vaults: list[VaultPart] = [
        source.model_copy(update={"backups": backups, "size": 100_000}),
        destination.model_copy(update={"size": 100_000}),
    ]
    settings = world.switches.model_copy(update=switches or {})
    return world.model_copy(update={"vaults": vaults, "switches": settings, "seed": seed})


class PruneJudge:
    """Stands at the door of a service, and judges each deletion of a backup.

    :param emulator: the service.
    :param spec: what differs from a pruning that deletes and keeps the newest backup alone.
    """

    def __init__(self, emulator: Emulator, **spec: Any) -> None:
        self._emulator = emulator
        given: dict[str, Any] = {"plan_only": False, "min_age": 1.0, "rules": KeepRules(last=1)} | spec
        self.spec = PruneSpec(vault_id=SOURCE_VAULT, destination=DESTINATION, **given)
        self.violations: list[str] = []
        self._judged = 0
        self._reference: dict[str, set[str]] = {}
        self.service.ledger.deletions = _WatchedDeletions(self._judge)

    @property
    def service(self) -> Any:
        """Return the emulator's service."""
        return self._emulator.service

    @property
    def store(self) -> Store:
        """Return what the emulator holds."""
        store: Store = self.service.store
        return store

    @property
    def deleted(self) -> list[str]:
        """Return the ids of what the service deleted because it was asked, in order."""
        return [entry.backup_id for entry in self.service.ledger.deletions if entry.how == "asked"]

    def take_reference(self) -> None:
        """Remember what the keep rules keep of what is there now."""
        self._judged = 1
        self._reference = {}
        for side in Side:
            rows = [backup for backup in self._of_side(side) if self._is_dated(backup)]
            fit = [backup for backup in rows if self._is_fit(backup, side)]
            self._reference[side] = self.kept_by_rules(rows) | self.kept_by_rules(fit)

    def kept_by_rules(self, rows: list[Backup]) -> set[str]:
        """Return the ids that the keep rules keep, reckoned from the oldest to the newest."""
        kept: set[str] = set()
        rules = self.spec.rules
        for resource in {backup.resource_id for backup in rows}:
            own = sorted((backup.created_at, backup.id) for backup in rows if backup.resource_id == resource)
            for count, period in (
                (rules.last, None),
                (rules.daily, "%Y-%m-%d"),
                (rules.weekly, "%G-%V"),
                (rules.monthly, "%Y-%m"),
                (rules.yearly, "%Y"),
            ):
                # The newest of each period overwrites those before it.
                newest: dict[str, str] = {}
                for number, (created, id_) in enumerate(own):
                    newest[str(number) if period is None else _when(created, rules.zone).strftime(period)] = id_
                periods = list(newest.values())
                kept.update(periods[max(len(periods) - count, 0) :])
                if count > len(periods):
                    kept.add(own[0][1])
        return kept

    def _of_side(self, side: Side) -> list[Backup]:
        return list(self.store.in_vault(SOURCE_VAULT if side is Side.SOURCE else DESTINATION_VAULT))

    @staticmethod
    def _is_dated(backup: Backup) -> bool:
        return backup.row.get("created_at", "") is not None and backup.created_at > 0

    def _is_fit(self, backup: Backup, side: Side) -> bool:
        """Return whether a restore from it would be possible, as far as the world says."""
        if _shown(backup, "status") != "available" or not self._stands_whole(backup) or "extend_info" in backup.row:
            return False
        return self.good_replica_of(backup) is not None if side is Side.SOURCE else True

    def good_replica_of(self, backup: Backup, *, apart_from: str | None = None) -> Backup | None:
        """Return the good replica of a source backup, or None."""
        for record in backup.records:
            replica = self.store.backups.get(record.destination_backup_id or "")
            if replica is not None and replica.id != apart_from and self._is_good(backup, record, replica):
                return replica
        return None

    def _is_good(self, backup: Backup, record: Record, replica: Backup) -> bool:
        others = [
            one
            for other in self.store.backups.values()
            for one in other.records
            if other.id != backup.id and one.destination_backup_id == replica.id and one.status == "success"
        ]
        return (
            record.status == "success"
            and (record.shown_status or record.status) == "success"
            and record.destination_vault_id == DESTINATION_VAULT
            and not others
            and _shown(backup, "status") == "available"
            and _shown(replica, "status") == "available"
            and _shown(replica, "image_type") == "replication"
            and replica.vault_id == DESTINATION_VAULT
            and replica.resource_id == backup.resource_id
            and replica.resource_size == backup.resource_size > 0
            and replica.created_at - backup.created_at >= -_MARGIN
            and (replica.expired_at is None or replica.expired_at > self._emulator.clock.now())
            and replica.row.get("created_at", "") is not None
        )

    def _is_whole(self, backup: Backup) -> bool:
        """Return whether its checkpoint is complete: nothing in it is broken or unfinished, and nothing was left out."""
        checkpoint = self.store.checkpoints.get(backup.checkpoint_id)
        says_so = checkpoint is not None and checkpoint.status == "available" and not checkpoint.skipped
        return self._stands_whole(backup) and (says_so or backup.vault_id != SOURCE_VAULT)

    def _stands_whole(self, backup: Backup) -> bool:
        """Return the same by the backups in it, whatever the checkpoint itself says."""
        beside = [one for one in self.store.in_vault(backup.vault_id) if one.checkpoint_id == backup.checkpoint_id]
        if any(_shown(one, "status") not in ("available", "deleting", "waiting_delete") for one in beside):
            return False
        if backup.vault_id == SOURCE_VAULT:
            replicable = [one for one in beside if _shown(one, "status") == "available" and one.contain_system_disk]
            return all(self.good_replica_of(one) is not None for one in replicable)
        return True

    def _judge(self, entry: DeletionEntry) -> None:
        if entry.how != "asked":
            return
        backup = self.store.backups[entry.backup_id]
        side = Side.SOURCE if backup.vault_id == SOURCE_VAULT else Side.REPLICA
        for text, is_wrong in self._wrongs(backup, side):
            if is_wrong:
                self.violations.append(f"{side} {backup.id} was deleted, but {text}")

    def _wrongs(self, backup: Backup, side: Side) -> Iterator[tuple[str, bool]]:
        vault, now = self.store.vaults[backup.vault_id], self._emulator.clock.now()
        restores = [log for log in self.store.logs.values() if log.operation_type == "restore" and log.status in ("running", "waiting")]
        yield "nothing was to be deleted", self.spec.plan_only
        yield "that side was not to be pruned", side not in self.spec.sides
        yield "it is of no vault that was named", backup.vault_id not in (SOURCE_VAULT, DESTINATION_VAULT)
        yield "its vault is locked", vault.locked or vault.row.get("locked", False) is not False
        yield "its vault is not available", vault.status != "available"
        yield "it is not available", _shown(backup, "status") != "available"
        yield "it is not what that side holds", _shown(backup, "image_type") != {Side.SOURCE: "backup", Side.REPLICA: "replication"}[side]
        yield "an image uses it", bool(backup.images)
        yield "it is being copied", any(record.in_flight or record.shown_status for record in backup.records)
        yield "it is being restored", any(log.detail.get("backup_id") == backup.id for log in restores)
        yield "its date is missing", not self._is_dated(backup)
        yield (
            "its row says nothing of it",
            any(backup.row.get(name, "") is None for name in ("resource_id", "checkpoint_id", "extend_info")),
        )
        yield "it is part of another", backup.row.get("parent_id") is not None
        yield "it is too new", now - backup.created_at < self.spec.min_age
        yield "it comes from the future", backup.created_at > now
        yield "its checkpoint is incomplete", not self._is_whole(backup)
        yield "a keep rule keeps it", backup.id in self._reference[side]
        if side is Side.SOURCE:
            yield "it has no verified replica", self.good_replica_of(backup) is None
        else:
            sources = list(self.store.in_vault(SOURCE_VAULT))
            survivors = [
                replica
                for one in sources
                if one.resource_id == backup.resource_id and (replica := self.good_replica_of(one, apart_from=backup.id)) is not None
            ]
            yield "it is the last verified replica", not survivors
            yield "the others end before it", not any(_ends(one) >= _ends(backup) for one in survivors)
            named = [record.destination_backup_id for one in self.store.backups.values() for record in one.records]
            yield "its source backup is there", backup.id in named


class PruneWorld(PruneJudge):
    """A world, the clients of both sides, and the judge.

    :param world: what there is.
    :param spec: what differs from a pruning that deletes and keeps the newest backup alone.
    """

    def __init__(self, world: World, **spec: Any) -> None:
        new_machine()
        self.adapter = InProcessAdapter(Emulator(world, Clock(speed=0)), latency=0.01)
        self.control = self.adapter.control()
        self.clock = self.adapter.clock
        super().__init__(self.adapter.emulator, **spec)

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.clock.advance(seconds)

    def client(self, side: Side) -> CbrClient:
        """Return a client of a side."""
        region, project = ("cn-north-4", SOURCE_PROJECT) if side is Side.SOURCE else (DESTINATION.region, DESTINATION.project_id)
        client = CbrClient(
            PasswordCredentials("backup-bot", "emulator-password", "acme"),
            region=region,
            project_id=project,
            home_region="cn-north-4",
            endpoints=ENDPOINTS,
            sleep=self.sleep,
        )
        client._transport._session.mount(IN_PROCESS_URL, self.adapter)
        return client

    def pruning(
        self, *, observe: Callable[[PruneStep, str], None] | None = None, intents: Intents | None = None, **changes: Any
    ) -> Pruning:
        """Return a pruning, as one attempt makes it."""
        spec = PruneSpec(**{name: getattr(self.spec, name) for name in PruneSpec.__dataclass_fields__} | changes)
        return Pruning(
            self.client(Side.SOURCE),
            self.client(Side.REPLICA),
            spec,
            notes=Notes(intents, spec),
            observe=observe or (lambda step, moment: None),
            sleep=self.sleep,
            log=_LOG,
        )

    def run(self, **options: Any) -> Pruning:
        """Prune once; return the pruning at its end."""
        pruning = self.pruning(**options)
        with self.time_is_virtual():
            pruning.run()
        return pruning

    @contextmanager
    def time_is_virtual(self) -> Iterator[None]:
        """Let this machine's clock be the virtual one, where the clocks are compared; and remember what the keep rules keep."""
        if not self._judged:
            self.take_reference()
        with mock.patch.object(clocks, "time", SimpleNamespace(time=self.clock.now)):
            yield


class _WatchedDeletions(list[DeletionEntry]):
    """Calls the judge before a deletion is entered."""

    def __init__(self, judge: Callable[[DeletionEntry], None]) -> None:
        super().__init__()
        self._judge = judge

    def append(self, entry: DeletionEntry) -> None:
        """Judge, and enter."""
        self._judge(entry)
        super().append(entry)


def _shown(backup: Backup, name: str) -> Any:
    return backup.row.get(name, getattr(backup, name))


def _ends(backup: Backup) -> float:
    return float("inf") if backup.expired_at is None else backup.expired_at


def _when(moment: float, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(moment, UTC).astimezone(zone)

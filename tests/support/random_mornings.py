"""Random mornings under a seed: what a verify task is asked after a random night, and what has gone wrong with the copies by then."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.emulator.world import DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_VAULT
from tests.support.mornings import Morning
from tests.support.random_nights import go_through
from tests.support.replicated_nights import DAY, HOUR, TwoNights
from tests.support.wrong_copies import CASES, RIGHT_CASES

if TYPE_CHECKING:
    from airflow_cbr.emulator.store import Backup, Record
    from tests.support.emulator import ControlClient
    from tests.support.replication_night import Night

NAMES: Final = sorted(CASES) + sorted(RIGHT_CASES)
"""Of the cases of wrong copies, and of what is none."""


def after_a_random_night(seed: int) -> Morning:
    """Play a random night, let the copies be spoilt, and verify.

    :param seed: of all that is random.
    """
    night, result = go_through(seed)
    chance = random.Random(f"morning {seed}")
    night.control.clear_faults()
    _spoil(night, chance)
    asked = _question(chance, result.record_ids if result is not None else [])
    with TemporaryDirectory() as folder:
        return Morning.of(night.adapter.emulator, night.client(), night.destination_client(), Path(folder), **asked)


def after_wrong_copies(name: str, seed: int) -> Morning:
    """Play a case of wrong copies, and verify.

    :param name: of the case.
    :param seed: of what is asked.
    """
    chance = random.Random(f"{name} {seed}")
    with TwoNights() as nights, TemporaryDirectory() as folder:
        (CASES | RIGHT_CASES)[name](nights)
        return Morning.of(nights.emulator, nights.here, nights.there, Path(folder), **_question(chance, nights.record_ids))


def _question(chance: random.Random, record_ids: list[str]) -> dict[str, Any]:
    """Return random parameters of a verify task."""
    actions = ["fail", "fail", "warn", "skip"]
    levels = {level: chance.choice(actions) for level in ("record", "replica", "coverage", "vault") if chance.random() < 0.7}
    asked: dict[str, Any] = {"levels": levels or {"replica": "fail"}, "scope": chance.choice(["newest", "newest", "all"])}
    if chance.random() < 0.6:
        asked["max_age"] = chance.choice([2 * HOUR, 36 * HOUR, 30 * DAY])
        if chance.random() < 0.3:
            asked["levels"]["rpo"] = chance.choice(actions)
    if "replica" in asked["levels"] and chance.random() < 0.2:
        asked["retention"] = chance.choice([DAY, 400 * DAY])
    if record_ids and chance.random() < 0.5:
        asked["replication_record_ids"] = record_ids
    return {**asked, "allow_empty": True}


# --- what goes wrong ----------------------------------------------------------------------------------------------------------


@dataclass
class _Scene:
    """What one of the wrongs is done to."""

    control: ControlClient
    chance: random.Random
    now: float
    replica: Backup
    other: Backup
    source: Backup
    record: Record

    @property
    def elsewhere(self) -> str:
        """Return the id of another vault of the destination's project."""
        return str(self.control.add_vault(project_id=DESTINATION_PROJECT, protect_type="replication")["id"])

    def change_replica(self, **changes: Any) -> None:
        """Change the replica."""
        self.control.change_backup(self.replica.id, **changes)

    def remove_replica(self) -> None:
        """Remove the replica; sometimes, time passes."""
        self.control.remove_backup(self.replica.id)
        self.control.advance(self.chance.choice([0.0, 0.0, HOUR, 3 * DAY]))


_Wrong = Callable[[_Scene], object]


@cache
def _wrongs() -> list[_Wrong]:
    return [
        _Scene.remove_replica,
        _Scene.remove_replica,
        lambda on: on.change_replica(status=on.chance.choice(["error", "deleting", "protecting", "archiving"])),
        lambda on: on.change_replica(resource_size=1),
        lambda on: on.change_replica(resource_id=on.other.resource_id),
        lambda on: on.change_replica(image_type="backup"),
        lambda on: on.change_replica(vault_id=on.elsewhere),
        lambda on: on.change_replica(expired_at=on.now + on.chance.choice([-HOUR, DAY])),
        lambda on: on.change_replica(row={on.chance.choice(["status", "resource_size", "project_id"]): None}),
        lambda on: on.control.change_record(on.record.id, destination_backup_id=on.chance.choice([on.other.id, on.source.id, None])),
        lambda on: on.control.change_record(on.record.id, destination_vault_id=on.elsewhere),
        lambda on: on.control.change_record(on.record.id, status="success"),
        lambda on: on.control.remove_record(on.record.id),
        lambda on: on.control.change_backup(on.source.id, row={"created_at": None}),
        lambda on: on.control.change_backup(on.source.id, created_at=on.now + 10 * DAY),
        lambda on: on.control.remove_backup(on.source.id),
        lambda on: on.control.add_backup(SOURCE_VAULT, age_seconds=on.chance.choice([0, 300])),
        lambda on: on.control.add_backup(DESTINATION_VAULT, image_type="replication", resource_id=on.source.resource_id),
        lambda on: on.control.change_vault(SOURCE_VAULT, row={"resources": on.chance.choice([None, []])}),
        lambda on: on.control.advance(on.chance.choice([HOUR, DAY, 40 * DAY])),
    ]


def _spoil(night: Night, chance: random.Random) -> None:
    """Make some of what the two vaults hold wrong."""
    service = night.adapter.emulator.service
    for _ in range(chance.choice([0, 0, 1, 1, 2, 4])):
        now, store = service.settle(), service.store
        replicas, sources = list(store.in_vault(DESTINATION_VAULT)), list(store.in_vault(SOURCE_VAULT))
        records = [record for backup in sources for record in backup.records]
        if replicas and records:
            parts = chance.choice(replicas), chance.choice(replicas), chance.choice(sources), chance.choice(records)
            chance.choice(_wrongs())(_Scene(night.control, chance, now, *parts))

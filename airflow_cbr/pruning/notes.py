"""What is written down of a plan before its first deletion, so that the next attempt can name what this one has deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from airflow_cbr.pruning.spec import Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_cbr.once.intents import IntentStore
    from airflow_cbr.pruning.plan import Removal
    from airflow_cbr.pruning.spec import PruneSpec

__all__ = ["LONGEST_NOTE", "Notes", "RemovedBackup", "removed_of"]

LONGEST_NOTE: Final = 1000
"""Backups that are written down; a note goes into a row of Airflow's database."""


class RemovedBackup(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that is, was, or would be deleted, as the report lists it.

    :param is_adopted: whether an earlier attempt deleted it, or it was gone when its turn came.
    """

    id: str
    side: Side
    name: str | None
    resource_id: str | None
    resource_name: str | None
    created_at: str
    size_gb: float
    why: str
    is_adopted: bool = False


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    vault_id: str
    destination_vault_id: str
    planned: list[RemovedBackup]


def removed_of(removal: Removal, *, is_adopted: bool = False) -> RemovedBackup:
    """Return a planned removal as the report lists it.

    :param removal: from the plan.
    :param is_adopted: see :class:`RemovedBackup`. Default: False.
    """
    backup = removal.row.backup
    return RemovedBackup(
        id=removal.id,
        side=removal.row.side,
        name=backup.name,
        resource_id=backup.resource_id,
        resource_name=backup.resource_name,
        created_at=removal.created.isoformat(timespec="seconds"),
        size_gb=removal.size_gb,
        why=removal.why,
        is_adopted=is_adopted,
    )


class Notes:
    """The note of one task.

    :param store: where it outlives the process, or None where there is no such place: then nothing is written, and nothing adopted.
    :param spec: what is asked for; a note of other vaults is not read.
    """

    def __init__(self, store: IntentStore | None, spec: PruneSpec) -> None:
        self._store = store
        self._spec = spec

    def read(self) -> list[RemovedBackup]:
        """Return what earlier attempts have planned to delete."""
        if self._store is None:
            return []
        try:
            note = msgspec.convert(self._store.load(), _Note)
        except msgspec.ValidationError:
            return []
        here = (self._spec.vault_id, self._spec.destination.vault_id)
        return note.planned if (note.vault_id, note.destination_vault_id) == here else []

    def write(self, planned: Sequence[RemovedBackup]) -> None:
        """Write down what may be deleted from now on, and what was before; the first 1,000.

        :param planned: what is planned.
        """
        if self._store is None:
            return
        vault_id, there = self._spec.vault_id, self._spec.destination.vault_id
        note = _Note(vault_id=vault_id, destination_vault_id=there, planned=list(planned[:LONGEST_NOTE]))
        self._store.save(msgspec.to_builtins(note))

"""All copies out of a vault, as one look found them: for those who wait for copies that they do not know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_cbr.api.copy_state import ENDS, CopyState
from airflow_cbr.api.ids import check_region, is_id
from airflow_cbr.exceptions import CbrParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_cbr.api.models import Backup, ReplicationRecord

__all__ = ["CopiesSeen", "Copy", "CopyCollector"]


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy of one backup.

    :param id: its replication record.
    :param state: its state.
    :param began: Unix time at which the service created the record, or None where it does not say.
    :param destination: region, project and vault, each None where the record does not say, or says what cannot be right.
    :param is_scheduled: whether a schedule started it, or None where the record does not say.
    """

    id: str
    state: CopyState
    began: float | None
    destination: tuple[str | None, str | None, str | None]
    is_scheduled: bool | None

    @property
    def has_ended(self) -> bool:
        """Return whether it has ended, in whatever way."""
        return self.state in ENDS

    def may_go_to(self, destination: tuple[str | None, str | None, str | None]) -> bool:
        """Return whether nothing in the record says that the copy goes elsewhere.

        :param destination: region, project and vault in small letters, each None where any will do.
        """
        pairs = zip(self.destination, destination, strict=True)
        return all(said is None or wanted is None or said.lower() == wanted for said, wanted in pairs)


@dataclass(frozen=True, slots=True)
class CopiesSeen:
    """What one look at a vault found.

    :param copies: every copy that a backup of the vault lists, in any order.
    :param at: the service's clock, as Unix time.
    :param lists_records: whether any backup had a list of records, even an empty one; True when there was no backup.
    """

    copies: Sequence[Copy]
    at: float
    lists_records: bool = True


class CopyCollector:
    """Collects the copies while a vault is listed.

    :param vault_id: the vault, in small letters.
    """

    def __init__(self, vault_id: str) -> None:
        self._vault_id = vault_id
        self._copies: dict[str, Copy] = {}
        self._rows = 0
        self._lists_records = False

    def note(self, backup: Backup) -> None:
        """Take the copies of a backup; of a record that comes twice, because rows moved, the reading that has ended counts.

        :param backup: a row of the listing.
        """
        self._rows += 1
        self._lists_records = self._lists_records or backup.replication_records is not None
        if backup.vault_id is not None and backup.vault_id.lower() != self._vault_id:
            return
        for record in backup.replication_records or ():
            if is_id(record.id) and not ((known := self._copies.get(record.id)) and known.has_ended):
                self._copies[record.id] = _copy_of(record)

    def seen(self, at: float) -> CopiesSeen:
        """Return what was collected.

        :param at: the service's clock, as Unix time.
        """
        return CopiesSeen(tuple(self._copies.values()), at, self._lists_records or not self._rows)


def _copy_of(record: ReplicationRecord) -> Copy:
    created, extra = record.created, record.extra
    return Copy(
        id=record.id,
        state=record.state,
        began=None if created is None else created.timestamp(),
        destination=(
            _region(record.destination_region),
            _id(record.destination_project_id),
            _id(record.destination_vault_id or extra.destination_vault_id),
        ),
        is_scheduled=extra.auto_trigger,
    )


def _id(value: str | None) -> str | None:
    return value if is_id(value) else None


def _region(value: str | None) -> str | None:
    try:
        return check_region(value)
    except CbrParameterError:
        return None

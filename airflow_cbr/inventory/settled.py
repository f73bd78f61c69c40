"""The backups of a look about which nothing is left to decide: most of a large vault, and little more is kept of them than their number.

One successful record to the destination covers such a backup, and no other record is listed of it. While the vault is read, its row is held
as a few bytes, because it may come again and say something else. Then it is forgotten.
"""

from __future__ import annotations

import zlib
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.api.summaries import BackupSummary, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from airflow_cbr.api.summaries import RecordSummary

__all__ = ["Settled", "SettledBackups", "digest_of"]

_KINDS_LIMIT: Final = 5_000
"""Most kinds of rows that are told apart, mostly one for each resource. Rows of further kinds are kept whole."""
_LARGEST_GB: Final = 10**12

_Held = tuple[int, str | None, str | None, str | None, int | float | None, str, str | None]
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Held).decode
"""Kind, name, checkpoint, creation time and size of a backup; id and creation time of its record."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What is kept of backups about which nothing is left to decide.

    :param backups: how many there are.
    :param gb: the sum of their nominal sizes in GB; one without a size counts as 0.
    :param is_sizeless: whether one of them has no size.
    :param times: Unix time (service) at which each of their records was made, as far as the service says it.
    :param timeless: whether it does not say it of one of them.
    :param digest: digest of the records' ids, as :func:`digest_of` makes it.
    """

    backups: int = 0
    gb: int = 0
    is_sizeless: bool = False
    times: array[float] = field(default_factory=lambda: array("d"))
    timeless: bool = False
    digest: int = 0


def digest_of(record_ids: Iterable[str]) -> int:
    """Return a number that shows whether an id has appeared in a set; the numbers of two sets can be added up.

    :param record_ids: ids of records, each once, in any order.
    """
    return sum(map(_digest_of_one, record_ids))


def _digest_of_one(record_id: str) -> int:
    # More than nothing, so that the number of ids shows too.
    return zlib.crc32(record_id.encode()) + 2**32


class SettledBackups:
    """Takes the rows of settled backups from a look.

    :param is_covered: whether a row is covered, judged line by line. Asked once for each kind of rows: in all that decides, they are alike.
    :param backup_ids: backups whose rows are to be kept whole. Default: none.
    :param record_ids: records whose backups are to be kept whole. Default: none.
    :param since: Unix time (service); the backup of a record that was made later, or at an unknown time, is to be kept whole. Default:
        none.
    """

    def __init__(
        self,
        is_covered: Callable[[BackupSummary], bool],
        *,
        backup_ids: Collection[str] = (),
        record_ids: Collection[str] = (),
        since: float | None = None,
    ) -> None:
        self._is_covered = is_covered
        self._backup_ids = frozenset(backup_ids)
        self._record_ids = frozenset(record_ids)
        self._since = since
        self._held: dict[str, bytes] = {}
        self._kinds: dict[Any, int] = {}
        self._firsts: list[tuple[BackupSummary, RecordSummary]] = []
        self._gb, self._digest, self._times, self._timeless, self._sizeless = 0, 0, array("d"), 0, 0

    @property
    def settled(self) -> Settled:
        """Return what is kept of the backups that were taken and not given back."""
        return Settled(len(self._held), self._gb, self._sizeless > 0, self._times, self._timeless > 0, self._digest)

    def take(self, backup: BackupSummary) -> bool:
        """Take a backup if it is settled; return whether it was taken, or had been before by a row that says the same.

        :param backup: its row.
        """
        records, size = backup.replication_records, backup.resource_size
        if records is None or len(records) != 1 or type(backup) is not BackupSummary:
            return False
        record = records[0]
        kind = (
            record.status,
            record.destination_vault_id,
            record.destination_project_id,
            record.destination_region,
            record.extra_info,
            backup.status,
            backup.image_type,
            backup.vault_id,
            backup.provider_id,
            backup.resource_id,
            backup.resource_name,
            backup.resource_type,
            backup.extend_info,
        )
        number = self._kinds.get(kind)
        if number is None and (number := self._learn(kind, backup, record)) is None:
            return False
        if backup.id in self._backup_ids or record.id in self._record_ids or not (size is None or _is_whole(size)):
            return False
        created = parse_time(record.created_at)
        made = None if created is None else created.timestamp()
        if self._since is not None and (made is None or made > self._since):
            return False
        row: _Held = number, backup.name, backup.checkpoint_id, backup.created_at, size, record.id, record.created_at
        held = _encode(row)
        known = self._held.setdefault(backup.id, held)
        if known is not held:
            return known == held
        self._add(size, record.id, made)
        return True

    def give_back(self, backup_id: str) -> BackupSummary | None:
        """Return the row of a backup that was taken, and hold it no longer; None if it is not held.

        :param backup_id: the backup.
        """
        held = self._held.pop(backup_id, None)
        if held is None:
            return None
        number, name, checkpoint_id, created_at, size, record_id, began = _decode(held)
        backup, record = self._firsts[number]
        created = parse_time(began)
        self._gb -= int(size or 0)
        self._sizeless -= size is None
        self._digest -= _digest_of_one(record_id)
        if created is None:
            self._timeless -= 1
        else:
            self._times.remove(created.timestamp())
        records = [msgspec.structs.replace(record, id=record_id, created_at=began)]
        row: BackupSummary = msgspec.structs.replace(
            backup,
            id=backup_id,
            name=name,
            checkpoint_id=checkpoint_id,
            created_at=created_at,
            resource_size=size,
            replication_records=records,
        )
        return row

    def _add(self, size: float | None, record_id: str, made: float | None) -> None:
        self._gb += int(size or 0)
        self._sizeless += size is None
        self._digest += _digest_of_one(record_id)
        if made is None:
            self._timeless += 1
        else:
            self._times.append(made)

    def _learn(self, kind: object, backup: BackupSummary, record: RecordSummary) -> int | None:
        if record.state is not CopyState.SUCCEEDED or len(self._firsts) >= _KINDS_LIMIT or not self._is_covered(backup):
            return None
        self._firsts.append((backup, record))
        return self._kinds.setdefault(kind, len(self._firsts) - 1)


def _is_whole(size: float) -> bool:
    """Return whether a size can be added and taken away again without an error of rounding."""
    return 0 <= size <= _LARGEST_GB and size == int(size)

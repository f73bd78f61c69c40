"""What the source side says about each backup, before the destination is read: one small row each."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from airflow_cbr.api.models import parse_time
from airflow_cbr.verification.faults import MAY_SETTLE, Fault
from airflow_cbr.verification.verdicts import Verdict, verdict_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["BackupKind", "BackupRow", "BackupTexts", "SourceInventory", "packed"]

_APPEARS_WITHIN: Final = timedelta(days=1)
"""A replica that is missing longer than this after its copy began was deleted, and will not appear."""


class BackupKind(NamedTuple):
    """What mostly all backups of a resource have in common; one object for all of them is enough.

    :param resource_id: the resource, if the service returns it.
    :param has_system_disk: whether the backup contains the server's system disk; None if the service does not return it.
    """

    resource_id: str | None = None
    provider_id: str | None = None
    resource_type: str | None = None
    has_system_disk: bool | None = None


class _Id(msgspec.Struct, frozen=True, array_like=True, gc=False):
    id: str


class BackupTexts(_Id, frozen=True):
    """What names a backup and the record that decides about it."""

    name: str | None
    record_id: str | None


class _AllTexts(BackupTexts, frozen=True):
    begun_at: str | None


# Who needs the first of the texts makes objects of no others.
_encode: Final = msgspec.msgpack.Encoder().encode
_id_of: Final = msgspec.msgpack.Decoder(_Id).decode
_texts_of: Final = msgspec.msgpack.Decoder(BackupTexts).decode
_all_texts_of: Final = msgspec.msgpack.Decoder(_AllTexts).decode


def packed(id: str, name: str | None, record_id: str | None = None, begun_at: str | None = None) -> bytes:
    """Return the texts of a row as it holds them: one object takes half of the memory of four.

    :param id: the backup.
    :param name: its name.
    :param record_id: the record that decides about it. Default: none.
    :param begun_at: when its copy was begun, as the service writes it. Default: not known.
    """
    return _encode((id, name, record_id, begun_at))


class BackupRow(msgspec.Struct, gc=False):
    """One source backup and what is known of its copy.

    There is one for each backup of the vault, so each byte counts: it has few fields, shares what it can, and packs what it does not judge.

    :param packed_texts: from :func:`packed`.
    :param kind: what it has in common with others.
    :param verdict: None as long as the destination must be asked.
    :param size: GB.
    :param created: when it was made; None if the service does not return it.
    :param is_judged: whether it gets a verdict of its own.
    :param is_eligible: whether the backup must be covered.
    :param replica_checkpoint_id: the checkpoint of its replica: what the record says, or else what the replica says.
    """

    packed_texts: bytes
    kind: BackupKind
    checkpoint_id: str | None
    size: int | float | None
    created: datetime | None
    is_judged: bool = False
    is_eligible: bool = True
    replica_id: str | None = None
    replica_checkpoint_id: str | None = None
    verdict: Verdict | None = None
    faults: tuple[Fault, ...] = ()
    reason: str = ""

    @property
    def texts(self) -> BackupTexts:
        """Return its texts; whoever needs several of them unpacks them once."""
        return _texts_of(self.packed_texts)

    @property
    def id(self) -> str:
        """Return the id of the backup."""
        return _id_of(self.packed_texts).id

    @property
    def begun_at(self) -> str | None:
        """Return when its copy was begun, as the service writes it."""
        return _all_texts_of(self.packed_texts).begun_at

    @property
    def resource_id(self) -> str | None:
        """Return the resource, if the service returns it."""
        return self.kind.resource_id

    @property
    def subject(self) -> str:
        """Return how a message names the backup."""
        texts = self.texts
        return f"{texts.name} ({texts.id})" if texts.name else texts.id

    @property
    def is_verified(self) -> bool:
        """Return whether a good replica exists according to both sides."""
        return self.verdict is Verdict.VERIFIED

    def is_older_than(self, other: BackupRow) -> bool:
        """Return whether the other backup was made later, as far as both times are known; one without a time counts as older."""
        return other.created is not None and (self.created is None or self.created < other.created)

    def may_settle(self, now: datetime | None) -> bool:
        """Return whether all that is wrong may become right a little later; a replica that has been missing for a day will not appear.

        :param now: the service's time, or None when it is not known.
        """
        if not self.faults or not MAY_SETTLE.issuperset(self.faults):
            return False
        begun = parse_time(self.begun_at)
        return Fault.REPLICA_MISSING not in self.faults or begun is None or now is None or now - begun <= _APPEARS_WITHIN

    def decide_by(self, record_id: str, begun_at: str | None = None) -> None:
        """Note which record decides about the copy.

        :param record_id: the record.
        :param begun_at: when the copy was begun, as the service writes it. Default: it does not matter, or is not known.
        """
        texts = self.texts
        self.packed_texts = packed(texts.id, texts.name, record_id, begun_at)

    def confirm(self) -> None:
        """Note that the replica is what it must be."""
        self.verdict = Verdict.VERIFIED

    def refuse(self, reason: str, fault: Fault, *more: Fault) -> None:
        """Note what is wrong with the copy; the verdict follows from it.

        :param reason: what is wrong, in words.
        :param fault: the same as a fault. Without one no level would catch it.
        :param more: further faults.
        """
        self.faults = (fault, *more)
        self.verdict, self.reason = verdict_on(self.faults), reason

    def skip(self, reason: str) -> None:
        """Note that the backup is not judged.

        :param reason: why.
        """
        self.verdict, self.reason = Verdict.SKIPPED, reason


class SourceInventory:
    """What the source says about all backups of its vault.

    :param rows: the backups, in the order of the listing.
    :param unlisted: ids of the records in question that no backup lists.
    :param resource_names: names of the resources by their ids, as the backups give them. Default: none.
    """

    def __init__(self, rows: list[BackupRow], unlisted: list[str], resource_names: Mapping[str | None, str] | None = None) -> None:
        self.rows = rows
        self.resource_names: Mapping[str | None, str] = resource_names or {}
        self.unlisted = unlisted
        self.newest, self._rivals = _newest(rows)

    def perhaps_newest(self, resource_id: str | None) -> list[BackupRow]:
        """Return the newest eligible backup of a resource, with all that may be newer; none of one that has no eligible backup.

        :param resource_id: the resource.
        """
        newest = self.newest.get(resource_id)
        return [] if newest is None else [newest, *self._rivals.get(resource_id, ())]

    @property
    def all_perhaps_newest(self) -> Iterator[BackupRow]:
        """Return the same of all resources."""
        return chain(self.newest.values(), *self._rivals.values())

    @property
    def judged(self) -> Iterator[BackupRow]:
        """Return the rows that get a verdict."""
        return (row for row in self.rows if row.is_judged)


def _newest(rows: Sequence[BackupRow]) -> tuple[dict[str | None, BackupRow], dict[str | None, list[BackupRow]]]:
    """Return the newest eligible backup by resource, and others that may be newest: made at the same time, or without a time."""
    newest: dict[str | None, BackupRow] = {}
    equals: dict[str | None, list[BackupRow]] = {}
    undated: dict[str, list[BackupRow]] = {}
    for row in rows:
        if not row.is_eligible:
            continue
        key, created = row.resource_id or row.id, row.created
        if created is None:
            undated.setdefault(key, []).append(row)
            continue
        known = newest.get(key)
        if known is None or known.created is None or created > known.created:
            newest[key] = row
            equals.pop(key, None)
        elif created == known.created:
            equals.setdefault(key, []).append(row)
    for key, others in undated.items():
        if key not in newest:
            newest[key] = others.pop(0)
        equals.setdefault(key, []).extend(others)
    return newest, equals

"""The one table of what protects a backup from being pruned, whatever the keep rules say. A further protection is a further line.

Whatever is not known keeps: a field that is missing, a time that cannot be read, a status that is not documented.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from airflow_cbr.api.copy_state import ENDS
from airflow_cbr.api.ids import is_id
from airflow_cbr.api.models import parse_time
from airflow_cbr.pruning.rows import has_expired
from airflow_cbr.pruning.spec import Side
from airflow_cbr.verification.rules import CLOCK_MARGIN, is_plausible_size

if TYPE_CHECKING:
    from airflow_cbr.pruning.look import Held, Look

__all__ = ["KeepReason", "Protection", "created_of", "protections_of", "survivor_of"]

_EARLIEST: Final = datetime(1971, 1, 1, tzinfo=UTC)
"""No backup is older; a day around it is a day in every time zone."""


class KeepReason(StrEnum):
    """Why a backup stays; the values are part of reports and do not change."""

    TIME_UNKNOWN = "time_unknown"
    """The service's time is not known, or the clocks differ by more than an hour."""
    VAULT_LOCKED = "vault_locked"
    """Its vault is locked, or the service does not say whether it is."""
    VAULT_STATUS = "vault_status"
    """Its vault is not available."""
    VAULT_KIND = "vault_kind"
    """Its vault is not of the kind that this side must be: for replicas, or for backups."""
    LISTED_TWICE = "listed_twice"
    """The vault lists it more than once, with different contents."""
    UNSEEN = "unseen"
    """The verification has not seen it, or has seen it with other contents."""
    KIND = "kind"
    """Its ``image_type`` is not ``backup``, or, of a replica, not ``replication``."""
    PLACE = "place"
    """Its row says that it belongs to another vault or project."""
    PART = "part"
    """It is part of another backup."""
    STATUS = "status"
    """It is not available: it is being made, restored or deleted, is in error, or its status is not documented."""
    INCOMPLETE_ROW = "incomplete_row"
    """The service does not return its resource, its checkpoint, its size or its details."""
    UNDATED = "undated"
    """When it was made, or when it expires, is not known or cannot be right."""
    EXPIRED = "expired"
    """It has expired; the service removes it by itself."""
    UNVERIFIED = "unverified"
    """A source backup without a verified replica, or a replica that is not what it must be."""
    CHECKPOINT_INCOMPLETE = "checkpoint_incomplete"
    """It is part of a checkpoint that is not complete."""
    IN_USE = "in_use"
    """An image uses it."""
    RESTORING = "restoring"
    """A restore that has not ended may use it."""
    COPYING = "copying"
    """A copy of it has not ended."""
    TOO_NEW = "too_new"
    """It is younger than ``min_age``."""
    LAST_VERIFIED = "last_verified"
    """It is the only verified replica of its resource."""
    SOURCE_EXISTS = "source_exists"
    """The source backup of this replica stays: once deleted, the replica would not be copied again."""
    SOURCE_UNCLEAR = "source_unclear"
    """It may be the replica of a source backup whose replica is not known."""
    NO_SURVIVOR = "no_survivor"
    """No verified replica of its resource stays that expires as late."""
    OTHER_SIDE = "other_side"
    """``side`` leaves this side out."""
    KEEP_RULE = "keep_rule"
    """A keep rule keeps it."""


class Protection(NamedTuple):
    """One line of the table.

    :param reason: why it stays.
    :param sides: the sides for which the line holds.
    :param applies: whether it holds.
    :param wording: the same in words, with ``{backup}``, ``{look}``, ``{why}`` its checkpoint is not complete, and the ``{verdict}``.
    :param is_useful: whether a backup that is protected by this alone is as good as any other for a restore, so that it may be the one
        that a keep rule keeps.
    """

    reason: KeepReason
    sides: tuple[Side, ...]
    applies: Callable[[Held, Look], bool]
    wording: str
    is_useful: bool = False


# --- the table ----------------------------------------------------------------------------------------------------------------

_BOTH: Final = (Side.SOURCE, Side.REPLICA)
_SOURCE: Final = (Side.SOURCE,)
_REPLICA: Final = (Side.REPLICA,)
_IMAGE_TYPES: Final = {Side.SOURCE: "backup", Side.REPLICA: "replication"}
_VAULT_KINDS: Final = {Side.SOURCE: ("backup", "hybrid"), Side.REPLICA: ("replication",)}


def created_of(row: Held) -> datetime | None:
    """Return when a backup was made, or when a replica had been copied, if that is known and can be right.

    A replica is dated by its own row alone. So its date, and with it the day, week, month and year that it stands for, stays the same after
    its source backup is gone.

    :param row: the backup or replica.
    """
    created = row.backup.created
    return created if created is not None and created >= _EARLIEST else None


def _is_locked(row: Held, look: Look) -> bool:
    return look.vaults[row.side].locked is not False


def _vault_is_not_available(row: Held, look: Look) -> bool:
    billing = look.vaults[row.side].billing
    return billing is None or billing.status != "available"


def _vault_is_of_another_kind(row: Held, look: Look) -> bool:
    billing = look.vaults[row.side].billing
    return billing is None or billing.protect_type not in _VAULT_KINDS[row.side]


def _is_unseen(row: Held, _: Look) -> bool:
    seen, backup = row.source, row.backup
    return seen is None or (seen.created, seen.resource_id, seen.checkpoint_id, seen.size) != (
        backup.created,
        backup.resource_id,
        backup.checkpoint_id,
        backup.resource_size,
    )


def _is_elsewhere(row: Held, look: Look) -> bool:
    return row.backup.vault_id != look.vault_id(row.side) or row.backup.project_id != look.projects[row.side]


def _lacks_a_field(row: Held, _: Look) -> bool:
    backup = row.backup
    ids = (backup.id, backup.resource_id or "", backup.checkpoint_id or "")
    return not (all(map(is_id, ids)) and is_plausible_size(backup.resource_size) and backup.extend_info is not None)


def _is_undated(row: Held, look: Look) -> bool:
    created, expires = created_of(row), row.backup.expired_at
    if created is None or (look.now is not None and created - look.now > CLOCK_MARGIN):
        return True
    return expires is not None and parse_time(expires) is None


def _has_expired(row: Held, look: Look) -> bool:
    return has_expired(row.backup, look.now)


def _is_unverified(row: Held, look: Look) -> bool:
    if row.side is Side.SOURCE:
        return not row.is_verified
    return row.source is not None and not row.is_verified


def _is_of_an_incomplete_checkpoint(row: Held, look: Look) -> bool:
    return (row.side, row.backup.checkpoint_id) in look.incomplete


def _is_in_use(row: Held, _: Look) -> bool:
    return row.backup.extend_info is not None and bool(row.backup.extend_info.os_images_data)


def _is_restored(row: Held, look: Look) -> bool:
    restores = look.restores.get(row.side)
    return restores is None or restores.concerns(row.backup)


def _is_copied(row: Held, _: Look) -> bool:
    return any(record.state not in ENDS for record in row.backup.replication_records or ())


def _is_too_new(row: Held, look: Look) -> bool:
    created = created_of(row)
    return created is None or look.now is None or (look.now - created).total_seconds() < look.spec.min_age


def _is_last_verified(row: Held, look: Look) -> bool:
    return row.is_verified and look.verified.get(row.backup.resource_id or "", 0) < 2


def _has_its_source(row: Held, look: Look) -> bool:
    return not look.claims.get(row.backup.id, set()) <= look.going


def _may_have_its_source(row: Held, look: Look) -> bool:
    resource_id, created = row.backup.resource_id, row.backup.created
    if resource_id not in look.unclear:
        return False
    oldest = look.unclear[resource_id]
    return oldest is None or created is None or created - oldest >= -CLOCK_MARGIN


def _nothing_survives_it(row: Held, look: Look) -> bool:
    return survivor_of(row, look) is None


def _verdict(row: Held) -> str:
    if row.source is None:
        return "the verification has not seen it"
    return "the records of several backups name that replica" if row.is_shared else row.source.reason


def survivor_of(row: Held, look: Look) -> Held | None:
    """Return a verified replica of the same resource that stays and expires as late as a replica, or None where there is none.

    :param row: the replica.
    :param look: what was seen.
    """
    return next((one for one in look.survivors.get(row.backup.resource_id or "", ()) if _lives_as_long(one, row)), None)


def _lives_as_long(survivor: Held, row: Held) -> bool:
    if survivor.backup.expired_at is None:
        return True
    ends, other_ends = parse_time(survivor.backup.expired_at), parse_time(row.backup.expired_at)
    return ends is not None and other_ends is not None and ends >= other_ends


_TABLE: Final = (
    Protection(
        KeepReason.TIME_UNKNOWN,
        _BOTH,
        lambda row, look: look.now is None,
        "the service's time is not known, or the clocks differ by more than an hour",
    ),
    Protection(KeepReason.VAULT_LOCKED, _BOTH, _is_locked, "its vault is locked, or the service does not say whether it is"),
    Protection(KeepReason.VAULT_STATUS, _BOTH, _vault_is_not_available, "its vault is not available"),
    Protection(KeepReason.VAULT_KIND, _BOTH, _vault_is_of_another_kind, "its vault is not of the kind that it must be"),
    Protection(
        KeepReason.LISTED_TWICE, _BOTH, lambda row, look: row.is_contradicted, "the vault lists it more than once, with different contents"
    ),
    Protection(KeepReason.UNSEEN, _SOURCE, _is_unseen, "the verification has not seen it, or has seen it with other contents"),
    Protection(
        KeepReason.KIND,
        _BOTH,
        lambda row, look: row.backup.image_type != _IMAGE_TYPES[row.side],
        "its image_type is {backup.image_type}",
    ),
    Protection(KeepReason.PLACE, _BOTH, _is_elsewhere, "its row says that it is in vault {backup.vault_id} of project {backup.project_id}"),
    Protection(KeepReason.PART, _BOTH, lambda row, look: row.backup.parent_id is not None, "it is part of backup {backup.parent_id}"),
    Protection(
        KeepReason.STATUS, _BOTH, lambda row, look: row.backup.status != "available", "its status is {backup.status}, not available"
    ),
    Protection(
        KeepReason.INCOMPLETE_ROW,
        _BOTH,
        _lacks_a_field,
        "the service does not return its resource, its checkpoint, a possible size, or extend_info",
    ),
    Protection(KeepReason.UNDATED, _BOTH, _is_undated, "when it was made, or when it expires, is not known or cannot be right"),
    Protection(KeepReason.EXPIRED, _BOTH, _has_expired, "it expired at {backup.expired_at}; the service removes it by itself"),
    Protection(KeepReason.UNVERIFIED, _SOURCE, _is_unverified, "it has no verified replica: {verdict}"),
    Protection(KeepReason.UNVERIFIED, _REPLICA, _is_unverified, "it is not a good replica of its source backup: {verdict}"),
    Protection(
        KeepReason.CHECKPOINT_INCOMPLETE,
        _BOTH,
        _is_of_an_incomplete_checkpoint,
        "its checkpoint {backup.checkpoint_id} is not complete: {why}",
    ),
    Protection(KeepReason.IN_USE, _BOTH, _is_in_use, "an image uses it", is_useful=True),
    Protection(KeepReason.RESTORING, _BOTH, _is_restored, "a restore that has not ended may use it", is_useful=True),
    Protection(KeepReason.COPYING, _BOTH, _is_copied, "a copy of it has not ended", is_useful=True),
    Protection(KeepReason.TOO_NEW, _BOTH, _is_too_new, "it is younger than min_age, {look.spec.min_age:g} s", is_useful=True),
    Protection(KeepReason.LAST_VERIFIED, _REPLICA, _is_last_verified, "it is the only verified replica of its resource", is_useful=True),
    Protection(KeepReason.SOURCE_EXISTS, _REPLICA, _has_its_source, "its source backup stays", is_useful=True),
    Protection(
        KeepReason.SOURCE_UNCLEAR,
        _REPLICA,
        _may_have_its_source,
        "it may be the replica of a source backup whose replica is not known",
    ),
    Protection(
        KeepReason.NO_SURVIVOR,
        _REPLICA,
        _nothing_survives_it,
        "no verified replica of its resource stays that expires as late",
        is_useful=True,
    ),
)


def protections_of(row: Held, look: Look) -> Iterator[tuple[Protection, str]]:
    """Yield all that protects a backup, in the order of the table, each in words.

    :param row: the backup or replica.
    :param look: what it is judged by.
    """
    for line in _TABLE:
        if row.side in line.sides and line.applies(row, look):
            yield (
                line,
                line.wording.format(
                    backup=row.backup,
                    look=look,
                    why=look.incomplete.get((row.side, row.backup.checkpoint_id or ""), ""),
                    verdict=_verdict(row),
                ),
            )

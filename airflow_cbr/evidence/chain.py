"""Adding a file to the chain of a vault pair, whoever else is adding one."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from airflow_cbr.evidence.file import UnsoundFileError, digest_of, unseal
from airflow_cbr.evidence.folder import number_of
from airflow_cbr.exceptions import CbrEvidenceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.evidence.folder import EvidenceStore

__all__ = ["Link", "Written", "append"]

_MOST_TRIES: Final = 1000
"""Each one means that another writer was faster: so many are not writers, but a store that does not keep what it is given."""


class Link(NamedTuple):
    """The place of a file in its chain.

    :param sequence: its number.
    :param previous: digests of the files before it.
    :param repeats: digest of the same evidence where it was written before and passed by, or None.
    """

    sequence: int
    previous: list[str]
    repeats: str | None


class Written(NamedTuple):
    """A file that was added.

    :param name: its name in the pair's folder.
    :param sequence: its number.
    :param sha256: its digest.
    """

    name: str
    sequence: int
    sha256: str


def append(store: EvidenceStore, pair: str, seal: Callable[[Link], bytes]) -> Written:
    """Add a file behind the newest one.

    Where a store lets one writer alone have a number, the other one takes the next. Where it cannot do that, two may have the same number,
    and the file after them names both. There, each writer looks once more when it has written: one that was passed by adds its evidence
    again, and so does one that has passed another by. Of two such writers the later one to write sees the other.

    :param store: where it is kept.
    :param pair: the folder of the vault pair.
    :param seal: makes the file for its place in the chain.
    :return: what was added.
    :raises CbrEvidenceError: the store lets no file be added.
    :raises OSError: the store cannot be read or written.
    """
    own, own_number = None, 0
    for _ in range(_MOST_TRIES):
        newest, previous = _newest(store, pair)
        if own is not None and own not in previous and not _is_named(store, pair, _by_number(store, pair), own_number, own):
            previous.append(own)
        data = seal(Link(newest + 1, previous, own))
        name = store.create(pair, newest + 1, data)
        if name is None:
            continue
        digest = digest_of(data)
        if _is_settled(store, pair, newest + 1, digest):
            return Written(name, newest + 1, digest)
        own, own_number = digest, newest + 1
    raise CbrEvidenceError(
        f"No evidence could be added to {pair} in {_MOST_TRIES} tries.",
        advice="Check that the folder keeps what is written to it, and find out what else writes to it.",
    )


def _newest(store: EvidenceStore, pair: str) -> tuple[int, list[str]]:
    """Return the highest number, and the digests of what the next file names. One that is damaged is named as it is; the check finds it."""
    names = _by_number(store, pair)
    newest = max(names, default=0)
    return newest, [digest_of(store.read(pair, name)) for name in names[newest]] + _passed_by(store, pair, names, newest)


def _is_settled(store: EvidenceStore, pair: str, number: int, digest: str) -> bool:
    """Return whether neither this file nor one before it was passed by."""
    names = _by_number(store, pair)
    if max(names) > number and not _is_named(store, pair, names, number, digest):
        return False
    return not _passed_by(store, pair, names, number)


def _is_named(store: EvidenceStore, pair: str, names: dict[int, list[str]], number: int, digest: str) -> bool:
    """Return whether a file of a higher number names this one."""
    later = (name for above in names if above > number for name in names[above])
    return any(digest in (_named_by(store, pair, name) or ()) for name in later)


def _passed_by(store: EvidenceStore, pair: str, names: dict[int, list[str]], number: int) -> list[str]:
    """Return the digests of the files before a number that no file of that number names; only where there is more than one of them."""
    before = names.get(number - 1, ())
    if len(before) < 2:
        return []
    named = [_named_by(store, pair, name) for name in names[number]]
    if None in named:
        return []
    known = {digest for digests in named for digest in digests or ()}
    return [digest for name in before if (digest := digest_of(store.read(pair, name))) not in known]


def _by_number(store: EvidenceStore, pair: str) -> dict[int, list[str]]:
    names: dict[int, list[str]] = defaultdict(list)
    for name in store.names(pair):
        if (number := number_of(name)) is not None:
            names[number].append(name)
    return names


def _named_by(store: EvidenceStore, pair: str, name: str) -> list[str] | None:
    """Return the digests that a file names; None when it is damaged."""
    try:
        return unseal(store.read(pair, name))[0].previous
    except UnsoundFileError:
        return None

"""Walking through evidence: every file against its own seal, against the file after it, and against the keys.

One level of a chain is held at a time: the files of one number, mostly a single one. What a file says counts only when a sound file after
it names it as it is, or when there is none after it; so what was changed and what was slipped in never counts.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from airflow_cbr.evidence.file import Evidence, Seal, UnsoundFileError, digest_of, pair_of, unseal
from airflow_cbr.evidence.folder import number_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_cbr.evidence.folder import EvidenceStore
    from airflow_cbr.evidence.signing import PublicKeys

__all__ = ["Checked", "Problem", "ProblemKind", "walk"]


class ProblemKind(StrEnum):
    """What can be wrong; the values are keys of the catalogue of texts."""

    UNREADABLE = "unreadable"
    """The store does not hand the file out."""
    DAMAGED = "damaged"
    """The file is cut, or changed and its seal not."""
    MISPLACED = "misplaced"
    """The file says another number or another vault pair than its name."""
    CHANGED = "changed"
    """The file after it names another content."""
    MISSING = "missing"
    """Numbers are missing."""
    MISSING_SIBLING = "missing_sibling"
    """A file names one before it that is not there."""
    UNNAMED = "unnamed"
    """The file after it does not name it."""
    UNSIGNED = "unsigned"
    """There are keys, and it has no signature."""
    UNKNOWN_KEY = "unknown_key"
    """It is signed with a key that was not given."""
    FORGED = "forged"
    """Its signature is wrong."""


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with the evidence itself.

    :param kind: what.
    :param pair: the folder of the vault pair.
    :param file: the file, or the files in words of numbers.
    :param detail: more, as it was found. Default: none.
    """

    kind: ProblemKind
    pair: str
    file: str
    detail: str = ""


class Checked(msgspec.Struct, frozen=True, gc=False):
    """One file that was looked at.

    :param name: its name.
    :param sha256: its digest; empty when the store does not hand it out.
    :param evidence: what it says; None when it cannot be read.
    :param counts: whether it is as it was written, as far as that can be known.
    """

    name: str
    sha256: str
    evidence: Evidence | None
    counts: bool


class _Entry(msgspec.Struct, gc=False):
    name: str
    digest: str
    evidence: Evidence | None
    is_sound: bool

    def checked(self, *, counts: bool) -> Checked:
        return Checked(self.name, self.digest, self.evidence, counts and self.is_sound)


def walk(store: EvidenceStore, pair: str, keys: PublicKeys | None = None) -> Iterator[Checked | Problem]:
    """Yield every file of a vault pair in the order of the chain, and everything that is wrong with them.

    :param store: where they are.
    :param pair: the folder of the vault pair.
    :param keys: the keys of which one must have signed each file. Default: signatures are not looked at.
    """
    before: list[_Entry] = []
    at = 0
    unnamed: dict[str, _Entry] = {}
    siblings: set[str] = set()
    numbered = [(number, name) for name in store.names(pair) if (number := number_of(name)) is not None]
    for number, names in groupby(sorted(numbered), key=lambda one: one[0]):
        level = []
        for _, name in names:
            entry, problems = _look_at(store, pair, name, number, keys)
            level.append(entry)
            yield from problems
        named = {digest for entry in level if entry.is_sound and entry.evidence is not None for digest in entry.evidence.previous}
        # Where two wrote at the same time, one may be named a little later, and more than once.
        yield from (unnamed.pop(digest).checked(counts=True) for digest in sorted(named & unnamed.keys()))
        if number != at + 1:
            yield Problem(ProblemKind.MISSING, pair, _numbers(at + 1, number - 1))
            yield from (entry.checked(counts=False) for entry in before)
        else:
            yield from _compare(pair, before, level, named - siblings, unnamed)
        if len(before) > 1:
            siblings.update(entry.digest for entry in before)
        before, at = level, number
    yield from (entry.checked(counts=True) for entry in before)
    for entry in unnamed.values():
        yield entry.checked(counts=False)
        yield Problem(ProblemKind.UNNAMED, pair, entry.name)


def _compare(
    pair: str, before: list[_Entry], level: list[_Entry], named: set[str], unnamed: dict[str, _Entry]
) -> Iterator[Checked | Problem]:
    """Compare the files of one number with what those of the next say about them; what none of them names waits for a later one."""
    strange = sorted(named - {entry.digest for entry in before})
    # Where a file after it cannot be read, nobody knows what that one named.
    is_told = all(entry.is_sound for entry in level)
    for entry in before:
        if entry.digest in named:
            yield entry.checked(counts=True)
        elif is_told and not strange:
            unnamed[entry.digest] = entry
        else:
            yield entry.checked(counts=False)
            # What does not fit its own seal is a problem already.
            if strange and strange.pop() and entry.is_sound:
                yield Problem(ProblemKind.CHANGED, pair, entry.name, level[0].name)
    yield from (Problem(ProblemKind.MISSING_SIBLING, pair, level[0].name, digest) for digest in strange)


def _look_at(store: EvidenceStore, pair: str, name: str, number: int, keys: PublicKeys | None) -> tuple[_Entry, list[Problem]]:
    try:
        data = store.read(pair, name)
    except OSError as error:
        return _Entry(name, "", None, is_sound=False), [Problem(ProblemKind.UNREADABLE, pair, name, str(error.strerror or error))]
    digest = digest_of(data)
    try:
        evidence, sealed, attested = unseal(data)
    except UnsoundFileError as error:
        return _Entry(name, digest, error.evidence, is_sound=False), [Problem(ProblemKind.DAMAGED, pair, name, str(error))]
    kind = _fault_of(evidence, sealed, attested, pair, number, keys)
    return _Entry(name, digest, evidence, kind is None), [] if kind is None else [Problem(kind, pair, name)]


def _fault_of(evidence: Evidence, sealed: Seal, attested: bytes, pair: str, number: int, keys: PublicKeys | None) -> ProblemKind | None:
    if evidence.sequence != number or pair_of(evidence.source, evidence.destination) != pair:
        return ProblemKind.MISPLACED
    if keys is None:
        return None
    if sealed.signature is None:
        return ProblemKind.UNSIGNED
    if not keys.knows(sealed.signature):
        return ProblemKind.UNKNOWN_KEY
    return None if keys.accept(sealed.signature, attested) else ProblemKind.FORGED


def _numbers(first: int, last: int) -> str:
    return f"{first:08d}" if first == last else f"{first:08d} - {last:08d}"

"""Every change, gap and deletion is found but that of the newest files, and nothing is found where nothing is wrong."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_cbr.evidence.chain import Link
from airflow_cbr.evidence.check import Checked, ProblemKind, walk
from airflow_cbr.evidence.file import digest_of, pair_of, seal, unseal
from airflow_cbr.evidence.folder import FolderStore
from airflow_cbr.evidence.signing import PublicKeys
from tests.support.bare_store import BareStore
from tests.support.evidence_checks import problems_in, sound_files
from tests.support.evidence_nights import HERE, PAIR, THERE, add, add_nights, evidence, night, verification
from tests.support.signing_keys import new_signer

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNER, _, PUBLIC = new_signer()
STRANGER = new_signer()[0]
KEYS = PublicKeys.from_pems([PUBLIC])
NIGHTS = 6


def chain(signed: bool = False) -> BareStore:
    store = BareStore()
    add_nights(store, NIGHTS, signer=SIGNER if signed else None)
    return store


def kinds(store: BareStore, keys: PublicKeys | None = None) -> list[tuple[str, str]]:
    return [(str(problem.kind), problem.file.partition("-")[0].strip()) for problem in problems_in(store, keys)]


def resealed(data: bytes, number: int, signed: bool) -> bytes:
    """Return a file as a forger makes it who knows the format: with another content, and a right digest at its end."""
    was = unseal(data)[0]
    forged = evidence(Link(was.sequence, was.previous, was.repeats), night(number), verification({"web-01": 1.0}))
    return seal(forged, SIGNER if signed else None)


@pytest.mark.parametrize("signed", [False, True])
def test_nothing_is_found_in_a_chain_that_is_as_it_was_written(signed: bool) -> None:
    store = chain(signed)
    assert problems_in(store, KEYS if signed else None) == []
    assert [one.name for one in sound_files(store, KEYS if signed else None)] == store.names(PAIR)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, NIGHTS - 1), st.integers(0, 2**16), st.integers(1, 255))
def test_a_changed_byte_is_found_in_every_file_the_newest_too(number: int, place: int, change: int) -> None:
    store = chain()
    name = store.names(PAIR)[number]
    data = store.files[PAIR][name]
    at = place % len(data)
    store.files[PAIR][name] = data[:at] + bytes([(data[at] + change) % 256]) + data[at + 1 :]

    assert name in {problem.file for problem in problems_in(store)}
    assert name not in {one.name for one in sound_files(store)}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sets(st.integers(0, NIGHTS - 1), min_size=1, max_size=NIGHTS - 1))
def test_a_deletion_is_found_unless_it_is_of_the_newest(deleted: set[int]) -> None:
    store = chain()
    names = store.names(PAIR)
    for number in deleted:
        del store.files[PAIR][names[number]]
    newest_left = max(set(range(NIGHTS)) - deleted)

    found = problems_in(store)

    assert {problem.kind for problem in found} <= {ProblemKind.MISSING}
    said = {number for problem in found for number in numbers(problem.file)}
    assert said == {number + 1 for number in deleted if number < newest_left}


def numbers(text: str) -> range:
    first, _, last = text.partition(" - ")
    return range(int(first), int(last or first) + 1)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, NIGHTS - 2), st.booleans())
def test_a_forged_file_is_found_by_the_one_after_it(number: int, signed: bool) -> None:
    """Also one whose forger had the key."""
    store = chain(signed)
    name = store.names(PAIR)[number]
    store.files[PAIR][name] = resealed(store.files[PAIR][name], number, signed)

    assert kinds(store, KEYS if signed else None) == [("changed", f"{number + 1:08d}")]
    assert name not in {one.name for one in sound_files(store)}


def test_forging_the_newest_takes_the_key() -> None:
    store = chain(signed=True)
    name = store.names(PAIR)[-1]
    genuine = store.files[PAIR][name]
    store.files[PAIR][name] = resealed(genuine, NIGHTS, signed=False)
    assert kinds(store) == []
    assert kinds(store, KEYS) == [("unsigned", "00000006")]

    was = unseal(genuine)[0]
    store.files[PAIR][name] = seal(evidence(Link(was.sequence, was.previous, None), night(9)), STRANGER)
    assert kinds(store, KEYS) == [("unknown_key", "00000006")]

    other = unseal(seal(was, SIGNER))[1].signature
    assert other is not None
    forged = seal(evidence(Link(was.sequence, was.previous, None), night(9)), SIGNER)
    mine = unseal(forged)[1].signature
    assert mine is not None
    store.files[PAIR][name] = forged.replace(mine.value.encode(), other.value.encode())
    assert kinds(store, KEYS) == [("forged", "00000006")]
    # Nothing that can be relied on confirms the one before it.
    assert [one.name for one in sound_files(store, KEYS)] == store.names(PAIR)[:-2]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, NIGHTS - 1), st.booleans())
def test_a_file_that_was_put_between_is_found_and_does_not_count(number: int, with_key: bool) -> None:
    """For example a good night in the place of a red one, which stays beside it."""
    store = chain(signed=True)
    before = digest_of(store.read(PAIR, store.names(PAIR)[number - 2])) if number > 1 else None
    extra = seal(evidence(Link(number, [before] if before else [], None), night(number), run_id="slipped in"), SIGNER if with_key else None)
    name = store.create(PAIR, number, extra)

    assert name in {problem.file for problem in problems_in(store, KEYS)}
    assert name not in {one.name for one in sound_files(store, KEYS)}


def swap(store: BareStore) -> None:
    files, (second, third) = store.files[PAIR], store.names(PAIR)[1:3]
    files[second], files[third] = files[third], files[second]


def rename(store: BareStore) -> None:
    files, name = store.files[PAIR], store.names(PAIR)[2]
    files["00000042.json"] = files.pop(name)


def copy_to_the_end(store: BareStore) -> None:
    files, name = store.files[PAIR], store.names(PAIR)[0]
    files["00000007.json"] = files[name]


def from_another_pair(store: BareStore) -> None:
    source = THERE
    add(store, night(0), source=source, destination=HERE)
    (other,) = store.files[pair_of(source, HERE)].values()
    store.files[PAIR]["00000007.json"] = other


def begin_later(store: BareStore) -> None:
    data = seal(evidence(Link(1, ["0" * 64], None), night(0)))
    store.files[PAIR] = {"00000001.json": data}


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (swap, {"misplaced"}),
        (rename, {"missing", "misplaced"}),
        (copy_to_the_end, {"misplaced"}),
        (from_another_pair, {"misplaced"}),
        (begin_later, {"missing_sibling"}),
    ],
)
def test_a_file_in_another_place_is_found(tamper: Callable[[BareStore], None], found: set[str]) -> None:
    store = chain()
    tamper(store)
    assert {kind for kind, _ in kinds(store)} == found


def test_a_deleted_one_of_two_of_the_same_number_is_found() -> None:
    inner = BareStore()
    moments = iter([1])

    def another() -> None:
        for _ in range(next(moments, 0)):
            add(inner, night(20))

    store = BareStore(another)
    store.files = inner.files
    add(store, night(0))
    add_nights(inner, 1)
    first = [name for name in inner.names(PAIR) if name.startswith("00000001")]
    assert len(first) == 2
    assert problems_in(inner) == []

    del inner.files[PAIR][first[0]]
    assert [problem.kind for problem in problems_in(inner)] == [ProblemKind.MISSING_SIBLING]


def test_what_cannot_be_read_is_found(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    add_nights(store, 3)
    second = tmp_path / PAIR / "00000002.json"
    second.unlink()
    second.mkdir()

    assert [(problem.kind, problem.file) for problem in problems_in(store)] == [(ProblemKind.UNREADABLE, "00000002.json")]
    assert [one.name for one in sound_files(store)] == ["00000003.json"], "nothing confirms the first any more"


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    add_nights(store, 2)
    for name in ("README", ".DS_Store", ".00000003.json.f00.part"):
        (tmp_path / PAIR / name).write_text("x")
    (tmp_path / "another folder").mkdir()

    assert problems_in(store) == []
    assert [list(walk(store, pair)) for pair in store.pairs() if pair != PAIR] == [[]]


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300), st.integers(1, 9))
def test_any_bytes_can_be_checked(data: bytes, number: int) -> None:
    store = BareStore()
    store.files[PAIR] = {f"{number:08d}.json": data}

    found = list(walk(store, PAIR, KEYS))

    assert [one.counts for one in found if isinstance(one, Checked)] == [False]


def test_a_copy_of_the_folder_is_as_good(tmp_path: Path) -> None:
    add_nights(FolderStore(tmp_path / "here"), 3)
    with tempfile.TemporaryDirectory() as elsewhere:
        shutil.copytree(tmp_path / "here", Path(elsewhere, "copy"))
        assert problems_in(FolderStore(Path(elsewhere, "copy"))) == []

"""Whoever adds to a chain, and however their steps mix, what they wrote is in it and the check is content."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_cbr.evidence.chain import append
from airflow_cbr.evidence.file import digest_of, unseal
from airflow_cbr.evidence.folder import FolderStore
from airflow_cbr.exceptions import CbrEvidenceError
from tests.support.bare_store import BareStore
from tests.support.evidence_checks import problems_in, sound_files
from tests.support.evidence_nights import PAIR, add, add_nights, night


def test_each_file_names_the_one_before(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    written = add_nights(store, 3)

    assert [one.sequence for one in written] == [1, 2, 3]
    found = [unseal(store.read(PAIR, name))[0] for name in store.names(PAIR)]
    assert [one.previous for one in found] == [[], [written[0].sha256], [written[1].sha256]]
    assert [one.sha256 for one in written] == [digest_of(store.read(PAIR, one.name)) for one in written]


def test_a_lost_last_file_gives_its_number_away_and_breaks_nothing(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    add_nights(store, 3)
    (tmp_path / PAIR / "00000003.json").unlink()

    assert add(store, night(3)).sequence == 3
    assert problems_in(store) == []


@pytest.mark.parametrize("remains", [b"", b'{"version":1,"kind":"verif'], ids=["empty", "cut"])
def test_a_last_file_that_a_power_cut_emptied_is_named_as_it_is_and_found(tmp_path: Path, remains: bytes) -> None:
    store = FolderStore(tmp_path)
    add_nights(store, 2)
    last = tmp_path / PAIR / "00000002.json"
    last.chmod(0o644)
    last.write_bytes(remains)

    add(store, night(2))
    add(store, night(3))

    assert [(problem.kind, problem.file) for problem in problems_in(store)] == [("damaged", "00000002.json")]
    assert [one.name for one in sound_files(store)] == ["00000003.json", "00000004.json"]


class Turns:
    """Lets writers in threads of their own take their steps one at a time, in a given order."""

    def __init__(self, order: list[int], writers: int) -> None:
        self._order, self._left = iter(order), set(range(writers))
        self._changed = threading.Condition()
        self._whose: int | None = None

    def wait(self, writer: int) -> None:
        with self._changed:
            if self._whose == writer:
                self._whose = None
            self._pass()
            self._changed.wait_for(lambda: self._whose == writer, timeout=30)
            assert self._whose == writer

    def leave(self, writer: int) -> None:
        with self._changed:
            self._left.discard(writer)
            self._whose = None
            self._pass()

    def _pass(self) -> None:
        if self._whose is None and self._left:
            wanted = next(self._order, 0)
            self._whose = sorted(self._left)[wanted % len(self._left)]
        self._changed.notify_all()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 5), max_size=40))
def test_writers_of_a_store_that_cannot_refuse_a_name_lose_nothing(order: list[int]) -> None:
    writers, turns = 3, Turns(order, 3)
    local = threading.local()

    class Watched(BareStore):
        def names(self, pair: str) -> list[str]:
            turns.wait(local.writer)
            return super().names(pair)

    store = Watched(lambda: turns.wait(local.writer))
    failed: list[BaseException] = []

    def write(writer: int) -> None:
        local.writer = writer
        try:
            for file in range(2):
                add(store, night(writer * 10 + file), run_id=f"{writer}.{file}")
        except BaseException as error:
            failed.append(error)
        finally:
            turns.leave(writer)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failed == []
    plain = BareStore()
    plain.files = store.files
    assert problems_in(plain) == []
    told = {one.evidence.run.run_id for one in sound_files(plain) if one.evidence is not None}
    assert told == {f"{writer}.{file}" for writer in range(writers) for file in range(2)}


def test_a_writer_that_was_passed_by_writes_again_and_names_its_first_file() -> None:
    passing = iter([2, 0])

    def others() -> None:
        for number in range(next(passing, 0)):
            add(inner, night(10 + number))

    inner = BareStore()
    store = BareStore(others)
    store.files = inner.files
    add(inner, night(0))

    written = add(store, night(1), run_id="late")

    late = [evidence for name in store.names(PAIR) if (evidence := unseal(store.read(PAIR, name))[0]).run.run_id == "late"]
    assert [one.sequence for one in late] == [2, 4]
    assert late[1].repeats in late[1].previous
    assert written.sequence == 4
    assert problems_in(inner) == []


def test_a_writer_that_has_passed_another_by_names_it_although_nobody_comes_after() -> None:
    inner = BareStore()
    add(inner, night(0))
    twin = next(iter(inner.files[PAIR].values())).replace(b"scheduled__1", b"scheduled__2")
    moments = iter([1])
    store = BareStore(lambda: [inner.create(PAIR, 1, twin) for _ in range(next(moments, 0))].clear())
    store.files = inner.files

    assert add(store, night(1)).sequence == 3
    last = unseal(store.read(PAIR, store.names(PAIR)[-1]))[0]
    assert digest_of(twin) in last.previous


def test_a_store_that_keeps_nothing_is_given_up(tmp_path: Path) -> None:
    class Forgetful(FolderStore):
        def create(self, pair: str, number: int, data: bytes) -> str | None:
            return None

    with pytest.raises(CbrEvidenceError, match="No evidence could be added"):
        append(Forgetful(tmp_path), PAIR, lambda link: b"")

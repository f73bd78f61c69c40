"""A file is there as a whole or not at all and is never written twice, whoever writes at the same time, and wherever a writer is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_cbr.evidence.folder import FolderStore, name_of, number_of
from tests.support.evidence_checks import problems_in, sound_files
from tests.support.evidence_nights import PAIR, add, add_nights, night
from tests.support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).resolve().parents[3]

#: Adds a night, and kills itself with SIGKILL before or after a call of a function of os.
KILLED_WRITER = """
import os, signal, sys
from airflow_cbr.evidence.folder import FolderStore
from tests.support.evidence_nights import add, night
folder, moment, name, call = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
real, calls = getattr(os, name), 0
def killed(*args, **options):
    global calls
    calls += 1
    if calls == call and moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    if calls == call and moment == "within":
        real(args[0], bytes(args[1])[: len(args[1]) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    result = real(*args, **options)
    if calls == call and moment == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(os, name, killed)
add(FolderStore(folder), night(2))
"""

#: The moments of a writer: making the file, writing, syncing it, naming it, taking its first name away, syncing both folders.
MOMENTS = [
    (moment, name, call)
    for name, calls in (("write", 1), ("fsync", 3), ("link", 1), ("unlink", 1))
    for call in range(1, calls + 1)
    for moment in ("before", "after")
] + [("within", "write", 1)]

CONCURRENT_WRITER = """
import sys
from airflow_cbr.evidence.folder import FolderStore
from tests.support.evidence_nights import add, night
store, number = FolderStore(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for one in range(int(sys.argv[3])):
    add(store, night(number * 100 + one), run_id=f"writer {number}, file {one}")
"""


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(("moment", "name", "call"), thinned(MOMENTS, every=3), ids=[" ".join(map(str, one)) for one in MOMENTS])
def test_a_writer_that_is_killed_leaves_a_whole_file_or_none(tmp_path: Path, moment: str, name: str, call: int) -> None:
    store = FolderStore(tmp_path)
    add_nights(store, 2)

    with start(KILLED_WRITER, str(tmp_path), moment, name, str(call)) as process:
        assert process.wait(120) == -signal.SIGKILL

    assert problems_in(store) == []
    was_named = name == "unlink" or (name, moment) == ("link", "after") or (name == "fsync" and call > 1)
    assert len(sound_files(store)) == 2 + was_named
    add(store, night(3))
    assert problems_in(store) == []
    assert len(sound_files(store)) == 3 + was_named


def test_writers_at_the_same_time_make_one_chain(tmp_path: Path) -> None:
    writers, files = 4, 6
    processes = [start(CONCURRENT_WRITER, str(tmp_path), str(number), str(files)) for number in range(writers)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=240)
        assert process.returncode == 0

    found = sound_files(store := FolderStore(tmp_path))
    assert problems_in(store) == []
    assert [one.name for one in found] == [name_of(number) for number in range(1, writers * files + 1)]
    runs = [one.evidence.run.run_id for one in found if one.evidence is not None]
    assert sorted(runs) == sorted(f"writer {number}, file {file}" for number in range(writers) for file in range(files))


def test_a_name_that_is_taken_is_refused_and_the_file_stays(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    assert store.create(PAIR, 1, b"first") == "00000001.json"
    assert store.create(PAIR, 1, b"second") is None
    assert store.read(PAIR, "00000001.json") == b"first"
    assert os.listdir(tmp_path / PAIR) == ["00000001.json"]


def test_a_file_that_was_written_may_not_be_written_to(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.create(PAIR, 1, b"first")
    assert (tmp_path / PAIR / "00000001.json").stat().st_mode & 0o222 == 0


def test_a_name_that_was_given_although_the_answer_was_lost_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of NFS sends a call again when the answer is lost, and is then told that the name exists."""
    store, link = FolderStore(tmp_path), os.link

    def twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    assert store.create(PAIR, 1, b"ours") == "00000001.json"
    assert store.create(PAIR, 1, b"theirs") is None


def breaking(error: OSError) -> Callable[..., None]:
    def fail(*arguments: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("name", ["write", "fsync", "link"])
def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    store = FolderStore(tmp_path)
    monkeypatch.setattr(os, name, breaking(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        add(store, night(0))
    assert os.listdir(tmp_path / PAIR) == []


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:100]))
    store = FolderStore(tmp_path)
    add_nights(store, 2)
    assert problems_in(store) == []


def test_names_carry_the_number_and_sort_by_it() -> None:
    assert [number_of(name_of(number)) for number in (1, 12_345_678)] == [1, 12_345_678]
    assert number_of(name_of(7, "0123456789ab")) == 7
    assert sorted((name_of(10), name_of(9), name_of(9, "0" * 12))) == [name_of(9, "0" * 12), name_of(9), name_of(10)]
    for other in ("notes.txt", "1.json", "00000001.json.part", ".00000001.json", "00000001-zz.json", "00000001.JSON"):
        assert number_of(other) is None

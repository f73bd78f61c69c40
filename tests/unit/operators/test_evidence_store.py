"""Evidence in Airflow's object storage: here its memory, which is what a bucket is for a test."""

from __future__ import annotations

import pytest

from airflow_cbr.cli import main
from airflow_cbr.evidence.folder import FolderStore
from airflow_cbr.operators.evidence_store import ObjectStore, store_at
from tests.support.evidence_checks import problems_in, sound_files
from tests.support.evidence_nights import PAIR, add, add_nights, night
from tests.support.memory_bucket import empty_bucket


@pytest.fixture
def url() -> str:
    """Return a URL in a bucket that is empty."""
    return f"{empty_bucket()}/evidence"


def test_a_bucket_holds_a_chain(url: str) -> None:
    store = store_at(url)
    assert isinstance(store, ObjectStore)
    assert (str(store), store.names(PAIR)) == (url, [])

    written = add_nights(store, 3)

    assert [one.sequence for one in written] == [1, 2, 3]
    assert [one.name for one in written] == [f"{one.sequence:08d}-{one.sha256[:12]}.json" for one in written]
    assert store_at(url + "/").pairs() == [PAIR]
    assert problems_in(store_at(url)) == []
    assert len(sound_files(store_at(url))) == 3


def test_two_of_one_number_are_kept_both_and_named_both(url: str) -> None:
    store = store_at(url)
    add(store, night(0))
    (first,) = store.names(PAIR)
    data = store.read(PAIR, first)
    store.create(PAIR, 1, data.replace(b"scheduled__1", b"scheduled__2"))
    assert len(store.names(PAIR)) == 2

    add(store, night(1))
    assert [problem.kind for problem in problems_in(store)] == ["damaged"], "its seal is the other one's; but it is named as it is"


def test_a_file_url_is_a_folder(tmp_path: object) -> None:
    assert isinstance(store_at(f"file://{tmp_path}/with%20space"), FolderStore)
    assert str(store_at(f"file://{tmp_path}/with%20space")) == f"{tmp_path}/with space"


def test_the_commands_take_a_url(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evidence", "check", url]) == 1
    assert "memory://bucket/evidence" in capsys.readouterr().err
    add_nights(store_at(url), 2)
    assert main(["evidence", "check", url]) == 0
    assert "No problems in 2 files" in capsys.readouterr().out


def test_a_store_that_airflow_does_not_know_is_an_error_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evidence", "check", "no-such-store://bucket/evidence"]) == 1
    assert capsys.readouterr().err.startswith("airflow-cbr: no-such-store://bucket/evidence cannot be read: ")

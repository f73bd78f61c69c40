"""Walking through a list that changes meanwhile: no row that stays is missed, none comes twice, and every walk ends."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cbr.api import paging
from airflow_cbr.api.paging import Page, walk
from airflow_cbr.exceptions import CbrProtocolError


@dataclass(frozen=True)
class Row:
    id: str


class List:
    """A service's list, newest first, that can change before each request."""

    def __init__(self, size: int, *, cap: int = 1000, counts: bool = True) -> None:
        self.rows = [Row(f"row-{number}") for number in range(size)]
        self.requests: list[tuple[int, int]] = []
        self.before: Callable[[int], None] = lambda request: None
        self.cap = cap
        self._counts = counts
        self._new = itertools.count()

    def insert(self, position: int) -> None:
        self.rows.insert(position, Row(f"new-{next(self._new)}"))

    def fetch(self, offset: int, limit: int) -> Page[Row]:
        assert offset >= 0
        assert len(self.requests) < 5000
        self.before(len(self.requests))
        self.requests.append((offset, limit))
        return self.rows[offset : offset + min(limit, self.cap)], len(self.rows) if self._counts else None

    def walk(self, page_size: int = 1000) -> Iterator[str]:
        for row in walk(self.fetch, page_size=page_size, call="ListBackups"):
            yield row.id


def names(size: int) -> list[str]:
    return [f"row-{number}" for number in range(size)]


@pytest.mark.parametrize("size", [0, 1, 2, 500, 999])
def test_a_list_of_one_page_costs_one_request(size: int) -> None:
    rows = List(size)
    assert list(rows.walk()) == names(size)
    assert rows.requests == [(0, 1000)]


def test_a_long_list_costs_one_request_per_page() -> None:
    rows = List(2500)
    assert list(rows.walk()) == names(2500)
    assert rows.requests == [(0, 1000), (999, 1000), (1998, 1000)]


def test_rows_are_yielded_before_the_next_page_is_asked_for() -> None:
    rows = List(2500)
    first = list(itertools.islice(rows.walk(), 1000))
    assert first == names(1000)
    assert len(rows.requests) == 1


def test_every_size_and_page_size() -> None:
    def found(size: int, page_size: int, **service: Any) -> list[str] | str:
        try:
            return list(List(size, **service).walk(page_size))
        except CbrProtocolError as error:
            return str(error)

    sizes, page_sizes, caps = [0, 1, 2, 3, 9, 10, 11, 18, 19, 20, 57], [1, 2, 3, 10], [2, 7, 1000]
    wrong = {
        (size, page_size, cap, counts): walked
        for size, page_size, cap, counts in itertools.product(sizes, page_sizes, caps, [True, False])
        if (walked := found(size, page_size, cap=cap, counts=counts)) != names(size)
    }
    assert wrong == {}


def test_without_a_count_the_walk_goes_on_until_an_empty_page() -> None:
    rows = List(5, counts=False)
    assert list(rows.walk()) == names(5)
    assert rows.requests[-1] == (5, 1000)


def test_a_count_that_is_too_high_ends_with_an_empty_page() -> None:
    rows = List(5)
    fetch = rows.fetch
    assert [row.id for row in walk(lambda offset, limit: (fetch(offset, limit)[0], 99), page_size=10, call="X")] == names(5)


def test_a_full_page_is_not_believed_to_be_the_last() -> None:
    """A service whose ``count`` is that of the page must not hide the rest."""
    rows = List(25)
    fetch = rows.fetch

    def count_of_the_page(offset: int, limit: int) -> Page[Row]:
        page, _ = fetch(offset, limit)
        return page, offset + len(page)

    assert [row.id for row in walk(count_of_the_page, page_size=10, call="X")] == names(25)


def test_new_rows_push_the_others_on() -> None:
    rows = List(30)
    rows.before = lambda request: [rows.insert(0) for _ in range(3)] if request else None  # type: ignore[assignment,func-returns-value]
    assert list(rows.walk(10)) == names(30)


def test_deleted_rows_pull_the_others_back() -> None:
    rows = List(30)

    def delete(request: int) -> None:
        if request == 1:
            del rows.rows[:9]

    rows.before = delete
    found = list(rows.walk(10))
    assert found == names(30)


def test_a_list_that_shrinks_below_the_offset_is_read_to_its_end() -> None:
    rows = List(40)

    def delete(request: int) -> None:
        if request == 2:
            del rows.rows[:18]

    rows.before = delete
    assert list(rows.walk(10)) == names(40)


def test_all_known_rows_disappear_on_the_first_pages() -> None:
    rows = List(40)

    def delete(request: int) -> None:
        if request == 1:
            del rows.rows[:12]

    rows.before = delete
    assert list(rows.walk(10)) == [*names(10), *names(40)[12:]]


def test_all_remembered_rows_disappear_from_a_long_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "_REMEMBERED", 20)
    rows = List(200)

    def delete(request: int) -> None:
        if request == 12:
            del rows.rows[20:]

    rows.before = delete
    with pytest.raises(CbrProtocolError, match=r"ListBackups.*changes faster"):
        list(rows.walk(10))


def test_rows_that_were_forgotten_do_not_come_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many new rows that the next page begins before the rows that are remembered."""
    monkeypatch.setattr(paging, "_REMEMBERED", 20)

    def found(inserted: int) -> list[str]:
        rows = List(200)
        rows.before = lambda request: [rows.insert(0) for _ in range(inserted)] if request == 12 else None  # type: ignore[assignment,func-returns-value]
        walked: list[str] = []
        with contextlib.suppress(CbrProtocolError):
            walked.extend(rows.walk(10))
        return walked

    walks = {inserted: found(inserted) for inserted in range(15, 60)}
    assert {inserted: walked for inserted, walked in walks.items() if len(walked) != len(set(walked))} == {}


@pytest.mark.parametrize("size", [2, 10, 1000])
@pytest.mark.parametrize("count", [None, 10**6])
def test_a_service_that_repeats_a_page_is_given_up(size: int, count: int | None) -> None:
    page = [Row(str(number)) for number in range(size)]
    requests = itertools.count()

    def fetch(offset: int, limit: int) -> Page[Row]:
        assert next(requests) < 100
        return page, count

    rows = walk(fetch, page_size=size, call="X")
    assert list(itertools.islice(rows, size)) == page
    with pytest.raises(CbrProtocolError, match=r"again and again"):
        next(rows)
    assert next(requests) < 30


def test_a_service_that_gives_one_row_at_a_time_loses_none_silently() -> None:
    rows = List(5, cap=1)
    with pytest.raises(CbrProtocolError):
        list(rows.walk(10))


def test_a_row_twice_on_one_page_comes_once() -> None:
    page = [Row("a"), Row("a"), Row("b")]
    assert [row.id for row in walk(lambda offset, limit: (page[offset:], 3), page_size=10, call="X")] == ["a", "b"]


def changes(*kinds: str) -> st.SearchStrategy[list[list[tuple[str, float]]]]:
    """Draw what happens to the list before each request: kinds of changes, and where."""
    return st.lists(st.lists(st.tuples(st.sampled_from(kinds), st.floats(0, 0.999)), max_size=6), max_size=40)


def check(rows: List, page_size: int, steps: list[list[tuple[str, float]]]) -> None:
    """Walk while the list changes, and see that no row that stays is missed and none comes twice."""
    staying = {row.id for row in rows.rows}

    def change(request: int) -> None:
        for what, where in steps[request] if request < len(steps) else ():
            position = int(where * len(rows.rows))
            if what == "delete" and rows.rows:
                staying.discard(rows.rows.pop(position).id)
            elif what != "delete":
                rows.insert(0 if what == "insert in front" else position)

    rows.before = change
    found: list[str] = []
    ended = True
    try:
        for name in rows.walk(page_size):
            found.append(name)
    except CbrProtocolError:
        ended = False
    assert len(found) == len(set(found))
    if ended:
        assert staying <= set(found)
    else:
        # Giving up is right only where about a page of rows changes between two requests.
        assert any(len(step) >= min(page_size, rows.cap) - 1 for step in steps)
    order = [int(name.removeprefix("row-")) for name in found if name in staying]
    assert order == sorted(order)


@settings(max_examples=300)
@given(
    size=st.integers(0, 120),
    page_size=st.integers(1, 20),
    cap=st.integers(3, 30),
    counts=st.booleans(),
    steps=changes("insert", "insert in front", "delete"),
)
def test_no_row_that_stays_is_missed_and_none_comes_twice(
    size: int, page_size: int, cap: int, counts: bool, steps: list[list[tuple[str, float]]]
) -> None:
    check(List(size, cap=cap, counts=counts), page_size, steps)


@settings(max_examples=300)
@given(
    size=st.integers(0, 120),
    page_size=st.integers(1, 20),
    cap=st.integers(3, 30),
    counts=st.booleans(),
    steps=changes("insert in front", "delete"),
)
def test_the_same_of_a_list_of_which_only_the_last_rows_are_remembered(
    size: int, page_size: int, cap: int, counts: bool, steps: list[list[tuple[str, float]]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paging, "_REMEMBERED", 2 * max(2, page_size))
        check(List(size, cap=cap, counts=counts), page_size, steps)


# --- rows that come again -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said(Row):
    word: str


@pytest.mark.parametrize("page_size", [2, 3, 1000])
@pytest.mark.parametrize("places", [(0, 1), (0, 6), (5, 6), (2, 4)])
def test_a_row_that_comes_again_with_other_contents_is_told(places: tuple[int, int], page_size: int) -> None:
    rows: list[Row] = [Row(f"row-{number}") for number in range(7)]
    for place, word in zip(places, ("one", "another"), strict=True):
        rows[place] = Said("twice", word)
    repeated: list[Row] = []
    walked = list(
        walk(lambda offset, limit: (rows[offset : offset + limit], len(rows)), page_size=page_size, call="List", on_repeat=repeated.append)
    )
    assert len({row.id for row in walked}) == len(walked)
    assert {row.word for row in [*walked, *repeated] if isinstance(row, Said)} == {"one", "another"}
    assert {row.id for row in walked} == {row.id for row in rows}
    list(walk(lambda offset, limit: (rows[offset : offset + limit], len(rows)), page_size=page_size, call="List"))

"""The mark by which a task recognises what it made: another version of the package must find it too."""

from __future__ import annotations

from airflow_cbr.once.marks import mark_of


def test_a_mark_is_what_it_was_in_version_0_1_0() -> None:
    assert mark_of("nightly", "run", "drill", 3) == "b640771d5215ffdf"


def test_parts_that_are_cut_elsewhere_make_another_mark() -> None:
    assert len({mark_of("a", "bc"), mark_of("ab", "c"), mark_of("abc"), mark_of("a", "bc", "")}) == 4

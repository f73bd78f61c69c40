"""The rules of the comparisons at their bounds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_cbr.verification import rules
from airflow_cbr.verification.rules import CLOCK_MARGIN, LARGEST_GB

MADE = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
WEEK = 7 * 86400.0


def text(time: datetime) -> str:
    return time.isoformat()


@pytest.mark.parametrize(
    ("size", "is_plausible"),
    [
        (None, False),
        (0, False),
        (-1, False),
        (1e-9, True),
        (1, True),
        (LARGEST_GB, True),
        (LARGEST_GB + 1, False),
        (float("inf"), False),
        (float("nan"), False),
    ],
)
def test_a_size_is_more_than_nothing_and_at_most_an_exabyte(size: float | None, is_plausible: bool) -> None:
    assert rules.is_plausible_size(size) is is_plausible
    assert rules.plausible(None, size) is (is_plausible or size is None), "one that is not said is no contradiction"


#: What each rule says where both sides say the same, they differ, only ours is said, only theirs, and neither.
@pytest.mark.parametrize(
    ("rule", "same", "differ", "ours_alone", "theirs_alone", "neither"),
    [
        (rules.both_say_the_same, True, False, False, False, False),
        (rules.as_the_source_says, True, False, False, True, True),
        (rules.not_contrary, True, False, True, True, True),
        (rules.no_other_region, True, False, True, True, True),
        (rules.other, False, True, True, True, False),
        (rules.said_and_not_contrary, True, False, False, True, False),
    ],
)
def test_what_is_not_said_counts_as_each_rule_has_it(
    rule: Callable[[Any, Any], bool], same: bool, differ: bool, ours_alone: bool, theirs_alone: bool, neither: bool
) -> None:
    here, there = "cn-north-4", "cn-south-1"
    asked = [(here, here), (here, there), (here, None), (None, there), (None, None)]
    assert [rule(ours, theirs) for ours, theirs in asked] == [same, differ, ours_alone, theirs_alone, neither]


def test_a_regions_nickname_is_no_other_region() -> None:
    assert rules.no_other_region("cn-north-4", "northchina")


def test_an_empty_text_is_not_said() -> None:
    assert not rules.said_and_not_contrary(None, "")
    assert not rules.said_and_not_contrary("", "")


def test_among_and_not_among_are_opposites() -> None:
    for words in ((None, "a"), ("b",), ()):
        for word in (None, "a", "b"):
            assert rules.among(words, word) is (word in words)
            assert rules.not_among(words, word) is (word not in words)


@pytest.mark.parametrize(
    ("made", "replica_made", "is_right"),
    [
        (MADE, text(MADE), True),
        (MADE, text(MADE + timedelta(days=1)), True),
        (MADE, text(MADE - CLOCK_MARGIN), True),
        (MADE, text(MADE - CLOCK_MARGIN - SECOND), False),
        (MADE, None, False),
        (MADE, "soon", False),
        (None, None, True),
        (None, text(MADE), True),
    ],
)
def test_a_replica_is_not_older_than_its_source_but_by_the_clocks_margin(
    made: datetime | None, replica_made: str | None, is_right: bool
) -> None:
    assert rules.not_before(made, replica_made) is is_right


@pytest.mark.parametrize(
    ("expiry", "is_readable", "is_later"),
    [
        (None, True, True),
        ("soon", False, True),
        (text(MADE), True, False),
        (text(MADE - SECOND), True, False),
        (text(MADE + SECOND), True, True),
    ],
)
def test_an_expiry_lies_later_than_now(expiry: str | None, is_readable: bool, is_later: bool) -> None:
    assert rules.readable_if_said(None, expiry) is is_readable
    assert rules.after(MADE, expiry) is is_later


KEPT = text(MADE + timedelta(seconds=WEEK))


@pytest.mark.parametrize(
    ("made", "retention", "expiry", "is_kept", "is_counted"),
    [
        (MADE, WEEK, KEPT, True, True),
        (MADE, WEEK, text(MADE + timedelta(seconds=WEEK) - SECOND), False, True),
        (MADE, None, text(MADE), True, True),
        (MADE, WEEK, None, True, True),
        (MADE, WEEK, "soon", True, True),
        (None, WEEK, KEPT, True, False),
        (None, WEEK, None, True, True),
        (None, None, KEPT, True, True),
    ],
)
def test_a_replica_is_kept_for_the_retention_counted_from_its_source(
    made: datetime | None, retention: float | None, expiry: str | None, is_kept: bool, is_counted: bool
) -> None:
    assert rules.kept_for((made, retention), expiry) is is_kept
    assert rules.counted_from_a_time((made, retention), expiry) is is_counted

"""The rules of the comparisons: whether what is found is right, given what is expected and what is found."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from airflow_cbr.api.models import parse_time

__all__ = [
    "CLOCK_MARGIN",
    "LARGEST_GB",
    "after",
    "among",
    "as_the_source_says",
    "both_say_the_same",
    "counted_from_a_time",
    "is_plausible_size",
    "kept_for",
    "no_other_region",
    "not_among",
    "not_before",
    "not_contrary",
    "other",
    "plausible",
    "readable_if_said",
    "said_and_not_contrary",
]

CLOCK_MARGIN: Final = timedelta(minutes=5)
"""How far the clocks of two regions may differ."""

LARGEST_GB: Final = 10**9
"""An exabyte; no resource is larger."""


def is_plausible_size(size: float | None) -> bool:
    """Return whether a number can be a resource's size: more than nothing, at most an exabyte. Infinity and ``nan`` cannot.

    :param size: GB, or None when it is not said.
    """
    return size is not None and 0 < size <= LARGEST_GB


def both_say_the_same(ours: object, theirs: object) -> bool:
    """Return whether both sides say it, and say the same."""
    return ours is not None and ours == theirs


def as_the_source_says(ours: object, theirs: object) -> bool:
    """Return whether the replica says what its source says; a source that says nothing asks for nothing."""
    return ours is None or ours == theirs


def not_contrary(ours: object, theirs: object) -> bool:
    """Return whether the two sides do not contradict each other."""
    return ours is None or theirs is None or ours == theirs


def no_other_region(ours: str | None, theirs: str | None) -> bool:
    """Return whether a record does not name another region."""
    # The published answers name regions by nicknames too, such as southchina; every region id has a hyphen.
    return ours is None or theirs is None or "-" not in theirs or ours == theirs


def other(ours: object, theirs: object) -> bool:
    """Return whether the two differ."""
    return ours != theirs


def said_and_not_contrary(ours: object, theirs: object) -> bool:
    """Return whether it is said, and does not contradict what is expected."""
    return bool(theirs) and (ours is None or ours == theirs)


def among(ours: tuple[object, ...], theirs: object) -> bool:
    """Return whether what is found is one of those expected."""
    return theirs in ours


def not_among(ours: tuple[object, ...], theirs: object) -> bool:
    """Return whether what is found is none of those listed."""
    return theirs not in ours


def plausible(_: object, theirs: float | None) -> bool:
    """Return whether a size is not said, or is one that a resource can have."""
    return theirs is None or is_plausible_size(theirs)


def not_before(ours: datetime | None, theirs: str | None) -> bool:
    """Return whether a replica was made when its source was, or later, up to the clocks' margin."""
    made = parse_time(theirs)
    return ours is None or (made is not None and made - ours >= -CLOCK_MARGIN)


def readable_if_said(_: object, theirs: str | None) -> bool:
    """Return whether a time that is said can be read."""
    return theirs is None or parse_time(theirs) is not None


def after(ours: datetime, theirs: str | None) -> bool:
    """Return whether an expiry that is said lies later."""
    expiry = parse_time(theirs)
    return expiry is None or expiry > ours


def kept_for(ours: tuple[datetime | None, float | None], theirs: str | None) -> bool:
    """Return whether an expiry that is said leaves the retention that is required."""
    (made, retention), expiry = ours, parse_time(theirs)
    # A difference cannot overflow; a time in the year 9999 and a retention can.
    return retention is None or made is None or expiry is None or (expiry - made).total_seconds() >= retention


def counted_from_a_time(ours: tuple[datetime | None, float | None], theirs: str | None) -> bool:
    """Return whether there is a time from which the retention of a replica that expires can be counted."""
    made, retention = ours
    return retention is None or theirs is None or made is not None

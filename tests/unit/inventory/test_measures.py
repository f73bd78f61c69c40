"""Sizes, durations and rates in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.inventory.measures import duration_text, gb_text, rate_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0.9, "0 s"), (42, "42 s"), (60, "1 min"), (725, "12 min 5 s"), (3600, "1 h"), (3661, "1 h 1 min"), (100000, "1 d 3 h")],
)
def test_a_duration_is_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.floats(min_value=0, max_value=1e9))
def test_a_duration_in_words_is_never_longer_and_never_much_shorter(seconds: float) -> None:
    sizes = {"d": 86400, "h": 3600, "min": 60, "s": 1}
    words = duration_text(seconds).split()
    said = sum(int(number) * sizes[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    assert said <= seconds < said + max(sizes[words[-1]] if len(words) == 4 else sizes[words[1]] / 24, 1) * 60


def test_gb_and_rates() -> None:
    assert [gb_text(gb) for gb in (0, 40, 0.52, 123456)] == ["0 GB", "40 GB", "0.5 GB", "123456 GB"]
    assert rate_text(200, 725) == "276 MB/s"
    assert rate_text(160, 31) == "5.16 GB/s", "no 5.16e+03 MB/s"
    assert [rate_text(999.6, 1000), rate_text(0.5, 86400)] == ["1 GB/s", "0.00579 MB/s"]
    assert rate_text(0, 725) is None
    assert rate_text(5, 0) is None

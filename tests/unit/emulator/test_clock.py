from __future__ import annotations

import pytest

from airflow_cbr.emulator.clock import Clock, Timeline, moment_text


def test_a_virtual_clock_moves_by_advance_alone() -> None:
    clock = Clock(speed=0, start=1000.0)
    assert clock.now() == 1000.0
    assert clock.advance(2.5) == 1002.5
    assert clock.now() == 1002.5


def test_the_speed_counts_from_when_it_changes() -> None:
    real = [50.0]
    clock = Clock(real=lambda: real[0], start=0.0)
    real[0] += 10
    assert clock.now() == 10
    clock.speed = 60
    real[0] += 10
    assert clock.now() == 610
    assert clock.real() == 70


def test_the_clock_never_goes_back() -> None:
    clock = Clock(speed=0)
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="0 or more"):
        clock.speed = -1


def test_what_is_due_happens_in_order_and_at_its_own_time() -> None:
    timeline = Timeline()
    seen: list[tuple[str, float]] = []

    def chain(moment: float) -> None:
        seen.append(("first", moment))
        timeline.at(moment + 1, lambda later: seen.append(("chained", later)))

    timeline.at(5, lambda moment: seen.append(("third", moment)))
    timeline.at(2, chain)
    assert timeline.next_due() == 2.0
    timeline.run_until(4)
    assert seen == [("first", 2), ("chained", 3)]
    timeline.run_until(100)
    assert seen == [("first", 2), ("chained", 3), ("third", 5)]
    timeline.run_until(200)
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("notation", "text"),
    [
        ("naive", "2025-03-25T06:32:07.951164"),
        ("offset", "2025-03-25T06:32:07.951+00:00"),
        ("zulu", "2025-03-25T06:32:07Z"),
    ],
)
def test_times_are_written_in_each_notation(notation: str, text: str) -> None:
    assert moment_text(1742884327.951164, notation) == text
    assert moment_text(None, notation) is None

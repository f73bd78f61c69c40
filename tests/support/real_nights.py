"""Nights through a real Airflow, some at once: each on a service of its own, looked at until all are over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from tests.support.airflow_processes import restart_scheduler_where_it_died

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from airflow_cbr.demo.stack import AirflowStack

__all__ = ["RealNight", "look_until_over", "seeds_of"]


class RealNight(Protocol):
    """A night that is played."""

    def look(self) -> bool:
        """Return whether it is over; do what its owner would do about it."""


def seeds_of(request: pytest.FixtureRequest, test: str) -> list[int]:
    """Return the seeds of a test that were selected.

    :param request: the fixture's.
    :param test: name of the test, whose parameter is ``seed``.
    """
    return [item.callspec.params["seed"] for item in request.session.items if getattr(item, "originalname", "") == test]  # type: ignore[attr-defined]


def look_until_over(
    nights: Sequence[RealNight], stack: AirflowStack, *, limit: float, meanwhile: Callable[[float], None] = lambda passed: None
) -> None:
    """Look at the nights until all are over; what is not over by then is judged as it is.

    :param nights: the nights.
    :param stack: the Airflow.
    :param limit: seconds.
    :param meanwhile: called between two looks with the seconds that have passed.
    """
    began = time.monotonic()
    left = list(nights)
    while left and time.monotonic() - began < limit:
        restart_scheduler_where_it_died(stack)
        stack.check()
        left = [night for night in left if not night.look()]
        meanwhile(time.monotonic() - began)
        time.sleep(1)

"""An emulator in virtual time for each test; every answer of its own making is checked against the schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.answer_schemas import check_every_answer
from tests.support.emulator import InProcessAdapter
from tests.support.plain_client import Plain

if TYPE_CHECKING:
    from tests.support.emulator import ControlClient


@pytest.fixture(autouse=True)
def checked_answers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check every answer, unless the test is about wrong ones (fixture ``wrong_answers``)."""
    if "wrong_answers" not in request.fixturenames:
        check_every_answer(monkeypatch)


@pytest.fixture
def wrong_answers() -> None:
    """Mark a test in which the emulator is told to answer what no documentation lists."""


@pytest.fixture
def adapter() -> InProcessAdapter:
    """Return an emulator of the default world in virtual time."""
    return InProcessAdapter()


@pytest.fixture
def cbr(adapter: InProcessAdapter) -> Plain:
    """Return a plain client of the emulator."""
    return Plain.in_process(adapter)


@pytest.fixture
def control(cbr: Plain) -> ControlClient:
    """Return the control calls of the emulator."""
    return cbr.control

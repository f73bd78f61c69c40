"""What the tests of the page share: a stand-in for the api-server, and the page in a browser."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_stand_in import AirflowStandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from playwright.sync_api import Browser, Page


@pytest.fixture
def airflow() -> Iterator[AirflowStandIn]:
    with AirflowStandIn() as running:
        yield running


@pytest.fixture
def opened(airflow: AirflowStandIn, browser: Browser) -> Callable[..., AbstractContextManager[Page]]:
    """Return a function that opens the page and waits until it has read; on leaving, nothing may have been refused by its policy."""
    from tests.support.browser import open_page

    @contextmanager
    def open_and_read(**options: Any) -> Iterator[Page]:
        with open_page(browser, **options) as page:
            refused: list[str] = []
            page.on("console", lambda line: refused.append(line.text) if "Content Security Policy" in line.text else None)
            page.goto(airflow.page)
            page.wait_for_selector("#rows:not([aria-busy])", state="attached")
            yield page
            assert not refused, refused

    return open_and_read

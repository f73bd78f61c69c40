"""A headless Chromium for pages: what they show at any width, in light and dark, and what axe finds in them.

The fixture ``browser`` of ``tests/conftest.py`` runs one for the tests of a module.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser, Page

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS: Final = (
    "--no-sandbox",  # a container's root has no sandbox
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_START: Final = 120_000.0  # ms; a busy machine


def find_chromium() -> str:
    """Return the path of a Chromium; fail the test, and say what to install, where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail(
            f"None of {', '.join(NAMES)} is on PATH, and this test looks at a page in a browser. What to do: install Chromium, with "
            "apt-get install chromium on Debian, or your system's like.",
            pytrace=False,
        )
    return found


def appearances(languages: Sequence[str], *, narrow: int, wide: int = 1280) -> list[Any]:
    """Return the parameters ``language``, ``width`` and ``theme`` of a test: all of them in the full run, two opposite ones in every run.

    :param languages: of the page.
    :param narrow: the width of the smallest window, in CSS pixels.
    :param wide: that of a usual one.
    """
    usual = {(languages[0], wide, "light"), (languages[-1], narrow, "dark")}
    every = product(languages, (narrow, wide), ("light", "dark"))
    return [pytest.param(*one, marks=() if one in usual else pytest.mark.full) for one in every]


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run a headless Chromium."""
    path = find_chromium()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, headless=True, args=[*_ARGUMENTS], timeout=_START)
        try:
            yield running
        finally:
            running.close()


@contextmanager
def open_page(
    browser: Browser,
    *,
    width: int = 1280,
    height: int = 900,
    theme: Literal["light", "dark"] = "light",
    locale: str = "en-GB",
    **options: Any,
) -> Iterator[Page]:
    """Open an empty page that shares nothing with others; on leaving, fail if a script of it threw an error.

    :param width: of the window, in CSS pixels.
    :param height: likewise.
    :param theme: what the page is told that the reader prefers.
    :param locale: the browser's language.
    :param options: more for ``Browser.new_context``, for example ``java_script_enabled=False``.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme, locale=locale, **options)
    context.set_default_timeout(_START)
    try:
        page = context.new_page()
        thrown: list[str] = []
        page.on("pageerror", lambda error: thrown.append(str(error)))
        yield page
        assert not thrown, f"a script of the page threw an error: {thrown}"
    finally:
        context.close()


def serious_violations(page: Page) -> list[str]:
    """Return what axe finds in a page and calls serious or critical: the rule, and the elements that break it."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {', '.join(str(node['target']) for node in one['nodes'][:5])}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def widest_overflow(page: Page) -> int:
    """Return by how many CSS pixels the page is wider than its window; 0 when nobody has to scroll sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

"""The browser of the tests finds what it is asked to find; a page that passes has been looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from tests.support.browser import find_chromium, open_page, serious_violations, widest_overflow

if TYPE_CHECKING:
    from playwright.sync_api import Browser

GOOD = "<!doctype html><html lang=en><title>A page</title><main><h1>A page</h1><p>Text</p></main>"


def test_without_a_chromium_the_test_fails_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        find_chromium()


def test_what_is_hard_to_read_or_too_wide_is_found(browser: Browser) -> None:
    with open_page(browser, width=375) as page:
        page.set_content(GOOD)
        assert (serious_violations(page), widest_overflow(page)) == ([], 0)
        page.set_content(GOOD + "<p style='color:#999;background:#fff'>Pale</p><img src=a.png style='width:900px'>")
        assert {one.split(" ")[0] for one in serious_violations(page)} == {"color-contrast", "image-alt"}
        assert widest_overflow(page) > 500


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_knows_what_the_reader_prefers(browser: Browser, theme: Literal["light", "dark"]) -> None:
    with open_page(browser, theme=theme) as page:
        assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is (theme == "dark")


def test_a_script_that_throws_fails_the_test(browser: Browser) -> None:
    with pytest.raises(AssertionError, match="not today"), open_page(browser) as page:
        page.set_content(GOOD + "<script>throw new Error('not today')</script>")

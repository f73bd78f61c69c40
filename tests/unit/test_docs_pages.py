"""The built pages: nothing sticks out at a desk or on a phone, the search finds sections, and the pictures show what tasks say today."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import open_page, serious_violations, widest_overflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

REPOSITORY = Path(__file__).resolve().parents[2]
PICTURES = REPOSITORY / "docs/pictures"
LIMIT = 1500
"""Seconds that a build, or a look at all pages, may take on a busy machine."""

pytestmark = [pytest.mark.full, pytest.mark.timeout(LIMIT + 300)]

#: Elements of a page's text that reach beyond the window, and are not part of a drawing in a box of its own that scrolls.
STICKS_OUT = """() => {
  const width = document.documentElement.clientWidth;
  return [...document.querySelectorAll("article *")]
    .filter(one => !one.closest(".drawing pre, svg") && one.getClientRects().length && one.textContent.trim())
    .filter(one => { const box = one.getBoundingClientRect(); return box.width > 1 && (box.right > width + 1 || box.left < -1); })
    .map(one => `${one.tagName.toLowerCase()}.${one.className}: ${one.textContent.trim().slice(0, 60)}`)
    .slice(0, 5);
}"""
#: Boxes whose contents are wider than they are, and which hide or scroll what does not fit.
CUT_OFF = """() => [...document.querySelectorAll("article .table-wrapper, article table, article pre, article figure")]
  .filter(one => !one.closest(".drawing") && one.scrollWidth > one.clientWidth + 1)
  .map(one => `${one.tagName.toLowerCase()}.${one.className}: ${one.scrollWidth} > ${one.clientWidth}: ${one.textContent.slice(0, 60)}`)
  .slice(0, 5)"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the pages as ``make docs`` does."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, timeout=LIMIT)
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    """Serve the pages: a search reads them for its excerpts, which a browser allows no page of a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def pages_of(site: Path) -> list[Path]:
    built = {path: path.relative_to(site).with_suffix("") for path in sorted(site.rglob("*.html"))}
    sources = {path.relative_to(REPOSITORY / "docs").with_suffix("") for path in REPOSITORY.glob("docs/**/*.md")}
    assert sources <= set(built.values())
    return [path for path, name in built.items() if name in sources]


def too_wide(page: Page) -> list[str]:
    wider = widest_overflow(page)
    return [*([f"the page: {wider} px"] if wider else []), *page.evaluate(STICKS_OUT), *page.evaluate(CUT_OFF)]


@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_sticks_out_of_a_page(site: Path, browser: Browser, width: int) -> None:
    found = {}
    with open_page(browser, width=width) as page:
        page.set_default_timeout(LIMIT * 1000.0)
        for path in pages_of(site):
            page.goto(path.as_uri())
            if wide := too_wide(page):
                found[path.relative_to(site).as_posix()] = wide

    assert found == {}


def test_what_is_too_wide_is_found(browser: Browser) -> None:
    with open_page(browser, width=390) as page:
        page.set_content("<!doctype html><title>A</title><article><pre style='overflow:auto'><p style='width:900px'>A</pre></article>")
        assert len(too_wide(page)) == 2
        page.set_content("<!doctype html><title>A</title><article><pre style='width:900px'>A</pre></article>")
        assert any(one.startswith("the page") for one in too_wide(page))


@pytest.mark.parametrize("width", [1440, 390])
def test_a_picture_is_seen_once_and_has_a_text(site: Path, browser: Browser, width: int) -> None:
    with open_page(browser, width=width) as page:
        page.goto((site / "index.html").as_uri())
        drawings = page.locator(".picture svg:visible")
        assert [drawings.nth(number).get_attribute("aria-label") is not None for number in range(drawings.count())] == [True, True]
        assert not [one for one in serious_violations(page) if "svg" in one]
        # Its text is text.
        assert "6 of 6 eligible backups are there" in re.sub(r"\s+", " ", drawings.first.text_content() or "")


def test_a_cell_names_its_column_on_a_phone(site: Path, browser: Browser) -> None:
    cell = "article table tr td:nth-child(2) .cell-head"
    for width, is_seen in ((1440, False), (390, True)):
        with open_page(browser, width=width) as page:
            page.goto((site / "reference/replicate.html").as_uri())
            assert page.locator(cell).first.text_content() == "Default: "
            assert page.locator(cell).first.is_visible() is is_seen


def titles_of(site: Path) -> dict[str, list[list[Any]]]:
    content = (site / "searchindex.js").read_text().removeprefix("Search.setIndex(").removesuffix(")")
    titles: dict[str, list[list[Any]]] = json.loads(content)["alltitles"]
    return titles


def test_the_search_knows_every_section(site: Path) -> None:
    titles = {title.replace("\u2019", "'") for title in titles_of(site)}
    missing = []
    for path in sorted(REPOSITORY.glob("docs/*/*.md")):
        text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        sections = re.findall(r"^#{2,3} (.+)$", text, re.MULTILINE)
        plain = [re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", title).replace("`", "") for title in sections]
        missing += [f"{path.name}: {title}" for title in plain if title not in titles]

    assert missing == []


@pytest.mark.parametrize(
    ("words", "section"),
    [("keep rules", "reference/prune.html#the-keep-rules"), ("outlives a process", "reference/support.html#what-outlives-a-process")],
)
def test_a_search_leads_to_the_section(served: str, browser: Browser, words: str, section: str) -> None:
    with open_page(browser) as page:
        page.goto(f"{served}/search.html?q={words.replace(' ', '+')}")
        page.wait_for_selector(f'#search-results a[href*="{section}"]', timeout=60_000)


def texts_of(folder: Path) -> dict[str, str]:
    """Return what each picture says, however its lines are broken."""
    drawn = {path.name: re.findall(r"<text [^>]*>([^<]*)</text>", path.read_text()) for path in sorted(folder.glob("*.svg"))}
    return {name: re.sub(r"\s|&#160;", "", "".join(texts)) for name, texts in drawn.items()}


def test_the_pictures_show_what_the_tasks_say(tmp_path: Path) -> None:
    """If it fails: ``make pictures``, and look at what has changed."""
    subprocess.run([sys.executable, "tools/pictures.py", str(tmp_path)], cwd=REPOSITORY, check=True, timeout=LIMIT, capture_output=True)

    assert texts_of(tmp_path) == texts_of(PICTURES)

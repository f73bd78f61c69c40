"""Each picture of the pages is drawn for a desk and for a phone, loads nothing, has a text, and stands on the page of what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.test_docs import PAGES_OF_CLASSES, blocks, is_dag_file, page_text

REPOSITORY = Path(__file__).resolve().parents[2]
PICTURES = REPOSITORY / "docs/pictures"
DIRECTIVE = re.compile(r"^```\{picture\} (?P<name>\S+)\n(?P<says>.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = {match["name"]: match["says"] for path in sorted(REPOSITORY.glob("docs/**/*.md")) for match in DIRECTIVE.finditer(path.read_text())}


def test_what_is_drawn_is_shown_and_what_is_shown_is_drawn() -> None:
    drawn = {path.stem for path in PICTURES.glob("*.svg")}
    assert drawn == {name + suffix for name in SHOWN for suffix in ("", "-narrow")}


@pytest.mark.parametrize("path", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.stem)
def test_a_picture_is_small_and_loads_nothing(path: Path) -> None:
    drawing = path.read_text()
    assert len(drawing) < 100_000
    assert re.findall(r"https?://[^\"'\s]+", drawing) == ["http://www.w3.org/2000/svg"]
    assert re.search(r"<script|@import|@font-face|<image", drawing) is None


def test_a_screenshot_is_small_and_has_a_text() -> None:
    text = "\n".join(path.read_text() for path in REPOSITORY.glob("docs/**/*.md"))
    shown = {name: says for says, name in re.findall(r"!\[([^\]]*)\]\(\S*pictures/(\S+\.png)\)", text)}
    assert set(shown) == {path.name for path in PICTURES.glob("*.png")} != set()
    assert all(len(says.split()) >= 8 for says in shown.values())
    assert all(path.stat().st_size < 100_000 for path in PICTURES.glob("*.png"))


@pytest.mark.parametrize("name", SHOWN)
def test_the_text_of_a_picture_says_more_than_its_name(name: str) -> None:
    assert len(SHOWN[name].split()) >= 8


def test_the_front_page_shows_a_good_and_a_bad_night() -> None:
    text = page_text("docs/index.md")
    assert [match["name"] for match in DIRECTIVE.finditer(text)] == ["good-night", "bad-night"]
    assert re.findall(r"^:caption: (.+)$", text, re.MULTILINE)[:5] == ["Start", "Use", "Operate", "Understand", "Contribute"]


@pytest.mark.parametrize("name", PAGES_OF_CLASSES)
def test_the_page_of_an_operator_shows_its_result_and_a_dag(name: str) -> None:
    page = f"docs/reference/{name}.md"
    assert name in [match["name"] for match in DIRECTIVE.finditer(page_text(page))]
    whole = [block for block in blocks(page) if block.is_included and block.language == "python" and is_dag_file(block)]
    # Of the example Dags of the repository, a page may show the lines that matter: the file is run by its own test.
    parts = re.findall(r"^```\{literalinclude\} (\S+\.py)\n:language: python\n:start-at:", page_text(page), re.MULTILINE)
    assert whole or parts
    assert all((REPOSITORY / page).parent.joinpath(part).is_file() for part in parts)
